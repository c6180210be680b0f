"""The web application: what each address answers.

Nothing in a request reaches a path on disk: runs are numbers.

/                the page, with /page.css and /page.js
/fish.png        one image of a seed: run, seed, view, scale, digest
/walk.webp       images on the way from one seed to another, in a column: run, start, end,
                 frames, digest
/facts.json      the runs, what is served of each, and what a request may ask
/health          200 once an image can be drawn, 503 before
"""

import asyncio
import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fish_jax.serving import query
from fish_jax.serving.batcher import Full
from fish_jax.serving.generator import Place, ServedGenerator
from fish_jax.serving.live_runs import LiveRuns
from fish_jax.utils import pictures

STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
MOST_FRAMES, MOST_SCALE = 48, 8
MOST_PIXELS = 2**24  # of a picture
MOST_HEIGHT = 16_383  # of a WebP
OPTIONS = {"PNG": {"compress_level": 3}, "WEBP": {"quality": 90}}
FOREVER = "public, max-age=31536000, immutable"
LOADING, BUSY = 5, 1  # seconds after which to ask again
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Application = Callable[[Any, Any, Any], Awaitable[None]]  # of ASGI


def make_app(live: LiveRuns, refuse: Callable[[str], str]) -> Application:
    """Builds the ASGI application of a server.

    Args:
      live: the runs; they are drawn and watched while the application runs.
      refuse: why a request with this `Host` is refused, or "", as `hosts.refusal`.
    """
    endpoints = {"/fish.png": _fish, "/walk.webp": _walk, "/facts.json": _facts, "/health": _health}
    answers: dict[str, Any] = {path: _page(*content) for path, content in PAGES.items()}
    answers |= {path: functools.partial(endpoint, live) for path, endpoint in endpoints.items()}
    routes = [Route(path, answer, methods=["GET"]) for path, answer in answers.items()]
    handlers = {HTTPException: _refused, Full: _busy, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lambda app: live.open())
    app.router.redirect_slashes = False
    return _with_headers(_until_the_end(_for_hosts(app, refuse)))


def _with_headers(app: Application) -> Application:
    """Adds `HEADERS` to every answer of an application."""
    own = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message["headers"], *own]}
            await send(message)

        await app(scope, receive, send_with_headers)

    return answer


def _for_hosts(app: Application, refuse: Callable[[str], str]) -> Application:
    """Answers requests to the hosts that are not refused."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        reason = scope["type"] == "http" and refuse(Headers(scope=scope).get("host", ""))
        asked = PlainTextResponse(f"{reason}\n", 400) if reason else app
        await asked(scope, receive, send)

    return answer


def _until_the_end(app: Application) -> Application:
    """Answers requests that still wait when the server stops; uvicorn cancels them."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            ended = PlainTextResponse("the server has stopped\n", 503)
            with contextlib.suppress(RuntimeError):  # another answer had begun
                await ended(scope, receive, send)

    return answer


async def _refused(request: Request, error: HTTPException) -> Response:
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=error.headers)


async def _busy(request: Request, error: Full) -> Response:
    text = "too many images are waiting; ask again in a second\n"
    return PlainTextResponse(text, 503, headers={"Retry-After": str(BUSY)})


async def _failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse("internal server error; see what the server printed\n", 500)


def _generator(live: LiveRuns, number: int) -> ServedGenerator:
    """The generator of a run, or an error if there is none yet."""
    if number >= len(live.runs):
        raise HTTPException(404, f"no run {number}; there are {len(live.runs)}, numbered from 0")
    run = live.runs[number]
    if run.generator is None:
        detail = f"{run.name} has no checkpoint yet"
        raise HTTPException(503, detail, headers={"Retry-After": str(LOADING)})
    return run.generator


async def _unless_gone(request: Request, work: Awaitable[Any]) -> Any:
    """Does work for a client; cancels it when the client hangs up."""
    waiting = asyncio.current_task()
    assert waiting is not None  # a request is answered in a task

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiting.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not watcher.done() or waiting.uncancel():  # the server ends
            raise
        raise HTTPException(400, "the client has disconnected") from None
    finally:
        watcher.cancel()


async def _fish(live: LiveRuns, request: Request) -> Response:
    kinds = {"run": query.RUN, "seed": query.SEED, "view": query.view}
    kinds |= {"scale": query.whole(1, MOST_SCALE), "digest": query.digest}
    asked = query.read(request, kinds, "seed")
    generator = _generator(live, asked.get("run", 0))
    view, scale = asked.get("view", "sample"), asked.get("scale", 1)
    if view not in generator.facts["views"]:
        raise HTTPException(404, "this run has no autoencoder")
    most = max(1, math.isqrt(MOST_PIXELS // (generator.facts["height"] * generator.facts["width"])))
    if scale > most:
        raise HTTPException(400, f"scale must be at most {most} for images of this size")
    tag = f'"{generator.digest}-{view}-{asked["seed"]}-{scale}"'
    headers = _caching(asked, generator) | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    work = live.batcher.draw(generator, view, [Place.of(asked["seed"])])
    images = await _unless_gone(request, work)
    return await _picture(live, images[0], "PNG", headers, scale)


def _caching(asked: Mapping[str, Any], generator: ServedGenerator) -> dict[str, str]:
    """Headers: browsers cache answers that name their weights, and revalidate all others."""
    if "digest" not in asked:
        return {"Cache-Control": "no-cache"}
    if asked["digest"] != generator.digest:
        detail = "these weights are no longer served; see /facts.json for the newest"
        raise HTTPException(404, detail)
    return {"Cache-Control": FOREVER}


async def _picture(
    live: LiveRuns, image: np.ndarray, kind: str, headers: Mapping[str, str], scale: int = 1
) -> Response:
    loop = asyncio.get_running_loop()
    content = await loop.run_in_executor(live.encoders, _encode, image, kind, scale)
    return Response(content, media_type=f"image/{kind.lower()}", headers=dict(headers))


def _encode(image: np.ndarray, kind: str, scale: int) -> bytes:
    if kind == "WEBP":  # of a walk, whose frames fade into each other
        image = pictures.over_white(image)
    return pictures.encode(image, kind, scale, **OPTIONS[kind])


async def _walk(live: LiveRuns, request: Request) -> Response:
    kinds = {"run": query.RUN, "start": query.SEED, "end": query.SEED}
    kinds |= {"frames": query.whole(2, MOST_FRAMES), "digest": query.digest}
    asked = query.read(request, kinds, "start", "end")
    generator = _generator(live, asked.get("run", 0))
    headers, most = _caching(asked, generator), MOST_HEIGHT // generator.facts["height"]
    frames = asked.get("frames", min(24, most))
    if frames > most or most < 2:
        raise HTTPException(400, f"frames must be at most {most} for images of this height")
    ends = asked["start"], asked["end"]
    places = [Place(*ends, part) for part in np.linspace(0, 1, frames)]
    images = await _unless_gone(request, live.batcher.draw(generator, "sample", places))
    column = images.reshape(-1, *images.shape[2:])
    return await _picture(live, column, "WEBP", headers)


async def _facts(live: LiveRuns, request: Request) -> Response:
    query.read(request, {})
    return JSONResponse(live.facts(), headers={"Cache-Control": "no-store"})


async def _health(live: LiveRuns, request: Request) -> Response:
    query.read(request, {})
    ready = any(run.generator for run in live.runs)
    waiting = live.batcher.waiting
    fields = {"status": "ok" if ready else "waiting for a checkpoint", "waiting": waiting}
    return JSONResponse(fields, 200 if ready else 503, headers={"Cache-Control": "no-store"})


def _page(name: str, media_type: str) -> Response:
    content, headers = (STATIC / name).read_bytes(), {"Cache-Control": "no-cache"}
    return Response(content, media_type=media_type, headers=headers)
