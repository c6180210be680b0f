"""Reads from a profile how long a GPU was idle.

Usage: python -m benchmarks.trace DIR, after `python -m benchmarks --device gpu --trace DIR`.
"""

import gzip
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

WAITING = ("MemcpyD2H", "MemcpyH2D")  # copies from and to the host: the GPU computes nothing


def _streams(events: Iterable[Mapping[str, Any]]) -> set[tuple[int, int]]:
    """The tracks, (process, thread), of GPUs' streams; a GPU's other tracks only sum these up."""
    names = {"process_name": {}, "thread_name": {}}
    for event in events:
        if event.get("name") in names:
            track = event["pid"], event.get("tid")
            names[event["name"]][track] = event["args"]["name"]
    gpus = {pid for (pid, _), name in names["process_name"].items() if "/device:GPU" in name}
    threads = names["thread_name"].items()
    return {track for track, name in threads if track[0] in gpus and name.startswith("Stream")}


def idle_share(events: Iterable[Mapping[str, Any]]) -> float | None:
    """The share of the time between the first kernel's start and the last one's end without any.

    Args:
      events: `traceEvents` of a Perfetto trace, as `jax.profiler.trace` writes it.

    Returns:
      0 to 1, or None where no kernel ran on a GPU. Copies within the GPU count as kernels.
    """
    events = list(events)
    streams = _streams(events)
    kernels = sorted(
        (event["ts"], event["ts"] + event.get("dur", 0))
        for event in events
        if event.get("ph") == "X"
        and (event["pid"], event["tid"]) in streams
        and not event["name"].startswith(WAITING)
    )
    if not kernels:
        return None
    idle, done = 0.0, kernels[0][0]
    for start, end in kernels:
        idle += max(0.0, start - done)
        done = max(done, end)
    return idle / max(done - kernels[0][0], 1e-9)


def main(folder: str) -> None:
    files = sorted(Path(folder).rglob("*.trace.json.gz"))
    if not files:
        sys.exit(f"error: there is no *.trace.json.gz in {folder}")
    for file in files:
        with gzip.open(file, "rt") as text:
            share = idle_share(json.load(text)["traceEvents"])
        place = file.relative_to(folder)
        found = "no kernel of a GPU in it" if share is None else f"GPU idle {100 * share:.1f} %"
        print(f"{place}: {found}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.trace DIR")
    main(sys.argv[1])
