"""Measures how speed and memory grow, the cost of a call, and the use of memory: `make growth`.

Every point is a process of its own, one after another, so that its peak memory is its own. On each
axis one thing varies from a base; a point that does not fit the memory is a row that says so.
"""

import argparse
import contextlib
import functools
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import arguments, common
from benchmarks.common import EXPERIMENTS, Case
from benchmarks.process import Process, answer_of, figures, take_turns
from benchmarks.results import MEGABYTE, markdown, save, speeds, why_not
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan, plan_discriminator, plan_generator
from fish_jax.networks.spec import PRECISIONS
from fish_jax.training.input_pipeline import CHUNK
from fish_jax.training.loop import CALL_SECONDS

AXES = {
    "batch": (1, 2, 4, 8, 16, 32, 64, 128),
    "size": ((40, 80), (80, 160), (140, 320), (280, 640)),
    "filters": (0.25, 0.5, 1.0, 2.0),
    "images": (64, 512, 4415),
}
TITLES = {
    "batch": "Images per step",
    "size": "Pixels",
    "filters": "Filters of all rows but each network's last, as a factor",
    "images": "Images in the data set, on the device",
}
PROBES = ("dispatch", "memory")
OUT_OF_MEMORY = ("status -9", "RESOURCE_EXHAUSTED", "MemoryError", "bad_alloc", "Out of memory")
EMPTY_CALLS = 100  # of no step, in one turn

Row = dict[str, Any]


def count_parameters(case: Case) -> int:
    """Trained parameters of both networks."""
    gan = make_gan(common.get_config(case))
    tables = (plan_generator(gan), *plan_discriminator(gan))
    return sum(row.parameters for table in tables for row in table)


def _point(measure: Callable[..., Row]) -> Callable[..., Row]:
    """Adds to a row what it is of; where there are no figures, it says why."""

    @functools.wraps(measure)
    def row(case: Case, *turns: float) -> Row:
        what = case._asdict() | {"parameters": count_parameters(case)}
        try:
            return what | measure(case, *turns)
        except common.LeftOut as reason:
            return what | {"left_out": str(reason)}
        except RuntimeError as error:
            full = any(sign in str(error) for sign in OUT_OF_MEMORY)
            return what | {"failed": "out of memory" if full else str(error)}

    return row


@_point
def time_point(case: Case, rounds: int, seconds: float) -> Row:
    """Times full updates.

    Args:
      case: to measure.
      rounds: timed turns.
      seconds: of a turn, about; at least a step.

    Returns:
      The case, its parameters, and its speed and memory as `process.figures` has them.
    """
    with contextlib.closing(Process("fish_jax", case)) as process:
        times, stopped = take_turns([process], rounds, seconds)
        if stopped:
            raise RuntimeError(stopped["fish_jax"])
        return figures(process, times["fish_jax"], process.flops)


def growth_table(axis: str, rows: list[Row]) -> str:
    """One axis as Markdown."""
    header = [axis, "images/s", "lowest", "highest", "ms a step", "GFLOP/s"]
    header += ["peak memory, MB", "parameters"]
    lines = []
    for row in rows:
        value = _size(row) if axis == "size" else f"{row[axis]:g}"
        if reason := why_not(row):
            lines.append([value, reason])
            continue
        step = 1000 * row["batch"] / row["images_per_second"]
        cells = [f"{step:.1f}", f"{row['gflops']:.1f}", f"{row['peak_megabytes']:.0f}"]
        lines.append([value, *speeds(row), *cells, f"{row['parameters']:,}"])
    title = f"{TITLES[axis]}; else {_text(rows[0], leave_out=axis)}:"
    return f"\n{title}\n\n{markdown(header, lines)}"


def _size(row: Row) -> str:
    return f"{row['height']} x {row['width']}"


def _text(row: Row, leave_out: str = "") -> str:
    parts = {
        "experiment": row["experiment"],
        "device": f"{row['device'].upper()}, {row['precision']}",
        "batch": f"batch {row['batch']}",
        "size": _size(row),
        "filters": f"filters x {row['filters']:g}",
        "images": f"{row['images']} images",
    }
    return ", ".join(text for name, text in parts.items() if name != leave_out)


@_point
def time_calls(case: Case, rounds: int, seconds: float) -> Row:
    """Times calls of no step, of one step and of many, in turns.

    A call of no step is what the host does for a call: its indices, handing it to the device, and
    waiting for it. A call of one step, less the time of a step within a long call, is the same and
    what a step takes longer after it; where steps are long, their own spread hides it. A run's loop
    gives a call before the last is settled, so both shares are the most that it can lose.

    Args:
      case: to measure.
      rounds: of the three kinds of calls.
      seconds: of a turn, about; at least two steps.

    Returns:
      The case; for each round microseconds of a call of no step, of a step, and of a call of one
      step beyond those of a step; and the steps of a call as the loop of a run makes them.
    """
    with contextlib.closing(Process("fish_jax", case)) as process:
        return _compare_calls(process, rounds, seconds)


def _compare_calls(process: Process, rounds: int, seconds: float) -> Row:
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
    longest = min(CHUNK, common.get_config(process.case).log_every_steps)
    fitting = int(1e6 * CALL_SECONDS / max(statistics.median(step), 1))
    return {
        "call_microseconds": empty,
        "step_microseconds": step,
        "beyond_microseconds": beyond,
        "loop_steps": max(1, min(longest, fitting)),
    }


def dispatch_table(rows: list[Row]) -> str:
    """The cost of calls as Markdown; a cost below its own spread has no share."""
    header = ["beside the steps", "median, us", "lowest", "highest"]
    header += ["% at 1 step", "% in a run"]
    tables = []
    for row in rows:
        if reason := why_not(row):
            tables.append(f"\nCalls of {_text(row)}: {reason}")
            continue
        step, length = statistics.median(row["step_microseconds"]), row["loop_steps"]
        costs = {
            "call of no step": row["call_microseconds"],
            "call of one step, less a step": row["beyond_microseconds"],
        }
        lines = []
        for name, values in costs.items():
            spread = [f"{of(values):.0f}" for of in (statistics.median, min, max)]
            lines.append([name, *spread, *(_share(values, n * step) for n in (1, length))])
        title = f"Calls of {_text(row)}; {step / 1000:.2f} ms a step, {length} in a call of a run:"
        tables.append(f"\n{title}\n\n{markdown(header, lines)}")
    return "\n".join(tables)


def _share(costs: list[float], work: float) -> str:
    cost = statistics.median(costs)
    if max(costs) - min(costs) > cost:
        return "-"
    return f"{100 * cost / (cost + work):.3f}"


@_point
def weigh(case: Case) -> Row:
    """Compares what memory must hold with what XLA plans and what the process takes.

    Args:
      case: to measure, on a CPU.

    Returns:
      The case and what `footprint.measure` gives, in bytes.
    """
    return answer_of("footprint", *case, device=case.device)


def memory_table(rows: list[Row]) -> str:
    """What memory holds as Markdown, in megabytes."""
    parts = ["state", "gradients", "saved", "data", "needed"]
    parts += ["argument", "output", "alias", "temp", "planned", "measured"]
    lines = []
    for row in rows:
        if reason := why_not(row):
            lines.append([row["experiment"], reason])
            continue
        held = 1 + (row["output"] - row["alias"]) / row["state"]
        ratios = [f"{row[name] / row['needed']:.2f}" for name in ("planned", "measured")]
        sizes = [f"{row[name] / MEGABYTE:.1f}" for name in parts]
        lines.append([row["experiment"], *sizes, f"{held:.3f}", *ratios])
    header = ["", *parts, "state held", "planned/needed", "measured/needed"]
    title = f"Memory in MB; {_text(rows[0], leave_out='experiment')}:"
    return f"\n{title}\n\n{markdown(header, lines)}"


def _points(axis: str, base: Case) -> list[Case]:
    if axis == "dispatch":
        tiny = base._replace(height=20, width=40, batch=1, filters=1 / 8)
        return [tiny, base._replace(batch=common.report_batch(base.experiment))]
    if axis == "memory":
        return [base._replace(experiment=name) for name in EXPERIMENTS]
    if axis == "size":
        return [base._replace(height=height, width=width) for height, width in AXES[axis]]
    return [base._replace(**{axis: value}) for value in AXES[axis]]


def measure_axis(axis: str, base: Case, rounds: int, seconds: float) -> tuple[list[Row], str]:
    """The rows of an axis and their table."""
    points = _points(axis, base)
    if axis == "memory":
        rows = [weigh(case) for case in points]
        return rows, memory_table(rows)
    if axis == "dispatch":
        rows = [time_calls(case, rounds, seconds) for case in points]
        return rows, dispatch_table(rows)
    rows = [time_point(case, rounds, seconds) for case in points]
    return rows, growth_table(axis, rows)


def _volunteer_when_memory_runs_out() -> None:
    """A machine out of memory ends a point, which gets this from here, and nothing else."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text("1000")


def main() -> None:
    every = (*AXES, *PROBES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--experiment", default="ralsgan", choices=EXPERIMENTS)
    parser.add_argument("--axes", nargs="+", default=every, choices=every)
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"))
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--batch", type=arguments.count, default=8, help="of the base")
    parser.add_argument("--height", type=arguments.count, default=140, help="of the base")
    parser.add_argument("--width", type=arguments.count, default=320, help="of the base")
    parser.add_argument("--rounds", type=arguments.count, default=3, help="timed turns of a point")
    parser.add_argument("--seconds", type=arguments.duration, default=3.0, help="of a turn, about")
    parser.add_argument("--out", type=arguments.output, default="benchmarks/growth.json")
    options = parser.parse_args()
    if options.device == "gpu" and "memory" in options.axes:
        parser.error("--axes: memory is measured on a CPU only; name the others")
    _volunteer_when_memory_runs_out()
    size = options.height, options.width
    base = Case(options.experiment, options.device, options.precision, *size, options.batch)
    results = {}
    for axis in options.axes:
        try:
            results[axis], text = measure_axis(axis, base, options.rounds, options.seconds)
        except UserError as error:
            sys.exit(f"error: {error}")
        print(text, flush=True)
        save(options.out, {"base": base._asdict(), "axes": results})
    print(f"\nfigures in {options.out}")


if __name__ == "__main__":
    main()
