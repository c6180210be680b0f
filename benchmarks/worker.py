"""One contestant in a process of its own, told on its standard input what to do next.

Usage: python -m benchmarks.worker MODULE MODE EXPERIMENT HEIGHT WIDTH BATCH [FILTERS IMAGES]. It
answers one line of JSON when its first update is done, and one to each line "check", "run N",
"calls N STEPS" or "memory".
"""

import importlib
import json
import os
import resource
import sys
import time

from benchmarks import common


def main(
    module: str,
    mode: str,
    experiment: str,
    height: str,
    width: str,
    batch: str,
    filters: str = "1",
    images: str = str(common.IMAGES),
) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints does not mix with the answers
    size = int(height), int(width)
    config = common.get_config(experiment, *size, float(filters), int(images))
    contestant = importlib.import_module(f"benchmarks.{module}").prepare(config, int(batch), mode)
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
            case ["calls", number, steps]:
                start = time.perf_counter()
                for _ in range(int(number)):
                    contestant.run(int(steps))
                answer = {"seconds": (time.perf_counter() - start) / int(number)}
            case ["memory"]:
                answer = {"kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
