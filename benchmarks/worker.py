"""Runs one contestant in its own process; commands come on standard input.

Usage: python -m benchmarks.worker MODULE MODE CASE, with all fields of `common.Case`. It answers
one line of JSON when its first update is done, or with why it is left out, and one to each line
"check", "run N", "calls N STEPS", "memory" or "trace N FOLDER".
"""

import importlib
import json
import os
import resource
import sys
import time
from typing import Any

from benchmarks import common


def _prepare(module: str, mode: str, case: common.Case) -> common.Contestant:
    try:
        prepare = importlib.import_module(f"benchmarks.{module}").prepare
        return prepare(common.get_config(case), mode, case.device)
    except ModuleNotFoundError as error:
        raise common.LeftOut(f"there is no {error.name} here; make bench installs it") from None


def _time_calls(contestant: common.Contestant, number: int, steps: int) -> float:
    """Seconds of one of several runs of so many steps."""
    start = time.perf_counter()
    for _ in range(number):
        contestant.run(steps)
    return (time.perf_counter() - start) / number


def _answer(contestant: common.Contestant, line: str) -> dict[str, Any]:
    match line.strip().split(" ", 2):
        case ["check"]:
            return contestant.check()
        case ["run", count]:
            return {"seconds": _time_calls(contestant, 1, int(count))}
        case ["calls", number, steps]:
            return {"seconds": _time_calls(contestant, int(number), int(steps))}
        case ["memory"]:
            if contestant.peak:
                return {"bytes": contestant.peak()}
            return {"bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        case ["trace", count, folder] if contestant.trace:
            contestant.trace(folder, int(count))
            return {"folder": folder}
    raise ValueError(f"no answer to {line!r}")


def main(module: str, mode: str, *words: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints does not mix with the answers
    case = common.read_case(words)
    try:
        contestant = _prepare(module, mode, case)
    except common.LeftOut as reason:
        print(json.dumps({"left_out": str(reason)}), file=answers)
        return
    contestant.run(1)
    print(json.dumps({"settings": contestant.settings, "flops": contestant.flops}), file=answers)
    for line in sys.stdin:
        print(json.dumps(_answer(contestant, line)), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
