"""The benchmark's own arithmetic; its contestants are for `make bench`."""

import argparse
import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.tiny import tiny_config

from benchmarks import arguments, ceilings, common, process, results, seeds, trace
from fish_jax.gan.model import make_gan


def name(kind, pid, value, tid=0):
    return {"ph": "M", "pid": pid, "tid": tid, "name": f"{kind}_name", "args": {"name": value}}


def span(pid, tid, start, duration, kernel="fusion"):
    return {"ph": "X", "pid": pid, "tid": tid, "ts": start, "dur": duration, "name": kernel}


TRACKS = [
    name("process", 1, "/device:GPU:0"),
    name("thread", 1, "Stream #13(Compute)", 13),
    name("thread", 1, "Stream #14(Compute)", 14),
    name("thread", 1, "XLA Modules", 20),
    name("process", 7, "/host:CPU"),
    name("thread", 7, "Stream of the host", 13),
]
# Kernels from 100 to 200: 110..125 and 160..170 are without any, 25 of 100.
KERNELS = [
    span(1, 13, 100.0, 10.0),
    span(1, 13, 140.0, 20.0),
    span(1, 14, 125.0, 20.0, "MemcpyD2D"),
    span(1, 14, 170.0, 30.0),
    span(1, 13, 180.0, 5.0),  # within the one before
]
OTHERS = [
    span(1, 13, 112.0, 5.0, "MemcpyD2H"),
    span(1, 20, 90.0, 200.0, "jit_train_steps"),
    span(7, 13, 50.0, 300.0),
]


def test_idle_share():
    assert trace.idle_share([*OTHERS, *TRACKS, *KERNELS[::-1]]) == pytest.approx(0.25, abs=1e-12)
    assert trace.idle_share([*TRACKS, KERNELS[0]]) == 0.0
    assert trace.idle_share([*TRACKS, *OTHERS]) is None
    assert trace.idle_share(KERNELS) is None


def test_trace_command(tmp_path):
    folders = {"a": [*TRACKS, *KERNELS], "b": TRACKS}
    for folder, events in folders.items():
        (tmp_path / folder).mkdir()
        with gzip.open(tmp_path / folder / "host.trace.json.gz", "wt") as file:
            json.dump({"traceEvents": [*events, {}]}, file)  # JAX ends the list with an empty one
    command = [sys.executable, "-m", "benchmarks.trace", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "a/host.trace.json.gz: GPU idle 25.0 %",
        "b/host.trace.json.gz: no kernel of a GPU in it",
    ]


@pytest.mark.parametrize(
    "precision, loss, agrees",
    [
        ("float32", 2.0019, True),
        ("float32", 2.0021, False),
        ("tf32", 2.009, True),
        ("tf32", 2.011, False),
        ("bfloat16", 2.059, True),
        ("bfloat16", 2.061, False),
        ("bfloat16", float("nan"), False),
    ],
)
def test_disagreement_of_losses(precision, loss, agrees):
    ours, theirs = ({"parameters": [3, 4], "losses": [0.5, g_loss]} for g_loss in (2.0, loss))
    fault = results.disagreement({"fish_jax": ours, "peer": theirs}, precision)
    assert fault == ("" if agrees else f"peer gives the losses [0.5, {loss}], fish_jax [0.5, 2.0]")


def test_disagreement_of_parameters():
    ours, theirs = ({"parameters": [3, count], "losses": [0.5, 2.0]} for count in (4, 5))
    fault = results.disagreement({"fish_jax": ours, "peer": theirs}, "float32")
    assert fault == "peer trains [3, 5], fish_jax [3, 4]"


def row(rate):
    return {
        "images_per_second": rate,
        "rounds": [rate - 1, rate, rate + 1],
        "epoch_seconds": results.EPOCH / rate,
        "gflops": 10 * rate,
        "first_step_seconds": 12.34,
        "peak_megabytes": 1000.0,
    }


def test_table():
    case = common.Case("ralsgan", "gpu", "bfloat16", 140, 320, 32)
    rows = {
        "fish_jax": row(300.0),
        "PyTorch eager": row(100.0),
        "PyTorch channels_last": row(200.0),
        "PyTorch compile": {"failed": "PyTorch compile stopped: Traceback\n  ...\nno cc | gcc"},
        "TensorFlow XLA": {"left_out": "TensorFlow finds no GPU here"},
    }
    limits = {"matrix_gflops": 700000.4, "memory_gbytes": 2900.0}
    assert results.table({**case._asdict(), "rows": rows, **limits}).splitlines() == [
        "",
        "Ralsgan on a GPU, bfloat16, batch 32; matrix product 700000 GFLOP/s, memory 2900 GB/s:",
        "",
        "|                       | images/s | lowest | highest | epoch, s | GFLOP/s "
        "| first step, s | peak memory, MB | to the best peer |",
        "|-----------------------|---------:|-------:|--------:|---------:|--------:"
        "|--------------:|----------------:|-----------------:|",
        "| fish_jax              |   300.00 | 299.00 |  301.00 |     14.7 |    3000 "
        "|          12.3 |            1000 |             1.50 |",
        "| PyTorch eager         |   100.00 |  99.00 |  101.00 |     44.1 |    1000 "
        "|          12.3 |            1000 |             0.50 |",
        "| PyTorch channels_last |   200.00 | 199.00 |  201.00 |     22.1 |    2000 "
        "|          12.3 |            1000 |             1.00 |",
        r"| PyTorch compile       | failed: no cc \| gcc |",
        "| TensorFlow XLA        | left out: TensorFlow finds no GPU here |",
    ]


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_ceilings(precision):
    rates = ceilings.gpu_ceilings(precision, 16, 256)
    assert set(rates) == {"matrix_gflops", "memory_gbytes"} and min(rates.values()) > 0


class Scripted:
    """A process that takes 0.01 s for each update, and may stop at its second turn."""

    def __init__(self, name, stops):
        self.name, self.stops, self.asked = name, stops, []

    def ask(self, question):
        if self.stops and self.asked:
            raise RuntimeError(f"{self.name} stopped with status -9: ")
        self.asked.append(question)
        return {"seconds": 0.01 * int(question.split()[1])}


def test_turns():
    well, ill = Scripted("well", False), Scripted("ill", True)
    times, stopped = process.take_turns([ill, well], 2, 0.05)
    assert times == {"well": [pytest.approx(0.01)] * 2}
    assert stopped == {"ill": "ill stopped with status -9: "}
    assert well.asked == ["run 1", "run 5", "run 5"]
    answers, stopped = process.ask_all([ill, well], "run 7")
    assert answers == {"well": {"seconds": pytest.approx(0.07)}}
    assert stopped == {"ill": "ill stopped with status -9: "}


@pytest.mark.parametrize(
    "experiment,wanted,batch",
    [
        ("lsgan", "small", 8),
        ("began", "small", 4),
        ("lsgan", "report", 32),
        ("began", "report", 16),
        ("began", 3, 3),
    ],
)
def test_batches(experiment, wanted, batch):
    assert common.choose_batch(experiment, wanted) == batch


def test_case_from_words():
    case = common.Case("lsgan", "cpu", "tf32", 20, 40, 2, 0.25, 8)
    assert common.read_case([*map(str, case)]) == case


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (arguments.count, "3", 3),
        (arguments.batch, "16", 16),
        (arguments.batch, "report", "report"),
        (arguments.duration, "0.5", 0.5),
    ],
)
def test_arguments(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    "kind, text",
    [
        (arguments.count, "0"),
        (arguments.count, "-2"),
        (arguments.count, "1.5"),
        (arguments.batch, "zero"),
        (arguments.duration, "-1"),
        (arguments.duration, "nan"),
        (arguments.output, "/no/such/folder/figures.json"),
    ],
)
def test_wrong_arguments_are_told_before_anything_runs(kind, text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be|is not a folder"):
        kind(text)


def test_a_reason_is_told_to_its_end():
    reason = "this generator cannot make 41 x 80 images: " + "it up-samples by 20; " * 5 + "nearest"
    failed = {"failed": f"Traceback\nfish_jax.errors.UserError: {reason}"}
    assert results.why_not(failed) == f"failed: {reason}"


@pytest.mark.slow
def test_seeds_together_take_the_same_steps_as_apart():
    config = tiny_config("lsgan_dense")
    apart, together = seeds.compile_pair(make_gan(config), 2, config.batch_size)
    alone, both = apart(np.int32(2)), together(np.int32(2))
    for index, history in enumerate(alone):
        for name, values in history.items():
            np.testing.assert_allclose(both[name][index], values, rtol=1e-4, atol=1e-6)
    assert alone[0]["d_loss"][0] != alone[1]["d_loss"][0]
