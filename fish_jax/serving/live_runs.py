"""The runs that a page shows, each at its newest checkpoint, and what draws them."""

import asyncio
import contextlib
import dataclasses
import gc
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fish_jax.errors import UserError
from fish_jax.runs import config_file
from fish_jax.serving import generator
from fish_jax.serving.batcher import Batcher
from fish_jax.utils.terminal import announce

SECONDS = 3.0  # between two looks for a newer checkpoint
ENCODERS = 2  # threads that make files of images


@dataclasses.dataclass
class LiveRun:
    """A run's place on the page.

    Attributes:
      folder: of the run.
      name: what the page calls it.
      served: its newest generator, or None while there is none.
      seen: what was on disk at the last attempt to read it, as of `runs.signature`.
      told: why the newest could not be read, as it was last told.
    """

    folder: Path
    name: str
    served: generator.ServedGenerator | None = None
    seen: generator.Signature | None = None
    told: str = ""


class LiveRuns:
    """Stands, the renderer that all share, and the watch for newer checkpoints."""

    def __init__(self, stands: Sequence[LiveRun]):
        self.stands = list(stands)
        self.renderer = Batcher(generator.render)
        self.encoders = ThreadPoolExecutor(ENCODERS, "encoder")

    def facts(self) -> dict[str, Any]:
        """About every run, in JSON's types."""
        told = []
        for stand in self.stands:
            served = stand.served
            own = {"digest": served.digest, **served.facts} if served else {}
            told.append({"name": stand.name, "ready": bool(own), **own})
        return {"runs": told}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Within, orders are drawn and newer checkpoints taken."""
        tasks = [asyncio.create_task(self.renderer.run()), asyncio.create_task(self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            for stand in self.stands:
                await asyncio.to_thread(refresh, stand)


def make_live_runs(folders: Sequence[Path]) -> list[LiveRun]:
    """Places for runs, named after their folders: as much of a path as tells them apart.

    Raises:
      UserError: a folder holds no run, or is named twice.
    """
    whole = [folder.resolve() for folder in folders]
    for folder in folders:
        config_file.read_config(folder)
        if whole.count(folder.resolve()) > 1:
            raise UserError(f"--workdir names {folder} twice")
    for length in range(1, 1 + max(len(path.parts) for path in whole)):
        names = ["/".join(path.parts[-length:]) for path in whole]
        if len(set(names)) == len(names):
            break
    return [LiveRun(folder, name) for folder, name in zip(folders, names)]


def refresh(stand: LiveRun) -> None:
    """Takes what is newer on disk; what cannot be read is told, and tried again once it changes."""
    try:
        found = generator.signature(stand.folder)
        if found is None or found == stand.seen:
            return
        stand.seen = found
        served = generator.load(stand.folder)
        generator.warm(served)
    except Exception as error:  # the page goes on with what it has
        if stand.told != str(error):
            stand.told = str(error)
            announce(f"{stand.name} stays as it is: {error}")
        return
    if stand.served is None:
        # Else JAX's many objects are searched for garbage again and again, a tenth of all the time.
        gc.collect()
        gc.freeze()
    stand.served, stand.told = served, ""
