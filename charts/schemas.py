"""Schemas of the charts' values. What is an annotation is made of the table of annotations, so that they can't differ.

JSON Schema draft 7, which Helm 3 and 4 both read. Everything is strict: an unknown key is an error, not a silence.
"""

from __future__ import annotations

from typing import Any

from podhooks.annotations.plan import LISTS, TABLE, USER_ANNOTATIONS
from podhooks.context import Hook
from podhooks.inject.inject_settings import Delivery
from podhooks.render.annotation_schemas import AMOUNTS, schema

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
PULL_POLICIES = ["", "Always", "IfNotPresent", "Never"]

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": ["integer", "null"], "minimum": 0}
OBJECT: Schema = {"type": "object"}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
NAMED: Schema = {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT}}}
VARIABLES: Schema = {
    "type": "array",
    "items": {"type": "object", "required": ["name"], "properties": {"name": TEXT, "value": TEXT}},
}
STRINGS: Schema = {"type": "array", "items": TEXT}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
PULL_POLICY: Schema = {"enum": PULL_POLICIES}
DELIVERY: Schema = {"enum": [each.value for each in Delivery]}
REFERENCE: Schema = {"type": "string", "pattern": r"^[^\s\"'\\@]*(@sha256:[0-9a-f]{64})?$"}
NAMESPACE_NAME: Schema = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
NAME_PART: Schema = {"type": "string", "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"}
# Prometheus has units of its own, largest first; nothing means its own default.
AGE: Schema = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))?$"}
SCRAPE_INTERVAL: Schema = {
    "type": "string",
    "pattern": r"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
}

COMMON: Schema = {
    "imagePullSecrets": NAMED,
    "podLabels": TEXTS,
    "podAnnotations": TEXTS,
    "nodeSelector": TEXTS,
    "tolerations": OBJECTS,
    "affinity": OBJECT,
    "priorityClassName": TEXT,
    "nameOverride": NAME_PART,
    "fullnameOverride": NAME_PART,
    "global": OBJECT,
}
"""What both charts have that make pods."""


def words(*choices: str) -> Schema:
    """One of them, or nothing: the default."""
    return {"type": "string", "enum": ["", *choices]}


def mapping(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


def section(properties: Schema) -> Schema:
    """A mapping whose sections, switches and choices without a default can't be taken out, as null does in Helm."""
    needed = [name for name, each in properties.items() if _is_needed(each)]
    return mapping(properties, **({"required": needed} if needed else {}))


def _is_needed(schema: Schema) -> bool:
    has_no_default = bool(schema.get("enum")) and "" not in schema["enum"]
    return schema == SWITCH or "required" in schema or "minLength" in schema or has_no_default


def chart(name: str, properties: Schema) -> Schema:
    return {"$schema": DRAFT, "title": f"Values of {name}", **properties}


def camel_case(name: str) -> str:
    """An annotation's short name as charts' values have it: on-exit-when, onExitWhen."""
    first, *rest = name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def or_nothing(value: Schema) -> Schema:
    """The schema that also takes what stands in values.yaml for nothing: the default."""
    if value["type"] == "integer":
        return {**value, "type": ["integer", "null"]}
    return words(*value["enum"]) if "enum" in value else value


def annotations() -> Schema:
    """The properties by the names that charts have for annotations."""
    return {camel_case(each.short_name): or_nothing(schema(each)) for each in TABLE}


def resources(*more: str) -> Schema:
    return mapping({"requests": AMOUNTS, "limits": AMOUNTS, **{name: {"type": "array"} for name in more}})


def library() -> Schema:
    runtime = mapping({"image": TEXT, "delivery": DELIVERY, "pullPolicy": PULL_POLICY})
    return chart("podhooks-lib", mapping({**annotations(), "runtime": runtime, "global": OBJECT}))


def flow_job() -> Schema:
    return chart("flow-job", section({**_what_runs(), **_when_it_runs(), **_its_pod(), **COMMON}))


def _what_runs() -> Schema:
    return {
        "image": {"type": "string", "minLength": 1, "pattern": r"^\S+$"},
        "imagePullPolicy": PULL_POLICY,
        "command": STRINGS,
        "args": STRINGS,
        "env": VARIABLES,
        "envFrom": OBJECTS,
        "workingDir": TEXT,
        "resources": resources("claims"),
        "onStart": schema(LISTS[Hook.ON_START]),
        "onExit": schema(LISTS[Hook.ON_EXIT]),
        "podhooks": OBJECT,  # the library's own schema has it
        "callbacks": section({"files": TEXTS, "path": {"type": "string", "minLength": 2, "pattern": "^/[^:]+$"}}),
    }


def _when_it_runs() -> Schema:
    job = {
        "backoffLimit": WHOLE,
        "activeDeadlineSeconds": WHOLE,
        "ttlSecondsAfterFinished": WHOLE,
        "parallelism": WHOLE,
        "completions": WHOLE,
        "completionMode": words("NonIndexed", "Indexed"),
        "suspend": SWITCH,
    }
    cron = {
        "timeZone": TEXT,
        "concurrencyPolicy": {"enum": ["Allow", "Forbid", "Replace"]},
        "suspend": SWITCH,
        "startingDeadlineSeconds": WHOLE,
        "successfulJobsHistoryLimit": WHOLE,
        "failedJobsHistoryLimit": WHOLE,
    }
    return {"schedule": TEXT, "cron": section(cron), "job": section(job)}


def _its_pod() -> Schema:
    account = {"create": SWITCH, "name": TEXT, "annotations": TEXTS, "automountToken": SWITCH}
    return {
        "restartPolicy": {"enum": ["Never", "OnFailure"]},
        "terminationGracePeriodSeconds": WHOLE,
        "serviceAccount": section(account),
        "rbac": section({"create": SWITCH, "rules": OBJECTS}),
        "podSecurityContext": OBJECT,
        "securityContext": OBJECT,
        "volumes": NAMED,
        "volumeMounts": NAMED,
        "initContainers": NAMED,
        "extraContainers": NAMED,
        "topologySpreadConstraints": OBJECTS,
    }


def operator() -> Schema:
    return chart("podhooks", section({**_what_injects(), **_its_deployment(), **COMMON}))


def _what_injects() -> Schema:
    failure_policy: Schema = {"enum": ["Ignore", "Fail"]}
    webhook = {
        "failurePolicy": failure_policy,
        "timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": 30},
        "failOnInvalid": SWITCH,
        "certificates": _certificates(),
    }
    return {
        "injector": {"enum": ["webhook", "policy", "none"]},
        "runtime": section({"image": REFERENCE, "delivery": DELIVERY, "pullPolicy": PULL_POLICY}),
        "optIn": SWITCH,
        "kubernetes": {"type": "string", "pattern": r"^([0-9]+\.[0-9]+)?$"},
        "annotations": {**TEXTS, "propertyNames": {"enum": list(USER_ANNOTATIONS)}},
        "webhook": section(webhook),
        "policy": section({"failurePolicy": failure_policy}),
        "rescuer": section(
            {
                "enabled": SWITCH,
                "namespaces": STRINGS,
                "hold": AGE,
                "deadline": AGE,
                "keep": AGE,
                "atOnce": {"type": ["integer", "null"], "minimum": 1},
            }
        ),
    }


def _certificates() -> Schema:
    return section(
        {
            "source": {"enum": ["self-made", "cert-manager"]},
            "authorityLifetime": AGE,
            "certificateLifetime": AGE,
            "publishDelay": AGE,
            "checkInterval": AGE,
            "issuerRef": section({"name": TEXT, "kind": TEXT, "group": TEXT}),
        }
    )


def _its_deployment() -> Schema:
    repository = {"type": "string", "minLength": 1, "pattern": r"^([^\s\"'\\@]*/)?[^\s\"'\\@:/]+$"}
    tag = {"type": "string", "pattern": r"^([A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?)?$"}
    some: Schema = {"type": ["integer", "string", "null"]}
    return {
        "image": section({"repository": repository, "tag": tag, "pullPolicy": PULL_POLICY}),
        "replicas": {"type": "integer", "minimum": 1},
        "resources": resources("claims"),
        "serviceAccount": section({"create": SWITCH, "name": TEXT, "annotations": TEXTS}),
        "rbac": section({"create": SWITCH}),
        "podDisruptionBudget": section({"enabled": SWITCH, "minAvailable": some, "maxUnavailable": some}),
        "networkPolicy": section({"enabled": SWITCH, "webhookFrom": OBJECTS, "metricsFrom": OBJECTS}),
        "podRights": section({"namespaces": {"type": "array", "items": NAMESPACE_NAME, "uniqueItems": True}}),
        "alerts": section({"enabled": SWITCH, "labels": TEXTS}),
        "dashboard": section({"enabled": SWITCH, "labels": TEXTS}),
        "serviceMonitor": section({"enabled": SWITCH, "interval": SCRAPE_INTERVAL, "labels": TEXTS}),
        "topologySpread": SWITCH,
        "extraArgs": STRINGS,
    }
