"""The two ASGI applications: the webhook (TLS), and what probes and Prometheus ask (plain HTTP, another port).

Plain callables: with two paths between them there is nothing that a framework would do.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any, TypeAlias

import orjson

from podhooks import log
from podhooks.render.webhook import PATH
from podhooks_operator.metrics import CONTENT_TYPE, Metrics
from podhooks_operator.webhook.review import NOT_A_REVIEW, Refusal, Review, ReviewSettings, not_a_review, review

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 3 << 20  # an object in etcd has 1.5 MiB at most; the API server itself takes 3 MiB
BODY_SECONDS = 10.0  # the longest that a body may take; the API server gives up after 30 at the latest
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class TooLarge(Exception):
    """The body, already or by what its length says."""


class Disconnected(Exception):
    """The client went away before it had sent all."""


class WebhookApp:
    """`draining` says whether we are about to end: then each answer is the last of its connection."""

    def __init__(
        self,
        settings: ReviewSettings,
        metrics: Metrics,
        record: Callable[[Refusal], None],
        draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._record = record
        self._draining = draining

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            return await self._reject(send, 404, f"the webhook is at {PATH}")
        if scope["method"] != "POST":
            return await self._reject(send, 405, "AdmissionReviews come by POST")
        try:
            body = await read_in_time(scope, receive, BODY_SECONDS)
        except TooLarge:
            return await self._reject(send, 413, f"the body has more than {MAX_BODY_BYTES} bytes")
        except asyncio.TimeoutError:
            return await self._reject(send, 408, f"the body took longer than {BODY_SECONDS:g} seconds")
        except Disconnected:
            return None
        status, content = self._answer(body)
        return await respond(send, status, content, JSON, close=self._draining())

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        began = perf_counter()
        try:
            found, status = review(orjson.loads(body), self._settings), 200
        except (ValueError, RecursionError):
            found, status = not_a_review(), 400
        content = orjson.dumps(found.answer)
        seconds = perf_counter() - began
        self._metrics.observe(found.outcome, seconds, found.reasons, denied=found.denied)
        if found.reasons == (NOT_A_REVIEW,):
            self._metrics.rejected.labels(str(status)).inc()
        if found.refusal is not None and not found.dry_run:
            self._record(found.refusal)
        tell(found, seconds)
        return status, content

    async def _reject(self, send: Send, status: int, why: str) -> None:
        """Not an AdmissionReview: this isn't a review's address, or it isn't read to its end. The connection ends."""
        self._metrics.rejected.labels(str(status)).inc()
        await respond(send, status, f"{why}\n".encode(), TEXT, close=True)


class HealthApp:
    """`problems` is why we are not ready."""

    def __init__(self, problems: Callable[[], Sequence[str]], metrics: Metrics) -> None:
        self._problems = problems
        self._metrics = metrics

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        pages = {"/healthz": self._healthy, "/readyz": self._ready, "/metrics": self._measured}
        page = pages.get(scope["path"])
        if page is None or scope["method"] not in ("GET", "HEAD"):
            return await respond(send, 404, f"GET {', '.join(pages)}\n".encode(), TEXT)
        status, content, kind = page()
        return await respond(send, status, content, kind)

    def _healthy(self) -> tuple[int, bytes, bytes]:
        """That this answers says it all: restarting us cures nothing but a process that doesn't."""
        return 200, b"ok\n", TEXT

    def _ready(self) -> tuple[int, bytes, bytes]:
        problems = self._problems()
        return (503 if problems else 200), ("\n".join(problems or ["ok"]) + "\n").encode(), TEXT

    def _measured(self) -> tuple[int, bytes, bytes]:
        self._metrics.ready.set(0 if self._problems() else 1)
        return 200, self._metrics.text(), CONTENT_TYPE.encode()


async def read_in_time(scope: Message, receive: Receive, seconds: float) -> bytes:
    """asyncio.TimeoutError after `seconds`. Not asyncio.wait_for(), whose task of its own costs as much as a review;
    asyncio.timeout() is this, from Python 3.11 on."""
    task, late = asyncio.current_task(), False

    def expire() -> None:
        nonlocal late
        late = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, expire)
    try:
        return await read_body(scope, receive)
    except asyncio.CancelledError:
        if not late:
            raise
        if task is not None and hasattr(task, "uncancel"):
            task.uncancel()
        raise asyncio.TimeoutError from None
    finally:
        timer.cancel()


async def read_body(scope: Message, receive: Receive) -> bytes:
    """TooLarge as soon as it is known, whatever the length was said to be."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if said.isdigit() and int(said) > MAX_BODY_BYTES:
        raise TooLarge
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise TooLarge
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def respond(send: Send, status: int, content: bytes, kind: bytes, *, close: bool = False) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def tell(review: Review, seconds: float) -> None:
    """One line for each review, and the traceback of a bug."""
    fields: dict[str, object] = {"namespace": review.namespace, "pod": review.name, "outcome": review.outcome}
    if review.reasons:
        fields["reasons"] = ",".join(review.reasons)
    if review.denied:
        fields["denied"] = "true"
    if review.dry_run:
        fields["dry_run"] = "true"
    log.info("review", **fields, milliseconds=f"{seconds * 1000:.1f}")
    if review.failure is not None:
        log.error("the injector failed", traceback=" | ".join(traceback.format_exception(review.failure)))
