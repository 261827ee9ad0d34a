"""The operator's smaller parts: what is rendered, settings, readiness and the Secret."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from podhooks_operator.certificates import x509
from podhooks_operator.certificates.files import Files
from podhooks_operator.certificates.published import Published, parse
from podhooks_operator.certificates.readiness import problems
from podhooks_operator.certificates.refresher import Refresher
from podhooks_operator.certificates.rotation import (
    Adopt,
    Begin,
    Forget,
    Prepare,
    Promote,
    Publish,
    Retired,
    Rhythm,
    Sign,
    decide,
    trusted,
)
from podhooks_operator.certificates.secret import Holdings, Maker, decode, encode
from podhooks_operator.certificates.tls import LiveContext
from podhooks_operator.cluster import Cluster
from podhooks_operator.metrics import Metrics
from podhooks_operator.settings import OPTIONS, CertificateSource, Settings, read_settings
from podhooks_operator.webhook import app
from podhooks_operator.webhook.review import Review, ReviewSettings, review

from podhooks.cli import main as podhooks
from podhooks.cli.render import as_json, as_yaml
from podhooks.errors import InputError, Unreachable
from podhooks.inject import Delivery
from podhooks.render.rbac import OperatorNames, cluster_rules, namespace_rules, operator_rbac
from podhooks.render.webhook import WebhookOptions, webhook_configuration
from podhooks.runtime.access import Access

PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text("utf-8")
NAMES = ("podhooks.ns.svc", "10.0.0.1")
RHYTHM = Rhythm(authority_lifetime=4000.0, serving_lifetime=400.0, publish_delay=40.0, skew=10.0)
MAKER = Maker(NAMES, RHYTHM)
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "options",
    [
        WebhookOptions(),
        WebhookOptions(url="https://10.0.0.1:8443/mutate", ca_bundle=b"pem", opt_in=True, labels={"a": "b"}),
        WebhookOptions(certificate="podhooks/webhook", failure_policy="Fail", timeout_seconds=30),
    ],
)
def test_the_configuration_is_valid(options: WebhookOptions) -> None:
    kubernetes_validate.validate(webhook_configuration(options), "1.36", strict=True)


def test_it_never_serves_its_own_namespace_nor_the_systems() -> None:
    (webhook,) = webhook_configuration(WebhookOptions(namespace="mine"))["webhooks"]
    never, opted = webhook["namespaceSelector"]["matchExpressions"]
    assert never["operator"] == "NotIn"
    assert set(never["values"]) == {"mine", "kube-system", "kube-node-lease"}
    assert opted == {"key": "podhooks.io/injection", "operator": "NotIn", "values": ["disabled"]}
    (condition,) = webhook["matchConditions"]
    assert "exists(name, name.startsWith('podhooks.io/'))" in condition["expression"]
    assert [(rule["operations"], rule["resources"]) for rule in webhook["rules"]] == [(["CREATE"], ["pods"])]
    (webhook,) = webhook_configuration(WebhookOptions(opt_in=True))["webhooks"]
    assert {"key": "podhooks.io/injection", "operator": "In", "values": ["enabled"]} in webhook["namespaceSelector"][
        "matchExpressions"
    ]
    fixed = {key: webhook[key] for key in ("failurePolicy", "reinvocationPolicy", "timeoutSeconds", "sideEffects")}
    assert fixed == {
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "IfNeeded",
        "timeoutSeconds": 5,
        "sideEffects": "NoneOnDryRun",
    }


@pytest.mark.parametrize(
    "options",
    [{"failure_policy": "fail"}, {"timeout_seconds": 31}, {"url": "http://x"}, {"certificate": "x"}],
)
def test_what_the_api_server_would_refuse_is_refused_here(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        webhook_configuration(WebhookOptions(**options))


def test_the_roles_are_valid_and_bound_to_names() -> None:
    for each in operator_rbac():
        kubernetes_validate.validate(each, "1.36", strict=True)
    named = [rule for rule in (*cluster_rules(), *namespace_rules()) if "resourceNames" not in rule]
    assert [(rule["resources"], rule["verbs"]) for rule in named] == [
        (["events"], ["create", "get", "update"]),
        (["secrets"], ["create"]),
    ]
    assert not namespace_rules(self_made=False)
    assert cluster_rules(self_made=False)[0]["verbs"] == ["get"]
    kinds = [each["kind"] for each in operator_rbac(OperatorNames(), self_made=False)]
    assert kinds == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"]


def test_the_page_says_what_it_may_do_and_no_less() -> None:
    names = {"mutatingwebhookconfigurations": "MutatingWebhookConfiguration", "secrets": "Secret"}
    rows = re.findall(r"^\| (in [^|]*) \| ([^|]*) \| ([^|]*) \|$", PAGE.partition("## What it may do")[2], re.MULTILINE)
    said = [("own" in where, what, re.findall(r"\w+", verbs)) for where, what, verbs in rows]
    rules = [(False, each) for each in cluster_rules()] + [(True, each) for each in namespace_rules()]
    for own, rule in rules:
        (resource,) = rule["resources"]
        called = f"its .*{names[resource]}.*, by name" if "resourceNames" in rule else f"`{resource}`"
        assert any(own == place and verbs == rule["verbs"] and re.search(called, what) for place, what, verbs in said)
    assert len(said) == 4


def test_render_prints_what_can_be_applied(capsys: pytest.CaptureFixture[str]) -> None:
    assert podhooks(["render", "webhook-configuration", "--opt-in", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == webhook_configuration(WebhookOptions(opt_in=True))
    assert podhooks(["render", "operator-rbac", "--namespace", "mine"]) == 0
    assert capsys.readouterr().out == as_yaml(operator_rbac(OperatorNames(namespace="mine")))
    assert json.loads(as_json(operator_rbac()))["kind"] == "List"
    assert podhooks(["render", "webhook-configuration", "--ca-file", "/nowhere"]) == 2
    assert capsys.readouterr().err == "podhooks: --ca-file /nowhere: No such file or directory\n"


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `--([a-z-]+)` \| ([^|]*) \|", PAGE, re.MULTILINE))
    assert list(rows) == [option.flag[2:] for option in OPTIONS]
    assert (rows["port"], rows["health-port"], rows["check-interval"]) == ("`8443`", "`8080`", "`10s`")
    assert (rows["authority-lifetime"], rows["certificate-lifetime"]) == ("`365d`", "`30d`")


def test_the_page_has_every_metric() -> None:
    metrics = Metrics()
    metrics.observe(review({}, ReviewSettings()).outcome, 0.1)
    text = metrics.text().decode()
    names = set(re.findall(r"^# TYPE (\w+?)(?:_total|_created)? ", text, re.MULTILINE))
    assert names == set(re.findall(r"`(podhooks_webhook_\w+)`", PAGE))


def test_metrics_count_what_was_done() -> None:
    metrics = Metrics()
    reviews = [
        *(Review({}, outcome) for outcome in ("injected", "updated", "unchanged", "ignored")),
        Review({}, "refused", ("unknown-annotation", "bad-yaml")),
        Review({}, "refused", ("bad-yaml",), denied=True),
        Review({}, "injected", ("main-restarts",)),
    ]
    for each in reviews:
        metrics.observe(each.outcome, 0.002, each.reasons, denied=each.denied)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"podhooks_webhook_{name}", labels)

    assert value("injections_total") == 3
    by_outcome = {each: value("reviews_total", outcome=each) for each in ("injected", "updated", "refused", "ignored")}
    assert by_outcome == {"injected": 2, "updated": 1, "refused": 2, "ignored": 1}
    assert value("refusals_total", code="bad-yaml", denied="false") == 1
    assert value("refusals_total", code="bad-yaml", denied="true") == 1
    assert value("refusals_total", code="unknown-annotation", denied="false") == 1
    assert value("refusals_total", code="main-restarts", denied="false") is None
    assert value("latency_seconds_count") == len(reviews)
    assert value("latency_seconds_bucket", le="0.001") == 0
    assert value("latency_seconds_bucket", le="0.0025") == len(reviews)


def test_flags_come_before_variables_and_those_before_defaults() -> None:
    assert read_settings([], {}) == Settings()
    environ = {"PODHOOKS_OPTION_PORT": "9443", "PODHOOKS_OPTION_DELIVERY": "copy", "PODHOOKS_OPTION_DRAIN": "1m"}
    found = read_settings(["--port", "1443", "--fail-on-invalid", "--certificates=files"], environ)
    assert (found.port, found.delivery, found.drain) == (1443, Delivery.COPY, 60.0)
    assert (found.fail_on_invalid, found.certificates) == (True, CertificateSource.FILES)
    environ = {
        "PODHOOKS_OPTION_FAIL_ON_INVALID": "true",
        "PODHOOKS_OPTION_HOST_NAME": "a.example\n10.0.0.1",
        "PODHOOKS_OPTION_ANNOTATION": "podhooks.io/on-exit-timeout=9s",
    }
    found = read_settings(["--fail-on-invalid", "false"], environ)
    assert found.fail_on_invalid is False
    assert found.names("ns")[-2:] == ("a.example", "10.0.0.1")
    assert found.review.inject.annotations == {"podhooks.io/on-exit-timeout": "9s"}
    for wrong in ("x", "9" * 5000):
        with pytest.raises(InputError, match=r"PODHOOKS_OPTION_PORT: '[x9]+' isn't a port"):
            read_settings([], {"PODHOOKS_OPTION_PORT": wrong})


def test_a_variable_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match=r"PODHOOKS_OPTION_PROT: isn't an option: did you mean PODHOOKS_OPTION_PORT\?"):
        read_settings([], {"PODHOOKS_OPTION_PROT": "9443"})


def test_host_names_are_written_as_certificates_have_them() -> None:
    """Else a certificate would lack them for ever, and be signed anew again and again."""
    given = ("FD00::0:1", "10.0.0.1", "Node-1.Example.COM", "*.example.com", "4host")
    settings = read_settings([f"--host-name={each}" for each in given], {})
    assert settings.host_name == ("fd00::1", "10.0.0.1", "node-1.example.com", "*.example.com", "4host")
    pair = Maker(settings.names("ns"), RHYTHM).after(Begin(), None, {}, NOW)
    assert pair.stock(settings.names("ns")).serving.fits


def begun() -> Holdings:
    return MAKER.after(Begin(), None, {}, NOW)


def test_what_is_made_is_what_was_decided() -> None:
    """The simulation of the rotation has a model of these steps: here they are with keys."""
    first = begun()
    stock = first.stock(NAMES)
    assert stock.serving.issuer == stock.current.id
    assert (stock.current.not_after, stock.serving.not_after) == (NOW + 4000, NOW + 400)
    signed = MAKER.after(Sign(NOW + 500), first, {}, NOW + 100)
    assert signed.stock(NAMES).serving.not_after == NOW + 500
    assert signed.authority == first.authority
    prepared = MAKER.after(Prepare(), signed, {}, NOW + 3500)
    following = prepared.stock(NAMES).next
    assert following is not None
    assert prepared.serving == signed.serving
    retired = Retired(stock.current, NOW + 3900)
    promoted = MAKER.after(Promote((retired,)), prepared, {}, NOW + 3600)
    now_current = promoted.stock(NAMES)
    assert (now_current.current.id, now_current.serving.issuer) == (following.id, following.id)
    assert now_current.retired == (retired,)
    assert trusted(now_current, NOW + 3601) == (following.id, stock.current.id)
    forgotten = MAKER.after(Forget((stock.current.id,)), promoted, {}, NOW + 4000)
    assert forgotten.stock(NAMES).retired == ()
    pems = {stock.current.id: first.authority.certificate}
    assert MAKER.after(Adopt((retired,)), forgotten, pems, NOW).stock(NAMES).retired == (retired,)
    assert MAKER.after(Begin((retired,)), None, pems, NOW).stock(NAMES).retired == (retired,)
    assert isinstance(decide(stock, {}, {}, NOW, RHYTHM), Publish)


def test_the_secret_holds_all_of_it_and_damage_is_noticed() -> None:
    full = MAKER.after(Prepare(), begun(), {}, NOW)
    retired = Retired(full.stock(NAMES).current, NOW + 9)
    full = MAKER.after(Promote((retired,)), full, {}, NOW)
    full = MAKER.after(Prepare(), full, {}, NOW)
    data = encode(full)
    assert decode({"data": data}) == full
    assert decode({}) is None
    assert decode({"data": {}}) is None
    other = encode(begun())
    for damage in ({"tls.key": other["tls.key"]}, {"ca.crt": "AAAA"}, {"ca.key": "%"}, {"retired.json": "e30="}):
        with pytest.raises(InputError, match="damaged"):
            decode({"data": {**data, **damage}})


def test_keys_are_in_no_text() -> None:
    assert b"PRIVATE" in begun().serving.key
    assert "PRIVATE" not in repr(begun())


def published(*authorities: bytes, host: str = "podhooks.ns.svc") -> Published:
    name, namespace, _ = host.split(".")
    service = {"name": name, "namespace": namespace}
    bundle = base64.b64encode(b"".join(authorities)).decode()
    return parse({"metadata": {}, "webhooks": [{"clientConfig": {"service": service, "caBundle": bundle}}]})


def test_ready_is_who_the_api_server_accepts() -> None:
    ours, other = begun(), begun()
    chain = x509.certificates(ours.serving.certificate)
    good = published(other.authority.certificate, ours.authority.certificate)
    assert problems(chain, good, NOW) == []
    cases = {
        "no certificate yet": ([], good, NOW),
        "hasn't been read": (chain, None, NOW),
        "no MutatingWebhookConfiguration": (chain, Published(), NOW),
        "doesn't have the certificate's authority": (chain, published(other.authority.certificate), NOW),
        "isn't for else.where.svc": (chain, published(ours.authority.certificate, host="else.where.svc"), NOW),
        "a clock is wrong": (chain, good, NOW - 11),
        "about to expire": (chain, good, NOW + 381),
        "has expired": (chain, good, NOW + 400),
    }
    for expected, (served, seen, now) in cases.items():
        assert any(expected in each for each in problems(served, seen, now)), expected


def test_a_bundle_counts_only_where_all_webhooks_have_it() -> None:
    pem = base64.b64encode(begun().authority.certificate).decode()
    client = {"url": "https://10.0.0.1/mutate"}
    both = parse({"webhooks": [{"clientConfig": {**client, "caBundle": pem}}, {"clientConfig": client}]})
    assert (both.bundle, both.webhooks, both.hosts) == ((), 2, ("10.0.0.1",))
    assert parse({"webhooks": [{"clientConfig": {**client, "caBundle": "%%%"}}]}).bundle == ()


def test_a_pair_that_does_not_load_leaves_the_one_before() -> None:
    live = LiveContext()
    live.use(begun().serving)
    before = live.pair
    with pytest.raises(InputError):
        live.use(replace(begun().serving, key=b"x"))
    assert live.pair is before


def test_times_are_the_api_servers() -> None:
    """It is who judges the certificates; our own clock may be wrong."""

    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    with HTTPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.handle_request).start()
        cluster = Cluster(Access(f"http://127.0.0.1:{server.server_port}"))
        assert cluster.now() > NOW + 60 * 86400
        assert cluster.get("/") == {}
        cluster.close()
    assert NOW <= cluster.now() < NOW + 60


def test_an_api_server_that_hangs_at_the_end_leaves_no_traceback() -> None:
    asked, let_go, unheard = threading.Event(), threading.Event(), []

    class Hanging(Cluster):
        def get(self, path: str, *_: object, **__: object) -> dict[str, Any]:
            asked.set()
            let_go.wait(30)
            raise Unreachable(f"GET {path}: timed out")

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        cluster = Hanging(Access("https://127.0.0.1:1"))
        refresher = Refresher(cluster, Files(Path("/nowhere")), LiveContext(), Metrics(), "podhooks", 1.0)
        running = asyncio.create_task(refresher.run())
        await asyncio.to_thread(asked.wait, 30)
        running.cancel()
        closing = asyncio.create_task(refresher.close())
        await asyncio.sleep(0)
        let_go.set()
        await closing

    asyncio.run(run())
    gc.collect()  # a task tells of an exception that nobody asked for when it goes
    assert unheard == []


def test_a_body_that_never_ends_is_given_up_and_an_end_of_ours_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, sent = Metrics(), []
    webhook = app.WebhookApp(ReviewSettings(), metrics, lambda _refusal: None)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def asked() -> None:
        await webhook({"type": "http", "path": "/mutate", "method": "POST", "headers": []}, receive, send)

    async def cancelled() -> None:
        task = asyncio.create_task(asked())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait_for(asyncio.gather(task), 20)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert sent == []
    monkeypatch.setattr(app, "BODY_SECONDS", 0.1)
    asyncio.run(asyncio.wait_for(asked(), 20))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert metrics.registry.get_sample_value("podhooks_webhook_rejected_requests_total", {"status": "408"}) == 1
