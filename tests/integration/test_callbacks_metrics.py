"""metrics:push against an HTTP server that keeps groups as a Pushgateway does."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from podhooks.callbacks import metrics
from podhooks.context import Result
from podhooks.errors import CallbackError, InputError
from tests.callback_contexts import ended, on_exit, on_start
from tests.integration.receivers import answer, receiving


def test_a_run_is_put_under_its_grouping_key() -> None:
    with receiving(answer(200), answer(202)) as server:
        base = f"http://127.0.0.1:{server.server_port}/"
        metrics.push(on_exit(), base, job="etl", grouping={"zone": "a/b"})
        metrics.push(on_exit(ended(Result.SUCCEEDED, 0)), base, job="etl", grouping={"zone": "a/b"})
    assert {(each.method, each.path) for each in server.received} == {("PUT", "/metrics/job/etl/zone@base64/YS9i")}
    assert server.received[0].headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    first, second = (
        {each.name: each.samples[0].value for each in text_string_to_metric_families(got.body.decode())}
        for got in server.received
    )
    assert (first["podhooks_main_exit_code"], second["podhooks_main_exit_code"]) == (3, 0)
    assert (first["podhooks_main_succeeded"], second["podhooks_main_succeeded"]) == (0, 1)


def test_a_gateway_behind_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with receiving(answer(500), answer(401, "ann:s3cr3t-pass?")) as server:
        monkeypatch.setenv("GATEWAY", f"http://ann:s3cr3t-pass@127.0.0.1:{server.server_port}")
        monkeypatch.setattr("podhooks.runtime.backoff.FIRST_SECONDS", 0.01)
        with pytest.raises(CallbackError) as caught:
            metrics.push(on_exit(), gateway_env="GATEWAY")
    assert server.received[0].headers["authorization"] == "Basic YW5uOnMzY3IzdC1wYXNz"
    said = str(caught.value) + capsys.readouterr().err
    assert "the Pushgateway (http://127.0.0.1:" in said
    assert "answered 401 Unauthorized: ann:***?" in said
    assert "s3cr3t-pass" not in said


def test_what_the_gateway_says_of_bad_metrics_is_told() -> None:
    with receiving(answer(400, "pushed metrics are invalid or inconsistent")) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(CallbackError, match="answered 400 Bad Request: pushed metrics are invalid"):
            metrics.push(on_exit(), base)


def test_before_main_there_is_nothing_to_push() -> None:
    with pytest.raises(InputError, match="belongs to on-exit"):
        metrics.push(on_start(), "http://gateway")


@pytest.mark.parametrize(("gateway", "variable"), [("", ""), ("http://g", "G")])
def test_there_must_be_one_address(gateway: str, variable: str) -> None:
    with pytest.raises(InputError, match="`gateway` or in `gateway_env`"):
        metrics.push(on_exit(), gateway, gateway_env=variable)


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="must begin with http"):
        metrics.push(on_exit(), "gateway:9091")
