"""The runtime's API client against a real HTTP server that misbehaves, and real TLS."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from podhooks.errors import ApiError, Conflict, Forbidden, Gone, InputError, NotFound, Unauthorized, Unreachable
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import Store
from podhooks.runtime import apierrors
from podhooks.runtime import client as kube
from podhooks.runtime.access import Access
from podhooks.runtime.client import Client

ROOT = Path(__file__).parents[2]
PODS = "/api/v1/namespaces/default/pods"


def store_with_a_pod() -> Store:
    store = Store()
    metadata = {"name": "p", "namespace": "default"}
    store.create("pods", {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}})
    return store


@pytest.fixture
def server() -> Iterator[ApiServer]:
    store = Store()
    store.create(
        "pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "main"}]}}
    )
    with ApiServer(store) as running:
        yield running
        running.faults.clear()


@pytest.fixture
def token(tmp_path: Path, server: ApiServer) -> Path:
    path = tmp_path / "token"
    path.write_text(server.token)
    return path


@pytest.fixture
def client(server: ApiServer, token: Path) -> Iterator[Client]:
    running = Client(Access(server.url, "default", str(token)), answer_timeout_seconds=1.0)
    yield running
    running.close()


def store_of(server: ApiServer) -> Store:
    return server.store


def touch(server: ApiServer, value: str) -> None:
    def change(pod: dict[str, Any]) -> None:
        pod["metadata"].setdefault("labels", {})["touched"] = value

    store_of(server).mutate("pods", "default", "p", change, subresource="")


def test_gets_a_pod_and_follows_it(server: ApiServer, client: Client) -> None:
    pod = client.get_pod("p")
    assert pod["metadata"]["name"] == "p"
    events = client.watch_pod("p", pod["metadata"]["resourceVersion"])
    touch(server, "once")
    event = next(events)
    assert (event["type"], event["object"]["metadata"]["labels"]) == ("MODIFIED", {"touched": "once"})


def test_a_watch_that_the_server_ends_is_over_and_the_connection_serves_again(client: Client) -> None:
    version = client.get_pod("p")["metadata"]["resourceVersion"]
    connections = list(client._idle)
    assert [each["type"] for each in client.watch_pod("p", version, seconds=1) if each["type"] != "BOOKMARK"] == []
    assert client.get_pod("p")
    assert (len(connections), client._idle) == (1, connections)


def test_a_kept_connection_that_the_server_closed_is_opened_again(server: ApiServer, client: Client) -> None:
    client.get_pod("p")
    server.drop_connections()
    assert client.get_pod("p")["metadata"]["name"] == "p"


def test_the_token_is_read_anew_for_every_request(server: ApiServer, client: Client, token: Path) -> None:
    client.get_pod("p")
    token.write_text("stale")
    with pytest.raises(Unauthorized, match="token"):
        client.get_pod("p")
    token.write_text(server.token)
    assert client.get_pod("p")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (429, ApiError),
        (500, ApiError),
    ],
)
def test_every_refusal_has_its_kind(server: ApiServer, client: Client, status: int, kind: type[ApiError]) -> None:
    server.faults.add(Fault(PODS, Action.ANSWER, status=status, times=1, retry_after_seconds=7))
    with pytest.raises(ApiError) as caught:
        client.get_pod("p")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert "\n" not in str(caught.value)


def test_a_retry_after_is_passed_on(server: ApiServer, client: Client) -> None:
    server.faults.add(Fault(PODS, Action.ANSWER, status=429, times=1, retry_after_seconds=7))
    with pytest.raises(ApiError) as caught:
        client.get_pod("p")
    assert caught.value.retry_after_seconds == 7


def test_a_403_names_the_rule_and_the_account() -> None:
    said = 'pods "p" is forbidden: User "system:serviceaccount:etl:runner" cannot get resource "pods" in API group ""'
    assert apierrors.grant(said, "etl") == (
        "Grant it: kubectl -n etl create role podhooks --verb=get,watch --resource=pods && "
        "kubectl -n etl create rolebinding podhooks --role=podhooks --serviceaccount=etl:runner"
    )
    assert "--resource=pods/log" in apierrors.grant('cannot get resource "pods/log"', "etl")
    assert "--serviceaccount=etl:default" in apierrors.grant("no", "etl")


def test_an_expired_watch_raises_gone(server: ApiServer, client: Client) -> None:
    version = client.get_pod("p")["metadata"]["resourceVersion"]
    touch(server, "once")
    store_of(server).compact()
    with pytest.raises(Gone):
        list(client.watch_pod("p", version))


def test_a_connection_cut_in_mid_line_ends_the_watch(server: ApiServer, client: Client) -> None:
    version = client.get_pod("p")["metadata"]["resourceVersion"]
    server.faults.add(Fault(PODS, Action.CUT, watch=True, times=1))
    touch(server, "once")
    with contextlib.suppress(Unreachable):
        assert [each for each in client.watch_pod("p", version) if each["type"] != "BOOKMARK"] == []
    assert client.get_pod("p")


def test_half_a_line_is_the_end_and_no_event() -> None:
    """A proxy that answers without chunks ends a stream by closing it, wherever it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"type": "BOOKMARK", "object": {}}\n{"type": "MODI')

        thread = threading.Thread(target=answer)
        thread.start()
        client = Client(Access(f"http://127.0.0.1:{listener.getsockname()[1]}", "default"))
        assert [each["type"] for each in client.watch_pod("p", "1")] == ["BOOKMARK"]
        thread.join()


def test_a_server_that_accepts_and_never_answers_costs_the_timeout_only(server: ApiServer, client: Client) -> None:
    server.faults.add(Fault(PODS, Action.HANG, times=1))
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in time"):
        client.get_pod("p")
    assert time.monotonic() - begun < 10
    server.faults.clear()
    assert client.get_pod("p")


def test_a_watch_in_a_black_hole_ends_soon_after_the_servers_timeout(
    server: ApiServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube, "WATCH_MARGIN_SECONDS", 0.5)
    version = client.get_pod("p")["metadata"]["resourceVersion"]
    server.faults.add(Fault(PODS, Action.SILENT, watch=True, times=1))
    with pytest.raises(Unreachable, match="no answer in time"):
        list(client.watch_pod("p", version, seconds=1))


def test_a_watch_keeps_its_patience_on_a_connection_that_the_server_will_close(server: ApiServer, token: Path) -> None:
    """A proxy's `Connection: close` takes the socket away from http.client, not from us."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                asked.wait(20)
                connection.sendall(b'{"type": "BOOKMARK", "object": {}}\n')

        asked = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = Client(Access(address, "default"), answer_timeout_seconds=0.5)
        threading.Timer(1.5, asked.set).start()
        assert [each["type"] for each in client.watch_pod("p", "1")] == ["BOOKMARK"]
        thread.join()


def test_several_threads_share_a_client(server: ApiServer, client: Client) -> None:
    """A watch keeps nobody waiting, and each answer goes to its request."""
    for number in range(8):
        store_of(server).create("configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}})
    events = client.watch_pod("p", client.get_pod("p")["metadata"]["resourceVersion"])
    touch(server, "once")
    assert next(events)["type"] == "MODIFIED"
    path = "/api/v1/namespaces/default/configmaps/c{}"

    def ask(number: int) -> list[str]:
        return [client.get(path.format(number))["metadata"]["name"] for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert found == [[f"c{number}"] * 20 for number in range(8)]
    assert len(client._idle) <= kube.MOST_IDLE
    touch(server, "twice")
    assert next(events)["object"]["metadata"]["labels"] == {"touched": "twice"}


class HangsUpAfterOneAnswer(http.server.BaseHTTPRequestHandler):
    """Reads a second request on the same connection, and ends it instead of answering."""

    protocol_version = "HTTP/1.1"
    methods: list[str]

    def do_GET(self) -> None:
        self.methods.append(self.command)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if getattr(self, "has_answered", False):
            self.close_connection = True
            return
        self.has_answered = True
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("PUT", 2), ("PATCH", 2), ("DELETE", 2), ("POST", 1)])
def test_what_broke_on_a_kept_connection_is_asked_again_unless_it_may_create_twice(method: str, times: int) -> None:
    class Handler(HangsUpAfterOneAnswer):
        methods: list[str] = []  # noqa: RUF012

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        client = Client(Access(f"http://127.0.0.1:{other.server_port}", "default"))
        assert client.get("/") == {}
        with contextlib.suppress(Unreachable):
            client.send(method, "/", body={}).read()
        assert Handler.methods[1:] == [method] * times
        client.close()
        other.shutdown()


def test_lines_that_break_off_are_told_after_the_whole_ones() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\none\ntwo\n\r\n3\r\nthr\r\n"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        lines = Client(Access(f"http://127.0.0.1:{listener.getsockname()[1]}")).send("GET", "/").lines()
        assert [next(lines), next(lines)] == [b"one", b"two"]
        with pytest.raises(Unreachable, match="the connection broke off"):
            next(lines)
        thread.join()


def test_the_connection_has_tcp_keepalive(client: Client) -> None:
    client.get_pod("p")
    sock = client._idle[0].sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


def test_knows_the_servers_time(client: Client) -> None:
    assert client.server_now() is None
    client.get_pod("p")
    now = client.server_now()
    assert now is not None
    assert abs(now.timestamp() - time.time()) < 3


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[]", b"\xff\xfe", b"[" * 100_000, b"{}"])
def test_something_else_on_that_address_is_said_so(tmp_path: Path, answer: bytes) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        client = Client(Access(f"http://127.0.0.1:{other.server_port}", "default"))
        with pytest.raises(Unreachable, match="does not answer as a Kubernetes API server"):
            client.get_pod("p")
        client.close()
        other.shutdown()


def test_nobody_there_is_one_clear_line() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(
            Unreachable, match=f"can't reach the API server at http://127.0.0.1:{port}: Connection refused"
        ):
            Client(Access(f"http://127.0.0.1:{port}", "default")).get_pod("p")


@pytest.mark.parametrize("content", [None, "", "two words", "line\nline"])
def test_an_unusable_token_file_is_named(server: ApiServer, client: Client, token: Path, content: str | None) -> None:
    token.unlink() if content is None else token.write_text(content)
    with pytest.raises(Unauthorized, match=str(token)):
        client.get_pod("p")


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def access(self, authority: trustme.CA, tmp_path: Path) -> Iterator[Access]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
        store = Store()
        store.create(
            "pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "m"}]}}
        )
        with ApiServer(store, ssl_context=context) as running:
            (tmp_path / "token").write_text(running.token)
            yield Access(running.url, "default", str(tmp_path / "token"), str(tmp_path / "ca.crt"))

    def test_a_pod_is_followed_over_tls(self, access: Access) -> None:
        client = Client(access)
        pod = client.get_pod("p")
        assert list(client.watch_pod("p", pod["metadata"]["resourceVersion"], seconds=1)) is not None
        client.close()

    def test_another_authoritys_certificate_is_refused_in_plain_words(self, access: Access) -> None:
        trustme.CA().cert_pem.write_to_path(access.ca_file)
        with pytest.raises(Unreachable, match="certificate is not accepted"):
            Client(access).get_pod("p")


class TestInCluster:
    def test_finds_what_a_pod_has(self, tmp_path: Path) -> None:
        for name, content in (("token", "t"), ("ca.crt", "c"), ("namespace", "etl\n")):
            (tmp_path / name).write_text(content)
        environ = {
            "KUBERNETES_SERVICE_HOST": "fd00::1",
            "KUBERNETES_SERVICE_PORT": "443",
            "PODHOOKS_SERVICE_ACCOUNT_DIR": str(tmp_path),
        }
        access = Access.in_cluster(environ)
        assert access == Access("https://[fd00::1]:443", "etl", str(tmp_path / "token"), str(tmp_path / "ca.crt"))

    def test_outside_a_pod_is_said_so(self) -> None:
        with pytest.raises(InputError, match="this is not a pod"):
            Access.in_cluster({})

    def test_a_token_that_is_not_mounted_is_said_so(self, tmp_path: Path) -> None:
        environ = {"PODHOOKS_API_SERVER": "http://x", "PODHOOKS_SERVICE_ACCOUNT_DIR": str(tmp_path)}
        with pytest.raises(InputError, match="automountServiceAccountToken"):
            Access.in_cluster(environ)

    def test_a_python_without_tls_is_said_so(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("t")
        ask = (
            "import sys; sys.modules['ssl'] = None\nfrom podhooks.runtime.access import Access\n"
            "from podhooks.runtime.client import Client, Unreachable\n"
            "try: Client(Access('http://127.0.0.1:1')).get_pod('p')\nexcept Unreachable as error: print(error)\n"
            "Access.in_cluster({'PODHOOKS_API_SERVER': 'https://x', 'PODHOOKS_SERVICE_ACCOUNT_DIR': sys.argv[1]})"
        )
        asked = subprocess.run([sys.executable, "-c", ask, tmp_path], capture_output=True, text=True, timeout=50)
        assert "can't reach the API server" in asked.stdout
        assert "InputError: this image's Python has no module ssl" in asked.stderr


def test_a_log_is_read_from_its_end(server: ApiServer, client: Client) -> None:
    asked: dict[str, object] = {}

    def logs(namespace: str, pod: str, container: str, **options: object) -> Iterator[bytes]:
        asked.update(options, container=container)
        return iter([b"one\n", "zwölf\n".encode()])

    server.logs = logs
    assert client.log_tail("p", "main", 2) == "one\nzwölf\n"
    assert (asked["container"], asked["tail_lines"]) == ("main", 2)


def test_an_interruption_leaves_no_half_used_connection(server: ApiServer, client: Client) -> None:
    """What a signal handler raises in the middle of a request must not poison the next one."""
    client.get_pod("p")
    version = client.get_pod("p")["metadata"]["resourceVersion"]
    events = client.watch_pod("p", version)
    touch(server, "once")
    next(events)
    assert isinstance(events, Generator)
    with pytest.raises(RuntimeError):
        events.throw(RuntimeError("interrupted"))
    assert client.get_pod("p")["metadata"]["labels"] == {"touched": "once"}


def test_is_small() -> None:
    """Nothing but the standard library, and no more of it than a TLS connection needs."""
    code = "import sys, podhooks.runtime.client; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    unwanted = {"asyncio", "logging", "dataclasses", "typing", "inspect", "subprocess", "pathlib", "tempfile"}
    assert unwanted.isdisjoint(loaded.stdout.split())
