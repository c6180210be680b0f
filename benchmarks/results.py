"""The contestants' results: whether they agree, tables of them, and the file of figures."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MEGABYTE = 2**20
EPOCH = 4415  # images, as many as the report had
TOLERANCES = {"float32": 1e-3, "tf32": 5e-3, "bfloat16": 3e-2}  # of the losses


def disagreement(checks: Mapping[str, Mapping[str, list]], precision: str) -> str:
    """What the contestants do not agree on, or nothing.

    Args:
      checks: by contestant, as `common.Contestant.check` gives them.
      precision: a key of `TOLERANCES`.

    Returns:
      A sentence, or "".
    """
    reference = checks["fish_jax"]
    for name, check in checks.items():
        if check["parameters"] != reference["parameters"]:
            return f"{name} trains {check['parameters']}, fish_jax {reference['parameters']}"
        for theirs, ours in zip(check["losses"], reference["losses"]):
            if not abs(theirs - ours) <= TOLERANCES[precision] * max(1, abs(ours)):
                return f"{name} gives the losses {check['losses']}, fish_jax {reference['losses']}"
    return ""


def why_not(row: Mapping[str, Any]) -> str:
    """Why there are no figures, on one line of a Markdown table, or nothing where there are."""
    if "left_out" in row:
        text = f"left out: {row['left_out']}"
    elif "failed" in row:
        reason = row["failed"].splitlines()[-1].removeprefix("fish_jax.errors.UserError: ")
        text = f"failed: {reason[:200]}"
    else:
        return ""
    return text.replace("|", r"\|")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as GitHub reads it, with columns of one width; all but the first are numbers.

    Args:
      header: the columns' names.
      rows: those of fewer cells, which hold a remark, widen no column; GitHub fills them up.

    Returns:
      Lines, the last without its end.
    """
    lines = [header, *rows]
    names = max(len(cells[0]) for cells in lines)
    full = [cells[1:] for cells in lines if len(cells) == len(header)]
    widths = [max(map(len, column)) for column in zip(*full)]
    rule = f"|{'-' * (names + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths)
    laid = [
        f"| {' | '.join([cells[0].ljust(names), *map(str.rjust, cells[1:], widths)])} |"
        for cells in lines
    ]
    return "\n".join([laid[0], rule, *laid[1:]])


def speeds(row: Mapping[str, Any]) -> list[str]:
    """The median of the rounds, the lowest and the highest, in images per second."""
    values = row["images_per_second"], min(row["rounds"]), max(row["rounds"])
    return [f"{value:.2f}" for value in values]


def table(result: Mapping[str, Any]) -> str:
    """The result of one experiment as Markdown."""
    header = ["", "images/s", "lowest", "highest", "epoch, s", "GFLOP/s", "first step, s"]
    header += ["peak memory, MB", "to the best peer"]
    timed = {name: row for name, row in result["rows"].items() if not why_not(row)}
    peers = [row["images_per_second"] for name, row in timed.items() if name != "fish_jax"]
    rows = []
    for name, row in result["rows"].items():
        if name not in timed:
            rows.append([name, why_not(row)])
            continue
        ratio = f"{row['images_per_second'] / max(peers):.2f}" if peers else "-"
        cells = [f"{row['epoch_seconds']:.1f}", f"{row['gflops']:.0f}"]
        cells += [f"{row['first_step_seconds']:.1f}", f"{row['peak_megabytes']:.0f}", ratio]
        rows.append([name, *speeds(row), *cells])
    title = (
        f"{result['experiment'].capitalize()} on a {result['device'].upper()}, "
        f"{result['precision']}, batch {result['batch']}; matrix product "
        f"{result['matrix_gflops']:.0f} GFLOP/s, memory {result['memory_gbytes']:.0f} GB/s:"
    )
    return f"\n{title}\n\n{markdown(header, rows)}"


def save(path: str, figures: Mapping[str, Any]) -> None:
    """Writes figures, and what they were measured with, as JSON."""
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    Path(path).write_text(json.dumps({**machine, **figures}, indent=1) + "\n")
