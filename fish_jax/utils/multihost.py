"""Several processes that train one run: how they find one another, agree, and part."""

import contextlib
import faulthandler
import os
import re
import sys
import traceback
import zlib
from collections.abc import Iterator, Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from fish_jax.errors import Stopped, UserError, first_line
from fish_jax.utils import rendezvous

# Seconds until the others are told of a process that is gone without a word.
HEARTBEAT = 20
# Seconds that the others are waited for, at the start.
PATIENCE = 120
# Seconds that they are waited for later: while one decodes the images, or compiles.
LONGEST_WAIT = 24 * 3600


def is_main_process() -> bool:
    """Whether this process tells and writes what a run leaves; of several, the first."""
    return jax.process_index() == 0


def join(
    coordinator: str, count: int | None, index: int | None, environment: Mapping[str, str]
) -> None:
    """Joins the other processes of a run, where there are any.

    A task of Slurm's `srun` or of Open MPI's `mpirun` finds the others by itself.

    Args:
      coordinator: address of the first process, "host:port", or "" to be found.
      count: number of processes, or None to be found.
      index: of this one, from 0, or None to be found.
      environment: of the process, where launchers say what it is.

    Raises:
      UserError: arguments that do not fit one another; or not all came.
    """
    launched, place = _launched(environment)
    count = launched if count is None else count
    index = place if index is None else index
    if not coordinator and count is None and index is None:
        return
    if coordinator and not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise UserError(f"--coordinator={coordinator} must be HOST:PORT, of the first process")
    if count is None or index is None or not 0 <= index < count:
        shown = lambda value: "none" if value is None else value
        raise UserError(
            "--coordinator=HOST:PORT goes with --num_processes=N and --process_id=0 to N - 1; "
            f"num_processes is {shown(count)}, process_id {shown(index)}"
        )
    print(f"process {index} of {count} waits for the others, at most {PATIENCE} s", file=sys.stderr)
    if coordinator:
        rendezvous.call(coordinator, index, count, PATIENCE)
    # On a CPU an exchange holds one of XLA's threads until all devices have come to it: with no
    # more threads than cores, those that have not yet may find none left, and all wait for ever.
    os.environ.setdefault("NPROC", str(max(8, os.cpu_count() or 1)))
    # Where JAX ends this process because another is gone, its words are not to drown in stacks.
    faulthandler.disable()
    # SIGTERM is heard by the loop, and all processes by it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator or None,
            count,
            index,
            initialization_timeout=PATIENCE,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"process {index} of {count}, as {'the flags' if coordinator else 'its environment'} "
            f"say, did not find the others: {first_line(error)}; give all the same "
            "--coordinator=HOST:PORT, a free port of the first one's host"
        ) from None


def _launched(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Number of processes and index of this one, of a launcher that started several."""
    for count, index in (
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ):
        values = [environment.get(name, "") for name in (count, index)]
        if values[0] in ("", "1"):
            continue
        if not all(value.isdecimal() for value in values):
            raise UserError(
                f"the environment has {count}={values[0]} and {index}={values[1]}, which should be "
                "numbers, as a launcher of several processes sets them; unset both"
            )
        return int(values[0]), int(values[1])
    return None, None


def barrier(place: str) -> None:
    """Waits for the other processes, where some need longer than others.

    An exchange between devices waits less patiently for those that have not come to it.

    Args:
      place: in the program, by a name that is used once.
    """
    if jax.process_count() > 1:
        wait = ocp.multihost.get_barrier_sync_fn()
        wait(key=f"fish_jax {place}", timeout_ms=LONGEST_WAIT * 1000)


def check_agreement(values: Mapping[str, object]) -> None:
    """Checks that all processes have the same values.

    Args:
      values: by their names; a process may have other names, too.

    Raises:
      UserError: they differ, on each of the processes.
    """
    if jax.process_count() == 1:
        return
    checksum = lambda value: zlib.crc32(repr(value).encode())
    sums = [checksum(sorted(values)), *(checksum(values[name]) for name in sorted(values))]
    count = multihost_utils.process_allgather(np.int32(len(sums)))
    every = multihost_utils.process_allgather(np.array(sums[: count.min()], np.uint32))
    places = np.argwhere((every != every[0]).any(0)).ravel()
    if len(set(count)) > 1 or len(places):
        names = ["the fields", *sorted(values)]
        differing = ", ".join(names[place] for place in places) or "the fields"
        raise UserError(f"the processes were started with different values: {differing}")


@contextlib.contextmanager
def exit_on_failure() -> Iterator[None]:
    """Ends a process that fails among several at once, with a sentence.

    At an orderly end processes wait for one another, which those that are gone do not.
    """
    try:
        yield
    except Stopped:  # all stop after the same step
        raise
    except Exception as error:
        if jax.process_count() == 1:
            raise
        if _lost_another(error):
            message = (
                "another process of this run is gone, so that this one stops; what was saved is "
                f"kept: start all of them again with the same command ({first_line(error)})"
            )
        elif isinstance(error, UserError):
            message = str(error)
        else:
            message = traceback.format_exc()
        print(f"error: process {jax.process_index()}: {message}", file=sys.stderr, flush=True)
        os._exit(1)


def _lost_another(error: BaseException | None) -> bool:
    signs = ("Gloo", "NCCL", "heartbeat", "oordination", "Barrier", "UNAVAILABLE")
    while error is not None:
        if any(sign in str(error) for sign in signs):
            return True
        error = error.__cause__
    return False
