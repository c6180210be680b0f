"""The runs that a server shows, each at its newest or its best checkpoint."""

import asyncio
import contextlib
import dataclasses
import gc
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Unpack

from fish_jax.errors import UserError
from fish_jax.gan.own import Own
from fish_jax.runs import checkpoints, config_file
from fish_jax.serving import generator
from fish_jax.serving.batcher import Batcher
from fish_jax.serving.generator import ServedGenerator, Signature
from fish_jax.utils.messages import printable
from fish_jax.utils.terminal import announce

SECONDS = 3.0  # between two looks for a newer checkpoint
LONGEST = 600.0  # seconds between two attempts to read one that could not be read
ENCODERS = 2  # threads that make files of images


@dataclasses.dataclass
class LiveRun:
    """A run that a server shows, which may still be training.

    Attributes:
      folder: the folder of the run.
      name: what the web page calls it.
      checkpoint: which is shown, as of `sampling.load`.
      own: what was passed in to `train`.
      generator: the generator of that checkpoint as it was last read, or None while there is none.
      seen: what was on disk at the last attempt to read it, as of `generator.signature`.
      fault: why its checkpoint could not be read, as last reported.
      pause: seconds between that attempt and the next; 0 after one that succeeded.
      again: when that is, by `time.monotonic`.
    """

    folder: Path
    name: str
    checkpoint: str = checkpoints.NEWEST
    own: Own = dataclasses.field(default_factory=Own)
    generator: ServedGenerator | None = None
    seen: Signature | None = None
    fault: str = ""
    pause: float = 0.0
    again: float = 0.0


class LiveRuns:
    """All runs of a server, and the batcher and encoders that they share.

    Attributes:
      runs: each at the checkpoint that it shows.
      batcher: draws images.
      encoders: threads that make files of images.
    """

    def __init__(self, runs: Sequence[LiveRun]) -> None:
        self.runs = list(runs)
        self.batcher = Batcher(generator.render)
        self.encoders = ThreadPoolExecutor(ENCODERS, "encoder")

    def facts(self) -> dict[str, Any]:
        """About every run, in JSON's types."""
        shown = []
        for run in self.runs:
            newest = run.generator
            own = {"digest": newest.digest, **newest.facts} if newest else {}
            shown.append({"name": run.name, "ready": bool(own), **own})
        return {"runs": shown}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Draws images and takes newer checkpoints while its context is open."""
        tasks = [asyncio.create_task(self.batcher.run()), asyncio.create_task(self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            for run in self.runs:
                await asyncio.to_thread(refresh, run)


def make_live_runs(
    folders: Sequence[Path], checkpoint: str = checkpoints.NEWEST, **own: Unpack[Own]
) -> list[LiveRun]:
    """Lists the runs of some folders, with the shortest paths that distinguish them as names.

    Args:
      folders: the folders of the runs.
      checkpoint: the checkpoint of each run, as of `sampling.load`.
      **own: what was passed in to `train`, the same for each run.

    Raises:
      UserError: a folder holds no run, or is named twice; no name of a checkpoint.
    """
    checkpoints.check_name(checkpoint)
    whole = [folder.resolve() for folder in folders]
    for folder in folders:
        config_file.read_config(folder)
        if whole.count(folder.resolve()) > 1:
            raise UserError(f"--workdir names {folder} twice")
    for length in range(1, 1 + max(len(path.parts) for path in whole)):
        names = ["/".join(path.parts[-length:]) for path in whole]
        if len(set(names)) == len(names):
            break
    return [
        LiveRun(folder, printable(name), checkpoint, own) for folder, name in zip(folders, names)
    ]


def refresh(run: LiveRun) -> None:
    """Loads the checkpoint that a run shows, if there is a newer one or it could not be read.

    What cannot be read is reported once, and tried again when it changes, and ever less often when
    it does not: the failure may have been one of memory, open files or the network.
    """
    try:
        found = generator.signature(run.folder)
        if found is None or (found == run.seen and not 0 < run.again <= time.monotonic()):
            return
        run.seen = found
        newest = generator.load(run.folder, run.checkpoint, **run.own)
        generator.warm(newest)
    except Exception as error:  # the server continues with what it has
        _try_again_later(run)
        if run.fault != str(error):
            run.fault = str(error)
            kept = "keeps its current checkpoint" if run.generator else "has no checkpoint to show"
            announce(f"{run.name} {kept}: {error}")
        return
    if run.checkpoint != checkpoints.NEWEST or newest.facts["step"] == found[0]:
        run.pause = run.again = 0.0
    else:  # an older one, as the newest could not be read
        _try_again_later(run)
    if run.generator is None:
        # Else JAX's many objects are searched for garbage again and again, a tenth of all the time.
        gc.collect()
        gc.freeze()
    run.generator, run.fault = newest, ""


def _try_again_later(run: LiveRun) -> None:
    run.pause = min(max(2 * run.pause, SECONDS), LONGEST)
    run.again = time.monotonic() + run.pause
