"""One contestant in a process of its own, told on its standard input what to do next.

Usage: python -m benchmarks.worker MODULE MODE EXPERIMENT HEIGHT WIDTH BATCH. It answers one line of
JSON when its first update is done, and one to each line "check", "run N" or "memory".
"""

import importlib
import json
import os
import resource
import sys
import time

from benchmarks import common


def main(module: str, mode: str, experiment: str, *numbers: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints does not mix with the answers
    height, width, batch = map(int, numbers)
    config = common.get_config(experiment, height, width)
    contestant = importlib.import_module(f"benchmarks.{module}").prepare(config, batch, mode)
    contestant.run(1)
    print(json.dumps({"settings": contestant.settings, "flops": contestant.flops}), file=answers)
    for line in sys.stdin:
        match line.split():
            case ["check"]:
                answer = contestant.check()
            case ["run", count]:
                start = time.perf_counter()
                contestant.run(int(count))
                answer = {"seconds": time.perf_counter() - start}
            case ["memory"]:
                answer = {"kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
