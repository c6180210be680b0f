"""How fish_jax's speed and memory grow, what a call costs, and what memory holds: `make growth`.

Every point is a process of its own, one after another, so that its peak memory is its own. On each
axis one thing varies from a base; a point that does not fit the memory is a row that says so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import common
from benchmarks.__main__ import EXPERIMENTS, Process, take_turns
from fish_jax import memory, state
from fish_jax.feed import CHUNK
from fish_jax.loop import CALL_SECONDS

AXES = {
    "batch": (1, 2, 4, 8, 16, 32, 64, 128),
    "size": ((40, 80), (80, 160), (140, 320), (280, 640)),
    "filters": (0.25, 0.5, 1.0, 2.0),
    "images": (64, 512, 4415),
}
TITLES = {
    "batch": "images per step",
    "size": "pixels",
    "filters": "filters of all rows but each network's last, as a factor",
    "images": "images in the data set, on the device",
}
PROBES = ("dispatch", "memory")
OUT_OF_MEMORY = ("status -9", "RESOURCE_EXHAUSTED", "MemoryError", "bad_alloc", "Out of memory")
EMPTY_CALLS = 100  # of no step, in one turn
MEGABYTE = 2**20


class Point(NamedTuple):
    """What is measured.

    Attributes:
      experiment: a file of configs.
      batch: images per step.
      size: their height and width.
      filters: factor on those of all rows but each network's last.
      images: in the data set.
    """

    experiment: str
    batch: int
    size: tuple[int, int]
    filters: float = 1.0
    images: int = common.IMAGES


Row = dict[str, Any]


def count_parameters(point: Point) -> int:
    """Trained parameters of both networks."""
    gan = state.make_gan(common.get_config(point.experiment, *point.size, point.filters))
    tables = (state.plan_generator(gan), *state.plan_discriminator(gan))
    return sum(row.parameters for table in tables for row in table)


def _describe(point: Point) -> Row:
    return point._asdict() | {"parameters": count_parameters(point)}


def _or_failure(measure: Callable[[Point], Row], point: Point) -> Row:
    """The row of a point, or that it did not fit, or what else went wrong."""
    try:
        return _describe(point) | measure(point)
    except RuntimeError as error:
        said = str(error)
        full = any(sign in said for sign in OUT_OF_MEMORY)
        return _describe(point) | {"failed": "out of memory" if full else said}


def _start(point: Point) -> Process:
    more = (point.filters, point.images)
    return Process("fish_jax", point.experiment, point.size, point.batch, *more)


def time_point(point: Point, rounds: int, seconds: float) -> Row:
    """Times full updates.

    Args:
      point: to measure.
      rounds: timed turns.
      seconds: of a turn, about; at least a step.

    Returns:
      The point, its parameters, its speed and its process's peak memory, or "failed" and why.
    """

    def measure(point: Point) -> Row:
        process = _start(point)
        try:
            (rates,) = take_turns([process], point.batch, rounds, seconds).values()
            kilobytes = process.ask("memory")["kilobytes"]
        finally:
            process.close()
        rate = statistics.median(rates)
        return {
            "images_per_second": rate,
            "rounds": rates,
            "step_milliseconds": 1000 * point.batch / rate,
            "gflops": rate * process.flops / 1e9,
            "peak_megabytes": kilobytes / 1024,
        }

    return _or_failure(measure, point)


def growth_table(axis: str, rows: list[Row]) -> str:
    """One axis as text."""
    lines = [
        f"\n{TITLES[axis]}; else {_text(rows[0], leave_out=axis)}",
        f"{axis:>10}{'images/s':>10}{'lowest':>10}{'highest':>10}{'ms a step':>11}{'GFLOP/s':>9}"
        f"{'peak memory':>14}{'parameters':>13}",
    ]
    for row in rows:
        value = "x".join(map(str, row["size"])) if axis == "size" else f"{row[axis]:g}"
        if "failed" in row:
            lines.append(f"{value:>10}  {_last_line(row['failed'])}")
            continue
        lines.append(
            f"{value:>10}{row['images_per_second']:10.2f}{min(row['rounds']):10.2f}"
            f"{max(row['rounds']):10.2f}{row['step_milliseconds']:11.1f}{row['gflops']:9.1f}"
            f"{row['peak_megabytes']:11.0f} MB{row['parameters']:13,}"
        )
    return "\n".join(lines)


def _last_line(text: str) -> str:
    return text.splitlines()[-1][:80]


def _text(row: Row, leave_out: str = "") -> str:
    parts = {
        "experiment": row["experiment"],
        "batch": f"batch {row['batch']}",
        "size": f"{row['size'][0]} x {row['size'][1]}",
        "filters": f"filters x {row['filters']:g}",
        "images": f"{row['images']} images",
    }
    return ", ".join(text for name, text in parts.items() if name != leave_out)


def time_calls(point: Point, rounds: int, seconds: float) -> Row:
    """Times calls of no step, of one step and of many, in turns.

    A call of no step is what the host does for a call: its indices, handing it to the device, and
    waiting for it. A call of one step, less the time of a step within a long call, is the same and
    what a step takes longer after it; where steps are long, their own spread hides it. A run's loop
    gives a call before the last is settled, so both shares are the most that it can lose.

    Args:
      point: to measure.
      rounds: of the three kinds of calls.
      seconds: of a turn, about; at least two steps.

    Returns:
      The point; for each round microseconds of a call of no step, of a step, and of a call of one
      step beyond those of a step; and the steps of a call as the loop of a run makes them.
    """

    def measure(point: Point) -> Row:
        process = _start(point)
        try:
            return _compare_calls(process, point, rounds, seconds)
        finally:
            process.close()

    return _or_failure(measure, point)


def _compare_calls(process: Process, point: Point, rounds: int, seconds: float) -> Row:
    ask = lambda calls, steps: 1e6 * process.ask(f"calls {calls} {steps}")["seconds"]
    ask(EMPTY_CALLS, 0)
    fitting = int(1e6 * seconds / ask(1, 1))
    many, singles = max(2, min(32, fitting)), max(1, min(100, fitting))
    empty, step, beyond = [], [], []
    for _ in range(rounds):
        empty.append(ask(EMPTY_CALLS, 0))
        one, long = ask(singles, 1), ask(1, many)
        step.append((long - one) / (many - 1))
        beyond.append(one - step[-1])
    config = common.get_config(point.experiment, *point.size)
    longest = min(CHUNK, config.log_every_steps)
    fitting = int(1e6 * CALL_SECONDS / max(statistics.median(step), 1))
    return {
        "call_microseconds": empty,
        "step_microseconds": step,
        "beyond_microseconds": beyond,
        "loop_steps": max(1, min(longest, fitting)),
    }


def dispatch_table(rows: list[Row]) -> str:
    """The cost of calls as text; a cost below its own spread has no share."""
    lines = ["\nwhat a call costs beside its steps, in microseconds: medians (lowest .. highest)"]
    for row in rows:
        if "failed" in row:
            lines.append(f"{_text(row)}: {_last_line(row['failed'])}")
            continue
        step, length = statistics.median(row["step_microseconds"]), row["loop_steps"]
        lines.append(f"{_text(row)}: {step / 1000:.2f} ms a step, {length} in a call of a run")
        lines.append(f"{'':34}{'a call':>28}{'% at 1 step':>13}{'% in a run':>12}")
        costs = {
            "call of no step": row["call_microseconds"],
            "call of one step, less a step": row["beyond_microseconds"],
        }
        for name, values in costs.items():
            shares = [_share(values, count * step) for count in (1, length)]
            lines.append(f"  {name:32}{_spread(values):>28}{shares[0]:>13}{shares[1]:>12}")
    return "\n".join(lines)


def _share(costs: list[float], work: float) -> str:
    cost = statistics.median(costs)
    if max(costs) - min(costs) > cost:
        return "-"
    return f"{100 * cost / (cost + work):.3f}"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} .. {max(values):.0f})"


def weigh(point: Point) -> Row:
    """Compares what memory must hold with what XLA plans and what the process takes.

    Args:
      point: to measure.

    Returns:
      The point and what `footprint.measure` gives, in bytes, or "failed" and why.
    """

    def measure(point: Point) -> Row:
        numbers = (*point.size, point.batch, point.filters, point.images)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.footprint", point.experiment, *map(str, numbers)],
            env=os.environ | {"GLIBC_TUNABLES": memory.TUNABLES},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"stopped with status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout.splitlines()[-1])

    return _or_failure(measure, point)


def memory_table(rows: list[Row]) -> str:
    """What memory holds as text, in megabytes."""
    parts = ("state", "gradients", "saved", "data", "needed")
    plan = ("argument", "output", "alias", "temp", "planned", "measured")
    lines = [
        f"\nmemory in MB; {_text(rows[0], leave_out='experiment')}\n{'':14}"
        + "".join(f"{name:>10}" for name in (*parts, *plan))
        + f"{'state held':>12}{'planned/needed':>16}{'measured/needed':>17}",
    ]
    for row in rows:
        if "failed" in row:
            lines.append(f"{row['experiment']:14}  {_last_line(row['failed'])}")
            continue
        held = 1 + (row["output"] - row["alias"]) / row["state"]
        lines.append(
            f"{row['experiment']:14}"
            + "".join(f"{row[name] / MEGABYTE:10.1f}" for name in (*parts, *plan))
            + f"{held:11.3f}x{row['planned'] / row['needed']:16.2f}"
            + f"{row['measured'] / row['needed']:17.2f}"
        )
    return "\n".join(lines)


def measure_axis(axis: str, base: Point, options: argparse.Namespace) -> tuple[list[Row], str]:
    """The rows of an axis and their table."""
    turns = (options.rounds, options.seconds)
    if axis == "dispatch":
        report_batch = common.get_config(base.experiment, *base.size).batch_size
        tiny = Point(base.experiment, 1, (20, 40), 1 / 8)
        rows = [time_calls(point, *turns) for point in (tiny, base._replace(batch=report_batch))]
        return rows, dispatch_table(rows)
    if axis == "memory":
        rows = [weigh(base._replace(experiment=name)) for name in EXPERIMENTS]
        return rows, memory_table(rows)
    rows = [time_point(base._replace(**{axis: value}), *turns) for value in AXES[axis]]
    return rows, growth_table(axis, rows)


def _be_the_first_to_go() -> None:
    """A machine out of memory ends a point, which gets this from here, and nothing else."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def main() -> None:
    every = (*AXES, *PROBES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--experiment", default="ralsgan", choices=EXPERIMENTS)
    parser.add_argument("--axes", nargs="+", default=every, choices=every)
    parser.add_argument("--batch", type=int, default=8, help="of the base")
    parser.add_argument("--height", type=int, default=140, help="of the base")
    parser.add_argument("--width", type=int, default=320, help="of the base")
    parser.add_argument("--rounds", type=int, default=3, help="timed turns of a point")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn, about")
    parser.add_argument("--out", default="benchmarks/growth.json")
    options = parser.parse_args()
    _be_the_first_to_go()
    base = Point(options.experiment, options.batch, (options.height, options.width))
    results = {}
    for axis in options.axes:
        results[axis], text = measure_axis(axis, base, options)
        print(text, flush=True)
        machine = {"python": platform.python_version(), "cores": os.cpu_count()}
        figures = {**machine, "base": base._asdict(), "axes": results}
        Path(options.out).write_text(json.dumps(figures, indent=1) + "\n")
    print(f"\nfigures in {options.out}")


if __name__ == "__main__":
    main()
