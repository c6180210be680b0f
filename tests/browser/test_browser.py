"""The page as a visitor has it, in Chromium; SCREENSHOTS names a folder for pictures of it."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from servers import serving, train

FIRST = "figure .picture img"


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def seed_of(page: Page) -> int:
    return int(re.search(r"seed=(\d+)", page.url)[1])


def shown(page: Page, selector: str = FIRST) -> list[int]:
    """A picture's pixels, once it is there."""
    image = page.locator(selector).first
    expect(image).to_have_attribute("alt", re.compile("Generated image of seed"))
    page.wait_for_function(
        "s => document.querySelector(s).complete && document.querySelector(s).naturalWidth > 0",
        arg=selector,
    )
    return page.evaluate(
        """s => {
          const image = document.querySelector(s);
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }""",
        selector,
    )


def wait_for_seed(page: Page, seed: int) -> list[int]:
    alt = re.compile(f"^Generated image of seed {seed}, by")
    expect(page.locator(FIRST).first).to_have_attribute("alt", alt)
    return shown(page)


def test_first_fish_and_others(address, open_page):
    page = open_page(address)
    page.wait_for_url("**/?seed=*")
    seeds, pictures = [seed_of(page)], [wait_for_seed(page, seed_of(page))]
    expect(page).to_have_title("This fish does not exist")
    expect(page.locator("figcaption")).to_contain_text(f"seed {seeds[0]}")
    shot(page, "first")
    ways = (
        lambda: page.get_by_role("button", name="Another fish", exact=True).click(),
        lambda: page.locator("figure .picture").click(),
        lambda: page.keyboard.press("Space"),
        lambda: (page.locator("h1").click(), page.keyboard.press("Space")),
    )
    for way in ways:
        way()
        page.wait_for_function("seed => !location.search.endsWith(`=${seed}`)", arg=seeds[-1])
        seeds.append(seed_of(page))
        pictures.append(wait_for_seed(page, seeds[-1]))
    assert len(set(seeds)) == 5 and len(set(map(tuple, pictures))) == 5
    page.go_back()
    assert wait_for_seed(page, seeds[-2]) == pictures[-2]


def test_a_link_brings_the_same_fish(address, open_page):
    one, other = open_page(address, "/?seed=123"), open_page(address, "/?seed=123")
    assert wait_for_seed(one, 123) == wait_for_seed(other, 123)
    one.reload()
    assert wait_for_seed(one, 123) == shown(other)
    assert wait_for_seed(open_page(address, "/?seed=124"), 124) != shown(one)


def test_wrong_seeds_get_a_new_fish(address, open_page):
    for wrong in ("x", "-1", "4294967296", "1e3", "", "%3Cscript%3E"):
        page = open_page(address, f"/?seed={wrong}")
        page.wait_for_function("wrong => location.search !== `?seed=${wrong}`", arg=wrong)
        assert re.search(r"\?seed=\d{1,10}$", page.url)
        wait_for_seed(page, seed_of(page))


def test_a_walk_plays_and_ends_at_another_fish(address, open_page):
    page = open_page(address, "/?seed=5")
    before = wait_for_seed(page, 5)
    page.get_by_role("button", name="Walk to the next").click()
    canvas = page.locator("figure canvas")
    expect(canvas).to_be_visible()
    looks = set()
    for _ in range(8):
        looks.add(canvas.evaluate("canvas => canvas.toDataURL()"))
        page.wait_for_timeout(150)
    assert len(looks) >= 3  # more than the first and the last
    shot(page, "walk")
    page.wait_for_function("() => location.search !== '?seed=5'")
    after = wait_for_seed(page, seed_of(page))
    expect(canvas).to_be_hidden()
    assert after != before


MOVES = """new MutationObserver(() => (window.moved = true)).observe(
  document.querySelector("figure canvas"), { attributes: true, attributeFilter: ["width"] })"""


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_who_wants_no_motion_has_none(address, open_page, motion):
    page = open_page(address, "/?seed=5", reduced_motion=motion)
    wait_for_seed(page, 5)
    page.evaluate(MOVES)
    page.get_by_role("button", name="Walk to the next").click()
    page.wait_for_function("() => location.search !== '?seed=5'")
    wait_for_seed(page, seed_of(page))
    assert page.evaluate("window.moved ?? false") == (motion == "no-preference")


def test_a_wall_of_fish(address, open_page):
    page = open_page(address, "/?seed=7")
    first = wait_for_seed(page, 7)
    page.get_by_role("button", name="Wall of fish").click()
    expect(page).to_have_title("These fish do not exist")
    tiles = page.locator(".tiles img")
    expect(tiles).to_have_count(24)
    for index in range(24):
        expect(tiles.nth(index)).to_have_attribute(
            "alt", f"Generated image of seed {7 + index}, by best"
        )
    shot(page, "wall")
    assert shown(page, ".tiles img") == first
    page.reload()
    expect(page.locator(".tiles img")).to_have_count(24)
    page.get_by_role("button", name="Generated image of seed 9, by best").click()
    wait_for_seed(page, 9)
    assert page.url.endswith("/?seed=9")
    page.go_back()
    expect(page.locator(".tiles img")).to_have_count(24)
    page.get_by_role("button", name="Generated image of seed 8, by best").focus()
    page.keyboard.press("Space")
    wait_for_seed(page, 8)


def test_download_and_link(address, open_page):
    page = open_page(address, "/?seed=11", permissions=["clipboard-read", "clipboard-write"])
    pixels = wait_for_seed(page, 11)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download seed 11 of best").click()
    assert waiting.value.suggested_filename == "best-11.png"
    with Image.open(waiting.value.path()) as picture:
        rgba = np.asarray(picture.convert("RGBA"))
    assert rgba.ravel().tolist() == pixels
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("status").first).to_have_text("Link copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{address}/?seed=11"


def test_two_runs_side_by_side(environment, best, began, open_page):
    with serving(environment, best, began) as (address, _):
        page = open_page(address, "/?seed=3")
        wait_for_seed(page, 3)
        figures = page.locator("figure")
        expect(figures).to_have_count(2)
        expect(figures.nth(1)).to_contain_text("after the autoencoder")
        expect(page.locator("figure .still img")).to_have_attribute(
            "alt", "Generated image of seed 3, by began, after the autoencoder"
        )
        boxes = [figures.nth(index).bounding_box() for index in range(2)]
        assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
        shot(page, "two")
        page.get_by_role("button", name="Wall of fish").click()
        expect(page.locator(".tiles img[src]")).to_have_count(24)
        expect(page.locator(".row h2")).to_have_text(["best", "began"])
        shot(page, "two-wall")
        page.context.close()  # before the server


def test_dark(address, open_page):
    colours = []
    for scheme in ("light", "dark"):
        page = open_page(address, "/?seed=3", color_scheme=scheme)
        wait_for_seed(page, 3)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        shot(page, scheme)
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert light > 600 and dark < 120


def test_a_phone(address, open_page):
    options = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    for path, name in (("/?seed=3", "phone"), ("/?seed=3&wall", "phone-wall")):
        page = open_page(address, path, **options)
        shown(page, ".tiles img" if "wall" in path else FIRST)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for button in page.locator("#controls button").all():
            if button.is_visible():
                assert button.bounding_box()["height"] >= 44
        shot(page, name)


NAME = "document.activeElement.ariaLabel ?? document.activeElement.innerText"


def test_keyboard_alone(address, open_page):
    page = open_page(address, "/?seed=3")
    wait_for_seed(page, 3)
    names = []
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate(NAME))
    buttons = ["Another fish", "Walk to the next", "Wall of fish", "Copy link"]
    assert names == ["", "Download seed 3 of best", *buttons]  # a picture is named by its image
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # presses the button that has the focus, and no other
    expect(page.locator(".tiles img")).to_have_count(24)
    assert "wall" in page.url
    page.keyboard.press("ArrowLeft")
    wait_for_seed(page, 3)
    page.keyboard.press("ArrowLeft")  # not out of the page
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search !== '?seed=3'")
    wait_for_seed(page, seed_of(page))


def test_a_screen_reader_hears_of_the_fish(address, open_page):
    page = open_page(address, "/?seed=3")
    wait_for_seed(page, 3)
    expect(page.get_by_role("button", name="Generated image of seed 3, by best")).to_be_visible()
    expect(page.locator("#said")).to_have_text("Seed 3")
    expect(page.get_by_role("heading", level=1)).to_have_text("This fish does not exist")
    page.keyboard.press("Space")
    expect(page.locator("#said")).not_to_have_text("Seed 3")


URLS = """for (const name of ["createObjectURL", "revokeObjectURL"]) {
  const own = URL[name].bind(URL);
  window.counts = { createObjectURL: 0, revokeObjectURL: 0 };
  URL[name] = (x) => (window.counts[name]++, own(x));
}"""


def test_pictures_are_given_back(address, open_page):
    page = open_page(address, "/?seed=1")
    wait_for_seed(page, 1)
    page.evaluate(URLS)
    for _ in range(5):
        before = seed_of(page)
        page.keyboard.press("Space")
        page.wait_for_function("seed => !location.search.endsWith(`=${seed}`)", arg=before)
        wait_for_seed(page, seed_of(page))
    page.get_by_role("button", name="Wall of fish").click()
    expect(page.locator(".tiles img[src]")).to_have_count(24)
    page.get_by_role("button", name="One fish").click()
    wait_for_seed(page, seed_of(page))
    page.wait_for_function("counts.createObjectURL - counts.revokeObjectURL <= 1")
    assert page.evaluate("counts.createObjectURL") >= 29


@pytest.mark.parametrize("path, pictures", [("/?seed=3", 1), ("/?seed=3&wall", 12)])
def test_the_page_waits_for_a_run_and_follows_it(
    environment, best, tmp_path, open_page, path, pictures
):
    """A run's folder before its first checkpoint, beside a finished one; then a newer one."""
    folder, images = tmp_path / "late", "img[alt*='by late']"
    folder.mkdir()
    shutil.copy(best / "config.json", folder)
    with serving(environment, folder, best) as (address, process):
        assert process.stdout.readline() == "late has no checkpoint yet; the page waits for it\n"
        page = open_page(address, path)
        expect(page.get_by_role("status").first).to_contain_text("late: no checkpoint yet")
        expect(page.locator("img[alt*='by best']")).to_have_count(pictures)
        expect(page.locator("figcaption, .row h2").filter(has_text="late").first).to_be_attached()
        shot(page, f"waiting-{pictures}")
        staging = tmp_path / "staging"
        shutil.copytree(best / "checkpoints", staging)
        staging.rename(folder / "checkpoints")
        expect(page.locator(images)).to_have_count(pictures, timeout=60_000)
        expect(page.get_by_role("status").first).to_be_empty()
        before = page.locator(images).first.get_attribute("src")
        train(environment, folder, "best", "--config.epochs=3")
        page.wait_for_function(
            "([images, before]) => document.querySelector(images).src !== before",
            arg=[images, before],
            timeout=60_000,
        )
        if pictures == 1:
            expect(page.locator("figcaption").first).to_contain_text("3 epochs")
        page.context.close()  # before the server


def test_behind_alpha_the_page_is_white(address, environment, open_page, tmp_path):
    """In the dark, too; behind pictures without alpha nothing is to be seen."""
    run = train(environment, tmp_path / "run", "lsgan_dense", "--config.data.channels=4")
    behind = "image => getComputedStyle(image).backgroundColor"
    with serving(environment, run) as (with_alpha, _):
        for place, colour in ((with_alpha, "rgb(255, 255, 255)"), (address, "rgba(0, 0, 0, 0)")):
            page = open_page(place, "/?seed=7", color_scheme="dark")
            wait_for_seed(page, 7)
            assert page.locator(FIRST).first.evaluate(behind) == colour
            shot(page, "alpha" if place == with_alpha else "opaque")
            page.close()  # before its server ends, which it asks for news
