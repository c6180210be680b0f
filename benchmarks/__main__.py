"""Times a full update of fish_jax and of its peers side by side: `make bench`.

Every contestant is a process of its own, with the same memory settings; on a CPU each has two
threads. They take turns, round after round, so that a machine whose speed wanders is equally unfair
to all. Before any figure is printed they must agree on the number of parameters and on both losses.
"""

import argparse
import itertools
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import arguments, common
from benchmarks.common import EXPERIMENTS, Case
from benchmarks.process import (
    CONTESTANTS,
    GPU_ONLY,
    Process,
    ask_all,
    ceilings,
    figures,
    take_turns,
)
from benchmarks.results import disagreement, save, table, why_not
from fish_jax.networks.spec import PRECISIONS

Rows = dict[str, dict[str, Any]]


def _start(names: list[str], case: Case, left_out: dict[tuple, str]) -> tuple[list[Process], Rows]:
    """The contestants that run, and rows of those that do not; `left_out` spares new attempts."""
    processes, rows = [], {}
    for name in names:
        key = name, case.precision
        try:
            if key not in left_out:
                processes.append(Process(name, case))
        except common.LeftOut as reason:
            left_out[key] = str(reason)
        except RuntimeError as error:
            rows[name] = {"failed": str(error)}
        if key in left_out:
            rows[name] = {"left_out": left_out[key]}
    return processes, rows


def _need_ours(rows: Rows, case: Case) -> None:
    if "fish_jax" in rows:
        sys.exit(f"error: {case.experiment}: fish_jax {why_not(rows['fish_jax'])}")


def _failed(reasons: dict[str, str]) -> Rows:
    return {name: {"failed": reason} for name, reason in reasons.items()}


def _trace(process: Process, case: Case, folder: str, update: float) -> None:
    """A profile of three calls of about half a second, and of at most 64 updates."""
    count = max(1, min(64, round(0.5 / update)))
    name = f"{case.experiment}-{case.precision}-{case.batch}"
    process.ask(f"trace {count} {Path(folder).absolute() / name}")


def measure(case: Case, options: argparse.Namespace, left_out: dict[tuple, str]) -> dict[str, Any]:
    """A row for each contestant, and the ceilings.

    Args:
      case: what is timed.
      options: of the command line.
      left_out: why, by contestant and precision, one cannot run; what is found out is added.

    Returns:
      The case's fields, `rows`, `checks`, `matrix_gflops` and `memory_gbytes`.
    """
    processes, rows = _start(options.contestants, case, left_out)
    try:
        _need_ours(rows, case)
        times, stopped = take_turns(processes, options.rounds, options.seconds)
        rows |= _failed(stopped)
        _need_ours(rows, case)
        running = {process.name: process for process in processes if process.name in times}
        ours = running["fish_jax"]
        rows |= {name: figures(p, times[name], ours.flops) for name, p in running.items()}
        checks, stopped_late = ask_all(list(running.values()), "check")
        _need_ours(_failed(stopped_late), case)
        rows |= _failed(stopped_late)
        if options.trace:
            _trace(ours, case, options.trace, statistics.median(times["fish_jax"]))
    finally:
        for process in processes:
            process.close()
    fault = disagreement(checks, case.precision)
    if fault:
        sys.exit(f"error: {case.experiment}: {fault}")
    rows = {name: rows[name] for name in options.contestants}
    limits = ceilings(case.device, case.precision)
    return {**case._asdict(), "rows": rows, "checks": checks, **limits}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"))
    parser.add_argument(
        "--precision", nargs="+", choices=PRECISIONS, help="float32 on a CPU, all three on a GPU"
    )
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS, choices=EXPERIMENTS)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS)
    parser.add_argument(
        "--batch",
        nargs="+",
        type=arguments.batch,
        default=["small"],
        help='numbers, "small" (8, BEGAN 4) or "report" (the report\'s)',
    )
    parser.add_argument("--height", type=arguments.count, default=140)
    parser.add_argument("--width", type=arguments.count, default=320)
    parser.add_argument("--rounds", type=arguments.count, default=5)
    parser.add_argument(
        "--seconds", type=arguments.duration, default=3.0, help="of a contestant's turn, about"
    )
    parser.add_argument("--trace", metavar="DIR", help="for profiles of fish_jax; none by default")
    parser.add_argument("--out", type=arguments.output, default="benchmarks/results.json")
    options = parser.parse_args()
    on_gpu = options.device == "gpu"
    options.precision = options.precision or (tuple(PRECISIONS) if on_gpu else ("float32",))
    options.contestants = options.contestants or [
        name for name in CONTESTANTS if on_gpu or name not in GPU_ONLY
    ]
    if "fish_jax" not in options.contestants:
        parser.error("--contestants must have fish_jax, that the others are compared with")
    return options


def _cases(options: argparse.Namespace) -> list[Case]:
    cases = []
    wanted = itertools.product(options.experiments, options.batch, options.precision)
    for experiment, batch, precision in wanted:
        size = options.height, options.width
        batch = common.choose_batch(experiment, batch)
        cases.append(Case(experiment, options.device, precision, *size, batch))
    return cases


def main() -> None:
    options = _parse()
    results, left_out = [], {}
    for case in _cases(options):
        results.append(measure(case, options, left_out))
        print(table(results[-1]), flush=True)
        save(options.out, {"results": results})
    settings = {n: r["settings"] for r in results for n, r in r["rows"].items() if "settings" in r}
    print("\n" + "\n".join(f"{name}: {text}" for name, text in settings.items()))
    print(f"figures in {options.out}")


if __name__ == "__main__":
    main()
