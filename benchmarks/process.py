"""Starts the contestants' processes and times their updates in turns."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import Case, LeftOut
from benchmarks.results import EPOCH, MEGABYTE
from fish_jax.utils import malloc

CONTESTANTS = {
    "fish_jax": ("ours", ""),
    "TensorFlow graph": ("keras_peer", "graph"),
    "TensorFlow XLA": ("keras_peer", "xla"),
    "PyTorch eager": ("torch_peer", "eager"),
    "PyTorch channels_last": ("torch_peer", "channels_last"),
    "PyTorch compile": ("torch_peer", "compile"),
    "PyTorch CUDA graphs": ("torch_peer", "graph"),
    "PyTorch compile, graphs": ("torch_peer", "compile_graph"),
}
GPU_ONLY = ("PyTorch CUDA graphs", "PyTorch compile, graphs")


def environment(device: str) -> Mapping[str, str]:
    """All a process on this device gets. On a GPU no process takes memory before it needs it."""
    settings = {"GLIBC_TUNABLES": malloc.TUNABLES}
    if device == "gpu":
        settings |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    else:
        settings |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
    return os.environ | settings


def answer_of(module: str, *words: Any, device: str) -> dict[str, Any]:
    """The JSON that a module of `benchmarks` prints, in a process of its own, for such words."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(device))
    if done.returncode:
        raise RuntimeError(_last_words(module, done.returncode, done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def _last_words(name: str, status: int, errors: str) -> str:
    return f"{name} stopped with status {status}: {errors.strip()[-600:]}"


def ceilings(device: str, precision: str) -> dict[str, float]:
    """The device's matrix product, GFLOP/s, and memory, GB/s, measured in a process of its own."""
    return answer_of("ceilings", device, precision, device=device)


class Process:
    """A contestant's process, from its start to its first update."""

    def __init__(self, name: str, case: Case):
        module, mode = CONTESTANTS[name]
        variables = dict(environment(case.device))
        if (case.experiment, mode) == ("dcgan_shallow", "graph"):
            variables["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernel 1 of stride 2 crashes with it
        command = [sys.executable, "-m", "benchmarks.worker", module, mode]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, it lives as long as the process
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, *map(str, case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=variables,
        )
        self.name, self.case = name, case
        answer = json.loads(self._line())
        self.first_step = time.perf_counter() - start
        if "left_out" in answer:
            self.close()
            raise LeftOut(answer["left_out"])
        self.settings, self.flops = answer["settings"], answer["flops"]

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(_last_words(self.name, status, self.errors.read()))
        return line

    def ask(self, question: str) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):  # the line that does not come says why
            print(question, file=self.process.stdin, flush=True)
        return json.loads(self._line())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def take_turns(
    processes: Sequence[Process], rounds: int, seconds: float
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Times full updates, round after round.

    Args:
      processes: that take turns.
      rounds: timed ones; one before them, to warm up, is dropped.
      seconds: of a turn, about; at least an update.

    Returns:
      By name: each round's seconds per update; and why a process stopped, of those that did.
    """
    times, counts, stopped = {p.name: [] for p in processes}, {p.name: 1 for p in processes}, {}
    for _ in range(rounds + 1):
        for process in processes:
            if process.name in stopped:
                continue
            count = counts[process.name]
            try:
                taken = process.ask(f"run {count}")["seconds"]
            except RuntimeError as error:
                stopped[process.name] = str(error)
                continue
            times[process.name].append(taken / count)
            counts[process.name] = max(1, min(4096, round(seconds * count / taken)))
    return {n: values[1:] for n, values in times.items() if n not in stopped}, stopped


def ask_all(
    processes: Sequence[Process], question: str
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """By name: each process's answer; and why a process stopped, of those that did."""
    answers, stopped = {}, {}
    for process in processes:
        try:
            answers[process.name] = process.ask(question)
        except RuntimeError as error:
            stopped[process.name] = str(error)
    return answers, stopped


def figures(process: Process, times: Sequence[float], flops: float) -> dict[str, Any]:
    """A process's row of results.

    Args:
      process: that took turns.
      times: seconds per update of each round.
      flops: operations of an update, per image.

    Returns:
      What it was given, its speed, median and by rounds, and its memory.
    """
    rates = [process.case.batch / seconds for seconds in times]
    rate = statistics.median(rates)
    return {
        "settings": process.settings,
        "images_per_second": rate,
        "rounds": rates,
        "epoch_seconds": EPOCH / rate,
        "gflops": rate * flops / 1e9,
        "first_step_seconds": process.first_step,
        "peak_megabytes": process.ask("memory")["bytes"] / MEGABYTE,
    }
