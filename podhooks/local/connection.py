"""HTTP: one connection, request by request. Authentication, body limits, faults, and how an answer goes on the wire."""

from __future__ import annotations

import logging
import select
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from podhooks.local.api import Api
from podhooks.local.faults import Action, Fault, Faults
from podhooks.local.messages import Recorded, Reply, Request, reply_problem
from podhooks.local.problems import ApiError

BODY_LIMIT = 3 * 1024 * 1024
_DRAIN_LIMIT = 32 * BODY_LIMIT
"""How much of a refused body is read and thrown away, so that its sender gets to read the refusal."""

SECRET_PATH = "/token="  # noqa: S105 (where a token goes, not a token)
"""kubectl sends no credentials over plain HTTP, but it keeps the path of its server's URL: `http://host:port/token=T`."""

logger = logging.getLogger(__name__)


def split_secret(target: str) -> tuple[str, str]:
    """(token or empty, the rest) of a request line's target."""
    if not target.startswith(SECRET_PATH):
        return "", target
    secret, slash, rest = target[len(SECRET_PATH) :].partition("/")
    return secret, slash + rest


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Served(Protocol):
    """What a connection needs of the API server that it belongs to."""

    api: Api
    faults: Faults

    def record(self, request: Recorded) -> None: ...

    def is_token(self, token: str) -> bool: ...


class Connection(BaseHTTPRequestHandler):
    """Handles the requests of one client, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def api_server(self) -> Served:
        api_server: Served = self.server.api_server  # type: ignore[attr-defined]
        return api_server

    def handle(self) -> None:
        """A client may leave at any point; that ends its connection and nothing else."""
        try:
            super().handle()
        except OSError as error:
            logger.debug("connection ended: %s", error)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        logger.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Malformed HTTP gets a Status, too, and ends the connection."""
        self.close_connection = True
        reasons = {501: ("MethodNotAllowed", 405)}  # http.server knows no unknown methods but "not implemented"
        reason, status = reasons.get(code, ("BadRequest", code))
        self._send(reply_problem(ApiError(status, reason, message or explain or "malformed request")))

    def _serve(self) -> None:
        secret, target = split_secret(self.path)
        try:
            path, query = Request.split(target)
        except ValueError as error:
            self.send_error(400, f"malformed URL: {error}")
            return
        self.api_server.record(Recorded(self.command, path, target.partition("?")[2]))
        watch = query.get("watch", "").lower() in ("1", "true")
        body = self._problem_or_body()
        fault = self.api_server.faults.take(self.command, path, watch=watch)
        if fault is not None and self._suffers(fault):
            return
        reply = self._reply(Request(self.command, path, query), secret, body)
        if fault is not None and fault.action is Action.SILENT:
            self._send_silence()
        elif fault is not None and fault.action is Action.CUT:
            self._send_half(reply)
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    # -- the request

    def _reply(self, asked: Request, secret: str, body: bytes | ApiError) -> Reply:
        api_server, headers = self.api_server, self.headers
        if not api_server.is_token(secret or _bearer(headers.get("Authorization", ""))):
            return reply_problem(ApiError(401, "Unauthorized", "Unauthorized"))
        if isinstance(body, ApiError):
            return reply_problem(body)
        request = replace(
            asked,
            accept=",".join(headers.get_all("Accept", [])),
            content_type=headers.get("Content-Type", ""),
            body=body,
            gone=self._client_left,
            prefix=f"{SECRET_PATH}{secret}" if secret else "",
        )
        try:
            return api_server.api.answer(request)
        except ApiError as error:
            return reply_problem(error)
        except Exception as error:
            logger.exception("internal error")
            return reply_problem(ApiError(500, "InternalError", f"Internal error occurred: {error!r}"))

    def _problem_or_body(self) -> bytes | ApiError:
        """The body, always read so that the connection stays usable, or what is wrong with it."""
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return ApiError(411, "BadRequest", "a request body needs a Content-Length")
        text = self.headers.get("Content-Length", "0").strip()
        if not text.isdecimal():
            self.close_connection = True
            return ApiError(400, "BadRequest", f"malformed Content-Length {text!r}")
        length = int(text)
        if length <= BODY_LIMIT:
            return self.rfile.read(length)
        self._discard(length)
        message = f"Request entity too large: limit is {BODY_LIMIT}"
        return ApiError(413, "RequestEntityTooLarge", message)

    def _discard(self, length: int) -> None:
        self.close_connection = True
        left = min(length, _DRAIN_LIMIT)
        while left > 0 and (chunk := self.rfile.read(min(left, 1 << 16))):
            left -= len(chunk)

    def _client_left(self) -> bool:
        """Whether a client that only listens now has closed its side. Anything it sends means that, in TLS as well."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        if not readable:
            return False
        if isinstance(self.connection, ssl.SSLSocket):
            return True
        return not socket.socket.recv(self.connection, 1, socket.MSG_PEEK)

    # -- the answer

    def _send(self, reply: Reply) -> None:
        if reply.stream is None:
            self.wfile.write(self._head(reply) + (b"" if self.command == "HEAD" else reply.body))
            return
        self._send_stream(reply, reply.stream)

    def _head(self, reply: Reply) -> bytes:
        """Status line and headers, with the Date that a client may set its clock by."""
        size = {"Content-Length": str(len(reply.body))} if reply.stream is None else {"Transfer-Encoding": "chunked"}
        headers = {
            "Server": "podhooks-apiserver",
            "Date": self.date_time_string(),
            "Content-Type": reply.content_type,
            "Cache-Control": "no-cache, private",
            **reply.headers,
            **size,
            **({"Connection": "close"} if self.close_connection else {}),
        }
        phrase = self.responses.get(reply.status, ("Unknown", ""))[0]
        lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send_stream(self, reply: Reply, stream: Iterator[bytes]) -> None:
        try:
            self.wfile.write(self._head(reply))
            for chunk in stream:
                if chunk:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    # -- faults

    def _suffers(self, fault: Fault) -> bool:
        """Whether the fault replaces the whole answer."""
        if fault.action is Action.ANSWER:
            problem = ApiError(fault.status, fault.reason, fault.message, retry_after_seconds=fault.retry_after_seconds)
            self._send(reply_problem(problem))
            return True
        if fault.action is Action.END:
            self._send(Reply(stream=iter(())))
            return True
        if fault.action is Action.HANG:
            self._hang()
            return True
        return False

    def _hang(self) -> None:
        """Keep the connection open and say nothing until the client leaves or the faults are cleared."""
        self.close_connection = True
        while not self.api_server.faults.released.wait(0.1) and not self._client_left():
            pass

    def _send_silence(self) -> None:
        self.wfile.write(self._head(Reply(stream=iter(()))))
        self._hang()

    def _send_half(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.stream is None:
            self.wfile.write(self._head(reply) + reply.body[: len(reply.body) // 2])
            return
        line = next(reply.stream, b"")
        half = line[: len(line) // 2]
        self.wfile.write(self._head(reply) + (b"%x\r\n%s" % (len(line), half) if half else b""))
        reply.stream.close()  # type: ignore[attr-defined]
