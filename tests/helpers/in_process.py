"""The command line in the process of the tests, as far as the first array of a run."""

import contextlib
import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from absl.testing import flagsaver

from fish_jax.cli import app, commands
from fish_jax.data.synthetic import drawing
from fish_jax.runs import checkpoints, sampling
from fish_jax.training import estimate
from fish_jax.training.train import train as train_run
from fish_jax.utils import compilation_cache, stdio

SMALL = {"data.count": 20, "batch_size": 8, "latents.size": 4}


def demo(name: str) -> list[str]:
    """Flags of a small run of an experiment."""
    return [f"--config=configs/{name}.py:demo", *(f"--config.{k}={v}" for k, v in SMALL.items())]


class Reached(Exception):
    """All that is checked before a run makes arrays was found right."""


def _stop(*_: Any, **__: Any) -> None:
    raise Reached


@contextlib.contextmanager
def runs_that_stop(folder: Path) -> Iterator[dict[str, Any]]:
    """Within, runs raise `Reached` before they make arrays, and nothing is drawn or rendered.

    Args:
      folder: which relative paths stay in, even some that begin with two dots.

    Yields:
      A mapping whose "config" is what `commands.train` was given last.
    """
    given: dict[str, Any] = {}
    root, place = Path.cwd(), folder / "within" / "this"
    place.mkdir(parents=True)
    for name in ("configs", "main.py", "README.md"):
        (place / name).symlink_to(root / name)

    def train(config: Any, workdir: str, **_: Any) -> None:
        given["config"] = config
        train_run(config, workdir or commands._folder_of(config, ""))

    def draw(count: int, height: int, width: int, *_: Any, **__: Any) -> np.ndarray:
        return np.zeros((count, height, width, 3), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(commands, "train", train)
        patch.setattr(drawing, "draw_school", draw)
        patch.setattr(checkpoints, "open_checkpoints", _stop)
        patch.setattr(compilation_cache, "keep_compiled", lambda: None)
        patch.setattr(estimate, "measured_flops_per_second", lambda: 1e9)
        few = lambda _, seeds, *options: draw(min(len(seeds), 20), 4, 4)
        patch.setattr(sampling, "sample", few)
        yield given


def run(*arguments: str) -> str:
    """Runs main.py.

    Args:
      arguments: of the command line.

    Returns:
      What it said after "error: " when it ended with status 1 and printed nothing else, or "" where
      it went on.
    """
    hook, signals = sys.unraisablehook, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in signals]
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # as strict as a terminal
    try:
        with pytest.MonkeyPatch.context() as patch, flagsaver.flagsaver():
            patch.setattr(sys, "argv", ["main.py", *arguments])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", sys.stderr)
            stdio.make_expendable()
            app.run()
    except Reached:
        return ""
    except SystemExit as end:
        if end.code is None:
            return ""
        assert isinstance(end.code, str) and end.code.startswith("error: "), end.code
        assert not out.buffer.getvalue()
        return end.code.removeprefix("error: ")
    finally:
        sys.unraisablehook = hook
        for number, handler in zip(signals, handlers):
            signal.signal(number, handler)
    raise AssertionError("main.py always ends by an exception")
