"""Small runs, a server of one, and a browser that looks at it."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright
from servers import serving, train

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture(scope="session")
def best(environment, tmp_path_factory):
    return train(environment, tmp_path_factory.mktemp("runs") / "best", "best")


@pytest.fixture(scope="session")
def began(environment, tmp_path_factory):
    return train(environment, tmp_path_factory.mktemp("runs") / "began", "began")


@pytest.fixture(scope="session")
def address(environment, best):
    with serving(environment, best) as (address, _):
        yield address


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "the browser tests need Chromium; on Debian: apt install chromium"
    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            # The name of the web server of tests/browser/test_proxy.py, as if it spoke HTTPS.
            "--host-resolver-rules=MAP fish.example.org 127.0.0.1",
            "--unsafely-treat-insecure-origin-as-secure=*.example.org",
        ]
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


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
