"""Runs that are evaluated in their course: what they log and keep, cut off or not."""

import json
import shutil

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config
from PIL import Image

import fish_jax
from fish_jax.errors import Stopped, UserError
from fish_jax.runs import checkpoints, layout, metrics
from fish_jax.training import scorer

EVERY = 2  # epochs, of 10


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Its images and what they are compared with are made once."""
    config = tiny_config("lsgan_dense")
    config.data.cache = str(tmp_path_factory.mktemp("cache"))
    config.data.count, config.data.holdout = 160, 0.4
    config.batch_size, config.epochs = 32, 10
    config.evaluate_every_epochs, config.keep_checkpoints = EVERY, 1
    return config.lock()


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fish_jax.train(config, folder)
    return folder


def scored(folder):
    """The scores in the log by step, as numbers of their own names."""
    cut = len(metrics.SCORES)
    lines = {line["step"]: line for line in metrics.read_lines(folder)}
    found = {
        step: {name[cut:]: value for name, value in line.items() if name.startswith(metrics.SCORES)}
        for step, line in lines.items()
    }
    return {step: scores for step, scores in found.items() if scores}


def steps(folder):
    return sorted(checkpoints.steps(folder / layout.CHECKPOINTS))


def best_of(folder, score="frechet"):
    found = scored(folder)
    return min(reversed(found), key=lambda step: found[step][score])


def test_scores_are_logged_drawn_and_kept(whole):
    found = scored(whole)
    ends = [line["step"] for line in metrics.read_lines(whole) if line["epoch"] % EVERY == 0]
    assert len(found) == 5 and set(found) <= set(ends) and max(found) == max(ends)
    assert found[max(found)].keys() >= {"frechet", "precision", "recall", "memorisation"}
    Image.open(whole / "scores.png").verify()
    assert set(steps(whole)) == {best_of(whole), max(found)}
    content = b"".join(path.read_bytes() for path in (whole / "tensorboard").iterdir())
    assert b"scores/frechet" in content
    assert (whole / "samples" / "000010.png").read_bytes() in content


def test_a_finished_run_keeps_the_picture_of_its_scores(config, whole, tmp_path):
    """Which has baselines: another start has none to draw."""
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "losses.png").unlink()
    (folder / "scores.png").write_bytes(b"drawn before")
    fish_jax.train(config, folder)
    assert (folder / "losses.png").exists()
    assert (folder / "scores.png").read_bytes() == b"drawn before"


def test_they_are_those_of_evaluate(whole):
    """Of the same checkpoint, by the same protocol."""
    for checkpoint, step in (("best", best_of(whole)), ("newest", max(scored(whole)))):
        judgement = fish_jax.evaluate(whole, intervals=False, checkpoint=checkpoint)
        assert judgement.steps == step
        assert {s.name: s.value for s in judgement.scores} == pytest.approx(scored(whole)[step])


def test_checkpoints_by_name(whole):
    best, last = best_of(whole), max(scored(whole))
    names = {"newest": last, "best": best, last: last, str(best): best}
    found = {name: int(fish_jax.load(whole, checkpoint=name)[1].step) for name in names}
    assert found == names
    images = {n: fish_jax.sample(whole, [0, 1], checkpoint=n) for n in ("best", best, "newest")}
    np.testing.assert_array_equal(images["best"], images[best])
    if best != last:
        assert (images["best"] != images["newest"]).any()
    walked = fish_jax.walk(whole, [0, 1], 1, checkpoint="best")
    np.testing.assert_array_equal(walked[0], images["best"][0])
    with pytest.raises(UserError, match=rf"no checkpoint of step 1; available: .*\b{last}$"):
        fish_jax.load(whole, checkpoint=1)
    for wrong in ("latest", "-1", 1.5, True, "", "07"):
        with pytest.raises(UserError, match="must be best, newest or the number of a step, not"):
            fish_jax.load(whole, checkpoint=wrong)


class Cut(Exception):
    """The end of a run that nobody planned."""


def cut_off(config, folder, monkeypatch, place):
    """Trains until something breaks at one place of the second evaluation."""
    seen = []

    def broken(*_, **__):
        seen.append(1)
        if len(seen) == 2:
            raise Cut
        return before(*_, **__)

    module, name = place
    before = getattr(module, name)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, broken)
        with pytest.raises(Cut):
            fish_jax.train(config, folder)


@pytest.mark.parametrize(
    "where, minutes",
    [
        ("scoring", 10.0),
        ("saving", 10.0),
        pytest.param("scoring", 0.0, marks=pytest.mark.slow),
        pytest.param("saving", 0.0, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_cut_off_keeps_the_same_best(
    config, whole, tmp_path, monkeypatch, where, minutes
):
    """Before the scores are logged, and between the log and the checkpoint; then once more."""
    folder, config = tmp_path / "run", config.copy_and_resolve_references()
    config.checkpoint_minutes = minutes
    place = (scorer, "judge") if where == "scoring" else (checkpoints, "save")
    for _ in range(2):
        cut_off(config, folder, monkeypatch, place)
    stop = fish_jax.Callbacks(stopped=lambda: 15 * (len(scored(folder)) > 2))
    with pytest.raises(Stopped):
        fish_jax.train(config, folder, callbacks=stop)
    fish_jax.train(config, folder)
    assert scored(folder) == scored(whole)
    best = [fish_jax.load(each, checkpoint="best")[1] for each in (folder, whole)]
    assert best[0].step == best[1].step == best_of(whole)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), *(s.replace(key=None) for s in best))
    assert jax.tree.all(same)


def test_callbacks_see_the_log_and_change_nothing(config, whole, tmp_path):
    """They write over all they get, and keep it; the run is that of nobody who looks."""
    logged, epochs, saved, kept = [], [], [], []

    def on_epoch(epoch, state, samples):
        epochs.append((epoch, samples.shape, int(state.step)))
        kept.append(state)
        samples[:] = 0
        jax.tree.map(lambda leaf: leaf.delete(), state)

    def on_log(step, line):
        logged.append({**line})
        line.clear()

    def on_checkpoint(step, scores):
        saved.append((step, {**scores}))
        scores.clear()

    folder = tmp_path / "run"
    fish_jax.train(config, folder, callbacks=fish_jax.Callbacks(on_log, on_epoch, on_checkpoint))
    assert logged == metrics.read_lines(folder)
    assert [epoch for epoch, *_ in epochs] == list(range(1, 11))
    assert {shape for _, shape, _ in epochs} == {(16, 20, 40, 3)}
    assert dict(saved) == scored(folder) == scored(whole) and len(saved) == 5
    assert steps(folder) == steps(whole)
    for path in sorted((whole / "samples").iterdir()):
        assert (folder / "samples" / path.name).read_bytes() == path.read_bytes()
    ends = [fish_jax.load(each)[1].replace(key=None) for each in (folder, whole)]
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), *ends))


@pytest.mark.parametrize("which", ["on_log", "on_epoch", "on_checkpoint"])
def test_an_exception_of_a_callback_costs_nothing_that_was_saved(config, whole, tmp_path, which):
    folder, calls = tmp_path / "run", []

    def fail(*_):
        calls.append(1)
        if len(calls) == 3:
            raise Cut("enough")

    with pytest.raises(Cut, match="enough"):
        fish_jax.train(config, folder, callbacks=fish_jax.Callbacks(**{which: fail}))
    assert (folder / "log.txt").read_text().endswith("stop: enough\n")
    fish_jax.train(config, folder)
    assert scored(folder) == scored(whole) and steps(folder) == steps(whole)


def test_no_best_is_kept_where_none_is_wanted(config, tmp_path):
    """The choice may change in the course of a run."""
    folder, config = tmp_path / "run", config.copy_and_resolve_references()
    config.epochs = 4
    fish_jax.train(config, folder)
    config.keep_best, config.epochs = "", 6
    fish_jax.train(config, folder)
    assert len(scored(folder)) == 3
    with pytest.raises(
        UserError, match="keep_best is empty in the config of .*run, so no checkpoint"
    ):
        fish_jax.load(folder, checkpoint="best")
    assert len(steps(folder)) == 1


def test_a_run_without_evaluations_has_no_best(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.evaluate_every_epochs, config.epochs = 0, 1
    fish_jax.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "scores.png").exists()
    with pytest.raises(UserError, match="has scores, so none is the best; train with --co"):
        fish_jax.load(tmp_path / "run", checkpoint="best")


def test_a_run_of_before_the_fields_is_continued(config, tmp_path):
    folder, config = tmp_path / "run", config.copy_and_resolve_references()
    config.evaluate_every_epochs, config.epochs = 0, 1
    fish_jax.train(config, folder)
    kept = json.loads((folder / "config.json").read_text())
    older = {n: v for n, v in kept.items() if n not in ("evaluate_every_epochs", "keep_best")}
    (folder / "config.json").write_text(json.dumps(older))
    (first,) = steps(folder)
    assert fish_jax.load(folder)[1].step == first
    config.evaluate_every_epochs, config.epochs = 1, 3
    fish_jax.train(config, folder)
    assert len(scored(folder)) == 2 and min(scored(folder)) > first


def test_too_few_images_are_a_sentence_before_the_first_step(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.data.count = 60
    with pytest.raises(UserError, match=r"an evaluation needs .*; to train without scores"):
        fish_jax.train(config, tmp_path / "run")
    assert not steps(tmp_path / "run")
