"""Pushes how main ended to a Prometheus Pushgateway, in the text exposition format."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from podhooks.callbacks.budget import Budget, timeout_seconds
from podhooks.callbacks.delivery import TRIES, Message, send
from podhooks.callbacks.secrecy import expand, variable
from podhooks.callbacks.templates import fields, fill, seconds
from podhooks.context import Result, RunContext
from podhooks.errors import InputError

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
OF_A_CRONJOB = re.compile(r"-\d{8,10}$")  # the minute in the name of a Job that a CronJob made
Sample = tuple[Mapping[str, str], float]


def push(  # noqa: PLR0913  settings, by name
    context: RunContext,
    gateway: str = "",
    *,
    gateway_env: str = "",
    job: str = "",
    grouping: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | str = 10,
    tries: int = TRIES,
) -> None:
    """PUT the metrics of this run under its grouping key: they replace those of the run before it."""
    if context.exit is None:
        raise InputError("metrics:push belongs to on-exit: before main has run there is nothing to push")
    if bool(gateway) == bool(gateway_env):
        raise InputError("give the Pushgateway's URL in `gateway` or in `gateway_env` (a variable's name), one of them")
    base = variable(gateway_env, "gateway_env") if gateway_env else expand(gateway, "gateway").strip()
    expanded = {name: expand(str(value), f"headers: {name}") for name, value in (headers or {}).items()}
    message = Message(
        "the Pushgateway",
        group_url(base, key(context, job, grouping)),
        exposition(context).encode(),
        {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", **expanded},
        method="PUT",
        timeout_seconds=timeout_seconds(timeout),
        tries=tries,
        secret_values=frozenset(word for value in expanded.values() for word in value.split()[-1:]),
    )
    print(f"told {message.shown}: {send(message, Budget.of(context)).status}")


def key(context: RunContext, job: str, grouping: Mapping[str, str] | None) -> dict[str, str]:
    """The grouping key. By default it is the same for every run of a Job, so that the gateway doesn't fill up."""
    values = fields(context)
    name = fill(job, values, "job") if job else OF_A_CRONJOB.sub("", values["job"] or values["pod"])
    default = {"namespace": context.pod.namespace, **({"index": values["index"]} if values["index"] else {})}
    given = default if grouping is None else grouping
    found = {"job": name}
    for label, value in given.items():
        if not LABEL.fullmatch(str(label)) or str(label).startswith("__") or label == "job":
            raise InputError(f"grouping: {label!r} can't be the name of a label")
        found[label] = fill(str(value), values, "grouping")
    if not name:
        raise InputError("job: it must not be empty")
    return found


def group_url(base: str, grouping: Mapping[str, str]) -> str:
    """Values that a path can't hold (empty, with a slash, dots only) go in base64, as the gateway has it."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/") + "/metrics"
    for name, value in grouping.items():
        if not value or "/" in value or value in (".", ".."):
            encoded = base64.urlsafe_b64encode(value.encode()).decode() or "="
            path += f"/{name}@base64/{encoded}"
        else:
            path += f"/{name}/{quote(value, safe='')}"
    return f"{parts.scheme}://{parts.netloc}{path}" if parts.scheme else base


def exposition(context: RunContext) -> str:
    """What isn't known isn't there: a PUT leaves nothing of the run before."""
    return "".join(_family(name, help_text, samples) for name, help_text, samples in families(context) if samples)


def families(context: RunContext) -> Sequence[tuple[str, str, Sequence[Sample]]]:
    end = context.exit
    if end is None:
        return ()
    labels = {"pod": context.pod.name, "container": fields(context)["container"]}
    started, finished = end.started_at, end.finished_at
    numbers: list[tuple[str, str, float | None]] = [
        ("duration_seconds", "How long main's last run took.", seconds(context)),
        ("exit_code", "Main's exit code.", end.exit_code),
        ("restarts", "Main's runs before the last one in this pod.", end.restarts),
        ("started_timestamp_seconds", "When main's last run began.", started.timestamp() if started else None),
        ("finished_timestamp_seconds", "When main ended.", finished.timestamp() if finished else None),
        ("succeeded", "Whether main succeeded: 1 or 0.", float(end.succeeded)),
    ]
    found: list[tuple[str, str, Sequence[Sample]]] = [
        (f"podhooks_main_{name}", text, [(labels, value)] if value is not None else []) for name, text, value in numbers
    ]
    states = [({**labels, "result": each.value}, float(each is end.result)) for each in Result]
    found.append(("podhooks_main_result", "How main ended: 1 for that result, 0 for every other.", states))
    return found


def _family(name: str, help_text: str, samples: Sequence[Sample]) -> str:
    text = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    lines = [f"{name}{{{_labels(labels)}}} {value:.17g}" for labels, value in samples]
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} gauge", *lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
