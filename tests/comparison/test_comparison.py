"""Losses compared: tables over seeds, and a comparison that is cut off and resumes."""

import json
import math
import time

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_state

import fish_jax
from fish_jax.comparison import plan, runner
from fish_jax.comparison.results import Mark, Outcome, Results, spread
from fish_jax.configs import compare as compare_config
from fish_jax.errors import Diverged, Stopped, UserError
from fish_jax.evaluation import evaluate, scores
from fish_jax.evaluation.features.space import Space
from fish_jax.gan.model import make_gan
from fish_jax.losses import LOSSES
from fish_jax.losses.presets import PRESETS, apply_preset
from fish_jax.runs import config_file, layout
from fish_jax.runs.health import Finding

FLOORS = {"frechet": 1.0, "recall": 0.9, "similarity": 0.2}


def outcome(loss, seed, frechet, recall=0.5, similarity=0.3, diverged=None):
    scores = {"frechet": frechet, "recall": recall, "similarity": similarity}
    marks = () if diverged else (Mark(2, 64, 8, scores, [0.1], [0.2]),)
    return Outcome(loss, seed, diverged, marks, 60.0)


def test_spread_over_seeds():
    made = spread([1.0, 2.0, 6.0])
    assert made.mean == 3
    np.testing.assert_allclose(made.half_width, 4.302653 * math.sqrt(7) / math.sqrt(3), rtol=1e-6)
    assert str(spread([1.5])) == "1.5" and math.isnan(spread([]).mean)


def test_ranks_are_paired_and_a_diverged_run_is_last():
    """By pairs a wins twice, though its mean is the worse."""
    found = Results(
        (
            *(outcome("a", 0, 1.0), outcome("b", 0, 2.0), outcome("c", 0, 9.0, diverged=3)),
            *(outcome("a", 1, 30.0), outcome("b", 1, 31.0), outcome("c", 1, 20.0)),
            *(outcome("a", 2, 60.0), outcome("b", 2, 5.0), outcome("c", 2, 9.0, diverged=7)),
        ),
        ("a", "b", "c"),
        (0, 1, 2),
        FLOORS,
        "a protocol",
    )
    assert [found.rank(loss) for loss in "abc"] == [(1 + 2 + 2) / 3, 2.0, (3 + 1 + 3) / 3]
    assert found.rank("a", "recall") == (1.5 + 2 + 1.5) / 3
    rows = found.rows()
    assert [row["loss"] for row in rows] == ["a", "b", "c", "real images"]
    assert rows[2]["diverged"] == "2 of 3" and rows[2]["Frechet distance"] == "20"
    table = found.table()
    assert "3 seeds" in table and "a protocol" in table and "±" in table
    few = found._replace(seeds=(0,), outcomes=found.outcomes[:3])
    assert "anecdotal" in few.table()
    assert json.loads(found.to_json())["outcomes"][2]["diverged"] == 3
    assert len(found.to_csv().splitlines()) == 1 + 7


def test_a_score_that_is_not_a_number_ranks_last():
    outcomes = (outcome("a", 0, math.nan), outcome("b", 0, 2.0), outcome("c", 0, 1.0, diverged=3))
    found = Results(outcomes, ("a", "b", "c"), (0,), FLOORS, "a protocol")
    assert [found.rank(loss) for loss in "abc"] == [2.5, 1.0, 2.5]


def test_a_comparison_goes_on_and_a_diverged_run_is_an_outcome(config, tmp_path, monkeypatch):
    """Stopped in the second run; then the third one diverges. Only the first is really trained."""
    begun, seen, train = [], [], runner.train

    def disturbed(own, folder, devices, callbacks, images):
        begun.append(own.loss.name)
        if own.loss.name == "lsgan":
            return train(own, folder, devices=devices, callbacks=callbacks, images=images)
        for epoch in callbacks.epochs:
            if own.loss.name == "wgan" and epoch == 2:
                raise Diverged("nan", 9)
            seen.append((own.loss.name, epoch))
            state = tiny_state(make_gan(own)).replace(step=jnp.int32(6 * epoch))
            callbacks.on_epoch(epoch, state, None)
            if begun == ["lsgan", "hinge"]:
                raise Stopped("stopped", 15)

    monkeypatch.setattr(runner, "train", disturbed)
    arguments = (["lsgan", "hinge", "wgan"], config, [3], tmp_path / "comparison", 2)
    with pytest.raises(Stopped):
        fish_jax.compare(*arguments)
    first_mark = next((tmp_path / "comparison").glob("runs/hinge-3/mark-*.json")).stat()
    found = fish_jax.compare(*arguments)
    assert begun == ["lsgan", "hinge", "hinge", "wgan"]
    assert seen == [("hinge", 1), ("hinge", 1), ("hinge", 2), ("wgan", 1)]
    mark = tmp_path / "comparison" / "runs" / "hinge-3" / "mark-000001.json"
    assert mark.stat().st_mtime_ns == first_mark.st_mtime_ns  # judged once
    assert [o.diverged for o in found.outcomes] == [None, None, 9]
    assert [f.name for f in found.outcomes[2].findings] == ["divergence"]
    assert found.floors.keys() >= scores.SCORES.keys()
    again = fish_jax.compare(*arguments)
    assert len(begun) == 4 and again.table() == found.table()
    config.data.cache = str(tmp_path / "another machine's")
    monkeypatch.setattr(evaluate, "fit", None)  # the folder has the encoder
    assert fish_jax.compare(*arguments).table() == found.table()
    for o in found.outcomes[:2]:
        assert [(mark.epoch, mark.images, mark.updates) for mark in o.marks] == [
            (1, o.marks[0].images, o.marks[0].images // 16),
            (2, o.marks[1].images, o.marks[1].images // 16),
        ]
    curves = found.outcomes[0].curves
    assert curves["images"] == sorted(curves["images"]) and curves["images"][-1] == 16 * 11
    assert {"d_loss", "g_loss", "fooled"} <= curves.keys()
    place = found.save(tmp_path / "page")
    assert {p.name for p in place.parent.iterdir()} == {
        "comparison.json",
        "comparison.csv",
        "index.html",
    }
    config.epochs = 4
    with pytest.raises(
        UserError, match=r"holds another comparison; .*\n  marks: \[1, 2\] there, \[2, 4\] now"
    ):
        fish_jax.compare(*arguments)


@pytest.mark.slow
def test_several_devices_find_the_same_as_one(config, tmp_path):
    """Four runs on three devices, and one after another."""
    found = []
    for devices in (1, 3):
        config.devices = devices
        arguments = (["lsgan", "hinge"], config, [3, 4], tmp_path / str(devices), 1)
        found.append(fish_jax.compare(*arguments))
    for one, other in zip(*(each.outcomes for each in found)):
        assert (one.loss, one.seed, one.marks) == (other.loss, other.seed, other.marks)
        names = one.curves.keys() - {"images_per_second"}
        assert all(one.curves[name] == other.curves[name] for name in names)


def test_a_failure_on_one_device_stops_the_others_and_is_told(config, tmp_path, monkeypatch):
    stopped = []

    def failing(own, folder, devices, callbacks, images):
        if own.loss.name == "hinge":
            raise UserError("no space")
        while not callbacks.stopped():
            time.sleep(0.01)
        stopped.append(own.loss.name)
        raise Stopped("stopped", callbacks.stopped())

    config.devices = 2
    monkeypatch.setattr(runner, "train", failing)
    with pytest.raises(UserError, match="no space"):
        fish_jax.compare(["lsgan", "hinge", "wgan"], config, [0], tmp_path / "comparison")
    assert stopped == ["lsgan"]


@pytest.mark.slow
def test_other_images_are_refused_and_what_cannot_matter_is_not(config, tmp_path):
    config.epochs = 1
    folder = tmp_path / "comparison"
    before = fish_jax.compare(["lsgan"], config, [3], folder, 1)
    config.log_every_steps, config.data.cache = 7, str(tmp_path / "other")
    assert fish_jax.compare(["lsgan"], config, [3], folder, 1).outcomes == before.outcomes
    photos = tmp_path / "photos.npy"
    shape = (config.data.count, config.height, config.width, 3)
    np.save(photos, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    config.data.path = str(photos)
    with pytest.raises(UserError, match="holds another comparison; .*\n  (count|images): "):
        fish_jax.compare(["lsgan"], config, [3], folder, 1)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"losses": "lsgan"}, "losses must be names"),
        ({"seeds": 2}, "seeds must be numbers, such as range"),
        ({"seeds": [0.5]}, "a seed must be a whole number from 0"),
        ({"marks": 0}, "marks must be a whole number from 1"),
        ({"marks": 1.5}, "marks must be a whole number from 1"),
        ({"count": 5}, "needs at least 32 images on each side, not 5"),
    ],
)
def test_wrong_arguments_are_told(config, tmp_path, changes, message):
    arguments = {"losses": ["lsgan"], "seeds": [0], "folder": tmp_path / "comparison"} | changes
    with pytest.raises(UserError, match=message):
        fish_jax.compare(config=config, **arguments)
    assert not (tmp_path / "comparison").exists()


def test_the_section_of_the_command_line_is_left_out(config, tmp_path):
    with config.unlocked():
        config.compare = compare_config.get_config("demo").compare
    (member,) = plan.plan_runs(["lsgan"], plan.without_section(config), [0], tmp_path, False)
    assert "compare" not in member.config and "compare" in config


@pytest.mark.slow
def test_what_was_damaged_is_made_again_and_losses_may_come_later(config, tmp_path, capsys):
    config.epochs = 1
    folder = tmp_path / "comparison"
    before = fish_jax.compare(["lsgan"], config, [3], folder, 1)
    (mark,) = folder.glob("runs/lsgan-3/mark-*.json")
    for name, text in ((runner.OUTCOME, "{}"), (mark.name, '{"epoch": 1')):
        (mark.parent / name).write_text(text)
    capsys.readouterr()
    after = fish_jax.compare(["hinge", "lsgan"], config, [3], folder, 1)
    told = capsys.readouterr().err
    assert f"{mark.parent / runner.OUTCOME} is damaged" in told and f"{mark} is damaged" in told
    assert [o.loss for o in after.outcomes] == ["hinge", "lsgan"]
    assert after.outcomes[1].marks == before.outcomes[0].marks
    (folder / layout.COMPARISON).write_text("[")
    with pytest.raises(UserError, match="protocol.json is damaged"):
        fish_jax.compare(["lsgan"], config, [3], folder, 1)


WHOLE = outcome("hinge", 3, 2.0)._replace(
    curves={"images": [32, 64], "d_loss": [1.0, math.nan]},
    findings=(Finding("collapse", 64, "a sentence"),),
    planned=(1, 2),
    settings={"loss": {"name": "hinge"}},
)
FIELDS = json.loads(json.dumps(WHOLE.plain()))
MARK = FIELDS["marks"][0]


def read(folder, fields, kind=Outcome):
    (folder / "a.json").write_text(fields if isinstance(fields, str) else json.dumps(fields))
    return runner._read(folder / "a.json", kind, FLOORS)


def test_what_an_earlier_call_wrote_is_read(tmp_path):
    assert str(read(tmp_path, FIELDS)) == str(WHOLE._replace(planned=[1, 2]))  # nan is not nan
    assert read(tmp_path, MARK, Mark) == WHOLE.marks[0]
    diverged = FIELDS | {"diverged": 7, "marks": []}
    assert read(tmp_path, diverged).marks == ()
    older = {name: FIELDS[name] for name in ("loss", "seed", "diverged", "seconds")}
    assert read(tmp_path, older | {"marks": [MARK], "findings": []}).loss == "hinge"


@pytest.mark.parametrize(
    "fields",
    [
        *("", "[]", "7", "null", "{}", "[" * 100_000, "9" * 9000, "\0", json.dumps(FIELDS)[:-9]),
        *(FIELDS | {"marks": marks} for marks in ([], None, 7, [7], [{}], ["a"], {"a": 1})),
        *(
            FIELDS | {"marks": [MARK | changed]}
            for changed in (
                *({"epoch": epoch} for epoch in (0, "1", None, math.nan)),
                *({"scores": {**MARK["scores"], **one}} for one in ({"recall": "1"}, {"none": 1})),
                *({"scores": scores} for scores in (7, None, {"frechet": 1.0})),
                *({"real": real} for real in (7, None, ["a"], {})),
                {"more": 1},
            )
        ),
        *(FIELDS | {"diverged": diverged} for diverged in ("7", -1, 1.5, [])),
        *(FIELDS | {"seconds": seconds} for seconds in (math.nan, "1", None)),
        *(FIELDS | {"findings": findings} for findings in (None, 7, [7], [{}], ["a"])),
        *(FIELDS | {"curves": curves} for curves in (None, 7, {"a": [1]}, {"images": "ab"})),
        FIELDS | {"curves": {"images": [1, 2], "d_loss": [1]}},
        *(FIELDS | {"settings": settings} for settings in (None, 7, [], {"a": 1}, {"loss": 7})),
        *(FIELDS | {"planned": planned} for planned in (None, 7, ["a"], "ab")),
    ],
)
def test_what_no_call_wrote_is_made_anew(tmp_path, capsys, fields):
    assert read(tmp_path, fields) is None
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / 'a.json'} is damaged (") and told.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["[", "7", "{}", "[" * 100_000, '{"config": {"a": %s}}' % ("[" * 500 + "]" * 500)]
)
def test_a_damaged_protocol_is_a_sentence(tmp_path, text):
    (tmp_path / layout.COMPARISON).write_text(text)
    parts = {"of": "loss", "config": config_file.plain(tiny_config("lsgan")), "settings": {}}
    with pytest.raises(UserError, match="protocol.json is damaged"):
        plan.keep_protocol(tmp_path, parts)


def test_curves_are_means_of_steps(monkeypatch):
    monkeypatch.setattr(runner, "POINTS", 3)
    steps = [{"step": s, "images": 4 * s, "steps": 1 + s % 2, "epoch": 1, "a": s} for s in range(8)]
    made = runner.curves([*steps, {**steps[-1], "images": 99, "once": 1}])
    assert made == {"images": [8, 20, 99], "a": [1, 4, (6 + 7 + 7 + 7 + 7) / 5]}
    assert runner.curves([]) == {}


@pytest.mark.parametrize("variant", ["", "demo"])
def test_all_losses_that_take_scores_run_on_the_networks_of_the_config(variant):
    config = compare_config.get_config(variant)
    with config.unlocked():
        del config.compare
    for loss in {**LOSSES, **PRESETS}.keys() - {"ebgan", "began"}:
        make_gan(apply_preset(config, loss))


def test_what_cannot_be_compared_is_told_before_anything_runs(config, tmp_path):
    config.discriminator.norm = "batch"
    with pytest.raises(UserError, match="loss.gradient_penalty is 10.0, but the discriminator has"):
        fish_jax.compare(["lsgan", "wgan_gp"], config, [0], tmp_path / "comparison")
    with pytest.raises(UserError, match="at least one loss and one seed"):
        fish_jax.compare([], config, [0], tmp_path / "comparison")
    with pytest.raises(UserError, match="loss 'hinge' is named twice"):
        fish_jax.compare(["hinge", "lsgan", "hinge"], config, [0], tmp_path / "comparison")
    with pytest.raises(UserError, match="seed 3 is named twice"):
        fish_jax.compare(["hinge"], config, [3, 3], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


def test_a_run_is_evaluated(config, tmp_path):
    config.epochs = 1
    fish_jax.train(config, tmp_path / "run")
    judgement = fish_jax.evaluate(tmp_path / "run", intervals=False)
    assert [s.name for s in judgement.scores if s.name in scores.SCORES] == list(scores.SCORES)
    with pytest.raises(UserError, match="needs 500 of each"):
        fish_jax.evaluate(tmp_path / "run", count=500)


def test_a_damaged_space_is_a_warning(tmp_path, capsys):
    assert plan.kept_space(tmp_path) is None
    space = Space("a name", {"layer/bias": np.ones(3)}, np.zeros(305), np.ones(305))
    plan.keep_space(tmp_path, space)
    assert plan.kept_space(tmp_path).name == "a name" and capsys.readouterr().err == ""
    path = tmp_path / layout.SPACE
    path.write_bytes(path.read_bytes()[:-9])
    assert plan.kept_space(tmp_path) is None
    assert f"warning: {path} cannot be used" in capsys.readouterr().err
    with pytest.raises(UserError, match="cannot write to the comparison's folder"):
        plan.keep_space(tmp_path / "none", space)


def test_a_folder_of_an_older_version_goes_on(tmp_path):
    """What it does not say of fields that came later is what they meant there."""
    config = config_file.plain(tiny_config("ralsgan"))
    older = {name: value for name, value in config.items() if name not in ("average", "schedule")}
    parts = {"of": "loss", "config": older, "settings": {"marks": [1]}}
    (tmp_path / layout.COMPARISON).write_text(json.dumps(parts))
    plan.keep_protocol(tmp_path, parts | {"config": config})
    config["average"]["half_life"] = 5.0
    with pytest.raises(UserError, match="average.half_life: 0.0 there, 5.0 now"):
        plan.keep_protocol(tmp_path, parts | {"config": config})
