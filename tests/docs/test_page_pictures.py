"""The pictures and formulas of docs/losses.md and docs/evaluation.md: made from the code."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.scripts import tool
from PIL import Image

from fish_jax import losses

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MOST = 80_000  # bytes of a picture


@pytest.fixture(scope="module")
def drawing():
    return tool("losses")


def test_every_loss_has_a_picture_and_a_place_on_the_page(drawing):
    page = (DOCS / "losses.md").read_text()
    assert sorted(sum(drawing.SHAPES.values(), ())) == sorted(losses.LOSSES)
    assert not [name for name in losses.LOSSES if f"`{name}`" not in page]
    for shape in drawing.SHAPES:
        assert f"(pictures/loss-{shape}.svg)" in page


def test_a_picture_shows_the_loss(drawing):
    scores, lost, slopes = drawing.values("hinge")
    other = 1  # what the image with the score 0 costs
    np.testing.assert_allclose(lost[0], np.maximum(1 - scores, 0) + other, atol=1e-6)
    np.testing.assert_allclose(lost[2], -scores, atol=1e-6)
    np.testing.assert_allclose(slopes[1], scores > -1, atol=0.51)  # 1/2 at the corner


@pytest.mark.parametrize("names", [("rpgan", "rabce"), ("rplsgan", "ralsgan")])
def test_losses_of_one_picture_are_the_same(drawing, names):
    first, second = (drawing.values(name) for name in names)
    np.testing.assert_allclose(first[1], second[1], rtol=1e-6)


def test_a_loss_is_drawn_anew(drawing, tmp_path):
    drawing.draw("wgan", tmp_path / "wgan.svg")
    text = (tmp_path / "wgan.svg").read_text()
    assert "</svg>" in text and "slope of the loss" in text


def test_damages_are_drawn_anew(tmp_path):
    paths = tool("damage").main(tmp_path)
    assert {path.name for path in paths} <= {path.name for path in (DOCS / "pictures").iterdir()}
    for path in paths:
        assert path.stat().st_size < MOST
        with Image.open(path) as image:
            assert image.width > 600


def test_pictures_are_small_and_shown():
    pages = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    for path in (DOCS / "pictures").iterdir():
        assert path.stat().st_size < MOST or path.name.startswith("report"), path
        assert f"pictures/{path.name}" in pages, path


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", [*losses.LOSSES, "rgan", "ragan"])
def test_formulas_of_the_page_are_those_of_the_docstrings(name):
    formulas = re.findall(r"^ +([DG] = .*)$", getattr(losses, name).__doc__, re.M)
    assert formulas or name == "minimax"  # whose docstring refers to `bce`
    page = one_line((DOCS / "losses.md").read_text())
    assert not [each for each in formulas if one_line(each) not in page]
