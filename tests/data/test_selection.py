"""`data.include`: which names it picks, and why it picks none."""

import unicodedata

import pytest

from fish_jax.data.image_files import Entry
from fish_jax.data.selection import choose_entries

NAMES = ["photo[1].jpg", "photo1.jpg", "a, b.jpg", "cats/tom.PNG", "x/dogs/rex.png", "Äsche.jpg"]


def choose(include, names=NAMES):
    entries = [Entry(name, 1, (), "", None) for name in names]
    chosen, notes = choose_entries(entries, include)
    return [entry.name for entry in chosen], notes


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ("photo[1].jpg", ["photo[1].jpg", "photo1.jpg"]),
        ("a, b.jpg", ["a, b.jpg"]),
        ("./cats/*", ["cats/tom.PNG"]),
        (" x/dogs/rex.png ", ["x/dogs/rex.png"]),
        ("rex.png,photo1.jpg", ["photo1.jpg", "x/dogs/rex.png"]),
        ("", NAMES),
        (" , ", NAMES),
    ],
)
def test_names_and_patterns_that_match(include, expected):
    assert choose(include) == (expected, [])


def test_a_file_without_a_name_does_not_hide_the_others():
    """As in a zip, which may call a file so."""
    assert choose("", ["", "a.jpg", "b/"]) == (["", "a.jpg", "b/"], [])
    assert choose("a*", ["", "a.jpg"]) == (["a.jpg"], [])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("include", ["Äsche*", "Äsche.jpg", "?sche.*"])
def test_unicode_is_compared_in_one_form(form, typed, include):
    name = unicodedata.normalize(form, "Äsche.jpg")
    assert choose(unicodedata.normalize(typed, include), [name]) == ([name], [])


@pytest.mark.parametrize(
    ("include", "note"),
    [
        ("*.PNG,zebra", "zebra matches none"),
        ("PHOTO*", "PHOTO* matches none: it differs from photo[1].jpg in upper"),
        ("cats", "cats matches none: it is a folder; write cats/*"),
        ("cats/", "cats/ matches none: it is a folder; write cats/*"),
        ("dogs", "dogs matches none: it is a folder; write */dogs/*"),
        (
            "*.{jpg,png}",
            "*.{jpg,png} matches none: braces are not supported; write *.jpg,*.png for",
        ),
        ("!cats/*", "!cats/* matches none: patterns select files and cannot exclude any"),
        ("cats\\*", "cats\\* matches none: separate folders with /"),
        ("x\x1b*", "x\\x1b* matches none"),
        ("cats/*.png,photo1.jpg", "cats/*.png matches none: it differs from"),
        ("rex.png,*.png", "left out, as upper and lower case differ: cats/tom.PNG"),
    ],
)
def test_what_may_be_amiss_is_told(include, note):
    _, notes = choose(include)
    assert any(each.startswith(note) for each in notes), notes
