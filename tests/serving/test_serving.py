"""The web server: which images it gives, what it refuses, and how work is gathered."""

import asyncio
import functools
import io
import re
import socket
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import uvicorn
from helpers.tiny import tiny_config, tiny_state
from PIL import Image
from starlette.testclient import TestClient

from fish_jax.errors import UserError
from fish_jax.gan import inference
from fish_jax.gan.model import make_gan
from fish_jax.runs import config_file
from fish_jax.serving import app as app_module
from fish_jax.serving import batcher as batcher_module
from fish_jax.serving import generator, hosts, server
from fish_jax.serving import live_runs as live_runs_module
from fish_jax.serving.app import make_app
from fish_jax.serving.batcher import Batcher, Full
from fish_jax.serving.generator import Place
from fish_jax.serving.live_runs import LiveRun, LiveRuns, make_live_runs, refresh
from fish_jax.utils import pictures

HOST = "127.0.0.1"
anyone = lambda header: ""  # no host is refused


def served_of(name, seed=0, channels=3):
    config = tiny_config(name)
    config.data.channels = channels
    gan = make_gan(config)
    state = tiny_state(gan)
    grown = lambda x: x * (3 + seed) if x.ndim > 1 else x  # or images are nearly grey
    state = state.replace(generator_params=jax.tree.map(grown, state.generator_params))
    state = state.replace(step=jnp.int32(7 + seed))
    return state, generator.prepare(gan, state, config, {"images": 10})


@pytest.fixture(scope="module")
def ralsgan():
    return served_of("ralsgan")


@pytest.fixture(scope="module")
def began():
    return served_of("began")


@pytest.fixture
def live(ralsgan, began, tmp_path):
    names = ("plain", "auto", "late")
    made = [LiveRun(tmp_path / name, name) for name in names]
    made[0].generator, made[1].generator = ralsgan[1], began[1]
    return LiveRuns(made)


@pytest.fixture
def client(live):
    app = make_app(live, anyone)
    with TestClient(app, base_url=f"http://{HOST}") as client:
        yield client


def assert_same(found, expected):
    """But for the order of sums in batches of other sizes."""
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.mean(found != expected) < 1e-3 and expected.std() > 5


def pixels(answer):
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_seed_gives_the_pixels_of_sampling(client, ralsgan, began):
    for run, (state, served) in enumerate((ralsgan, began)):
        expected = inference.render(served.gan, state, [3, 2**32 - 1])
        for seed, image in zip((3, 2**32 - 1), expected):
            answer = client.get(f"/fish.png?run={run}&seed={seed}")
            assert answer.headers["content-type"] == "image/png"
            assert_same(pixels(answer), image)
    small, large = (pixels(client.get(f"/fish.png?seed=3&scale={scale}")) for scale in (1, 4))
    np.testing.assert_array_equal(large, small.repeat(4, 0).repeat(4, 1))


def test_an_autoencoder_shows_what_it_makes_of_a_sample(client, began):
    state, served = began
    sample = inference.render(served.gan, state, [5])
    expected = np.asarray(inference.reconstruct(state, sample, served.gan))[0]
    found = pixels(client.get("/fish.png?run=1&seed=5&view=autoencoded"))
    assert np.abs(found.astype(int) - expected).max() <= 1 and (found != sample[0]).any()
    answer = client.get("/fish.png?run=0&seed=5&view=autoencoded")
    assert (answer.status_code, answer.text) == (404, "this run has no autoencoder\n")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (4, "RGBA")])
def test_pictures_of_other_channels(live, client, channels, mode):
    """Alpha stays in a picture, behind which the page is white, and not in the frames of a walk."""
    state, served = served_of("lsgan_dense", channels=channels)
    live.runs[0].generator = served
    answer = client.get("/fish.png?seed=3&scale=2")
    assert Image.open(io.BytesIO(answer.content)).mode == mode
    found = pixels(answer)[::2, ::2].reshape(20, 40, channels)
    assert_same(found, inference.render(served.gan, state, [3])[0])
    sheet = pixels(client.get("/walk.webp?start=3&end=9&frames=2")).astype(int)
    ends = pictures.over_white(inference.render(served.gan, state, [3, 9])).astype(int)
    assert sheet.shape == (40, 40, 3)
    apart = lambda a, b: np.abs((a - b).mean(-1)).mean()
    assert apart(sheet[:20], ends[0]) < 0.5 * apart(sheet[:20], ends[1])
    assert client.get("/facts.json").json()["runs"][0]["channels"] == channels


@pytest.mark.parametrize("count", [1, 2, 4, 5, 32])
def test_any_number_is_drawn_in_batches_of_fixed_sizes(ralsgan, count, caplog):
    state, served = ralsgan
    generator.warm(served)
    with jax.log_compiles():
        found = generator.render(served, "sample", [Place.of(seed) for seed in range(count)])
    assert "ompiling" not in caplog.text
    assert_same(found, inference.render(served.gan, state, range(count)))


def test_a_walk_goes_from_one_seed_to_the_other(client, ralsgan):
    sheet = pixels(client.get("/walk.webp?start=3&end=9&frames=5")).astype(int)
    assert sheet.shape == (5 * 20, 40, 3)
    state, served = ralsgan
    ends = inference.render(served.gan, state, [3, 9]).astype(int)
    frames = sheet.reshape(5, 20, 40, 3)
    apart = lambda a, b: np.abs((a - b).mean(-1)).mean()  # WebP is coarse in colours
    assert apart(frames[0], ends[0]) < 0.5 * apart(frames[0], ends[1])
    assert apart(frames[-1], ends[1]) < 0.5 * apart(frames[-1], ends[0])
    places = [Place(3, 9, part) for part in (0, 1)]
    assert_same(generator.render(served, "sample", places), ends)


def test_what_browsers_may_keep(client, ralsgan):
    digest = ralsgan[1].digest
    newest = client.get("/fish.png?seed=3")
    assert newest.headers["cache-control"] == "no-cache"
    again = client.get("/fish.png?seed=3", headers={"If-None-Match": newest.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == newest.headers["etag"]
    for other in ("/fish.png?seed=4", "/fish.png?seed=3&scale=2", "/fish.png?run=1&seed=3"):
        assert client.get(other).headers["etag"] != newest.headers["etag"]
    kept = client.get(f"/fish.png?seed=3&digest={digest}")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.content == newest.content
    gone = client.get("/fish.png?seed=3&digest=0123456789abcdef")
    assert gone.status_code == 404 and "no longer served" in gone.text


def test_facts(client, ralsgan):
    told = client.get("/facts.json").json()["runs"]
    assert [run["name"] for run in told] == ["plain", "auto", "late"]
    assert told[0]["digest"] == ralsgan[1].digest and told[0]["step"] == 7
    assert (told[0]["height"], told[0]["width"], told[0]["loss"]) == (20, 40, "ralsgan")
    assert (told[0]["images_seen"], told[0]["epochs"], told[0]["trained_on"]) == (28, 2, 10)
    assert [run.get("views") for run in told] == [["sample"], ["sample", "autoencoded"], None]
    assert told[2] == {"name": "late", "ready": False}
    assert client.get("/health").json() == {"status": "ok", "waiting": 0}


REFUSED = {
    "/fish.png": (400, "seed is missing"),
    "/fish.png?seed=": (400, "seed must be a whole number from 0 to 4294967295, not ''"),
    "/fish.png?seed=-1": (400, "not '-1'"),
    "/fish.png?seed=4294967296": (400, "not '4294967296'"),
    "/fish.png?seed=1e3": (400, "not '1e3'"),
    "/fish.png?seed=%D9%A3": (400, "seed must be a whole number"),
    "/fish.png?seed=" + "9" * 9999: (400, "seed must be a whole number"),
    "/fish.png?seed=1&seed=2": (400, "seed is given twice"),
    "/fish.png?sead=1": (
        400,
        "unknown parameter 'sead'; available: run, seed, view, scale, digest",
    ),
    "/fish.png?seed=1&scale=9": (400, "scale must be a whole number from 1 to 8, not '9'"),
    "/fish.png?seed=1&scale=0": (400, "scale must be"),
    "/fish.png?seed=1&view=x": (400, "view must be one of sample, autoencoded, not 'x'"),
    "/fish.png?seed=1&digest=/etc/x": (400, "digest must be 16 hexadecimal digits"),
    "/fish.png?seed=1&run=3": (404, "no run 3; there are 3, numbered from 0"),
    "/fish.png?seed=1&run=../x": (400, "run must be a whole number from 0 to 99, not '../x'"),
    "/fish.png?seed=1&run=2": (503, "late has no checkpoint yet"),
    "/walk.webp?start=1": (400, "end is missing"),
    "/walk.webp?start=1&end=2&frames=49": (400, "frames must be a whole number from 2 to 48"),
    "/walk.webp?start=1&end=2&frames=1": (400, "frames must be a whole number from 2 to 48"),
    "/facts.json?x=1": (400, "unknown parameter 'x'"),
    "/nothing": (404, "Not Found"),
    "/page.css/": (404, "Not Found"),
    "/..%2f..%2fetc/passwd": (404, "Not Found"),
}


@pytest.mark.parametrize("address", REFUSED)
def test_refusals_are_a_sentence(client, address):
    status, message = REFUSED[address]
    answer = client.get(address)
    assert answer.status_code == status and message in answer.text
    assert len(answer.text) < 200 and answer.text.count("\n") == 1
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ("retry-after" in answer.headers) == (status == 503)


def test_every_answer_has_the_headers(client):
    for address in ("/", "/page.js", "/page.css", "/facts.json", "/health", "/fish.png?seed=1"):
        answer = client.get(address)
        assert answer.status_code == 200
        for name, value in app_module.HEADERS.items():
            assert answer.headers[name] == value
    assert client.post("/fish.png?seed=1").status_code == 405
    assert client.head("/fish.png?seed=1").content == b""


def test_other_hosts_are_refused_in_a_sentence(live):
    refuse = functools.partial(hosts.refusal, address=HOST, hosts=())
    with TestClient(make_app(live, refuse), base_url=f"http://{HOST}:8000") as client:
        assert client.get("/").status_code == 200
        answer = client.get("/", headers={"Host": "example.org"})
    sentence = (
        "this server does not answer to the name example.org: start it with --hosts=example.org\n"
    )
    assert (answer.status_code, answer.text) == (400, sentence)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_asks_for_nothing_elsewhere():
    for path in app_module.STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "@import" not in text
        # Relative, or a web server could not put the page under a prefix.
        assert not re.search(r"""["'(`=]/(?!/)[a-z?]""", text), path.name


def scripted(order, seconds=0.0, broken=()):
    """A `Render` that notes its batches."""

    def render(served, view, places):
        order.append((served, view, [place.start for place in places]))
        time.sleep(seconds)
        if order[-1][2][0] in broken:
            raise RuntimeError("a broken batch")
        return np.array([[[[place.start] * 3]] for place in places], np.uint8)

    return render


def in_loop(render, work, limit=batcher_module.LIMIT):
    """Runs `work(batcher)` beside the batcher's own task."""

    async def main():
        batcher = Batcher(render, limit)
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(work(batcher), 20)
        finally:
            task.cancel()

    return asyncio.run(main())


def seeds(*numbers):
    return [Place.of(number) for number in numbers]


def test_what_waits_is_drawn_together_and_the_oldest_first():
    order = []

    async def work(batcher):
        waits = [batcher.draw("a", "sample", seeds(0))]
        for number in range(1, 41):
            waits.append(batcher.draw("b" if number % 10 == 0 else "a", "sample", seeds(number)))
        waits.append(batcher.draw("a", "autoencoded", seeds(99)))
        return await asyncio.gather(*waits)

    results = in_loop(scripted(order, 0.05), work)
    assert [int(result[0, 0, 0, 0]) for result in results] == [*range(41), 99]
    a = [number for number in range(1, 41) if number % 10]
    assert order == [
        ("a", "sample", [0, *a[:31]]),
        ("b", "sample", [10, 20, 30, 40]),
        ("a", "sample", a[31:]),
        ("a", "autoencoded", [99]),
    ]


def test_beyond_the_limit_nothing_waits():
    async def work(batcher):
        first = asyncio.create_task(batcher.draw("a", "sample", seeds(0)))
        await asyncio.sleep(0.05)  # it is being drawn, and waits no more
        others = asyncio.create_task(batcher.draw("a", "sample", seeds(1, 2, 3)))
        await asyncio.sleep(0)
        with pytest.raises(Full):
            await batcher.draw("a", "sample", seeds(4, 5))
        assert batcher.waiting == 3
        fourth = await batcher.draw("a", "sample", seeds(6))
        return await first, await others, fourth, batcher.waiting

    _, others, fourth, waiting = in_loop(scripted([], 0.2), work, limit=4)
    assert others[:, 0, 0, 0].tolist() == [1, 2, 3] and fourth[0, 0, 0, 0] == 6 and waiting == 0


def test_who_gives_up_frees_the_place():
    order = []

    async def work(batcher):
        first = asyncio.create_task(batcher.draw("a", "sample", seeds(0)))
        await asyncio.sleep(0.05)
        gone = asyncio.create_task(batcher.draw("a", "sample", seeds(1, 2)))
        await asyncio.sleep(0)
        assert batcher.waiting == 2
        gone.cancel()
        await asyncio.sleep(0.01)
        assert batcher.waiting == 0
        await first
        return await batcher.draw("a", "sample", seeds(3))

    in_loop(scripted(order, 0.2), work)
    assert [numbers for *_, numbers in order] == [[0], [3]]


def test_a_broken_batch_is_told_to_those_in_it():
    async def work(batcher):
        waits = [batcher.draw(run, "sample", seeds(number)) for run, number in (("a", 1), ("b", 2))]
        return await asyncio.gather(*waits, return_exceptions=True)

    broken, sound = in_loop(scripted([], broken=[1]), work)
    assert isinstance(broken, RuntimeError) and sound[0, 0, 0, 0] == 2


def test_clients_that_hang_up_free_their_places(live):
    """Over real connections: twenty ask and leave while the first image is being drawn."""
    order = []
    live.batcher = Batcher(scripted(order, 0.5))
    listener = server._listening(HOST, 0)
    config = uvicorn.Config(make_app(live, anyone), log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()

    def ask(seed):
        client = socket.create_connection(listener.getsockname())
        client.sendall(f"GET /fish.png?seed={seed} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        return client

    def until(is_so):
        ends = time.monotonic() + 20
        while not is_so():
            assert time.monotonic() < ends
            time.sleep(0.005)

    try:
        until(lambda: running.started)
        with ask(0) as first:
            until(lambda: order)
            others = [ask(seed) for seed in range(1, 21)]
            until(lambda: live.batcher.waiting == 20)
            for client in others:
                client.close()
            until(lambda: live.batcher.waiting == 0)
            assert first.recv(15) == b"HTTP/1.1 200 OK"
        assert [seeds for *_, seeds in order] == [[0]]
    finally:
        running.should_exit = True
        thread.join()
        listener.close()


def test_those_who_wait_when_the_server_ends_are_answered(live, caplog):
    order = []
    live.batcher = Batcher(scripted(order, 1.0))
    listener = server._listening(HOST, 0)
    config = uvicorn.Config(make_app(live, anyone), log_config=None)
    config.timeout_graceful_shutdown = 0.1
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(f"GET /fish.png?seed=1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        while not order:
            time.sleep(0.005)
        running.should_exit = True
        answer = b"".join(iter(lambda: client.recv(10_000), b""))
    thread.join()
    assert answer.startswith(b"HTTP/1.1 503") and answer.endswith(
        b"\r\n\r\nthe server has stopped\n"
    )
    assert not any(record.exc_info for record in caplog.records)


def test_a_fault_of_the_server_is_a_sentence(live):
    live.batcher = Batcher(scripted([], broken=[1]))
    app = make_app(live, anyone)
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        answer = client.get("/fish.png?seed=1")
    assert (answer.status_code, answer.text) == (
        500,
        "internal server error; see what the server printed\n",
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_pictures_have_limits(live, ralsgan, client):
    large = ralsgan[1].facts | {"height": 1000, "width": 2000}
    live.runs[0].generator = ralsgan[1]._replace(facts=large)
    answer = client.get("/fish.png?seed=1&scale=3")
    assert (answer.status_code, answer.text) == (
        400,
        "scale must be at most 2 for images of this size\n",
    )
    answer = client.get("/walk.webp?start=1&end=2&frames=17")
    assert (answer.status_code, answer.text) == (
        400,
        "frames must be at most 16 for images of this height\n",
    )


def test_too_many_are_told_to_come_again(live):
    live.batcher = Batcher(generator.render, limit=0)
    app = make_app(live, anyone)
    with TestClient(app, base_url=f"http://{HOST}") as client:
        answer = client.get("/fish.png?seed=1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "too many images are waiting" in answer.text


def test_a_page_without_a_checkpoint_waits_for_it(tmp_path, ralsgan, monkeypatch):
    run = LiveRun(tmp_path, "late")
    monkeypatch.setattr(live_runs_module, "SECONDS", 0.05)
    monkeypatch.setattr(generator, "load", lambda *_: ralsgan[1])
    with TestClient(make_app(LiveRuns([run]), anyone)) as client:
        assert client.get("/health").status_code == 503
        (tmp_path / "checkpoints" / "7").mkdir(parents=True)
        ends = time.monotonic() + 20
        while client.get("/health").status_code != 200:
            assert time.monotonic() < ends
            time.sleep(0.05)
        assert client.get("/fish.png?seed=1").status_code == 200


def test_a_folder_whose_name_is_no_text_has_a_name_on_the_page(tmp_path, ralsgan):
    folder = tmp_path / "a\udcff"
    folder.mkdir()
    config_file.write_config(folder, config_file.plain(tiny_config("ralsgan")))
    runs = make_live_runs([folder])
    runs[0].generator = ralsgan[1]
    with TestClient(make_app(LiveRuns(runs), anyone), base_url=f"http://{HOST}") as client:
        (told,) = client.get("/facts.json").json()["runs"]
    assert told["name"] == "a\\udcff" and runs[0].folder == folder


def test_newer_checkpoints_are_taken_and_damaged_ones_are_not(tmp_path, ralsgan, capsys):
    made, run = [], LiveRun(tmp_path, "mine", generator="before")
    refresh(run)
    assert run.generator == "before"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "load", lambda *given: made.append(given) or ralsgan[1])
        patch.setattr(generator, "warm", lambda served: None)
        newest = tmp_path / "checkpoints" / "7"
        newest.mkdir(parents=True)
        refresh(run)
        refresh(run)
        assert run.generator is ralsgan[1] and len(made) == 1
        (newest / "data").touch()  # another one of the same step
        refresh(run)
        assert len(made) == 2
        (tmp_path / "scores.json").write_text("{}")
        refresh(run)
        assert len(made) == 3
        config_file.write_config(tmp_path, config_file.plain(tiny_config("ralsgan")))
        (tmp_path / "checkpoints" / "8").mkdir()
        patch.undo()
        refresh(run)
        assert run.generator is ralsgan[1]
        assert (
            "mine keeps its current checkpoint: none of the 2 checkpoints"
            in capsys.readouterr().err
        )
        patch.setattr(generator, "load", lambda *given: made.append(given) or ralsgan[1])
        patch.setattr(generator, "warm", lambda served: None)
        refresh(run)  # nothing has changed
        assert "keeps" not in capsys.readouterr().err and len(made) == 3
        (tmp_path / "checkpoints" / "8" / "data").touch()  # it was being copied
        refresh(run)
        assert len(made) == 4


def test_a_newer_checkpoint_compiles_nothing(ralsgan, caplog):
    generator.warm(ralsgan[1])
    _, newer = served_of("ralsgan", seed=1)
    assert newer.digest != ralsgan[1].digest
    with jax.log_compiles():
        generator.warm(newer)
    assert "ompiling" not in caplog.text


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    folders = [tmp_path / name for name in ("a/run", "b/run", "c")]
    for folder in folders:
        folder.mkdir(parents=True)
        config_file.write_config(folder, config_file.plain(tiny_config("ralsgan")))
    names = lambda *chosen: [run.name for run in make_live_runs(chosen)]
    assert names(*folders[1:]) == ["run", "c"]
    assert names(*folders[:2]) == ["a/run", "b/run"]
    with pytest.raises(UserError, match="c twice"):
        make_live_runs([folders[2], tmp_path / "a" / ".." / "c"])
    with pytest.raises(UserError, match="is not the folder of a run"):
        make_live_runs([tmp_path])


@pytest.mark.parametrize("host, port", [("no such host", 0), ("8.8.8.8", 0)])
def test_addresses_that_cannot_be_had(host, port):
    with pytest.raises(UserError, match=f"cannot listen on {host}, port {port} .*another --port"):
        server._listening(host, port)


@pytest.mark.parametrize("port", [-5, 65536])
def test_what_is_no_port(port):
    with pytest.raises(UserError, match=f"--port must be from 0 to 65535, not {port}"):
        server._listening(HOST, port)


def test_a_port_in_use_is_told():
    with server._listening(HOST, 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .*in use"):
            server._listening(HOST, port)
