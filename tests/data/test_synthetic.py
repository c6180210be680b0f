"""The synthetic fish: reproducible, all different, alike at every size."""

import collections
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fish_jax.data.synthetic import drawing, painting, shapes, species, tables
from fish_jax.data.synthetic.drawing import draw_fish, draw_school
from fish_jax.data.synthetic.species import choose_fish

COUNT = 4415

# Mean colours of the first fish at 28 x 64, in blocks of 7 x 8 pixels, row by row.
# fmt: off
GOLDEN = (
    (
         75, 157, 220,  78, 154, 213,  62, 130, 188,  84, 132, 166,
         71, 136, 184,  78, 145, 194,  56, 138, 203,  55, 135, 197,
         78, 126, 186,  93,  78, 138, 114,  58, 139, 112,  60, 143,
        151,  97, 101, 123, 121, 116,  76, 115, 144, 103, 122, 129,
         72, 111, 159, 149, 120, 179, 162, 105, 170, 159,  98, 148,
        179, 115, 178, 140, 104, 139, 170, 129,  88, 129, 120, 101,
         55,  92, 140,  22,  63, 118,  72,  93, 141,  83, 101, 148,
        129, 114, 100,  62,  80, 105,  22,  63, 117,  49,  74, 108,
    ),
    (
         60,  93,  72,  61,  95,  73,  62,  97,  74,  87, 104,  68,
        107, 107,  61,  62,  96,  73,  61,  96,  74,  58,  90,  69,
        127, 107,  52,  90,  97,  58,  95, 113,  71, 132, 123,  60,
        113, 119,  63, 119, 126,  67,  84,  97,  58,  54,  83,  62,
        150, 112,  45, 126, 112,  60, 167, 163, 107, 160, 167, 119,
        185, 188, 128, 160, 151,  81, 172, 177, 123,  50,  73,  56,
         49,  54,  37,  24,  48,  35,  32,  49,  40,  27,  47,  40,
         89,  93,  61,  66,  87,  64,  29,  50,  40,  27,  47,  41,
    ),
    (
        247, 244, 239, 245, 241, 236, 198, 198, 197, 181, 183, 183,
        242, 239, 234, 248, 244, 239, 247, 243, 238, 248, 244, 239,
        229, 226, 221, 135, 135, 134, 104, 110, 117, 102, 109, 117,
        124, 129, 135, 202, 200, 198, 169, 171, 172, 244, 240, 234,
        218, 216, 210, 193, 204, 195, 172, 187, 179, 177, 191, 183,
        166, 178, 173, 202, 206, 200, 154, 157, 159, 232, 228, 222,
        220, 215, 209, 220, 215, 209, 211, 207, 202, 211, 208, 203,
        217, 213, 208, 227, 222, 216, 226, 222, 215, 223, 219, 213,
    ),
)
# fmt: on


def test_drawing_is_a_pure_function_of_its_arguments():
    first = draw_fish(3, 14, 28, 64)
    draw_fish(1, 2, 40, 50)
    np.testing.assert_array_equal(draw_fish(3, 14, 28, 64), first)


@pytest.mark.parametrize("other", [(0, 6), (1, 5), (5, 0)])
def test_other_seeds_and_indices_give_other_fish(other):
    difference = draw_fish(0, 5, 28, 64).astype(int) - draw_fish(*other, 28, 64)
    assert np.abs(difference).mean() > 4
    assert choose_fish(0, 5) != choose_fish(*other)


@pytest.mark.parametrize("size", [(16, 16), (28, 64), (140, 320), (33, 17), (16, 200), (90, 40)])
def test_any_size_is_drawn(size):
    picture = draw_fish(0, 0, *size)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.writeable
    assert np.ptp(picture.astype(int)) > 60


@pytest.mark.parametrize("index", range(8))
def test_the_same_fish_at_every_size(index):
    large = Image.fromarray(draw_fish(0, index, 140, 320))
    for height, width in [(28, 64), (70, 160)]:
        shrunk = np.asarray(large.resize((width, height), Image.Resampling.BOX), int)
        assert np.abs(shrunk - draw_fish(0, index, height, width)).mean() < 4


def test_a_school_is_its_fish_in_order():
    school = draw_school(40, 28, 64, seed=7)
    assert school.shape == (40, 28, 64, 3)
    assert school.dtype == np.uint8
    for index in (0, 1, 31, 32, 39):
        np.testing.assert_array_equal(school[index], draw_fish(7, index, 28, 64))
    np.testing.assert_array_equal(draw_school(9, 28, 64, seed=7), school[:9])


def test_pixels_are_those_of_the_version():
    """The cache of drawn fish is named by `drawing.VERSION`."""
    for index, means in enumerate(GOLDEN):
        blocks = draw_fish(0, index, 28, 64).reshape(4, 7, 8, 8, 3).mean(axis=(1, 3))
        assert np.abs(blocks - np.reshape(means, blocks.shape)).max() <= 1, (
            "the same seed gives other pixels than before: raise drawing.VERSION, so that cached "
            "fish are drawn anew, and write the new means here"
        )


def test_threads_draw_the_same_fish():
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda index: draw_fish(2, index, 28, 64), reversed(range(48))))
    np.testing.assert_array_equal(np.stack(drawn[::-1]), draw_school(48, 28, 64, seed=2))


def test_an_empty_school():
    assert draw_school(0, 20, 30).shape == (0, 20, 30, 3)


@pytest.mark.parametrize("count", [1, 32, 33, 75])
def test_progress_adds_up(count):
    reports = []
    draw_school(count, 16, 16, on_progress=reports.append)
    assert sum(reports) == count
    assert min(reports) > 0
    assert len(reports) > 1 or count <= 32


@pytest.mark.slow
def test_no_two_fish_of_a_data_set_are_equal(small_school):
    assert len({picture.tobytes() for picture in small_school}) == COUNT


@pytest.mark.slow
def test_fish_stand_out_from_the_backdrop(small_school):
    pictures = small_school.astype(int)
    rim = np.concatenate([pictures[:, 0], pictures[:, -1]], axis=1).mean(axis=1)
    middle = pictures[:, 6:10, 8:24].mean(axis=(1, 2))
    contrast = np.linalg.norm(middle - rim, axis=1)
    assert np.mean(contrast < 50) < 0.015


def test_traits_are_varied():
    school = [choose_fish(0, index) for index in range(200)]
    plans = collections.Counter(fish.plan.name for fish in school)
    assert len(plans) >= 8
    assert max(plans.values()) < 60
    facings = collections.Counter(fish.facing for fish in school)
    assert set(facings) == {-1, 1}
    assert min(facings.values()) > 60
    assert len({fish.tail for fish in school}) >= 6
    assert len({fish.pattern for fish in school}) >= 8
    assert len({fish.backdrop.scenery for fish in school}) == 5


def test_facing_mirrors_the_picture(monkeypatch):
    fish = choose_fish(0, 1)._replace(
        backdrop=tables.Backdrop("#ffffff", "#ffffff", "plain"),
        pattern="plain",
        centre=(0.5, 0.5),
    )
    pictures = {}
    for facing in (1, -1):
        turned = fish._replace(facing=facing)
        monkeypatch.setattr(drawing, "choose_fish", lambda seed, index, fish=turned: fish)
        pictures[facing] = draw_fish(0, 1, 28, 64).astype(int)
    assert np.abs(pictures[1] - pictures[-1]).mean() > 8
    assert np.abs(pictures[1] - pictures[-1][:, ::-1]).mean() < 6


def test_every_body_plan_names_tails_fins_and_patterns_that_exist():
    for plan in tables.BODY_PLANS:
        assert len(plan.back) == len(plan.belly) == len(shapes._STATIONS)
        assert set(plan.tails) <= set(tables.TAILS)
        assert {fin.shape for fin in plan.upper_fins + plan.lower_fins} <= set(tables.FIN_SHAPES)


def _patterns():
    return sorted({name for plan in tables.BODY_PLANS for name in plan.patterns})


@pytest.mark.parametrize("name", _patterns())
def test_patterns_mark_a_part_of_the_body(name):
    x, v = np.meshgrid(np.linspace(0, 1, 80), np.linspace(-1, 1, 40))
    marks = painting._pattern(name, x, 0.3 * v, v, np.random.default_rng(0))
    assert marks.shape == (40, 80)
    if name in ("plain", "scales"):
        assert not marks.any()
    else:
        assert 0 <= marks.min() < 0.1
        assert 0.9 < marks.max() <= 1


def test_every_palette_has_several_backdrops():
    for palette in tables.PALETTES:
        assert len(species._clear_backdrops(palette)) >= 3


def test_jax_is_not_imported():
    script = "import sys, fish_jax.data.synthetic.drawing; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.fixture(scope="module")
def small_school():
    return draw_school(COUNT, 16, 32)
