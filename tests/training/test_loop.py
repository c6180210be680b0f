"""The loop around a device that is simulated, with a clock of its own: order, times, failures."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest

from fish_jax.data.batches import Epochs
from fish_jax.errors import Stopped, UserError
from fish_jax.gan.summary import Level
from fish_jax.training import loop, metrics_writer
from fish_jax.training.context import Callbacks, LogInterval, Programs, Run
from fish_jax.training.scorer import Scorer

CONFIG = {
    "data": {"channels": 3},
    **{"batch_size": 2, "epochs": 2, "height": 1, "width": 1, "keep_best": "frechet"},
    **{"log_every_steps": 2, "sample_every_epochs": 1, "evaluate_every_epochs": 0},
}
SIZE = 8
STEP_SECONDS, DRAW_SECONDS, SCORE_SECONDS = 0.1, 2.0, 30.0


def simulate(
    monkeypatch,
    folder,
    *,
    minutes=60.0,
    write_seconds=0.15,
    bad_step=0,
    signal_step=0,
    holds=False,
    callbacks=Callbacks(),
    every=0,
    first=0,
):
    """Runs the loop; returns what happened, in order, the lines of the log, and the exception."""
    happened, lines = [], []
    clock = SimpleNamespace(now=100.0, device_free=0.0)

    def work(seconds):
        clock.device_free = max(clock.device_free, clock.now) + seconds
        return clock.device_free

    def advance(state, images, batches, count, requests):
        last = state.step + int(count)
        happened.append(f"call {state.step + 1}-{last}")
        if signal_step == last:
            signal.raise_signal(signal.SIGTERM)
        losses = np.array([np.nan if s == bad_step else s for s in range(state.step + 1, last + 1)])
        history = {"d_loss": np.ones(len(losses)), "g_loss": losses, "finite": losses == losses}
        done_at = work(STEP_SECONDS * len(losses))
        clock.now = done_at if holds else clock.now
        history = {k: (v, done_at) for k, v in history.items()}
        return SimpleNamespace(step=last), history, None

    def preview(state):
        happened.append(f"draw {state.step}")
        return {"samples": (np.array(state.step), work(DRAW_SECONDS))}

    def device_get(tree):
        clock.now = max([clock.now, *(done_at for _, done_at in tree.values())])
        return {name: value for name, (value, _) in tree.items()}

    def write(folder, epoch, images):
        if images:
            happened.append(f"write {images['samples']}")
            clock.now += write_seconds

    def append(folder, line):
        happened.append(f"log {line['step']}")
        lines.append(line)

    def save(manager, state, progress, scores):
        happened.append(f"save {state.step}")
        steps.append(state.step)
        kept.append(scores)

    def score(state):
        happened.append(f"score {state.step}")
        clock.now += SCORE_SECONDS
        return {"frechet": float(state.step)}

    steps, kept = [], []
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(loop.jax, "device_get", device_get)
    monkeypatch.setattr(loop, "write_previews", write)
    monkeypatch.setattr(metrics_writer.metrics, "append_metrics", append)
    monkeypatch.setattr(loop.checkpoints, "save", save)
    monkeypatch.setattr(metrics_writer.health, "diversity", lambda images: 1.0)
    nothing = lambda *_: None
    monkeypatch.setattr(loop.checkpoints, "wait", nothing)
    monkeypatch.setattr(metrics_writer.tensorboard, "add_scalars", nothing)
    monkeypatch.setattr(loop.data_parallel, "first_copy", lambda state: state)
    monkeypatch.setattr(loop, "_copy", lambda state: SimpleNamespace(step=state.step))
    manager = SimpleNamespace(
        all_steps=lambda: steps, latest_step=nothing, is_saving_in_progress=lambda: False
    )
    config = CONFIG | {"checkpoint_minutes": minutes, "evaluate_every_epochs": every}
    epochs = Epochs(SIZE, config["batch_size"], config["epochs"] * SIZE)
    fixed = (config, folder, epochs, "digest", (), manager, 1.0, 1.0, (Level(0, (1, 1), 1),))
    run = Run(*fixed, callbacks, folder / "board", Scorer(score, {}) if every else None)
    programs = Programs(64, lambda step, count: (None, None), advance, preview)
    ended = None
    try:
        loop.run_steps(run, programs, SimpleNamespace(step=first), LogInterval({}, 0, 0.0))
    except (Stopped, UserError) as error:
        ended = error
    return happened, lines, ended, kept


def test_a_call_is_given_before_the_last_is_settled(monkeypatch, tmp_path):
    happened, *_ = simulate(monkeypatch, tmp_path)
    assert happened == [
        *("call 1-1", "call 2-2", "call 3-4", "draw 4", "log 2", "call 5-6", "log 4", "write 4"),
        *("call 7-8", "draw 8", "log 6", "log 8", "write 8", "save 8"),
    ]


def test_a_device_that_holds_the_host_is_not_asked_for_the_next_call_first(monkeypatch, tmp_path):
    """Its images per second are those of each line all the same: 2 images in 0.1 s."""
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.2)
    happened, lines, *_ = simulate(monkeypatch, tmp_path, holds=True)
    expected = ["call 1-1", "call 2-2", "log 2", "call 3-4", "draw 4", "log 4", "write 4"]
    assert happened[: len(expected)] == expected
    np.testing.assert_allclose([line["images_per_second"] for line in lines], 20, rtol=1e-6)


def test_the_caller_looks_at_a_state_before_it_is_given_away(monkeypatch, tmp_path):
    seen = []
    look = lambda epoch, state, samples: seen.append((epoch, state.step))
    callbacks = Callbacks(on_epoch=look, epochs=(1, 2), stopped=lambda: 0)
    happened, lines, *_ = simulate(monkeypatch, tmp_path, callbacks=callbacks)
    assert seen == [(1, 4), (2, 8)]
    assert happened.index("log 4") < happened.index("call 5-6")
    np.testing.assert_allclose([line["images_per_second"] for line in lines], 20, rtol=1e-6)
    simulate(monkeypatch, tmp_path, callbacks=callbacks, first=8)
    assert seen[2:] == [(2, 8)]  # once more where the run resumes


def test_callbacks_see_what_is_written(monkeypatch, tmp_path):
    logged, epochs, saved = [], [], []

    def log(step, metrics):
        logged.append((step, dict(metrics)))
        metrics.clear()  # it is theirs

    callbacks = Callbacks(
        on_log=log,
        on_epoch=lambda epoch, state, samples: epochs.append((epoch, int(samples))),
        on_checkpoint=lambda step, scores: saved.append((step, scores)),
        stopped=lambda: 0,
    )
    arguments = dict(callbacks=callbacks, every=2, minutes=0.004)
    _, lines, _, kept = simulate(monkeypatch, tmp_path, **arguments)
    assert [(line["step"], line) for line in lines] == logged and len(lines) == 4
    assert epochs == [(1, 4), (2, 8)]  # those whose samples are drawn
    assert saved[-1] == (8, {"frechet": 8.0}) and [scores for _, scores in saved] == kept
    assert len(saved) > 1 and not saved[0][1]


@pytest.mark.parametrize("which", ["on_log", "on_epoch", "on_checkpoint"])
def test_an_exception_of_a_callback_ends_the_run(monkeypatch, tmp_path, which):
    class Enough(Exception):
        pass

    def fail(*_):
        raise Enough

    callbacks = Callbacks(stopped=lambda: 0)._replace(**{which: fail})
    with pytest.raises(Enough):
        simulate(monkeypatch, tmp_path, callbacks=callbacks, minutes=0.004)


def test_an_evaluation_is_of_the_epochs_end_and_is_saved(monkeypatch, tmp_path):
    """Before the next call, which takes over the state; its time is not that of the device."""
    happened, lines, _, kept = simulate(monkeypatch, tmp_path, every=1)
    expected = ["call 3-4", "draw 4", "log 2", "score 4", "log 4", "write 4", "save 4", "call 5-6"]
    assert happened[2 : 2 + len(expected)] == expected
    assert [line.get("scores/frechet") for line in lines] == [None, 4.0, None, 8.0]
    assert kept == [{"frechet": 4.0}, {"frechet": 8.0}]
    np.testing.assert_allclose([line["images_per_second"] for line in lines], 20, rtol=1e-6)


@pytest.mark.parametrize("every, steps", [(2, [8]), (3, [8]), (0, [])])
def test_epochs_that_are_evaluated(monkeypatch, tmp_path, every, steps):
    """Every n-th, and the last of the run."""
    _, lines, *_ = simulate(monkeypatch, tmp_path, every=every)
    assert [line["step"] for line in lines if "scores/frechet" in line] == steps


def test_a_caller_may_say_when_to_stop(monkeypatch, tmp_path):
    callbacks = Callbacks(stopped=lambda: 15)
    happened, _, ended, _ = simulate(monkeypatch, tmp_path, callbacks=callbacks)
    assert happened == ["save 0"] and ended.exit_code == 128 + 15


@pytest.mark.parametrize("minutes", [0, 0.004, 0.03])
def test_a_checkpoint_waits_until_all_is_settled(monkeypatch, tmp_path, minutes):
    happened, *_ = simulate(monkeypatch, tmp_path, minutes=minutes)
    saves = [index for index, what in enumerate(happened) if what.startswith("save")]
    assert len(saves) >= 2
    last = lambda what: int(what.split()[1].split("-")[-1])
    for index in saves:
        step = last(happened[index])
        assert all(last(what) <= step for what in happened[:index])
        due = {f"log {s}" for s in range(2, step + 1, 2)}
        due |= {f"write {s}" for s in range(4, step + 1, 4)}
        assert due <= set(happened[:index])


def test_images_per_second_are_those_of_the_device(monkeypatch, tmp_path):
    """Neither drawing nor writing counts, as long as a call takes longer than the host's work."""
    _, lines, *_ = simulate(monkeypatch, tmp_path)
    rates = [line["images_per_second"] for line in lines]
    np.testing.assert_allclose(rates, CONFIG["batch_size"] / STEP_SECONDS)


def test_images_per_second_tell_of_a_host_that_is_slower(monkeypatch, tmp_path):
    _, lines, *_ = simulate(monkeypatch, tmp_path, write_seconds=3.0)
    # The call of steps 5-6 was over long before the picture of step 4 was written.
    np.testing.assert_allclose(lines[2]["images_per_second"], 4 / 3.0)


@pytest.mark.parametrize("bad_step", [4, 6])
def test_a_nan_is_named_and_nothing_of_it_is_written(monkeypatch, tmp_path, bad_step):
    happened, lines, error, _ = simulate(monkeypatch, tmp_path, bad_step=bad_step)
    assert isinstance(error, UserError)
    assert f"step {bad_step} gave g_loss = nan that is not finite" in str(error)
    assert [line["step"] for line in lines] == list(range(2, bad_step, 2))
    assert [what for what in happened if what.startswith("write")] == ["write 4"] * (bad_step > 4)
    assert not [what for what in happened if what.startswith("save")]
    calls = [what for what in happened if what.startswith("call")]
    assert calls[-1].startswith(f"call {bad_step + 1}-")  # one call too many, no more


def test_a_signal_lets_no_call_follow(monkeypatch, tmp_path):
    happened, _, error, _ = simulate(monkeypatch, tmp_path, signal_step=4)
    assert isinstance(error, Stopped) and error.exit_code == 128 + signal.SIGTERM
    assert happened[2:] == ["call 3-4", "draw 4", "log 2", "log 4", "write 4", "save 4"]
