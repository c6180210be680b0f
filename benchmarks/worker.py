"""One contestant in a process of its own, told on its standard input what to do next.

Usage: python -m benchmarks.worker MODULE MODE EXPERIMENT DEVICE PRECISION HEIGHT WIDTH BATCH. It
answers one line of JSON when its first update is done, or with why it is left out, and one to each
line "check", "run N", "memory" or "trace N FOLDER".
"""

import importlib
import json
import os
import resource
import sys
import time
from typing import Any

from benchmarks import common


def _answer(contestant: common.Contestant, line: str) -> dict[str, Any]:
    match line.strip().split(" ", 2):
        case ["check"]:
            return contestant.check()
        case ["run", count]:
            start = time.perf_counter()
            contestant.run(int(count))
            return {"seconds": time.perf_counter() - start}
        case ["memory"]:
            if contestant.peak:
                return {"bytes": contestant.peak()}
            return {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        case ["trace", count, folder] if contestant.trace:
            contestant.trace(folder, int(count))
            return {"folder": folder}
    raise ValueError(f"no answer to {line!r}")


def main(module: str, mode: str, experiment: str, device: str, precision: str, *numbers: str):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints does not mix with the answers
    height, width, batch = map(int, numbers)
    config = common.get_config(experiment, height, width, precision)
    try:
        prepare = importlib.import_module(f"benchmarks.{module}").prepare
        contestant = prepare(config, batch, mode, device)
    except common.LeftOut as reason:
        print(json.dumps({"left_out": str(reason)}), file=answers)
        return
    contestant.run(1)
    print(json.dumps({"settings": contestant.settings, "flops": contestant.flops}), file=answers)
    for line in sys.stdin:
        print(json.dumps(_answer(contestant, line)), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
