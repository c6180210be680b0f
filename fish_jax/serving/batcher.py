"""Gathers images that many requests wait for into batches of fixed sizes."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from fish_jax.serving.generator import SIZES, Place, ServedGenerator

LIMIT = 512  # images that may wait
Render = Callable[[ServedGenerator, str, Sequence[Place]], np.ndarray]  # as `generator.render`


class Full(Exception):
    """The queue of images is full."""


class _Order(NamedTuple):
    """One image that a request waits for."""

    generator: ServedGenerator
    view: str
    place: Place


class Batcher:
    """Draws the images that requests wait for, in batches, the oldest request first.

    One thread draws. What arrives meanwhile waits and makes up the next batch, so that batches grow
    with the load and no request waits for one to fill. Call all methods in the event loop's thread.
    """

    def __init__(self, render: Render, limit: int = LIMIT) -> None:
        self._render, self._limit = render, limit
        self._waiting: dict[asyncio.Future[np.ndarray], _Order] = {}  # the oldest first
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many images wait."""
        return len(self._waiting)

    async def draw(
        self, generator: ServedGenerator, view: str, places: Sequence[Place]
    ) -> np.ndarray:
        """Draws N places of a run; a caller that is cancelled leaves nothing waiting.

        Returns:
          uint8 [N, H, W, C].

        Raises:
          Full: too many images wait; none of these does.
        """
        if len(self._waiting) + len(places) > self._limit:
            raise Full
        loop = asyncio.get_running_loop()
        mine = [loop.create_future() for _ in places]
        self._waiting |= {f: _Order(generator, view, p) for f, p in zip(mine, places)}
        self._arrived.set()
        try:
            return np.stack(await asyncio.gather(*mine))
        finally:
            for future in mine:
                self._waiting.pop(future, None)

    async def run(self) -> None:
        """Draws what waits, until it is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "batcher") as thread:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._draw_next(loop, thread)

    async def _draw_next(self, loop: asyncio.AbstractEventLoop, thread: ThreadPoolExecutor) -> None:
        first = next(iter(self._waiting.values()))
        alike = lambda order: order.generator is first.generator and order.view == first.view
        batch = [f for f, order in self._waiting.items() if alike(order)][: SIZES[-1]]
        places = [self._waiting.pop(future).place for future in batch]
        work = loop.run_in_executor(thread, self._render, first.generator, first.view, places)
        try:
            results = list(await work)
        except Exception as error:  # told to those who wait; others go on
            results = [error] * len(batch)
        for future, result in zip(batch, results):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
