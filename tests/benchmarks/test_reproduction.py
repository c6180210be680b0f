"""The report's experiments trained again: all at tiny size, timed, cut, judged and shown."""

import functools
import html
import json
import math
import re
import signal

import pytest
from helpers.tiny import tiny_config

from benchmarks.reproduction import __main__ as command
from benchmarks.reproduction import found, page, runs, table
from benchmarks.reproduction.experiments import EXPERIMENTS
from benchmarks.reproduction.runs import Options, shared_out
from fish_jax.errors import Stopped, UserError
from fish_jax.runs import config_file, layout, metrics


def test_facts_of_the_report():
    deep, shallow = EXPERIMENTS["dcgan_deep"], EXPERIMENTS["dcgan_shallow"]
    assert (deep.epochs, EXPERIMENTS["ralsgan"].epochs, EXPERIMENTS["began"].epochs) == (
        405,
        400,
        260,
    )
    assert (EXPERIMENTS["ragan_sgd"].epochs, EXPERIMENTS["ralsgan_high_lr"].epochs) == (100, 50)
    assert EXPERIMENTS["ralsgan"].grids == (1, 10, 94, 100, 250, 400)
    assert shallow.readings["g_loss"] == ((2, 3.9), (14, 1.8), (63, 3.6), (405, 2.65))
    times = {
        name: each.seconds for name, each in EXPERIMENTS.items() if each.seconds and each.clean
    }
    expected = {"ralsgan": 40, "ragan_sgd": 40, "lsgan": 30, "dcgan_shallow": 30, "began": 180}
    expected |= {"dcgan_deep": 30, "dcgan_feature_matching": 30}
    assert times == expected  # of the others it tells none
    assert round(shallow.rate) == round(deep.rate) == 147
    assert EXPERIMENTS["began"].grids == (50, 200, 260)
    for name, each in EXPERIMENTS.items():
        read = [epoch for readings in each.readings.values() for epoch, _ in readings]
        assert max(*each.grids, *each.looks, *read) <= each.epochs, name


def test_full_size_configs_are_the_reports():
    options = Options("photos/", clean="a_*,b_*")
    assert runs.offered(options) == list(EXPERIMENTS)
    for name, each in EXPERIMENTS.items():
        config = runs.configured(name, options)
        assert (config.height, config.width, config.epochs) == (140, 320, each.epochs)
        assert config.data.holdout == 0 and config.precision == "float32"
        assert config.data.include == ("" if name.endswith("-all") else "a_*,b_*")
    assert runs.configured("began", Options()).batch_size == 16
    assert runs.configured("ralsgan", Options(demo=True)).height == 28
    assert [name for name in EXPERIMENTS if name not in runs.offered(Options())] == [
        "ralsgan-all",
        "dcgan_deep-all",
        "began-all",
    ]


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
    plain = functools.partial(runs.evaluate.evaluate, intervals=False)
    context.setattr(runs.evaluate, "evaluate", plain)
    context.setattr(runs, "configured", tiny_configured)
    context.setattr(runs, "AROUND", 0.0)


def tiny_configured(name, options):
    experiment = EXPERIMENTS[name]
    config = tiny_config(experiment.config)
    config.name, config.epochs, config.batch_size = name, 12, 16
    config.data.count = 110
    config.keep_checkpoints = 1
    return config


@pytest.mark.slow
def test_runs_leave_grids_scores_and_facts_and_no_checkpoints(tiny_runs):
    for name in NAMES:
        folder = tiny_runs / name
        facts = json.loads((folder / runs.FACTS).read_text())
        assert facts["epochs"] == 12 and facts["diverged"] is None and facts["flops"] > 0
        assert not (folder / layout.CHECKPOINTS).exists()
        grids = sorted(int(path.stem) for path in (folder / runs.GRIDS).glob("*.png"))
        assert grids == {"dcgan_shallow": [10, 12], "began": [1, 10, 12]}[name]
    assert json.loads((tiny_runs / runs.PLAN).read_text()) == dict.fromkeys(NAMES, 12)


@pytest.mark.slow
def test_a_second_call_has_nothing_to_do(tiny_runs, monkeypatch):
    monkeypatch.setattr(runs, "configured", tiny_configured)
    before = {path: path.stat().st_mtime_ns for path in tiny_runs.rglob("*.json*")}
    assert runs.run(tiny_runs, NAMES, Options(), 600.0) == []
    assert {path: path.stat().st_mtime_ns for path in tiny_runs.rglob("*.json*")} == before


@pytest.mark.slow
def test_what_is_found_is_what_was_logged(tiny_runs):
    by_name = {each.name: each for each in found.read(tiny_runs)}
    assert sorted(by_name) == sorted(NAMES)
    one = by_name["dcgan_shallow"]
    assert one.facts["images"] == 110 and one.epoch == 12
    first = [line for line in one.lines if line["epoch"] == 1]
    weighted = sum(line["d_loss"] * line["steps"] for line in first)
    assert one.at("d_loss", 1) == pytest.approx(weighted / sum(line["steps"] for line in first))
    assert math.isnan(one.at("d_loss", 405)) and math.isnan(one.at("k", 1))
    assert one.readings("g_loss") == [(2, 3.9)]
    assert one.gflops == pytest.approx(one.rate * one.facts["flops"] / 1e9)
    assert all(value >= 0 for value in one.score("frechet"))


@pytest.mark.slow
def test_the_page_shows_curves_readings_grids_and_scores(tiny_runs):
    made = page.render(found.read(tiny_runs))
    ids = set(re.findall(r'<section id="([^"]+)"', made))
    assert ids == {"scores", *NAMES, "protocol"}
    assert made.count('class="read d"') == 1  # the DCGAN's; BEGAN's are of epoch 260
    cells = re.sub(r">\s+<", "><", html.unescape(made))
    assert '<th scope="row">G\'s loss, epoch 2</th><td>3.9</td>' in cells
    assert "epoch 14" not in made
    began = made[made.index('<section id="began"') : made.index('<section id="dcgan_shallow"')]
    assert all(title in began for title in ("k_t", "M_global", "L(G(z)) / L(x)"))
    assert "these after the autoencoder" in began
    grids = sum(len(each.grids()) for each in found.read(tiny_runs))
    assert made.count("data-epoch=") == grids == 2 + 3
    assert "http://" not in made.replace("http://www.w3.org", "") and 'src="http' not in made


@pytest.mark.slow
def test_the_verdict_names_the_best_and_the_recipe(tiny_runs):
    began, dcgan = found.read(tiny_runs)
    values = {"began": 3.0, "dcgan": 6.0, "recipe": 1.5}
    scored = lambda each, value: each._replace(
        kept={"scores": [{"name": "frechet", "value": value, "floor": 1.25}]}
    )
    recipe = scored(dcgan, values["recipe"])._replace(name="flat")
    told = page.verdict([scored(began, values["began"]), scored(dcgan, values["dcgan"]), recipe])
    assert told == (
        "Of the report's, BEGAN comes nearest to the images, by a Frechet distance of 3 (other "
        "images: 1.25); the recipe has 1.5, 0.50 of it. One run of each: an anecdote."
    )


@pytest.mark.slow
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


def logged(folder, epochs, rate, diverged=None):
    """The folder of a run of 100 images an epoch that was timed, as far as plans read it."""
    folder.mkdir()
    (folder / layout.CONFIG).write_text(json.dumps({"data": {}, "batch_size": 10}))
    for epoch in range(1, epochs + 1):
        line = {"step": 10 * epoch, "epoch": epoch, "images": 100 * epoch, "steps": 10}
        metrics.append_metrics(folder, line | {"images_per_second": rate})
    if diverged:
        (folder / runs.FACTS).write_text("{}")


def test_a_plan_leaves_time_for_what_was_planned_before(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "AROUND", 7.0)
    logged(tmp_path / "ralsgan", 20, 100.0)
    logged(tmp_path / "lsgan", 2, 50.0)
    logged(tmp_path / "ragan_sgd", 2, 50.0, diverged=12)
    (tmp_path / runs.PLAN).write_text('{"ralsgan": 120}')
    plan = lambda seconds: runs._planned(
        tmp_path, ["ralsgan", "lsgan", "ragan_sgd"], Options(), seconds
    )
    assert plan(114.0) == {"ralsgan": 120}  # 100 s are owed, and 7 s for each that is left
    assert plan(114.0 + 60.0) == {"ralsgan": 120, "lsgan": 32}  # two of its epochs are done
    assert plan(1e9) == {"ralsgan": 120, "lsgan": 32}


def test_other_options_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_left", lambda folder, names: [])
    (tmp_path / "ralsgan").mkdir()
    begun = config_file.plain(runs.configured("ralsgan", Options("photos/")))
    (tmp_path / "ralsgan" / layout.CONFIG).write_text(json.dumps(begun))
    runs.run(tmp_path, ["ralsgan"], Options("elsewhere/"), 1.0)
    for options, field in (
        (Options("photos/", demo=True), "height: 140 there, 28 now"),
        (Options("photos/", precision="tf32"), "precision: 'float32' there, 'tf32' now"),
        (Options("photos/", clean="a_*"), "data.include"),
        (Options(), "data.path: 'photos/' there, '' now"),
    ):
        with pytest.raises(UserError, match=f"choose another --out(.|\n)*{field}"):
            runs.run(tmp_path, ["ralsgan"], options, 1.0)


def test_experiments_of_all_photographs_need_to_know_the_clean_ones(monkeypatch):
    monkeypatch.setattr("sys.argv", ["reproduction", "run", "--only", "ralsgan-all"])
    with pytest.raises(SystemExit, match="ralsgan-all needs --clean"):
        command.main()


@pytest.mark.parametrize(
    "value, text",
    [(999.7, "1,000"), (0.03456, "0.0346"), (99.96, "100"), (12.34, "12.3"), (math.nan, "")],
)
def test_numbers(value, text):
    assert table.number(value) == text


@pytest.mark.slow
def test_time_that_is_over_stops_and_the_next_call_goes_on(tmp_path, monkeypatch):
    made_tiny(monkeypatch)
    assert runs.run(tmp_path, ["ralsgan"], Options(), 1e-6) == ["ralsgan"]
    assert runs.run(tmp_path, ["ralsgan"], Options(keep=True), 600.0) == []
    assert (tmp_path / "ralsgan" / layout.CHECKPOINTS).exists()


def test_a_signal_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "configured", tiny_configured)
    plain = runs.train.train

    def killed(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return plain(*arguments, **options)

    monkeypatch.setattr(runs.train, "train", killed)
    with pytest.raises(Stopped):
        runs.run(tmp_path, ["ralsgan"], Options(), 600.0)


@pytest.mark.slow
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
    assert "diverged at step" in made and page.verdict([lost]).startswith("No experiment")
    assert "divergence" in table.results([lost])


def test_an_unknown_experiment_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["reproduction", "run", "--only", "ralsgan,fishgan"])
    with pytest.raises(SystemExit):
        command.main()
    assert "no 'fishgan'; there are ralsgan, dcgan_deep" in capsys.readouterr().err
