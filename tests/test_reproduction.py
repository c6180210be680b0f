"""The report's experiments trained again: all at tiny size, timed, cut, judged and shown."""

import functools
import json
import math
import re
import signal

import pytest
from tiny import tiny_config

from benchmarks.reproduction import __main__ as command
from benchmarks.reproduction import experiments, found, page, runs, table
from benchmarks.reproduction.experiments import EXPERIMENTS
from benchmarks.reproduction.runs import Options, shared_out
from fish_jax import workdir
from fish_jax.errors import Stopped


def test_the_nine_experiments_have_the_reports_epochs():
    epochs = {name: each.epochs for name, each in EXPERIMENTS.items()}
    assert epochs == {
        "ralsgan": 400,
        "dcgan_deep": 405,
        "began": 260,
        "dcgan_feature_matching": 405,
        "lsgan": 400,
        "dcgan_shallow": 405,
        "best": 400,
        "ralsgan_high_lr": 50,
        "ragan_sgd": 100,
        "lsgan_dense": 400,
        "ralsgan-all": 400,
        "dcgan_deep-all": 405,
        "began-all": 260,
    }
    for name, each in EXPERIMENTS.items():
        assert max(each.grids) <= each.epochs, name
        for metric, readings in each.readings.items():
            assert metric in ("d_loss", "g_loss", "energy_ratio")
            assert max(epoch for epoch, _ in readings) <= each.epochs, name


def test_full_size_configs_are_the_reports():
    for name, each in EXPERIMENTS.items():
        config = runs.configured(name, Options("photos/"))
        assert (config.height, config.width, config.epochs) == (140, 320, each.epochs)
        assert config.data.holdout == 0 and config.precision == "float32"
        assert config.data.include == ("" if name.endswith("-all") else experiments.CLEAN)
    assert runs.configured("began", Options()).batch_size == 16
    assert runs.configured("ralsgan", Options(demo=True)).height == 28


@pytest.mark.parametrize(
    "seconds, expected",
    [
        (1e9, {"a": 10, "b": 100, "c": 50}),
        (170, {"a": 10, "b": 80, "c": 16}),  # a needs 10; b and c share what it leaves
        (40, {"a": 10, "b": 15, "c": 3}),
        (0, {"a": 2, "b": 2, "c": 2}),
    ],
)
def test_only_what_is_longest_is_cut(seconds, expected):
    epochs, costs = {"a": 10, "b": 100, "c": 50}, {"a": 1.0, "b": 1.0, "c": 5.0}
    assert shared_out(epochs, costs, seconds) == expected


def test_time_that_is_enough_is_used_up():
    epochs, costs = {str(i): 400 for i in range(13)}, {str(i): 1.0 + i for i in range(13)}
    for seconds in (5_000, 20_000):
        plan = shared_out(epochs, costs, seconds)
        spent = sum(plan[name] * costs[name] for name in plan)
        assert seconds - sum(costs.values()) <= spent <= seconds


NAMES = ["dcgan_shallow", "began"]


@pytest.fixture(scope="module")
def tiny_runs(tmp_path_factory):
    """A GAN and an autoencoder's, tiny, at their end."""
    folder = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as context:
        made_tiny(context)
        assert runs.run(folder, NAMES, Options(), 600.0) == []
    return folder


def made_tiny(context):
    """Tiny networks, twelve epochs, scores without intervals."""
    plain = functools.partial(runs.evaluation.evaluate, intervals=False)
    context.setattr(runs.evaluation, "evaluate", plain)
    context.setattr(runs, "configured", tiny_configured)
    context.setattr(runs, "JUDGING", 0.0)


def tiny_configured(name, options):
    experiment = EXPERIMENTS[name]
    config = tiny_config(experiment.config)
    config.name, config.epochs, config.batch_size = name, 12, 16
    config.data.count = 80
    config.keep_checkpoints = 1
    return config


def test_runs_leave_grids_scores_and_facts_and_no_checkpoints(tiny_runs):
    for name in NAMES:
        folder = tiny_runs / name
        facts = json.loads((folder / runs.FACTS).read_text())
        assert facts["epochs"] == 12 and facts["diverged"] is None and facts["flops"] > 0
        assert not (folder / workdir.CHECKPOINTS).exists()
        grids = sorted(int(path.stem) for path in (folder / runs.GRIDS).glob("*.png"))
        assert grids == sorted({n for n in EXPERIMENTS[name].grids if n < 12} | {12})
    assert json.loads((tiny_runs / runs.PLAN).read_text()) == dict.fromkeys(NAMES, 12)


def test_a_second_call_has_nothing_to_do(tiny_runs, monkeypatch):
    monkeypatch.setattr(runs, "configured", tiny_configured)
    before = {path: path.stat().st_mtime_ns for path in tiny_runs.rglob("*.json*")}
    assert runs.run(tiny_runs, NAMES, Options(), 600.0) == []
    assert {path: path.stat().st_mtime_ns for path in tiny_runs.rglob("*.json*")} == before


def test_what_is_found_is_what_was_logged(tiny_runs):
    by_name = {each.name: each for each in found.read(tiny_runs)}
    assert sorted(by_name) == sorted(NAMES)
    one = by_name["dcgan_shallow"]
    assert one.images == 80
    first = [line for line in one.lines if line["epoch"] == 1]
    weighted = sum(line["d_loss"] * line["steps"] for line in first)
    assert one.at("d_loss", 1) == pytest.approx(weighted / sum(line["steps"] for line in first))
    assert math.isnan(one.at("d_loss", 405)) and math.isnan(one.at("k", 1))
    assert one.readings("g_loss") == [(2, 3.9)]
    assert one.gflops == pytest.approx(one.rate * one.facts["flops"] / 1e9)
    assert all(value >= 0 for value in one.score("frechet"))


def test_the_page_shows_curves_readings_grids_and_scores(tiny_runs):
    made = page.render(found.read(tiny_runs))
    ids = set(re.findall(r'<section id="([^"]+)"', made))
    assert ids == {"scores", *NAMES, "protocol"}
    assert made.count('class="read d"') == 1  # the DCGAN's; BEGAN's are of epoch 260
    assert '<th scope="row">G\'s loss, epoch 2</th><td>3.9</td>' in made
    assert "epoch 14" not in made
    began = made[made.index('<section id="began"') : made.index('<section id="dcgan_shallow"')]
    assert all(title in began for title in ("k_t", "M_global", "L(G(z)) / L(x)"))
    assert "these after the autoencoder" in began
    grids = sum(len(each.grids()) for each in found.read(tiny_runs))
    assert made.count("data-epoch=") == grids == 2 + 3
    assert "http://" not in made.replace("http://www.w3.org", "") and 'src="http' not in made


def test_the_verdict_names_the_best_and_the_recipe(tiny_runs):
    began, dcgan = found.read(tiny_runs)
    values = {"began": 3.0, "dcgan": 6.0, "recipe": 1.5}
    scored = lambda each, value: each._replace(
        kept={"scores": [{"name": "frechet", "value": value, "floor": 1.25}]}
    )
    recipe = scored(dcgan, values["recipe"])._replace(name="best")
    told = page.verdict([scored(began, values["began"]), scored(dcgan, values["dcgan"]), recipe])
    assert told == (
        "Of the report's, BEGAN comes nearest to the images, by a Frechet distance of 3 (other "
        "images: 1.25); the recipe has 1.5, 0.50 of it. One run of each: an anecdote."
    )


def test_the_command_writes_the_page_and_prints_tables(tiny_runs, tmp_path, monkeypatch, capsys):
    words = ["reproduction", "page", "--out", str(tiny_runs), "--page", str(tmp_path / "made")]
    monkeypatch.setattr("sys.argv", words)
    command.main()
    printed = capsys.readouterr().out
    assert (tmp_path / "made" / "index.html").exists()
    assert "| DCGAN, shallow" in printed and "| BEGAN" in printed
    assert re.search(r"\| +30 \| +147 \|", printed)  # the report's 4,415 images in 30 s
    assert "20 x 40 drawn fish" in printed


def test_without_finished_runs_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["reproduction", "page", "--out", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="no experiment in .*none came to its end"):
        command.main()


def test_time_that_is_over_stops_and_the_next_call_goes_on(tmp_path, monkeypatch):
    made_tiny(monkeypatch)
    assert runs.run(tmp_path, ["ralsgan"], Options(), 1e-6) == ["ralsgan"]
    assert runs.run(tmp_path, ["ralsgan"], Options(keep=True), 600.0) == []
    assert (tmp_path / "ralsgan" / workdir.CHECKPOINTS).exists()


def test_a_signal_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "configured", tiny_configured)
    plain = runs.training.train

    def killed(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return plain(*arguments, **options)

    monkeypatch.setattr(runs.training, "train", killed)
    with pytest.raises(Stopped):
        runs.run(tmp_path, ["ralsgan"], Options(), 600.0)


def test_a_run_that_diverges_is_told_and_is_no_obstacle(tmp_path, monkeypatch):
    def hopeless(name, options):
        config = tiny_configured(name, options)
        config.optimizer.generator_lr = config.optimizer.discriminator_lr = 1e30
        return config

    monkeypatch.setattr(runs, "configured", hopeless)
    assert runs.run(tmp_path, ["ralsgan"], Options(), 600.0) == []
    (lost,) = found.read(tmp_path)
    assert lost.facts["diverged"] and [f.name for f in lost.findings()] == ["divergence"]
    made = page.render([lost])
    assert "Diverged at step" in made and page.verdict([lost]).startswith("No experiment")
    assert "divergence" in table.results([lost])


def test_an_unknown_experiment_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reproduction", "run", "--only", "ralsgan,fishgan"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no 'fishgan'; there are ralsgan, dcgan_deep" in capsys.readouterr().err
