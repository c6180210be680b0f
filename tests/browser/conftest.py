"""A server of small runs, and a browser that looks at it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

SMALL = ["--config.data.count=40", "--config.epochs=2", "--config.batch_size=8"]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "main.py", *map(str, arguments)]


def train(environment: dict[str, str], folder: Path, name: str, *more: str) -> Path:
    config = f"--config=configs/{name}.py:demo"
    arguments = command(config, f"--workdir={folder}", *SMALL, *more)
    subprocess.run(arguments, env=environment, check=True, timeout=300, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def best(environment, tmp_path_factory):
    return train(environment, tmp_path_factory.mktemp("runs") / "best", "best")


@pytest.fixture(scope="session")
def began(environment, tmp_path_factory):
    return train(environment, tmp_path_factory.mktemp("runs") / "began", "began")


@contextmanager
def serving(environment: dict[str, str], *folders: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """A server's address and process; its stderr must stay empty."""
    names = ",".join(map(str, folders))
    process = subprocess.Popen(
        command("--mode=serve", f"--workdir={names}", "--port=0"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/\n", line)
        assert found, line + process.stderr.read()
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), err


@pytest.fixture(scope="session")
def address(environment, best):
    with serving(environment, best) as (address, _):
        yield address


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "the browser tests need Chromium; on Debian: apt install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def open_page(browser, request):
    """Opens an address; at the end there must be no error, and no request to elsewhere."""
    contexts, errors, elsewhere = [], [], []

    def open_here(address: str, path: str = "/", **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and errors.append(m.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        inside = (address, "blob:", "data:")
        page.on("request", lambda r: r.url.startswith(inside) or elsewhere.append(r.url))
        page.goto(address + path)
        return page

    yield open_here
    for context in contexts:
        context.close()
    assert (errors, elsewhere) == ([], [])
