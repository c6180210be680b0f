"""A contestant's process, seen from the one that times it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.common import LeftOut
from fish_jax import memory

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


class Case(NamedTuple):
    """What is timed, the same for every contestant; the worker's arguments, in their order."""

    experiment: str
    device: str
    precision: str
    height: int
    width: int
    batch: int


def environment(device: str) -> Mapping[str, str]:
    """All a process on this device gets. On a GPU no process takes memory before it needs it."""
    settings = {"GLIBC_TUNABLES": memory.TUNABLES}
    if device == "gpu":
        settings |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    else:
        settings |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
    return os.environ | settings


def ceilings(device: str, precision: str) -> dict[str, float]:
    """The device's matrix product, GFLOP/s, and memory, GB/s, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ceilings", device, precision]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment(device), check=True)
    return json.loads(done.stdout)


class Process:
    """A contestant's process, from its start to its first update."""

    def __init__(self, name: str, case: Case):
        module, mode = CONTESTANTS[name]
        variables = dict(environment(case.device))
        if (case.experiment, mode) == ("dcgan_shallow", "graph"):
            variables["TF_ENABLE_ONEDNN_OPTS"] = "0"  # its kernel 1 of stride 2 crashes with it
        command = [sys.executable, "-m", "benchmarks.worker", module, mode]
        self.errors = tempfile.TemporaryFile("w+")
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, *map(str, case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=variables,
        )
        self.name = name
        answer = json.loads(self._line())
        self.first_step = time.perf_counter() - start
        if "left_out" in answer:
            self.close()
            raise LeftOut(answer["left_out"])
        self.settings, self.flops = answer["settings"], answer["flops"]

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} stopped: {self.errors.read().strip()[-600:]}")
        return line

    def ask(self, question: str) -> dict[str, Any]:
        print(question, file=self.process.stdin, flush=True)
        return json.loads(self._line())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
