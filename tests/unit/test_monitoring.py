"""Alerts and dashboard speak of metrics that the operator has, and Prometheus' own tool reads them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from podhooks_operator.metrics import Metrics
from podhooks_operator.rescue.rescue_metrics import RescueMetrics

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "podhooks" / "files"
ALERTS = FILES / "alerts.yaml"
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian: prometheus)")


def metrics() -> set[str]:
    """Names as Prometheus stores them."""
    made = Metrics()
    RescueMetrics(made.registry)
    families = {f"{each.name}_total" if each.type == "counter" else each.name for each in made.registry.collect()}
    histograms = {each.name for each in made.registry.collect() if each.type == "histogram"}
    return families | {f"{each}{end}" for each in histograms for end in ("_bucket", "_sum", "_count")}


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *EXPRESSIONS])
def test_every_metric_is_one_of_the_operators(expression: str) -> None:
    named = set(re.findall(r"podhooks_\w+", expression))
    assert named
    assert named <= metrics()


def test_every_metric_is_on_the_dashboard_or_has_an_alert() -> None:
    shown = set(re.findall(r"podhooks_\w+", " ".join([*EXPRESSIONS, *(rule["expr"] for rule in RULES)])))
    bases = {re.sub("_(bucket|sum|count)$", "", each) for each in shown}
    left_out = {"podhooks_webhook_injections_total", "podhooks_webhook_events_total", "podhooks_rescuer_holds_total"}
    left_out |= {"podhooks_rescuer_attempts_total", "podhooks_rescuer_watches_total"}
    assert {re.sub("_(bucket|sum|count)$", "", each) for each in metrics()} - bases == left_out


def test_every_alert_has_its_words_and_a_section_of_the_page() -> None:
    sections = set(re.findall(r"^## ([a-z-]+)$", (ROOT / "docs" / "check.md").read_text(), re.MULTILINE))
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description", "page"}
        page, _, section = rule["annotations"]["page"].partition("#")
        assert (page, section in sections) == ("docs/check.md", True)
    table = re.findall(r"^\| `(Podhooks\w+)` \| (\w+) ", (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE)
    assert table == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def run(*arguments: str) -> None:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@promtool
def test_prometheus_reads_the_alerts_and_the_dashboards_expressions(tmp_path: Path) -> None:
    run("check", "rules", str(ALERTS))
    plain = [each.replace("$__rate_interval", "5m").replace("$__range", "1h") for each in EXPRESSIONS]
    records = [{"record": f"panel:{index}", "expr": each} for index, each in enumerate(plain)]
    (tmp_path / "dashboard.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": records}]}))
    run("check", "rules", str(tmp_path / "dashboard.yaml"))


ENDED = 'podhooks_rescuer_ended_total{namespace="podhooks",state="%s",reason="%s"}'
FIRES = {
    "PodhooksRescuerWithoutLeader": (
        {'podhooks_rescuer_leads{namespace="podhooks"}': "0x20"},
        "10m",
        {"namespace": "podhooks"},
    ),
    "PodhooksWebhookNotReady": (
        {'podhooks_webhook_ready{namespace="podhooks"}': "0x20"},
        "10m",
        {"namespace": "podhooks"},
    ),
    "PodhooksRescueFailed": (
        {ENDED % ("Refused", "Refused"): "0 0 1x20", ENDED % ("Done", "Completed"): "0+1x20"},
        "5m",
        {"namespace": "podhooks", "state": "Refused", "reason": "Refused"},
    ),
}


@promtool
@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires_when_it_should_and_not_before(tmp_path: Path, alert: str) -> None:
    series, when, labels = FIRES[alert]
    rule = next(each for each in RULES if each["alert"] == alert)
    fired = {"exp_labels": {**labels, **rule["labels"]}}
    cases = [
        {"eval_time": "0m", "alertname": alert, "exp_alerts": []},
        {"eval_time": when, "alertname": alert, "exp_alerts": [fired]},
    ]
    # promtool compares annotations, too: they are words, so the rules are tested without them
    bare = [{key: value for key, value in rule.items() if key != "annotations"}]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "g", "rules": bare}]}))
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": cases}],
    }
    (tmp_path / "test.yaml").write_text(json.dumps(test))
    run("test", "rules", str(tmp_path / "test.yaml"))
