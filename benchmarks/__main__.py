"""Times a full update of fish_jax and of its peers side by side: `make bench`.

Every contestant is a process of its own, with the same memory settings and two threads. They take
turns, round after round, so that a machine whose speed wanders is equally unfair to all. Before any
figure is printed they must agree on the number of parameters and on both losses.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fish_jax import memory

EXPERIMENTS = ("dcgan_shallow", "dcgan_deep", "ralsgan", "lsgan", "began")
CONTESTANTS = {
    "fish_jax": ("ours", ""),
    "TensorFlow graph": ("keras_peer", "graph"),
    "TensorFlow XLA": ("keras_peer", "xla"),
    "PyTorch eager": ("torch_peer", "eager"),
    "PyTorch channels_last": ("torch_peer", "channels_last"),
    "PyTorch compile": ("torch_peer", "compile"),
}
TOLERANCE = 1e-3  # of the losses, in single precision


class Process:
    """A contestant's process, from its start to its first update; `more` is for the worker."""

    def __init__(self, name: str, experiment: str, size: tuple[int, int], batch: int, *more: float):
        module, mode = CONTESTANTS[name]
        environment = os.environ | {"GLIBC_TUNABLES": memory.TUNABLES}
        if (experiment, mode) == ("dcgan_shallow", "graph"):
            environment["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernel 1 of stride 2 crashes with it
        command = [sys.executable, "-m", "benchmarks.worker", module, mode, experiment]
        self.errors = tempfile.TemporaryFile("w+")
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, *map(str, (*size, batch, *more))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        self.name = name
        answer = json.loads(self._line())
        self.first_step = time.perf_counter() - start
        self.settings, self.flops = answer["settings"], answer["flops"]

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().strip()[-600:]
            raise RuntimeError(f"{self.name} stopped with status {status}: {said}")
        return line

    def ask(self, question: str) -> dict[str, Any]:
        print(question, file=self.process.stdin, flush=True)
        return json.loads(self._line())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def ceilings() -> dict[str, float]:
    """The machine's matrix product, GFLOP/s, and memory, GB/s, as numpy reaches them."""
    square = np.ones((2048, 2048), np.float32)
    source, target = (np.ones(2**26, np.float32) for _ in range(2))
    rates = {"matrix_gflops": 0.0, "memory_gbytes": 0.0}
    for _ in range(5):
        start = time.perf_counter()
        square @ square
        rate = 2 * 2048**3 / (time.perf_counter() - start) / 1e9
        rates["matrix_gflops"] = max(rates["matrix_gflops"], rate)
        start = time.perf_counter()
        np.copyto(target, source)
        rate = 2 * source.nbytes / (time.perf_counter() - start) / 1e9
        rates["memory_gbytes"] = max(rates["memory_gbytes"], rate)
    return rates


def disagreement(checks: dict[str, dict]) -> str:
    """What the contestants do not agree on, or nothing."""
    reference = checks["fish_jax"]
    for name, check in checks.items():
        if check["parameters"] != reference["parameters"]:
            return f"{name} trains {check['parameters']}, fish_jax {reference['parameters']}"
        for theirs, ours in zip(check["losses"], reference["losses"]):
            if not abs(theirs - ours) <= TOLERANCE * max(1, abs(ours)):
                return f"{name} gives the losses {check['losses']}, fish_jax {reference['losses']}"
    return ""


def take_turns(
    processes: list[Process], batch: int, rounds: int, seconds: float
) -> dict[str, list]:
    """Images/s of each contestant in each round; the first is for warming up, and dropped."""
    rates, counts = {p.name: [] for p in processes}, {p.name: 1 for p in processes}
    for _ in range(rounds + 1):
        for process in processes:
            count = counts[process.name]
            taken = process.ask(f"run {count}")["seconds"]
            rates[process.name].append(count * batch / taken)
            counts[process.name] = max(1, min(64, round(seconds * count / taken)))
    return {name: values[1:] for name, values in rates.items()}


def measure(experiment: str, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """One experiment at one batch: a row for each contestant, and the ceilings."""
    rows, processes = {}, []
    size = (options.height, options.width)
    try:
        for name in options.contestants:
            try:
                processes.append(Process(name, experiment, size, batch))
            except RuntimeError as error:
                rows[name] = {"failed": str(error)}
        rates = take_turns(processes, batch, options.rounds, options.seconds)
        flops = next(p.flops for p in processes if p.name == "fish_jax")
        for process in processes:
            values = rates[process.name]
            rows[process.name] = {
                "settings": process.settings,
                "images_per_second": statistics.median(values),
                "rounds": values,
                "gflops": statistics.median(values) * flops / 1e9,
                "first_step_seconds": process.first_step,
                "peak_megabytes": process.ask("memory")["kilobytes"] / 1024,
            }
        checks = {process.name: process.ask("check") for process in processes}
    finally:
        for process in processes:
            process.close()
    fault = disagreement(checks)
    if fault:
        sys.exit(f"error: {experiment}: {fault}")
    return {"experiment": experiment, "batch": batch, "rows": rows, "checks": checks, **ceilings()}


def table(result: dict[str, Any]) -> str:
    """The result of one experiment as text."""
    timed = {name: row for name, row in result["rows"].items() if "failed" not in row}
    peers = [row["images_per_second"] for name, row in timed.items() if name != "fish_jax"]
    lines = [
        f"\n{result['experiment']}, batch {result['batch']}; matrix product "
        f"{result['matrix_gflops']:.0f} GFLOP/s, memory {result['memory_gbytes']:.0f} GB/s",
        f"{'':24}{'images/s':>9}{'lowest':>9}{'highest':>9}{'GFLOP/s':>9}{'first step':>12}"
        f"{'peak memory':>13}{'to best peer':>14}",
    ]
    for name, row in result["rows"].items():
        if "failed" in row:
            lines.append(f"{name:24}failed: {row['failed'].splitlines()[-1][:80]}")
            continue
        ratio = f"{row['images_per_second'] / max(peers):.2f}" if peers else "-"
        lines.append(
            f"{name:24}{row['images_per_second']:9.2f}{min(row['rounds']):9.2f}"
            f"{max(row['rounds']):9.2f}{row['gflops']:9.0f}{row['first_step_seconds']:10.1f} s"
            f"{row['peak_megabytes']:10.0f} MB{ratio:>14}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS, choices=EXPERIMENTS)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--height", type=int, default=140)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a contestant's turn, about")
    parser.add_argument("--out", default="benchmarks/results.json")
    options = parser.parse_args()
    if "fish_jax" not in options.contestants:
        parser.error("--contestants must have fish_jax, that the others are compared with")
    results = []
    for experiment in options.experiments:
        results.append(measure(experiment, options.batch, options))
        print(table(results[-1]), flush=True)
    settings = {n: r["settings"] for r in results for n, r in r["rows"].items() if "settings" in r}
    print("\n" + "\n".join(f"{name}: {text}" for name, text in settings.items()))
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    Path(options.out).write_text(json.dumps({**machine, "results": results}, indent=1) + "\n")
    print(f"figures in {options.out}")


if __name__ == "__main__":
    main()
