"""The HTTP application: `GET /health`, `GET /version`, `POST /rank`.

```
matinee serve streaming                                              # the same, of a pipeline file
python -m serving.app --registry var/registry --pipeline streaming
curl -s localhost:8090/rank -H 'content-type: application/json' -d '{"user_id": "u1", "k": 10}'
```

Every answer is JSON; errors are `{"error": "…"}` with status 400 (not JSON), 413 (too large), 422 (not a
request), 404, 405 or 500. The alias is looked at every few seconds; a version that does not load is reported
by `/health` while the old one keeps answering.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine.descriptor import Request
from engine.errors import EngineError, RequestError
from serving.champion import Champion
from serving.feature_log import FeatureLog, clock

BODY_LIMIT = 4 * 1024 * 1024  # 100,000 candidates of 40 bytes


def create_app(champion: Champion, *, poll_seconds: float = 5.0, log: FeatureLog | None = None) -> Starlette:
    """Return the application; while it runs, a thread follows the alias every `poll_seconds`.

    With a `log`, the features that a share of the answers was computed from are written by another thread.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        stop = threading.Event()
        watcher = threading.Thread(target=champion.watch, args=(stop, poll_seconds), daemon=True)
        watcher.start()
        if log is not None:
            log.start()
        yield
        stop.set()
        # In another thread: it may be loading a version, and the event loop must go on.
        await run_in_threadpool(watcher.join)
        if log is not None:
            await run_in_threadpool(log.stop)

    return Starlette(
        routes=_routes(champion, log),
        exception_handlers={HTTPException: _refused, EngineError: _failed, Exception: _failed},
        lifespan=lifespan,
    )


def _routes(champion: Champion, log: FeatureLog | None) -> list[Route]:
    async def health(http: HttpRequest) -> JSONResponse:
        del http
        loaded = champion.current
        return JSONResponse(
            {"status": "stale" if loaded.refused else "ok", "version": loaded.version, "refused": loaded.refused}
        )

    async def version(http: HttpRequest) -> JSONResponse:
        del http
        descriptor = champion.current.engine.descriptor
        return JSONResponse(
            {
                "pipeline": descriptor.pipeline,
                "version": descriptor.version,
                "as_of": descriptor.as_of.isoformat(),
                "format": descriptor.format,
            }
        )

    async def rank(http: HttpRequest) -> JSONResponse:
        request = _parsed(await _body(http))
        loaded = champion.current
        # Taken once above: the version named is the one that ranked, whatever is loaded meanwhile.
        if log is not None and log.wants(request.user_id):
            answer, explanation = await run_in_threadpool(loaded.engine.explain, request)
            log.offer(loaded, request, answer, explanation)
        else:
            (answer,) = await run_in_threadpool(loaded.engine.rank, [request])
        plain = asdict(answer)
        if answer.propensities is None:  # lists are not drawn
            del plain["propensities"]
        return JSONResponse({"version": loaded.version, **plain})

    return [Route("/health", health), Route("/version", version), Route("/rank", rank, methods=["POST"])]


async def _body(http: HttpRequest) -> bytes:
    """Read the body, and stop reading as soon as it is too large."""
    parts, size = [], 0
    async for part in http.stream():
        size += len(part)
        if size > BODY_LIMIT:
            raise HTTPException(413, f"the body is larger than {BODY_LIMIT} bytes")
        parts.append(part)
    return b"".join(parts)


def _parsed(body: bytes) -> Request:
    try:
        return Request.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            raise HTTPException(400, f"the body is not JSON: {problems[0]['msg']}") from None
        text = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'request'}: {p['msg']}" for p in problems[:5])
        raise HTTPException(422, text) from None


async def _refused(http: HttpRequest, error: Exception) -> JSONResponse:
    del http
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _failed(http: HttpRequest, error: Exception) -> JSONResponse:
    if isinstance(error, RequestError):
        return JSONResponse({"error": str(error)}, 422)
    # The error's own text may name files: it goes to the log, not to the client.
    logging.getLogger("matinee.serving").error("%s %s failed", http.method, http.url.path, exc_info=error)
    return JSONResponse({"error": "the request could not be answered; the server's log says why"}, 500)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected a share from 0 to 1, like 0.01")
    return share


def main(arguments: list[str] | None = None) -> int:
    """Run the application; return the exit code."""
    import uvicorn

    parser = argparse.ArgumentParser(prog=f"python -m {__package__}.app", description="Serve a pipeline's champion.")
    parser.add_argument("--registry", type=Path, required=True, help="folder with one folder per pipeline")
    parser.add_argument("--pipeline", required=True, help="name of the pipeline")
    parser.add_argument("--alias", default="champion", help="alias whose version is served (default: champion)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--poll", type=float, default=5.0, help="seconds between looks at the alias")
    parser.add_argument(
        "--log-features",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="share of the users whose answers are logged with their features, for `matinee skew` (default: none)",
    )
    parser.add_argument("--served", type=Path, help="folder of the log (default: `served` beside the registry)")
    parser.add_argument(
        "--day", type=date.fromisoformat, help="UTC day to log the answers under (default: today); for data of the past"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        champion = Champion(given.registry, given.pipeline, given.alias)
    except EngineError as error:
        sys.stderr.write(f"cannot serve {given.pipeline}: {error}\n")
        return 1
    served = (given.served or given.registry.resolve().parent / "served") / given.pipeline
    log = FeatureLog(served, given.log_features, now=clock(given.day)) if given.log_features else None
    app = create_app(champion, poll_seconds=given.poll, log=log)
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
