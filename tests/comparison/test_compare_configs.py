"""Whole configurations compared: each with networks, epochs and settings of its own."""

import csv
import functools
import json
import re

import numpy as np
import pytest
from helpers.tiny import tiny_config

import fish_jax
from fish_jax.comparison import plan, runner
from fish_jax.comparison.report import curves, page, samples
from fish_jax.comparison.results import Mark, Outcome, Results
from fish_jax.configs import default
from fish_jax.data import dataset
from fish_jax.data.synthetic import drawing
from fish_jax.errors import Diverged, Stopped, UserError
from fish_jax.losses.presets import apply_preset
from fish_jax.runs import layout


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What images are judged against is computed once."""
    return tmp_path_factory.mktemp("cache")


def tiny(name, cache, **changes):
    config = tiny_config(name)
    config.data.cache = str(cache)
    config.data.count, config.data.holdout = 160, 0.4
    config.batch_size = 16
    config.update(changes)
    return config


@pytest.fixture
def configs(cache):
    """Other networks, losses, latents, batches and epochs; only the images are the same."""
    wide = tiny("lsgan_dense", cache, epochs=2)
    narrow = apply_preset(tiny("lsgan_dense", cache, epochs=4, batch_size=32), "hinge")
    narrow.latents.size = 4
    table = narrow.generator
    table.layers = default.narrowed(table.layers[1:], 0.5, least=4)
    return {"wide": wide, "narrow one": narrow}


def read_csv(found):
    return list(csv.DictReader(found.to_csv().splitlines()))


def fields(text):
    """The page's text without its script, look and pictures."""
    return re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.S)


@pytest.mark.slow
def test_two_configs_are_judged_alike_each_in_its_own_course(configs, tmp_path):
    """The second call resumes what the first one left; files say what was compared."""
    folder = tmp_path / "comparison"
    found = fish_jax.compare_configs(configs, [3], folder, marks=2)
    size = len(fish_jax.load_images(**images_of(configs["wide"])).train)
    rows = read_csv(found)
    assert [(r["config"], r["epoch"]) for r in rows] == [
        *(("wide", "1"), ("wide", "2")),
        *(("narrow one", "2"), ("narrow one", "4")),
    ]
    assert [int(r["images"]) for r in rows] == [
        -(-size * epochs // batch) * batch for epochs, batch in ((1, 16), (2, 16), (2, 32), (4, 32))
    ]
    assert [o.settings["latents"]["size"] for o in found.outcomes] == [8, 4]
    assert all(o.settings["seed"] == 3 for o in found.outcomes)
    assert sorted(p.name for p in (folder / "runs").iterdir()) == ["narrow one-3", "wide-3"]
    kept = json.loads((folder / layout.COMPARISON).read_text())
    assert kept["config"].keys() == {"data", "height", "width"}
    table = found.rows()
    assert {row["config"]: row["images"] for row in table[:-1]} == {
        name: str(found.finished(name)[0].marks[-1].images) for name in configs
    }
    assert all("loss" not in row for row in table)
    told = json.loads(found.to_json())
    assert told["configs"] == list(configs) and "losses" not in told
    assert [o["config"] for o in told["outcomes"]] == list(configs)
    again = fish_jax.compare_configs(dict(reversed(configs.items())), [3], folder, marks=2)
    assert sorted(again.to_csv().splitlines()) == sorted(found.to_csv().splitlines())
    check_page(found, tmp_path)


def check_page(found, tmp_path):
    text = found.save(tmp_path / "page").read_text()
    told = " ".join(fields(text).split())
    assert "<title>2 configurations, 1 seed each</title>" in text
    assert "Comparison of configurations" in told and "One row per configuration" in told
    assert "Each column is a configuration and each row a share of its epochs" in told
    assert all(f'<span class="loss">{name}</span>' in text for name in found.losses)
    for lie in ("same networks", "initial weights", "Only the loss", "each loss", "All losses"):
        assert lie not in told
    assert ">config</th>" in text and ">loss</th>" not in text
    heads = re.findall(r'<th scope="row">(about 50 %|the end|epoch \d+)</th>', text)
    assert heads == ["about 50 %", "the end"]
    for o in found.outcomes:
        for mark in o.marks:
            assert f"after epoch {mark.epoch}, {mark.images:,} images seen" in told
    assert text.count("data:image/webp") == 4 and "picture is missing" not in told
    assert told.count("&#34;latents&#34;") == 2 and told.count("&#34;height&#34;") == 3


def images_of(config):
    from fish_jax.data.dataset import arguments

    return arguments(config) | {"show_progress": False}


@pytest.mark.slow
def test_what_was_cut_off_goes_on_to_the_same_scores(configs, tmp_path, monkeypatch):
    """Stopped in its second run, at the first mark; that one and the rest are then made."""
    whole = fish_jax.compare_configs(configs, [0], tmp_path / "whole", 2)
    judged, made = [], runner._judge

    def judge_and_stop(member, *arguments):
        made(member, *arguments)
        judged.append(member.loss)
        if judged.count("narrow one") == 1:
            raise Stopped("stopped", 15)

    monkeypatch.setattr(runner, "_judge", judge_and_stop)
    with pytest.raises(Stopped):
        fish_jax.compare_configs(configs, [0], tmp_path / "cut", 2)
    monkeypatch.setattr(runner, "_judge", made)
    assert judged == ["wide", "wide", "narrow one"]
    assert not (tmp_path / "cut" / "runs" / "narrow one-0" / runner.OUTCOME).exists()
    found = fish_jax.compare_configs(configs, [0], tmp_path / "cut", 2)
    assert found.to_csv() == whole.to_csv() and len(read_csv(found)) == 4


@pytest.fixture
def untrained(monkeypatch):
    """Runs leave what a run without a checkpoint does, and marks of real images' scores.

    Gives the images of each run, None for those of its config.
    """
    given = []

    def train(own, folder, devices, callbacks, images):
        given.append(images)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(own.to_json())
        for epoch in callbacks.epochs:
            callbacks.on_epoch(epoch, None, None)
            if own.name.startswith("lost"):
                raise Diverged("nan", 9)

    def judge(member, gan, state, epoch, references, shown):
        mark = Mark(epoch, 96 * epoch, 6 * epoch, dict(references.floors), [0.1], [0.2])
        mark.write(runner._mark_path(member, epoch))

    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(runner, "_judge", judge)
    return given


def test_images_may_be_given(configs, tmp_path, untrained, monkeypatch):
    """They are read once, for all runs; a later call without them draws no fish in their place."""
    images = np.random.default_rng(0).integers(0, 256, (160, 24, 44), np.uint8)
    compare = functools.partial(fish_jax.compare_configs, configs, [0], tmp_path / "comparison", 1)
    compare(images=list(images))
    (loaded,) = {id(each): each for each in untrained}.values()
    assert len(untrained) == 2 and loaded.source == "160 images given from Python"
    for name in ("wide-0", "narrow one-0"):
        kept = json.loads((tmp_path / "comparison" / "runs" / name / "config.json").read_text())
        assert kept["data"]["path"] == dataset.GIVEN
    assert not any(config.data.path for config in configs.values())
    monkeypatch.setattr(drawing, "draw_school", None)
    with pytest.raises(UserError, match="images of .*comparison were given from Python; give them"):
        compare()
    images[0, 0, 0] ^= 255
    with pytest.raises(UserError, match="holds another comparison(.|\n)*images: "):
        compare(images=images)
    configs["wide"].data.path = "photos/"
    with pytest.raises(UserError, match="data.path is 'photos/'"):
        fish_jax.compare_configs({"wide": configs["wide"]}, [0], tmp_path / "other", images=images)


def test_a_diverged_run_is_an_outcome(configs, tmp_path, untrained):
    configs = {"wide": configs["wide"], "lost": configs["narrow one"]}
    found = fish_jax.compare_configs(configs, [0], tmp_path / "comparison", 2)
    assert [(o.loss, o.diverged) for o in found.outcomes] == [("wide", None), ("lost", 9)]
    assert [row["diverged"] for row in found.rows()] == ["0 of 1", "1 of 1", ""]
    assert "Only wide finished" in page.verdict(found)
    assert page.render(found).count("× diverged at step 9<") == 1


@pytest.mark.parametrize(
    "change, field",
    [
        (lambda c: c.update(height=40), "height is 20 in config 'wide', but 40 in config 'narrow"),
        (lambda c: c.data.update(holdout=0.3), "data.holdout is 0.4 in config 'wide', but 0.3 in"),
        (lambda c: c.data.update(count=170), "data.count is 160 in config 'wide', but 170 in"),
    ],
)
def test_configs_of_other_images_are_refused(configs, tmp_path, change, field):
    change(configs["narrow one"])
    with pytest.raises(UserError, match=field):
        fish_jax.compare_configs(configs, [0], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


def test_what_decides_no_image_may_differ(configs, tmp_path, untrained):
    configs["narrow one"].data.update(flips=True, cache=str(tmp_path / "own"), device_gigabytes=1.0)
    assert len(fish_jax.compare_configs(configs, [0], tmp_path / "comparison", 2).outcomes) == 2
    configs["wide"].data.flips = True
    with pytest.raises(UserError, match="wide, seed 0, was started with other settings"):
        fish_jax.compare_configs(configs, [0], tmp_path / "comparison", 2)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0", "\ud800", "é" * 101])
def test_a_name_that_is_no_folders_is_refused(configs, tmp_path, name):
    with pytest.raises(UserError, match="a config's name must be a plain folder name, not"):
        fish_jax.compare_configs({name: configs["wide"]}, [0], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"configs": ["wide"]}, "configs must be configs by name"),
        ({"configs": {}}, "at least one config and one seed"),
        (
            {"configs": {"a": 3}},
            "config 'a' cannot be trained: the config must map names of fields",
        ),
        ({"configs": {3: None}}, "a config's name must be a plain folder name, not 3"),
        ({"seeds": 2}, "seeds must be numbers, such as range"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [3, 3]}, "seed 3 is named twice"),
        ({"seeds": [-1]}, "a seed must be a whole number from 0"),
        ({"marks": 0}, "marks must be a whole number from 1"),
        ({"count": 5}, "needs at least 32 images on each side, not 5"),
    ],
)
def test_wrong_arguments_are_told(configs, tmp_path, changes, message):
    arguments = {"configs": configs, "seeds": [0], "folder": tmp_path / "comparison"} | changes
    with pytest.raises(UserError, match=message):
        fish_jax.compare_configs(**arguments)
    assert not (tmp_path / "comparison").exists()


def test_what_cannot_be_trained_is_told_before_anything_runs(configs, tmp_path):
    configs["narrow one"].loss.name = "began"
    with pytest.raises(UserError, match="config 'narrow one' cannot be trained: loss began needs"):
        fish_jax.compare_configs(configs, [0], tmp_path / "comparison")
    configs["narrow one"].loss.name = "hinge"
    configs["narrow one"].batch_size = 128
    with pytest.raises(UserError, match="fewer than one batch of 128"):
        fish_jax.compare_configs(configs, [0], tmp_path / "comparison")
    assert not (tmp_path / "comparison").exists()


def change_rate(config):
    config.optimizer.generator_lr *= 2


@pytest.mark.parametrize(
    "change, line, ended",
    [
        (change_rate, "optimizer.generator_lr: ", True),
        (lambda config: config.update(epochs=3), "epochs: 2 there", False),
    ],
)
def test_a_changed_config_is_refused_and_others_may_come(
    configs, tmp_path, untrained, change, line, ended
):
    """Whether its run came to its end, or left marks alone."""
    folder, wide = tmp_path / "comparison", {"wide": configs["wide"]}
    before = fish_jax.compare_configs(wide, [0, 1], folder, 2)
    if not ended:
        (folder / "runs" / "wide-1" / runner.OUTCOME).unlink()
    found = fish_jax.compare_configs(configs, [1, 2], folder, 2)
    assert found.outcomes[0] == before.outcomes[1]
    assert [(o.loss, o.seed) for o in found.outcomes] == [
        (name, seed) for seed in (1, 2) for name in configs
    ]
    configs["wide"].data.cache = str(tmp_path / "elsewhere")
    configs["narrow one"].data.cache = str(tmp_path / "elsewhere")
    configs["wide"].log_every_steps = 7
    assert fish_jax.compare_configs(configs, [1, 2], folder, 2).outcomes == found.outcomes
    if not ended:
        (folder / "runs" / "wide-1" / runner.OUTCOME).unlink()
    change(configs["wide"])
    with pytest.raises(
        UserError, match=f"(?s)wide, seed 1, was started with other settings in .*wide-1; .*{line}"
    ):
        fish_jax.compare_configs(configs, [1], folder, 2)


def test_a_folder_of_another_comparison_is_refused(configs, tmp_path, untrained):
    folder, wide = tmp_path / "comparison", {"wide": configs["wide"]}
    fish_jax.compare_configs(wide, [0], folder, 2)
    with pytest.raises(UserError, match=r"holds another comparison; .*\n  marks: 2 there, 1 now"):
        fish_jax.compare_configs(wide, [0], folder, 1)
    with pytest.raises(UserError, match="holds a comparison of configs; choose another folder"):
        fish_jax.compare(["lsgan"], configs["wide"], [0], folder, 2)
    photos = tmp_path / "photos.npy"
    shape = (160, configs["wide"].height, configs["wide"].width, 3)
    np.save(photos, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    configs["wide"].data.path = str(photos)
    with pytest.raises(UserError, match="holds another comparison; .*\n  (count|images): "):
        fish_jax.compare_configs(wide, [0], folder, 2)
    fish_jax.compare(["lsgan"], configs["wide"], [0], tmp_path / "losses", 2)
    with pytest.raises(UserError, match="holds a comparison of losses; choose another folder"):
        fish_jax.compare_configs(wide, [0], tmp_path / "losses", 2)


def kept(name, loss, gamma=0.5, planned=(2,)):
    """An outcome of a configuration whose D gives the generated images more, by no training."""
    marks = tuple(Mark(e, 10 * e, e, {"frechet": 2.0}, [0.1], [0.8]) for e in planned)
    logged = {"images": [1, 2], "k": [0.1, 0.2], "energy_ratio": [0.5, 0.6]}
    settings = {"loss": {"name": loss, "gamma": gamma}}
    return Outcome(name, 0, None, marks, 1.0, logged, (), planned, settings)


def test_what_d_says_is_read_by_the_loss_and_not_by_the_name():
    drawn = [curves.verdicts(kept(*each)) for each in (("lsgan", "began"), ("began", "lsgan"))]
    assert ">100 %<" in drawn[0] and ">energy<" in drawn[0]
    assert ">0 %<" in drawn[1] and ">score<" in drawn[1]


def test_each_config_has_its_own_gamma(monkeypatch):
    outcomes = (kept("a", "began", 0.55), kept("b", "began", 0.58))
    found = Results(outcomes, ("a", "b"), (0,), {"frechet": 1.0}, "", of="config")
    drawn = [curves.equilibrium(found._replace(outcomes=o)) for o in (outcomes, outcomes[::-1])]
    heights = re.findall(r'class="floor" d="M[\d.]+ ([\d.]+)', drawn[0])
    assert len(set(heights)) == 2 and drawn[0] == drawn[1]


def test_rows_of_samples_are_shares_of_a_course_where_epochs_differ():
    """Of few epochs, marks are fewer; where all have the same, rows are epochs."""
    plans = {"a": (1, 2), "b": (3, 6, 9, 12)}
    outcomes = tuple(kept(name, "lsgan", planned=planned) for name, planned in plans.items())
    found = Results(outcomes, ("a", "b"), (0,), {"frechet": 1.0}, "", of="config")
    assert samples._rows(found, {o.loss: o for o in outcomes}) == [
        ("about 25 %", {"b": 3}),
        ("about 50 %", {"a": 1, "b": 6}),
        ("about 75 %", {"b": 9}),
        ("the end", {"a": 2, "b": 12}),
    ]
    same = found._replace(outcomes=(outcomes[0], outcomes[0]._replace(loss="b")))
    rows = samples._rows(same, {o.loss: o for o in same.outcomes})
    assert rows == [("epoch 1", {"a": 1, "b": 1}), ("epoch 2", {"a": 2, "b": 2})]
    assert "each row an epoch;" in page.render(same)


@pytest.mark.parametrize("name", ["runs", "runs/hinge-0"])
def test_the_folder_of_a_comparison_holds_no_links(tmp_path, name):
    (tmp_path / "outside").mkdir()
    path = tmp_path / "comparison" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=f"{name} is a link to"):
        plan.keep_protocol(tmp_path / "comparison", {})
