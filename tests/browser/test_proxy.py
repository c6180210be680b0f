"""The page behind a web server: the lines of docs/serving.md for nginx, in a real nginx."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect
from servers import serving
from test_browser import seed_of, wait_for_seed

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")  # Debian's place
NAME = "fish.example.org"
CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        server_name {name};
{advice}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder, page):
    """Runs nginx with the documented lines in front of the page, and its port."""
    advice = re.search(r"```nginx\n(.*?)```", Path("docs/serving.md").read_text(), re.DOTALL)[1]
    assert "http://127.0.0.1:8000/" in advice
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    advice = advice.replace("http://127.0.0.1:8000", page)
    text = CONFIG.format(folder=folder, port=port, name=NAME, advice=advice)
    (folder / "nginx.conf").write_text(text)
    command = [NGINX, "-c", folder / "nginx.conf", "-p", folder, "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        ends = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None and time.monotonic() < ends, process.stderr.read()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert not err, err


@pytest.mark.skipif(not NGINX, reason="needs nginx; on Debian: apt install nginx")
def test_the_page_under_a_prefix_and_a_name(environment, best, open_page, tmp_path):
    with (
        serving(environment, best, flags=[f"--hosts={NAME}"]) as (page_address, _),
        nginx(tmp_path, page_address) as port,
    ):
        under = f"http://{NAME}:{port}/fish"
        page = open_page(under, "/")  # which allows no request to elsewhere
        page.wait_for_url(f"{under}/?seed=*")
        seed = seed_of(page)
        first = wait_for_seed(page, seed)
        page.get_by_role("button", name="Another fish", exact=True).click()
        page.wait_for_function("seed => !location.search.endsWith(`=${seed}`)", arg=seed)
        assert wait_for_seed(page, seed_of(page)) != first
        page.get_by_role("button", name="Walk to the next").click()
        page.get_by_role("button", name="Wall of fish").click()
        expect(page.locator(".tiles img[alt^=Generated]")).to_have_count(24)
        page.go_back()
        assert page.url.startswith(f"{under}/?seed=")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/fish/", headers={"Host": NAME})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        page.close()  # it would go on asking
