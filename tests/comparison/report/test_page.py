"""The report of a comparison: sound HTML that needs nothing else, with the comparison's numbers."""

import base64
import io
import json
import math
import pickle
import re
import resource
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fish_jax.comparison.compare import Comparison
from fish_jax.comparison.report import curves, page, thumbnails
from fish_jax.comparison.results import Mark, Outcome, Results
from fish_jax.evaluation.scores import SCORES
from fish_jax.runs.health import Finding, not_finite
from fish_jax.utils import pictures

FLOORS = {name: 0.5 for name in SCORES} | {"frechet": 1.0, "at_28_x_64": 2.0}
VOID = {"meta", "input", "img", "br", "link"}
SECTIONS = ["scores", "samples", "losses", "verdicts", "course", "protocol"]
HOSTILE = '<script>alert("1")</script>&amp;'


class Reader(HTMLParser):
    """Fails where tags are not balanced; keeps tags, ids, text and the cells of the first table."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.rows, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))
        if self.in_scores() and tag == "tr":
            self.rows.append([])
        if self.in_scores() and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        inside = [tag for tag, _ in self.open]
        if "style" not in inside and "script" not in inside:
            self.text.append(data)
        apart = any(a.get("class") in ("wish", "star") for _, a in self.open)
        if self.in_scores() and ("td" in inside or "th" in inside) and not apart:
            self.rows[-1][-1] += data

    def in_scores(self):
        return any(a.get("class") == "scores" for _, a in self.open)

    def all(self, tag):
        return [attributes for found, attributes in self.tags if found == tag]

    def ids(self):
        return [a["id"] for _, a in self.tags if "id" in a]

    def said(self):
        return " ".join("".join(self.text).split())


def outcome(loss, seed, frechet=3.0, diverged=None, epochs=(2, 4), curves=True, findings=()):
    rng = np.random.default_rng(seed)
    marks = tuple(
        Mark(
            epoch,
            epoch * 100,
            epoch * 10,
            {name: 0.4 + 0.1 * seed for name in FLOORS} | {"frechet": frechet + seed / 10},
            rng.normal(1, 1, 50).tolist(),
            rng.normal(0, 1, 50).tolist(),
        )
        for epoch in epochs
    )
    logged = {"images": list(range(0, 400, 4)), "d_loss": [0.5] * 100, "g_loss": [1.5] * 100}
    if diverged is not None:
        findings = (*findings, not_finite(diverged, 10))
    return Outcome(loss, seed, diverged, marks, 90.0, logged if curves else {}, findings)


def draw_grids(found, size=(28, 64)):
    """Grids as `compare` leaves them, of noise, which is the hardest to compress."""
    rng = np.random.default_rng(0)
    for o in found.outcomes:
        for mark in o.marks:
            images = rng.integers(0, 256, (32, *size, 3), dtype=np.uint8)
            run = Path(found.folder) / "runs" / f"{o.loss}-{o.seed}"
            pictures.write_png(run / f"mark-{mark.epoch:06d}.png", pictures.grid(images, 8))


def comparison(outcomes, folder="", **fields):
    losses = tuple(dict.fromkeys(o.loss for o in outcomes))
    seeds = tuple(dict.fromkeys(o.seed for o in outcomes))
    made = Comparison(tuple(outcomes), losses, seeds, FLOORS, "a protocol", str(folder))
    return made._replace(**fields)


@pytest.fixture
def found(tmp_path):
    """Two losses that end, one of which was found wrong once, and one of which a run diverged."""
    wrong = (Finding("collapse", 300, "All samples are alike."),)
    outcomes = [
        *(outcome("hinge", seed, 2.0) for seed in range(3)),
        *(outcome("lsgan", seed, 9.0, findings=wrong if seed == 1 else ()) for seed in range(3)),
        *(outcome("wgan", seed, 30.0) for seed in range(2)),
        outcome("wgan", 2, 30.0, diverged=1234, epochs=(2,)),
    ]
    made = comparison(outcomes, tmp_path)
    (tmp_path / "protocol.json").write_text(json.dumps({"config": {"batch_size": 77}}))
    draw_grids(made)
    return made


def cells(read):
    return [["" if cell == "–" else cell for cell in row] for row in read.rows]


def test_the_page_is_sound_and_has_every_section(found):
    text = page.render(found)
    read = Reader(text)
    ids = read.ids()
    assert len(ids) == len(set(ids))
    assert [a["id"] for a in read.all("section")] == SECTIONS
    assert {a["href"][1:] for a in read.all("a") if a["href"][0] == "#"} <= set(ids)
    assert {a["for"] for a in read.all("label") if "for" in a} <= set(ids)
    assert len(read.all("h1")) == 1
    assert all(a.get("scope") for a in read.all("th"))
    assert all(
        a.get("aria-label") or a.get("aria-hidden") or "viewbox" in a for a in read.all("svg")
    )
    assert all("alt" in a for a in read.all("img"))
    assert (
        "hinge ranks first, with a Frechet distance of 2.1 ± 0.25 (real images: 1)" in read.said()
    )
    assert "overlap that of lsgan, which is second with 9.1 ± 0.25" in read.said()
    assert "lsgan, seed 1: collapse. All samples are alike. (300 images seen)" in read.said()
    assert "wgan, seed 2: divergence. a number was not finite after step 1234" in read.said()
    assert '"batch_size": 77' in read.said() and "a protocol" in read.said()


def test_nothing_is_loaded(found):
    text = page.render(found)
    read = Reader(text)
    sources = [a[name] for _, a in read.tags for name in ("src", "href", "srcset") if name in a]
    local = re.compile(r"#[\w-]+|data:image/webp;base64,[\w+/=]+|comparison\.(json|csv)")
    assert sources and all(local.fullmatch(source) for source in sources)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text)


def test_the_table_is_that_of_the_comparison(found):
    rows = found.rows()
    read = cells(Reader(page.render(found)))
    assert read == [list(rows[0]), *[list(row.values()) for row in rows]]


def test_the_best_of_each_column_is_marked(found):
    text = page.table(found)
    best = re.findall(r'<td class="best"><span class="star"[^>]*>◆</span>([^<]*)', text)
    assert best == ["2.1", *["0.5"] * 6, *["0.5"] * 6, *["0.45"] * 2]  # equal ones share it
    alone = found._replace(
        losses=("hinge",), outcomes=tuple(o for o in found.outcomes if o.loss == "hinge")
    )
    assert 'class="best"' not in page.table(alone)


def test_best_is_lowest_highest_or_nearest_to_real():
    scores = [
        {"frechet": 3.0, "recall": 0.2, "similarity": 0.1},
        {"frechet": 4.0, "recall": 0.3, "similarity": 0.4},
    ]
    outcomes = [
        Outcome(loss, 0, None, (Mark(1, 1, 1, values, [], []),), 1.0)
        for loss, values in zip("ab", scores)
    ]
    made = Results(
        tuple(outcomes), ("a", "b"), (0,), {"frechet": 1.0, "recall": 1.0, "similarity": 0.5}, ""
    )
    assert [page._best(made, name) for name in scores[0]] == [["a"], ["b"], ["b"]]
    same = made._replace(outcomes=tuple(o._replace(marks=outcomes[0].marks) for o in outcomes))
    assert page._best(same, "frechet") == []


def test_samples_are_in_the_page_and_a_diverged_run_is_told(found):
    text = page.render(found)
    images = [a for a in Reader(text).all("img") if a.get("src")]
    assert len(images) == 17
    assert images[0]["alt"] == "8 samples of hinge, seed 0, after epoch 2"
    assert text.count('class="gone">× diverged at step 1,234<') == 1
    assert '<img class="tiny"' in text
    (Path(found.folder) / "runs" / "hinge-0" / "mark-000002.png").write_bytes(b"no picture")
    (Path(found.folder) / "runs" / "hinge-0" / "mark-000004.png").unlink()
    assert page.render(found).count("its picture is missing") == 2


def decoded(source):
    data = base64.b64decode(source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_samples_are_of_the_first_latents(found):
    sheet = Image.open(Path(found.folder) / "runs" / "lsgan-1" / "mark-000004.png")
    images = pictures.cut(np.asarray(sheet), 8, 4)
    shown = [a for a in Reader(page.render(found)).all("img") if "lsgan, seed 1" in a["alt"]]
    read = decoded(shown[1]["src"])
    np.testing.assert_array_equal(read[:28, :64, :3], images[0])
    np.testing.assert_array_equal(read[-28:, -64:, :3], images[7])


def test_a_tiny_picture_is_kept_to_the_last_bit():
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 64, 3), dtype=np.uint8)
    sheet = thumbnails.arrange(images, wide=False)
    assert sheet.shape == (4 * 29 - 1, 2 * 65 - 1, 4)
    np.testing.assert_array_equal(sheet[29:57, 65:, :3], images[3])
    assert not sheet[28].any() and (sheet[29:57, 65:, 3] == 255).all()
    assert thumbnails.arrange(images, wide=True).shape == (2 * 29 - 1, 4 * 65 - 1, 4)
    read = decoded(thumbnails.encode(sheet, 64, 10**6))
    np.testing.assert_array_equal(read[sheet[..., 3] > 0], sheet[sheet[..., 3] > 0])


@pytest.mark.slow
def test_the_page_stays_small(tmp_path):
    """Six losses, three seeds and four marks of noise at the size of the report."""
    made = comparison(
        [outcome(f"l{i}", s, epochs=(1, 2, 3, 4)) for i in range(6) for s in range(3)], tmp_path
    )
    images = np.random.default_rng(0).integers(0, 256, (32, 140, 320, 3), dtype=np.uint8)
    sheet = pictures.grid(images, 8)
    for o in made.outcomes:
        for mark in o.marks:
            path = tmp_path / "runs" / f"{o.loss}-{o.seed}" / f"mark-{mark.epoch:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if o is made.outcomes[0] and mark is o.marks[0]:
                pictures.write_png(path, sheet)
                first = path
            else:
                path.symlink_to(first)
    text = page.render(made)
    assert text.count("data:image/webp") == 72
    assert 10**6 < len(text.encode()) < 10**7


def test_hostile_names_are_text(tmp_path):
    wrong = (Finding(HOSTILE, 1, HOSTILE),)
    made = comparison([outcome(HOSTILE, 0, findings=wrong), outcome("b", 0, diverged=1, epochs=())])
    (tmp_path / "protocol.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    plain = page.render(comparison([outcome("a", 0), outcome("b", 0, diverged=1, epochs=())]))
    made = made._replace(protocol=HOSTILE, folder=str(tmp_path))
    draw_grids(made)
    text = page.render(made)
    alts = [a for a in Reader(text).all("img") if HOSTILE in a["alt"]]
    assert [a["data-loss"] for a in alts] == [HOSTILE] * 2
    read = Reader(text)
    assert len(read.all("script")) == len(Reader(plain).all("script")) == 1
    assert "alert(" not in "".join(re.findall(r"<script>(.*?)</script>", text, re.S))
    assert read.said().count(HOSTILE) >= 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_numbers_that_are_not_finite(value):
    strange = outcome("strange", 0)
    marks = tuple(
        m._replace(scores=dict.fromkeys(FLOORS, value), real=[value] * 3, fake=[0.0, value])
        for m in strange.marks
    )
    curves = {name: [value] * 100 for name in ("d_loss", "g_loss", "k", "energy_ratio")}
    strange = strange._replace(marks=marks, curves={"images": list(range(100))} | curves)
    for others in ([], [outcome("sound", 0)]):
        text = page.render(comparison([strange, *others], floors=FLOORS | {"recall": value}))
        read = Reader(text)
        assert not re.search(r'd="[^"]*(nan|inf|e\+)', text)
        assert "equilibrium" in read.ids()


@pytest.mark.parametrize("epochs", [(), (2,)])
def test_all_runs_diverged(epochs):
    made = comparison(
        [outcome(loss, s, diverged=9, epochs=epochs) for loss in "abc" for s in (0, 1, 2)]
    )
    read = Reader(page.render(made))
    assert "Every run diverged: there is nothing to rank." in read.said()
    assert "1 more" in read.said() and read.said().count("was not finite after step 9 ") == 9
    assert [row[-1] for row in read.rows[1:]] == ["3 of 3"] * 3 + ["–"]


@pytest.mark.parametrize("losses, seeds", [(1, 1), (1, 3), (15, 1), (2, 2)])
def test_few_and_many(losses, seeds):
    names = [f"loss_of_a_long_name_number_{i}" for i in range(losses)]
    made = comparison(
        [outcome(n, s, 2.0 + i, epochs=(3,)) for i, n in enumerate(names) for s in range(seeds)]
    )
    read = Reader(page.render(made))
    rows = made.rows()
    assert cells(read)[1:] == [list(row.values()) for row in rows]
    assert ("anecdotal" in page.verdict(made)) == (seeds < 3)
    assert len(read.all("fieldset")) == 0
    assert len([a for a in read.all("input") if a.get("type") == "radio"]) == 2 * seeds * (
        seeds > 1
    )


def test_verdicts_in_words():
    runs = lambda loss, *values: [outcome(loss, s, v - s / 10) for s, v in enumerate(values)]
    say = lambda *outcomes: page.verdict(comparison([*outcomes]))
    assert "its interval overlaps that of b" in say(*runs("a", 1, 2, 9), *runs("b", 2, 3, 10))
    assert "its interval does not overlap" in say(*runs("a", 1, 1.1, 1), *runs("b", 5, 5.1, 5))
    assert "shares first place with b, with 2 ± 2.5." in say(
        *runs("a", 1, 2, 3), *runs("b", 1, 2, 3)
    )
    cycle = *runs("a", 1, 2, 9), *runs("b", 2, 9, 1), *runs("c", 4, 1, 2)
    assert "c, with" in say(*cycle).split(" shares first place with ")[0]  # the best on average
    assert " shares first place with " in say(*cycle) and "; and b, with" in say(*cycle)
    named = comparison([*runs("a", 1, 2, 3), *runs("b", 2, 3, 4)])._replace(advised=("a", "b"))
    assert "Not only the loss differs: a and b had optimisers" in page.verdict(named)
    assert any("in their papers: a, b" in note for note in named.notes())
    assert "b is second, with 5; too few runs" in say(*runs("a", 1), *runs("b", 5))
    lost = [outcome("b", s, diverged=7, epochs=()) for s in range(3)]
    assert "Only a finished" in say(*runs("a", 1, 1.1, 1), *lost)
    assert "Only a was trained" in say(*runs("a", 1, 1.1, 1))


def test_a_diverged_run_ends_with_a_cross(found):
    text = curves.loss_curves(found)
    assert text.count('class="cross"') == 2
    assert "× seed 2 diverged at step 1,234" in text
    scores = curves.score_curves(found)
    assert scores.count('class="cross"') == len(SCORES)


def test_long_names_are_cut_short_at_the_ends_of_lines():
    drawn = curves.score_curves(comparison([outcome("x" * 14, 0), outcome("y" * 13, 0)]))
    assert f">{'x' * 12}…<" in drawn and f">{'y' * 13}<" in drawn


def test_curves_that_were_not_kept(found):
    bare = found._replace(outcomes=tuple(o._replace(curves={}) for o in found.outcomes))
    assert curves.loss_curves(bare).count("no losses were logged") == 3
    assert curves.other_curves(bare) == "" and curves.equilibrium(bare) == ""


def test_equilibrium_has_gamma_and_only_losses_with_k(found, tmp_path):
    assert curves.equilibrium(found) == ""
    settings = {"config": {"loss": {"gamma": 0.7}}}
    (tmp_path / "protocol.json").write_text(json.dumps(settings))
    extra = {
        "k": [0.1] * 100,
        "m_global": [0.2] * 100,
        "energy_ratio": [0.6] * 100,
        "odd": [1.0] * 100,
    }
    first = found.outcomes[0]
    outcomes = (first._replace(curves={**first.curves, **extra}), *found.outcomes[1:])
    drawn = curves.equilibrium(found._replace(outcomes=outcomes))
    assert drawn.count("<figure") == 1 and ">γ<" in drawn and "M_global" in drawn
    assert ">odd<" in curves.other_curves(found._replace(outcomes=outcomes))
    (tmp_path / "protocol.json").write_text("half a fi")
    assert ">γ<" not in curves.equilibrium(found._replace(outcomes=outcomes))


def test_separation_is_the_share_of_pairs():
    assert curves.separation([1, 2], [0, 1.5, math.nan]) == 0.75
    assert curves.separation([1, 1], [1]) == 0.5
    assert math.isnan(curves.separation([], [1]))
    assert curves.gives_energy("began") and not curves.gives_energy("wgan_gp")


def test_energies_are_told_apart_the_other_way():
    mark = Mark(1, 1, 1, {}, [0.1, 0.2], [0.8, 0.9])
    drawn = [curves.verdicts(Outcome(x, 0, None, (mark,), 1.0)) for x in ("began", "lsgan")]
    assert ">100 %<" in drawn[0] and ">energy<" in drawn[0]
    assert ">0 %<" in drawn[1] and ">score<" in drawn[1]


def test_save_writes_three_files_and_replaces_them(found, tmp_path):
    folder = tmp_path / "new" / "page"
    assert found.save(folder) == folder / "index.html"
    names = ["comparison.csv", "comparison.json", "index.html"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "comparison.json").read_text())["protocol"] == "a protocol"
    assert (folder / "comparison.csv").read_text().startswith("loss,seed,diverged,epoch")
    found._replace(protocol="another one").save(folder)
    assert "another one" in (folder / "index.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in folder.iterdir()) == names


def test_a_changed_or_copied_comparison_can_be_saved(found):
    changed = found._replace(protocol="another one")
    assert type(changed) is Comparison and changed != found and changed._replace() == changed
    copied = pickle.loads(pickle.dumps(found))
    assert type(copied) is Comparison and copied == found == Results(*found)


def test_results_load_neither_templates_nor_plots():
    said = (
        "import sys, fish_jax.comparison.results; print({'jinja2', 'matplotlib'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_save_tells_where_it_cannot_write(found, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        found.save(tmp_path / "file")
    with pytest.raises(OSError, match="file/below"):
        found.save(tmp_path / "file" / "below")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large: .*comparison.json"):
            found.save(tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "full").iterdir()) == []


def test_an_installed_package_has_the_frame():
    settings = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]
    place, patterns = Path("fish_jax"), settings["package-data"]["fish_jax"]
    shipped = {path for pattern in patterns for path in place.glob(pattern)}
    files = [p for p in place.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")]
    assert {"page.html", "index.html", "card.md"} < {path.name for path in files}
    assert set(files) <= shipped
    packages = {".".join(path.parent.parts) for path in place.rglob("*.py")}
    assert packages == set(settings["packages"])
