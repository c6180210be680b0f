"""The tutorials: each a page and a notebook with the same cells, which run on tiny settings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from helpers.xla_flags import fusion_emitters

import fish_jax

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "index")
# What takes the place of a tutorial's settings, by the left side of the assignment.
TINY = {
    "own-loss": {"config.data.count": 200, "config.epochs": 1, "seeds": "range(1)"},
    "training-step": {"count": 32, "steps": 3},
    "which-loss": {
        "losses": ["lsgan", "hinge"],
        "seeds": "range(2)",
        "config.data.count": 200,
        "config.epochs": 1,
    },
    "your-folder": {"count": 16, "config.images": (16, 8)},
}
# Training the encoder of the scores takes minutes.
FIRST_CELL = "from fish_jax.evaluation.features import encoder\n\nencoder.STEPS = 3"


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def read(page):
    return nbformat.read(page.with_suffix(".ipynb"), as_version=4)


def shrink(notebook, settings):
    """Replaces settings of a notebook, each of which one line assigns."""
    for name, value in settings.items():
        line, found = re.compile(rf"^{re.escape(name)} = .*$", re.MULTILINE), 0
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source, count = line.subn(f"{name} = {value}", cell.source)
                found += count
        assert found == 1, f"{found} lines assign {name}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST_CELL))


def test_each_tutorial_has_tiny_settings():
    assert [page.stem for page in PAGES] == sorted(TINY)
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(TINY)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_and_notebook_are_in_step(page):
    """After a change: `jupytext --to ipynb docs/tutorials/NAME.md`."""
    assert cells(read(page)) == cells(jupytext.read(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_has_no_outputs(page):
    notebook = read(page)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count is not None]
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_installs_the_wheel_of_this_version(page):
    wheels = re.findall(r"fish_jax-([\d.]+)-py3-none-any\.whl", page.read_text())
    assert set(wheels) == {fish_jax.__version__}


def test_tutorials_run(tmp_path):
    for page in PAGES:
        notebook = read(page)
        shrink(notebook, TINY[page.stem])
        folder = tmp_path / page.stem
        folder.mkdir()
        nbformat.write(notebook, folder / f"{page.stem}.ipynb")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    # Programs are compiled in the quickest way, as in the other tests.
    emitters = (f"--{name}={str(on).lower()}" for name, on in fusion_emitters(False).items())
    environment = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XLA_FLAGS": " ".join(["--xla_backend_optimization_level=0", *emitters]),
    }
    options = ["-n", "2", "--nbmake", "--nbmake-timeout=300", "--durations=0"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    print(done.stdout)  # shown if it fails, or with -rP
    assert done.returncode == 0
    assert f"{len(PAGES)} passed" in done.stdout
