"""Several processes that train one run: joining, barriers, agreement, and the end of a failure."""

import contextlib
import faulthandler
import json
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

from fish_jax.errors import Stopped, UserError
from fish_jax.utils import rendezvous
from fish_jax.utils.messages import first_line, printable_lines

HEARTBEAT = 20  # seconds without a sign of a process until the others take it for dead
PATIENCE = 120  # seconds to wait for the other processes at the start
LONGEST_WAIT = 24 * 3600  # seconds to wait later: while one decodes the images, or compiles


def is_main_process() -> bool:
    """Whether this process reports and writes the results of a run: the first of several."""
    return jax.process_index() == 0


def join(
    coordinator: str, count: int | None, index: int | None, environment: Mapping[str, str]
) -> None:
    """Joins the other processes of a run, if the run has several.

    A task of Slurm's `srun` or of Open MPI's `mpirun` needs no arguments.

    Args:
      coordinator: address of the first process, "host:port"; "": from the launcher.
      count: number of processes; None: from the launcher.
      index: the index of this process, starting at 0; None: from the launcher.
      environment: variables of the process, by which launchers identify it.

    Raises:
      UserError: the arguments contradict each other, or a process does not join in time.
    """
    launched, place = _launched(environment)
    count = launched if count is None else count
    index = place if index is None else index
    if not coordinator and count is None and index is None:
        return
    if coordinator and not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise UserError(f"--coordinator={coordinator} must be HOST:PORT of process 0")
    if count is None or index is None or not 0 <= index < count:
        shown = lambda value: "none" if value is None else value
        raise UserError(
            "--coordinator=HOST:PORT needs --num_processes=N and --process_id=0 to N - 1; "
            f"num_processes is {shown(count)}, process_id {shown(index)}"
        )
    print(f"process {index} of {count} waits for the others, at most {PATIENCE} s", file=sys.stderr)
    if coordinator:
        rendezvous.call(coordinator, index, count, PATIENCE)
    # On a CPU an exchange holds one of XLA's threads until all devices have come to it: with no
    # more threads than cores, those that have not yet may find none left, and all wait for ever.
    os.environ.setdefault("NPROC", str(max(8, os.cpu_count() or 1)))
    # When JAX ends this process because another died, stack traces would bury its message.
    faulthandler.disable()
    # The training loop handles SIGTERM, and passes it to all processes.
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
            f"say, did not find the others: {first_line(error)}; give all processes the same "
            "--coordinator=HOST:PORT, with a free port on the host of process 0"
        ) from None


def _launched(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The number of processes and the index of this one, from the launcher; None without one."""
    for count, index in (
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ):
        values = [environment.get(name, "") for name in (count, index)]
        if values[0] in ("", "1"):
            continue
        if not all(value.isdecimal() for value in values):
            raise UserError(
                f"the environment has {count}={values[0]} and {index}={values[1]}; both must be "
                "numbers, as a launcher of several processes sets them: correct or unset both"
            )
        return int(values[0]), int(values[1])
    return None, None


def barrier(place: str) -> None:
    """Waits until all processes have reached a place in the program.

    Before devices exchange data, as an exchange waits less long for a slow process.

    Args:
      place: a name that is used once.
    """
    if jax.process_count() > 1:
        wait = ocp.multihost.get_barrier_sync_fn()
        wait(key=f"fish_jax {place}", timeout_ms=LONGEST_WAIT * 1000)


def of_main(values: Mapping[str, float]) -> dict[str, float]:
    """Gives every process the numbers of the main process, by name; others give none."""
    if jax.process_count() == 1:
        return dict(values)
    text = json.dumps(dict(values)).encode()
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    sent = np.frombuffer(text.ljust(length)[:length], np.uint8)
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(sent))))


def check_agreement(values: Mapping[str, object]) -> None:
    """Checks that all processes have the same values.

    Args:
      values: by name; the names, too, must be the same.

    Raises:
      UserError: they differ; on every process.
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
    """Ends this process at once, with an error message, where it fails as one of several.

    An orderly exit would wait for the other processes, which may be gone.
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
                "another process of this run has stopped, so this one stops too; checkpoints are "
                f"kept: start all processes again with the same command ({first_line(error)})"
            )
        elif isinstance(error, UserError):
            message = str(error)
        else:
            message = traceback.format_exc()
        text = f"error: process {jax.process_index()}: {printable_lines(message)}"
        print(text, file=sys.stderr, flush=True)
        os._exit(1)


def _lost_another(error: BaseException | None) -> bool:
    """Whether an error comes from the end of another process."""
    signs = ("Gloo", "NCCL", "heartbeat", "oordination", "Barrier", "UNAVAILABLE")
    while error is not None:
        if any(sign in str(error) for sign in signs):
            return True
        error = error.__cause__
    return False
