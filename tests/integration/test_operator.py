"""The operator as a process: real TLS, real signals, the embedded API server."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import trustme
from podhooks_operator.webhook.app import MAX_BODY_BYTES

from podhooks.inject import InjectSettings, inject
from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import Store
from podhooks.render.webhook import WebhookOptions, webhook_configuration
from tests.integration.operator_process import POD, WRONG_POD, OperatorProcess, bundle_of, review_of, until

QUICK = ("--port", "0", "--health-port", "0", "--host", "127.0.0.1", "--check-interval", "300ms", "--drain", "300ms")
CONFIGURATIONS = "mutatingwebhookconfigurations"


class Bench:
    """An API server with the configuration, and operators beside it."""

    def __init__(self, server: ApiServer, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.account = directory / "account"
        self.account.mkdir()
        (self.account / "token").write_text(server.token)
        (self.account / "namespace").write_text("default")
        self._started: list[OperatorProcess] = []
        options = WebhookOptions(namespace="default", url="https://127.0.0.1/mutate")
        server.store.create(CONFIGURATIONS, webhook_configuration(options))

    @property
    def bundle(self) -> bytes:
        return bundle_of(self.server.store.get(CONFIGURATIONS, None, "podhooks"))

    def secret(self) -> dict[str, Any]:
        return self.server.store.get("secrets", "default", "podhooks-webhook-certificates")

    def operator(self, *flags: str) -> OperatorProcess:
        directory = self.directory / f"operator-{len(self._started)}"
        started = OperatorProcess(directory, self.account, self.server.url, *QUICK, "--host-name", "127.0.0.1", *flags)
        self._started.append(started)
        return started

    def close(self) -> None:
        for each in self._started:
            each.__exit__(None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ApiServer(Store()) as server:
        found = Bench(server, tmp_path)
        yield found
        found.close()


def patched(answer: Any) -> Any:
    return jsonpatch.apply_patch(POD, json.loads(base64.b64decode(answer["response"]["patch"])))


def test_from_nothing_to_an_injected_pod(bench: Bench) -> None:
    operator = bench.operator("--image", "mirror/podhooks:9")
    operator.until_ready()
    status, answer = operator.review(bench.bundle, review_of(POD))
    assert status == 200
    assert patched(answer) == inject(POD, InjectSettings(image="mirror/podhooks:9"))[0]
    assert operator.metric("podhooks_webhook_injections_total") == 1
    assert operator.metric("podhooks_webhook_latency_seconds_count") == 1
    assert operator.metric("podhooks_webhook_certificate_expiry_timestamp_seconds") > time.time() + 29 * 86400
    assert operator.metric("podhooks_webhook_ready") == 1
    assert operator.health("/healthz") == (200, "ok\n")
    until(lambda: "review namespace=default pod=etl outcome=injected" in operator.log, "the log tells")
    assert operator.stop() == 0


def test_what_is_no_review_gets_its_answer_too(bench: Bench) -> None:
    operator = bench.operator()
    operator.until_ready()
    bundle = bench.bundle
    for body, expected in ((b"{", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b"[]", 200), (b"null", 200)):
        status, answer = operator.review(bundle, body)
        assert (status, answer["response"]["uid"], answer["response"]["allowed"]) == (expected, "", True)
    for method, path, expected in (("GET", "/mutate", 405), ("POST", "/", 404), ("GET", "/metrics", 404)):
        assert asked(operator.connect(bundle), method, path, b"") == expected
    large = b"x" * (MAX_BODY_BYTES + 1)
    assert asked(operator.connect(bundle), "POST", "/mutate", large) == 413
    chunks = (large[start : start + 65536] for start in range(0, len(large), 65536))
    assert asked(operator.connect(bundle), "POST", "/mutate", chunks) == 413
    fits = review_of({**POD, "filling": "x" * (MAX_BODY_BYTES - 2000)})
    assert operator.review(bundle, fits)[0] == 200
    assert operator.metric("podhooks_webhook_rejected_requests_total") >= 8


def asked(connection: http.client.HTTPSConnection, method: str, path: str, body: Any) -> int:
    """The status. The server may answer, and hang up, before it has read everything."""
    with suppress(OSError):
        connection.request(method, path, body, encode_chunked=not isinstance(body, bytes))
    try:
        return connection.getresponse().status
    except OSError:
        return 413  # reset while we were still sending: the same for whoever sends
    finally:
        connection.close()


def test_events_tell_of_pods_that_were_admitted_unchanged(bench: Bench) -> None:
    operator = bench.operator()
    operator.until_ready()
    bundle, store = bench.bundle, bench.server.store
    assert operator.review(bundle, review_of(WRONG_POD, dryRun=True))[1]["response"]["allowed"] is True
    for _ in range(3):
        _, answer = operator.review(bundle, review_of(WRONG_POD))
        assert "did you mean podhooks.io/on-exit?" in answer["response"]["warnings"][0]
    until(lambda: store.list("events", "default")[0], "an Event")
    assert operator.metric("podhooks_webhook_refusals_total") == 4
    assert operator.metric("podhooks_webhook_events_total") == 3
    assert operator.stop() == 0
    (event,) = store.list("events", "default")[0]
    assert (event["count"], event["type"], event["involvedObject"]["kind"]) == (1, "Warning", "Namespace")

    again = bench.operator()
    again.until_ready()
    again.review(bench.bundle, review_of(WRONG_POD))
    until(lambda: store.list("events", "default")[0][0]["count"] == 2, "it is counted up after a restart")


def test_a_dry_run_leaves_no_trace(bench: Bench) -> None:
    operator = bench.operator()
    operator.until_ready()
    operator.review(bench.bundle, review_of(WRONG_POD, dryRun=True))
    assert operator.stop() == 0
    assert bench.server.store.list("events", "default")[0] == []


def test_invalid_annotations_deny_where_that_is_asked_for(bench: Bench) -> None:
    operator = bench.operator("--fail-on-invalid")
    operator.until_ready()
    _, answer = operator.review(bench.bundle, review_of(WRONG_POD))
    assert answer["response"]["allowed"] is False
    assert 'code="unknown-annotation",denied="true"' in operator.health("/metrics")[1]


def test_sigterm_makes_it_unready_first_and_answers_what_is_under_way(bench: Bench) -> None:
    operator = bench.operator("--drain", "3s")
    operator.until_ready()
    connection = operator.connect(bench.bundle)
    body = review_of(POD)
    connection.putrequest("POST", "/mutate")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:100])
    operator.process.send_signal(signal.SIGTERM)
    until(lambda: operator.health("/readyz") == (503, "shutting down\n"), "unready")
    assert operator.review(bench.bundle, body)[0] == 200  # still listening: not every API server knows yet
    until(lambda: not listening(operator), "no longer listening")
    connection.send(body[100:])
    response = connection.getresponse()
    assert (response.status, response.headers["Connection"]) == (200, "close")
    assert json.loads(response.read())["response"]["allowed"] is True
    assert operator.process.wait(20) == 0


def test_a_second_sigterm_skips_the_drain(bench: Bench) -> None:
    operator = bench.operator("--drain", "1h")
    operator.until_ready()
    operator.process.send_signal(signal.SIGTERM)
    until(lambda: operator.health("/readyz")[0] == 503, "unready")
    assert operator.stop() == 0


def test_events_that_are_still_to_be_written_are_written_at_the_end(bench: Bench) -> None:
    """The first hangs, so that the second waits behind it."""
    operator = bench.operator()
    operator.until_ready()
    bench.server.faults.add(Fault("/api/v1/namespaces/default/events", Action.HANG))
    bundle = bench.bundle
    for namespace in ("default", "kube-system"):
        operator.review(bundle, review_of(WRONG_POD, namespace=namespace))
    operator.process.send_signal(signal.SIGTERM)
    until(lambda: not listening(operator), "no longer listening")
    with pytest.raises(subprocess.TimeoutExpired):
        operator.process.wait(1)
    bench.server.faults.clear()
    assert operator.stop() == 0
    (event,) = bench.server.store.list("events", "kube-system")[0]
    assert event["reason"] == "PodhooksNotInjected"


def listening(operator: OperatorProcess) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", operator.port("webhook")), timeout=5).close()
    except ConnectionError:
        return False
    return True


def test_not_ready_without_a_configuration_or_with_anothers_bundle(bench: Bench) -> None:
    store = bench.server.store
    store.delete(CONFIGURATIONS, None, "podhooks")
    operator = bench.operator()
    until(lambda: "there is no MutatingWebhookConfiguration" in operator.health("/readyz")[1], "says why")
    options = WebhookOptions(namespace="other", service="elsewhere")
    store.create(CONFIGURATIONS, webhook_configuration(options))
    until(lambda: "isn't for elsewhere.other.svc" in operator.health("/readyz")[1], "says why")


def test_a_bundle_that_somebody_empties_is_restored(bench: Bench) -> None:
    operator = bench.operator()
    operator.until_ready()
    before = bench.bundle

    def empty(configuration: Any) -> None:
        configuration["webhooks"][0]["clientConfig"].pop("caBundle")

    emptied = bench.server.store.mutate(CONFIGURATIONS, None, "podhooks", empty, subresource="")
    assert bundle_of(emptied) == b""
    until(lambda: bench.bundle == before, "the same bundle again")


class CertManager:
    """What it leaves in a mounted Secret; its CA injector is `inject`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()
        directory.mkdir()
        self.issue()

    def issue(self, **options: Any) -> None:
        issued = self.authority.issue_cert("127.0.0.1", **options)
        (self.directory / "tls.key").write_bytes(issued.private_key_pem.bytes())
        (self.directory / "tls.crt").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))

    def inject(self, bench: Bench) -> None:
        encoded = base64.b64encode(self.authority.cert_pem.bytes()).decode()

        def fill(configuration: Any) -> None:
            configuration["webhooks"][0]["clientConfig"]["caBundle"] = encoded

        bench.server.store.mutate(CONFIGURATIONS, None, "podhooks", fill, subresource="")


def test_files_of_cert_manager_change_under_load_without_a_failure(bench: Bench, tmp_path: Path) -> None:
    manager = CertManager(tmp_path / "tls")
    operator = bench.operator("--certificates", "files", "--certificate-directory", str(tmp_path / "tls"))
    until(lambda: "caBundle" in operator.health("/readyz")[1], "the CA injector hasn't been there")
    manager.inject(bench)
    operator.until_ready()
    with Hammer(bench, [operator]) as hammer:
        until(lambda: hammer.certificates, "the first one is served")
        for options in ({}, {"key_type": trustme.KeyType.RSA}, {"key_type": trustme.KeyType.ECDSA}):
            served = set(hammer.certificates)
            manager.issue(**options)
            until(lambda served=served: hammer.certificates - served, "the new one is served")  # type: ignore[misc]
        (tmp_path / "tls" / "tls.key").write_text("half a key")
        until(lambda: operator.metric("podhooks_webhook_certificate_refresh_failures_total"), "it is noticed")
    assert hammer.failures == []
    assert len(hammer.certificates) == 4  # each served alone: none of another kind of key stays behind
    assert operator.health("/readyz")[0] == 200
    assert bench.server.store.list("secrets", "default")[0] == []


class Hammer:
    """A client that connects all the time to all of them, with the bundle that is published at that moment."""

    def __init__(self, bench: Bench, operators: list[OperatorProcess]) -> None:
        self._bench = bench
        self._operators = operators
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failures: list[str] = []
        self.certificates: set[bytes] = set()
        self.bundles: set[bytes] = set()
        self.reviews = 0

    def _run(self) -> None:
        while not self._end.wait(0.02):
            for operator in self._operators:
                self._try(operator)

    def _try(self, operator: OperatorProcess) -> None:
        try:
            self._review(operator)
        except (OSError, ssl.SSLError, http.client.HTTPException) as error:
            self.failures.append(f"{time.monotonic():.1f} operator {operator.process.pid}: {error!r}")

    def _review(self, operator: OperatorProcess) -> None:
        bundle = self._bench.bundle
        connection = operator.connect(bundle)
        try:
            connection.connect()
            self.certificates.add(connection.sock.getpeercert(binary_form=True) or b"")
            connection.request("POST", "/mutate", review_of(POD))
            response = connection.getresponse()
            assert response.status == 200
            assert json.loads(response.read())["response"]["allowed"] is True
        finally:
            connection.close()
        self.bundles.add(bundle)
        self.reviews += 1

    def __enter__(self) -> Hammer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.mark.timeout(150)
def test_two_replicas_change_their_authority_twice_and_no_client_ever_refuses_them(bench: Bench) -> None:
    """First because the Secret is deleted, then because the authority is old: a year in half a minute."""
    rhythm = ("--authority-lifetime", "24s", "--certificate-lifetime", "9s", "--publish-delay", "2s")
    operators = [bench.operator(*rhythm), bench.operator(*rhythm)]
    for each in operators:
        each.until_ready()
    first = bench.secret()["data"]["ca.crt"]
    with Hammer(bench, operators) as hammer:
        until(lambda: hammer.reviews > 20, "reviews")
        bench.server.store.delete("secrets", "default", "podhooks-webhook-certificates")
        until(lambda: authority(bench) not in ("", first), "another authority")
        second = authority(bench)
        until(lambda: authority(bench) not in ("", second), "the second one became old")
        third = base64.b64decode(authority(bench))
        until(lambda: bench.bundle == third, "the old ones are dropped")
    logs = "\n".join(each.log for each in operators)
    assert hammer.failures == [], logs
    assert len(hammer.bundles) >= 4
    assert len(hammer.certificates) >= 3
    assert all(each.health("/readyz")[0] == 200 for each in operators), logs


def authority(bench: Bench) -> str:
    secrets = bench.server.store.list("secrets", "default")[0]
    return str(secrets[0]["data"]["ca.crt"]) if secrets else ""


def test_another_replica_takes_over_from_a_leader_that_was_killed(bench: Bench) -> None:
    leader = bench.operator()
    leader.until_ready()
    follower = bench.operator()
    follower.until_ready()
    leader.stop(signal.SIGKILL)
    bench.server.store.delete("secrets", "default", "podhooks-webhook-certificates")
    until(lambda: authority(bench), "made by the other one")
    assert follower.review(bench.bundle, review_of(POD))[0] == 200


def test_while_the_api_server_is_away_it_goes_on_serving(bench: Bench) -> None:
    operator = bench.operator()
    operator.until_ready()
    bundle = bench.bundle
    bench.server.stop()
    until(lambda: operator.metric("podhooks_webhook_certificate_refresh_failures_total"), "it is noticed")
    assert operator.review(bundle, review_of(POD))[0] == 200
    assert operator.health("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--prt", "1"], "did you mean --port?"),
        (["--port", "99999"], "isn't a port"),
        (["--certificate-lifetime", "10d", "--publish-delay", "5d"], "--publish-delay must be at most"),
        (["--authority-lifetime", "30d", "--certificate-lifetime", "20d"], "--certificate-lifetime must be at most"),
        (["--annotation", "podhooks.io/on-exit-timeout=never"], "--annotation podhooks.io/on-exit-timeout"),
        (["--kubernetes", "latest"], "isn't a Kubernetes version"),
        (["--namespace", "Not A Name"], "can't be the name"),
        (["--service", "podhooks.svc"], "can't be the name of a namespace or a Service"),
        (["--host-name", "exämple"], "is neither a host's name nor an IP address"),
        (["--host-name", "https://example.com"], "is neither a host's name nor an IP address"),
        (["--host-name", "10.0.0.300"], "is neither a host's name nor an IP address"),
        (["--annotation", "example.com/on-exit=a:b"], "'example.com/on-exit' can't have a default"),
        (["--image="], "is no image"),
        (["now"], "unknown argument 'now' (see"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(flags: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "podhooks_operator", *flags], capture_output=True, text=True, timeout=50, env={}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line_too(bench: Bench) -> None:
    port = str(bench.server.port)
    operator = bench.operator("--health-port", port)
    assert operator.process.wait(30) == 2
    assert f"can't listen on 127.0.0.1:{port}: " in operator.log
    assert operator.log.count("\n") == 1


def test_a_missing_rule_is_named_once_and_not_every_second(bench: Bench) -> None:
    (bench.account / "token").write_text("not-the-one")
    operator = bench.operator()
    failures = "podhooks_webhook_certificate_refresh_failures_total"
    until(lambda: operator.metric(failures) >= 3, "it goes on trying")
    assert operator.log.count("can't look after the certificate") == 1
    assert operator.health("/readyz") == (503, "there is no certificate yet\n")
    (bench.account / "token").write_text(bench.server.token)
    operator.until_ready()


def test_without_its_packages_it_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "orjson.py").write_text("raise ImportError('no orjson')")
    command = [sys.executable, "-m", "podhooks_operator", "--help"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, timeout=50)
    assert done.stderr == b"podhooks-operator: no orjson: install it with pip install 'podhooks[operator]'\n"
    assert (done.returncode, done.stdout) == (1, b"")
