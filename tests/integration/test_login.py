"""A kubeconfig's ways to a cluster, each against a real TLS server: certificates of ours and theirs, names, proxies."""

from __future__ import annotations

import base64
import http.server
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from podhooks.cluster.backend import Selection
from podhooks.cluster.login import connect
from podhooks.cluster.real import RealCluster
from podhooks.errors import ApiError, InputError, Unreachable
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import Store
from podhooks.runtime.client import Client

AUTHORITY = trustme.CA()
NAME = "cluster.internal"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """Its certificate is for another name than its address; it wants one of ours, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(NAME).configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    store = Store()
    metadata = {"name": "p", "namespace": "default"}
    store.create("pods", {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}})
    with ApiServer(store, ssl_context=context) as running:
        yield running


def kubeconfig(directory: Path, there_is: ApiServer, **cluster: Any) -> str:
    certificate = AUTHORITY.issue_cert("me.example")
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    user = {"token": there_is.token}
    if cluster.pop("with_certificate", True):
        user["client-certificate-data"] = base64.b64encode(chain).decode()
        user["client-key-data"] = base64.b64encode(certificate.private_key_pem.bytes()).decode()
    authority = base64.b64encode(AUTHORITY.cert_pem.bytes()).decode()
    there = {"server": there_is.url, "certificate-authority-data": authority, "tls-server-name": NAME, **cluster}
    path = directory / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {key: value for key, value in there.items() if value}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return str(path)


def pods(path: str) -> list[str]:
    with closing(RealCluster(path, None)) as cluster:
        return [each["metadata"]["name"] for each in cluster.list(Selection("Pod", "default"))[0]]


def test_certificates_of_both_sides_and_a_name_of_its_own(server: ApiServer, tmp_path: Path) -> None:
    assert pods(kubeconfig(tmp_path, server)) == ["p"]


def test_another_name_in_the_certificate_is_refused(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="certificate is not accepted"):
        pods(kubeconfig(tmp_path, server, **{"tls-server-name": ""}))


def test_a_missing_certificate_of_ours_is_no_traceback(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="can't reach the API server"):
        pods(kubeconfig(tmp_path, server, with_certificate=False))


def test_no_verification_where_the_kubeconfig_asks_for_none(server: ApiServer, tmp_path: Path) -> None:
    skip = {"tls-server-name": "", "certificate-authority-data": "", "insecure-skip-tls-verify": True}
    assert pods(kubeconfig(tmp_path, server, **skip)) == ["p"]


def test_an_address_with_a_path_is_the_beginning_of_every_path(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(ApiError):
        pods(kubeconfig(tmp_path, server, server=f"{server.url}/k8s/clusters/c-1"))
    assert server.requests[-1].path == "/k8s/clusters/c-1/api/v1/namespaces/default/pods"


class Proxy(http.server.BaseHTTPRequestHandler):
    asked: list[tuple[str, str | None]]

    def do_CONNECT(self) -> None:
        self.asked.append((self.path, self.headers.get("Proxy-Authorization")))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response_only(200)
            self.end_headers()
            ends = {self.connection: there, there: self.connection}
            while True:
                for each in select.select(list(ends), [], [])[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    ends[each].sendall(data)


@contextmanager
def proxy() -> Iterator[tuple[int, list[tuple[str, str | None]]]]:
    handler = type("Handler", (Proxy,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_port, handler.asked  # type: ignore[attr-defined]
        running.shutdown()


def test_through_a_proxy_that_wants_a_password(server: ApiServer, tmp_path: Path) -> None:
    with proxy() as (port, asked):
        assert pods(kubeconfig(tmp_path, server, **{"proxy-url": f"http://me:p%40ss@127.0.0.1:{port}"})) == ["p"]
    login = base64.b64encode(b"me:p@ss").decode()
    assert asked == [(server.url.removeprefix("https://"), f"Basic {login}")]


def test_a_proxy_of_another_kind_is_refused(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only an http:// proxy can be used"):
        connect(kubeconfig(tmp_path, server, **{"proxy-url": "socks5://127.0.0.1:1080"}), None)


def test_in_a_pod_nothing_but_the_standard_library_is_needed(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("PODHOOKS_SERVICE_ACCOUNT_DIR", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    (tmp_path / "token").write_text(server.token)
    login, named = connect(None, None)
    assert (login.base_url, named) == ("https://10.0.0.1:443", "this pod's cluster")
    assert Client(login).login.headers() == {"Authorization": f"Bearer {server.token}"}
