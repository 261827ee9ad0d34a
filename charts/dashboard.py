"""The Grafana dashboard, as data: rows of panels, each one question and its expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WEBHOOK, RESCUER = "podhooks_webhook_", "podhooks_rescuer_"
RATE, WHOLE = "[$__rate_interval]", "[$__range]"
COLUMNS, HEIGHT = 24, 7
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Title, unit, and the expressions with their legends.
Panel = tuple[str, str, Sequence[tuple[str, str]]]

ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Webhook",
        (
            ("Ready replicas", "none", [(f"sum({WEBHOOK}ready)", "ready")]),
            (
                "Reviews by outcome",
                "reqps",
                [(f"sum by (outcome) (rate({WEBHOOK}reviews_total{RATE}))", "{{outcome}}")],
            ),
            (
                "Latency",
                "s",
                [
                    (
                        f"histogram_quantile({q}, sum by (le) (rate({WEBHOOK}latency_seconds_bucket{RATE})))",
                        name,
                    )
                    for q, name in ((0.5, "median"), (0.99, "99 %"))
                ],
            ),
            (
                "Pods not injected, by reason",
                "short",
                [(f"sum by (code) (increase({WEBHOOK}refusals_total{WHOLE}))", "{{code}}")],
            ),
            ("Certificate ends in", "s", [(f"min({WEBHOOK}certificate_expiry_timestamp_seconds) - time()", "left")]),
            (
                "Trouble",
                "short",
                [
                    (f"sum(increase({WEBHOOK}certificate_refresh_failures_total{WHOLE}))", "certificate"),
                    (f"sum by (status) (increase({WEBHOOK}rejected_requests_total{WHOLE}))", "HTTP {{status}}"),
                ],
            ),
        ),
    ),
    (
        "Rescuer",
        (
            ("Leaders", "none", [(f"sum({RESCUER}leads)", "leads")]),
            (
                "Pods watched, Rescues open, Jobs running",
                "short",
                [(f"sum({RESCUER}{each})", each) for each in ("held_pods", "open_rescues", "running_rescues")],
            ),
            (
                "Held after the pod's end",
                "s",
                [
                    (
                        f"histogram_quantile({q}, sum by (le) (rate({RESCUER}held_seconds_bucket{RATE})))",
                        name,
                    )
                    for q, name in ((0.5, "median"), (0.95, "95 %"))
                ],
            ),
            ("Released, by why", "short", [(f"sum by (why) (increase({RESCUER}releases_total{WHOLE}))", "{{why}}")]),
            (
                "Recorded, by how main ended",
                "short",
                [(f"sum by (verdict) (increase({RESCUER}recorded_total{WHOLE}))", "{{verdict}}")],
            ),
            (
                "Ended, by state",
                "short",
                [(f"sum by (state, reason) (increase({RESCUER}ended_total{WHOLE}))", "{{state}} {{reason}}")],
            ),
            ("May have run twice", "short", [(f"sum(increase({RESCUER}twice_total{WHOLE}))", "callbacks")]),
            (
                "Requests that failed",
                "reqps",
                [(f"sum by (status) (rate({RESCUER}failed_requests_total{RATE}))", "{{status}}")],
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Grafana's JSON model, version 39 of its schema."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": place(0, top, COLUMNS, 1),
            }
        )
        top += 1
        for index, panel in enumerate(row):
            left = index % 3 * (COLUMNS // 3)
            panels.append(drawn(len(panels) + 1, panel, place(left, top + index // 3 * HEIGHT, COLUMNS // 3, HEIGHT)))
        top += -(-len(row) // 3) * HEIGHT
    return {
        "uid": "podhooks",
        "title": "Podhooks",
        "tags": ["podhooks"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
        },
        "panels": panels,
    }


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def drawn(number: int, panel: Panel, where: dict[str, int]) -> dict[str, Any]:
    title, unit, expressions = panel
    single = len(expressions) == 1 and " by (" not in expressions[0][0]
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for index, (expr, legend) in enumerate(expressions)
    ]
    return {
        "id": number,
        "type": "stat" if single else "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
