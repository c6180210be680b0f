"""What the contestants gave: whether they agree, and the table."""

from collections.abc import Mapping
from typing import Any

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
    """Why a contestant has no figures, on one line."""
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    return f"failed: {row['failed'].splitlines()[-1][:100]}"


def table(result: Mapping[str, Any]) -> str:
    """The result of one experiment as text."""
    timed = {name: row for name, row in result["rows"].items() if "rounds" in row}
    peers = [row["images_per_second"] for name, row in timed.items() if name != "fish_jax"]
    lines = [
        f"\n{result['experiment']} on a {result['device'].upper()}, {result['precision']}, "
        f"batch {result['batch']}; matrix product {result['matrix_gflops']:.0f} GFLOP/s, "
        f"memory {result['memory_gbytes']:.0f} GB/s",
        f"{'':24}{'images/s':>9}{'lowest':>9}{'highest':>9}{'epoch':>10}{'GFLOP/s':>9}"
        f"{'first step':>12}{'peak memory':>13}{'to best peer':>14}",
    ]
    for name, row in result["rows"].items():
        if name not in timed:
            lines.append(f"{name:24}{why_not(row)}")
            continue
        ratio = f"{row['images_per_second'] / max(peers):.2f}" if peers else "-"
        lines.append(
            f"{name:24}{row['images_per_second']:9.2f}{min(row['rounds']):9.2f}"
            f"{max(row['rounds']):9.2f}{row['epoch_seconds']:8.1f} s{row['gflops']:9.0f}"
            f"{row['first_step_seconds']:10.1f} s{row['peak_megabytes']:10.0f} MB{ratio:>14}"
        )
    return "\n".join(lines)
