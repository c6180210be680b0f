"""Every way to damage a small checkpoint, each tried in a process that may die of it.

`python -m tests.helpers.damage FLIPS` tries as many more than the tests do as you like, and counts
how they end.
"""

import collections
import functools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.errors import UserError
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints

STEPS = (7, 9)
SECONDS = 300  # a case that takes longer hangs, also on a machine that is busy
MEGABYTES = 300  # that a case may take beyond those before it
GOOD = ("right", "fell back")


def device() -> jax.sharding.Sharding:
    """Where checkpoints are read to."""
    return jax.sharding.SingleDeviceSharding(jax.devices()[0])


class Case(NamedTuple):
    """A way to damage the folder of a checkpoint.

    Attributes:
      kind: of the damage.
      name: of the file, and where in it.
      apply: does it, given the folder.
    """

    kind: str
    name: str
    apply: Callable[[Path], None]


def small_state(step: int) -> TrainState:
    """Of no network, with leaves of every kind; other numbers for each step."""
    random = np.random.default_rng(step)
    draw = lambda *shape: jnp.asarray(random.normal(size=shape), jnp.float32)
    kernel = draw(20, 30)  # small ones lie elsewhere in a checkpoint than those of over a kilobyte
    return TrainState(
        step=jnp.int32(step),
        generator_params={"00_project": {"kernel": kernel}},
        discriminator_params={"encode": {"00_dense": {"kernel": draw(6, 3), "bias": draw(3)}}},
        generator_stats={"00_norm": {"mean": draw(6)}},
        discriminator_stats={},
        generator_average={"params": {"00_project": {"bias": draw(4)}}},
        generator_optimizer=({"mu": {"00_project": {"kernel": draw(20, 30)}}},),
        discriminator_optimizer=(),
        loss_state={"k": draw()},
        key=jax.random.key(3),
    )


def small_progress(step: int) -> dict:
    """What a run keeps beside the state."""
    sums = {"d_loss": 0.1 * step, "g_loss": 7.0}
    return {"data": "digest", "images": 20, "sums": sums, "count": step, "seconds": 0.25}


def write_checkpoints(folder: Path) -> None:
    """A checkpoint for each of `STEPS`, the later one with the worse scores."""
    with checkpoints.open_checkpoints(folder) as manager:
        for step in STEPS:
            scores = {"frechet": 10.0 + step, "recall": 0.5}
            checkpoints.save(manager, small_state(step), small_progress(step), scores)


def same(state: TrainState, other: TrainState) -> bool:
    """Whether two states are one, bit for bit."""
    bits = lambda leaf: (leaf.shape, leaf.dtype, np.asarray(leaf).tobytes())
    plain = lambda s: s.replace(key=jax.random.key_data(s.key))
    equal = jax.tree.map(lambda a, b: bits(a) == bits(b), plain(state), plain(other))
    return jax.tree.all(equal)


# Damage.


def _edit(change: Callable[[bytes], bytes], path: str, folder: Path) -> None:
    file = folder / path
    file.write_bytes(change(file.read_bytes()))


def _flip(data: bytes, position: int, mask: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)


def _remove(path: str, folder: Path) -> None:
    file = folder / path
    shutil.rmtree(file) if file.is_dir() else file.unlink()


def _other_kind(path: str, folder: Path) -> None:
    """A file in the place of a folder, or the other way round."""
    is_folder = (folder / path).is_dir()
    _remove(path, folder)
    (folder / path).write_bytes(b"") if is_folder else (folder / path).mkdir()


def _of_another_step(path: str, folder: Path) -> None:
    _remove(path, folder)
    source = folder.parent / str(STEPS[0]) / path
    copy = shutil.copytree if source.is_dir() else shutil.copyfile
    copy(source, folder / path)


def _renamed(name: str, folder: Path) -> None:
    folder.rename(folder.parent / name)


def _plant(path: str, folder: Path) -> None:
    (folder / path).write_bytes(b"\x80\x04.")


def cases(newest: Path, flips: int) -> Iterator[Case]:
    """Every way to damage the newest checkpoint; the same ones for the same folder.

    Args:
      newest: its folder, whole.
      flips: positions in each file at which a byte is flipped, beside the first and the last; all
        of them where the file has fewer.
    """
    random = np.random.default_rng(0)
    names = sorted(str(path.relative_to(newest)) for path in newest.rglob("*"))
    for name in names:
        case = lambda kind, change, where="", name=name: Case(
            kind, name + where, functools.partial(change, name)
        )
        yield case("removed", _remove)
        yield case("of the other kind", _other_kind)
        if (newest.parent / str(STEPS[0]) / name).exists():
            yield case("of another step", _of_another_step)
        if (newest / name).is_file():
            data = (newest / name).read_bytes()
            for kind, where, change in _edits(data, flips, random):
                yield case(kind, functools.partial(_edit, change), where)
    for name in ("__init__.py", "state/x.pkl", "state/d/0", "state/zarr.json", "state/checkpoint"):
        yield Case("planted", name, functools.partial(_plant, name))
    for name in ("12", "8"):
        yield Case("renamed", name, functools.partial(_renamed, name))
    for name in ("0", "9.bak", "009"):
        yield Case("taken away", name, functools.partial(_renamed, name))
    yield Case("taken away", "all", functools.partial(_remove, ""))
    yield Case("of the other kind", "all", functools.partial(_other_kind, ""))


def _edits(
    data: bytes, flips: int, random: np.random.Generator
) -> Iterator[tuple[str, str, Callable[[bytes], bytes]]]:
    """(kind, where, change) of each way to change what a file holds."""
    for kind, length in (("emptied", 0), ("halved", len(data) // 2), ("cut by one", len(data) - 1)):
        yield kind, "", lambda data, length=length: data[:length]
    noise = random.bytes(len(data))
    yield "noise", "", lambda data: noise
    yield "longer", "", lambda data: data + noise
    yield "zeroed", "", lambda data: bytes(len(data))
    places = {0, len(data) - 1, *random.permutation(len(data))[:flips].tolist()}
    for position in sorted(places):
        for mask in (0x01, 0xFF):
            change = functools.partial(_flip, position=position, mask=mask)
            yield "flipped", f" at {position} by {mask:#x}", change
    if data[:1] == b"{":
        numbers = list(re.finditer(rb"\d+", data))
        for index in sorted(random.permutation(len(numbers))[: flips // 4].tolist()):
            start, end = numbers[index].span()
            for number in (b"0", b"-1", b"null", b"1000000007", b"9" * 30):
                text = data[:start] + number + data[end:]
                yield "other number", f" at {start}: {number.decode()}", lambda _, t=text: t


# How each ends.


def outcome(place: Path, read_only: bool) -> str:
    """What `restore_newest` makes of a folder."""
    messages: list[str] = []
    like = jax.eval_shape(lambda: small_state(0))
    try:
        with checkpoints.open_checkpoints(place, read_only=read_only) as manager:
            restored = checkpoints.restore_newest(manager, like, device(), messages.append)
    except UserError:
        return "refused"
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    if restored is None:
        return "nothing there"
    step = int(restored.state.step)
    progress = {name: restored.progress.get(name) for name in small_progress(step)}
    if not same(restored.state, small_state(step)) or progress != small_progress(step):
        return "wrong"
    if step == STEPS[1]:
        return "right" if not messages else f"right, but told {messages}"
    return "fell back" if len(messages) == 1 else "fell back silently"


def _child(whole: Path, flips: int, first: int) -> None:
    scratch = Path(tempfile.mkdtemp(dir=whole.parent))
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for index, case in enumerate(cases(whole / str(STEPS[1]), flips)):
        if index < first:
            continue
        print(json.dumps([index, case.kind, case.name, None]), flush=True)
        place = scratch / str(index)
        for step, copy in zip(STEPS, (os.link, shutil.copyfile)):
            shutil.copytree(whole / str(step), place / str(step), copy_function=copy)
        before = peak()
        case.apply(place / str(STEPS[1]))
        end = outcome(place, read_only=bool(index % 2))
        if index > first and peak() > before + MEGABYTES:
            end += f", with {peak() - before} MB"
        print(json.dumps([index, case.kind, case.name, end]), flush=True)
        shutil.rmtree(place)


def ends(whole: Path, flips: int) -> list[tuple[str, str, str]]:
    """(kind, name, outcome) of every case.

    Args:
      whole: a folder that `write_checkpoints` filled.
      flips: as `cases` takes it.
    """
    found: list[tuple[str, str, str]] = []
    while True:
        command = [sys.executable, "-m", "tests.helpers.damage"]
        command += [str(flips), str(whole), str(len(found))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        hung, doing = threading.Event(), None

        def kill(process=process, hung=hung):
            hung.set()
            process.kill()

        while True:
            timer = threading.Timer(SECONDS, kill)
            timer.start()
            line = process.stdout.readline()
            timer.cancel()
            if not line:
                break
            _, kind, name, end = json.loads(line)
            doing = (kind, name) if end is None else None
            if end is not None:
                found.append((kind, name, end))
        code = process.wait()
        if doing is None:
            if code:
                raise RuntimeError(f"the process of the cases ended with {code}")
            return found
        found.append((*doing, "hung" if hung.is_set() else f"crashed with {code}"))


def _count(flips: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        write_checkpoints(whole)
        found = ends(whole, flips)
    counts = collections.Counter((kind, re.split(r"[:,] ", end)[0]) for kind, _, end in found)
    for (kind, end), count in sorted(counts.items()):
        print(f"{kind:20} {end:40} {count}")
    for kind, name, end in found:
        if end not in GOOD:
            print(f"{kind}: {name}: {end}")


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"
    if len(sys.argv) == 2:
        _count(int(sys.argv[1]))
    else:
        _child(Path(sys.argv[2]), int(sys.argv[1]), int(sys.argv[3]))
