"""Measures the web server's throughput and latency, beside those of the bare generator.

    python -m benchmarks.serving --workdir=runs/ralsgan            1, 16 and 200 clients
    python -m benchmarks.serving --workdir=runs/ralsgan --soak 600 and the server's memory meanwhile

The bare generator draws batches of as many images as the server draws at most. Clients are tasks of
one process on the same machine. Each requests another image when it has its answer, of a seed that
was never requested before, so that no answer comes from a cache. The bare generator is timed before
and after the load, as its speed varies on a machine that others use, too.
"""

import argparse
import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from absl import logging

from benchmarks import arguments
from benchmarks.results import markdown
from fish_jax.errors import UserError
from fish_jax.serving import generator
from fish_jax.serving.generator import Place
from fish_jax.utils import malloc

CLIENTS = (1, 16, 200)
SOAK_CLIENTS = 16
SAMPLES = 20  # of the memory in a soak


class Load(NamedTuple):
    """What clients met.

    Attributes:
      seconds: that each answer with an image took.
      rate: of images, per second.
      refused: answers without an image.
    """

    seconds: np.ndarray
    rate: float
    refused: int


def bare_rate(folder: Path, seconds: float) -> float:
    """Images per second of the generator alone, in full batches, with nothing around it."""
    served = generator.load(folder)
    places = [Place.of(seed) for seed in range(generator.SIZES[-1])]
    generator.render(served, "sample", places)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        generator.render(served, "sample", places)
        count += len(places)
    return count / (time.perf_counter() - start)


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """A server's address and process."""
    command = [sys.executable, "main.py", "--mode=serve", f"--workdir={folder}", "--port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        found = re.match(r"open (http://\S+)", process.stdout.readline())
        if not found:
            raise UserError("the server did not start; see above")
        yield found[1], process.pid
    finally:
        process.terminate()
        process.wait()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seed: int) -> bool:
    """One request on an open connection; whether an image came."""
    writer.write(f"GET /fish.png?seed={seed} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    content = await reader.readexactly(length)
    return head.startswith(b"HTTP/1.1 200") and content.startswith(b"\x89PNG")


async def load(address: str, clients: int, seconds: float, seeds: Iterator[int]) -> Load:
    """Clients that ask again and again, for some seconds after the first second."""
    place, times, refused = urlsplit(address), [], [0]
    start = time.perf_counter() + 1
    end = start + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (asked := time.perf_counter()) < end:
            image = await _ask(reader, writer, next(seeds))
            now = time.perf_counter()
            if start <= now < end and image:
                times.append(now - asked)
            refused[0] += not image
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(np.array(times), len(times) / seconds, refused[0])


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


HEADER = ("clients", "images/s", "of the bare generator", "p50 ms", "p99 ms", "refused")


def cells(clients: int, measured: Load, bare: float) -> tuple[str, ...]:
    """A line of the table."""
    if not len(measured.seconds):
        raise UserError(f"none of {clients} clients got an image; give them more --seconds")
    middle, last = 1000 * np.quantile(measured.seconds, [0.5, 0.99])
    figures = f"{measured.rate:.1f}", f"{measured.rate / bare:.2f}", f"{middle:.0f}", f"{last:.0f}"
    return str(clients), *figures, str(measured.refused)


def run(folder: Path, seconds: float, soak: float) -> None:
    """Measures and prints."""
    seeds = itertools.count()
    before = bare_rate(folder, seconds)
    with server(folder) as (address, process):
        found = {n: asyncio.run(load(address, n, seconds, seeds)) for n in CLIENTS}
        held = []
        for _ in range(SAMPLES if soak else 0):
            asyncio.run(load(address, SOAK_CLIENTS, soak / SAMPLES, seeds))
            held.append(resident(process))
    after = bare_rate(folder, seconds)
    bare = (before + after) / 2
    print(
        f"bare generator, batches of {generator.SIZES[-1]}: {before:.1f} and {after:.1f} images/s\n"
    )
    print(markdown(HEADER, [cells(count, measured, bare) for count, measured in found.items()]))
    if held:
        shown = ", ".join(f"{megabytes:.0f}" for megabytes in held)
        print(f"\n{next(seeds):,} images; MB in {soak:.0f} s with {SOAK_CLIENTS} clients: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, required=True, help="of a run with a checkpoint")
    parser.add_argument("--seconds", type=arguments.duration, default=10.0, help="of each load")
    parser.add_argument(
        "--soak", type=arguments.duration, default=0.0, help="seconds; by default none"
    )
    options = parser.parse_args()
    logging.set_verbosity(logging.FATAL)  # Orbax tells how it reads
    try:
        run(options.workdir, options.seconds, options.soak)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    malloc.keep_pages()  # as main.py does, or the bare generator would be at a disadvantage
    main()
