"""Schemas of the charts' values, as far as they say what callbacks are: from the contract, so that they can't differ.

JSON Schema draft 7, which Helm 3 and 4 both read. Everything is strict: an unknown key is an error, not a silence.
"""

from __future__ import annotations

from typing import Any

from podhooks import contract
from podhooks.annotations.options import WHEN_WORDS
from podhooks.annotations.plan import Guarantee, Mode, Policy
from podhooks.inject.inject_settings import Delivery

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
_NUMBER = r"[0-9]+(\.[0-9]+)?"
DURATION = rf"^({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"
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
NAME_PART: Schema = {"type": "string", "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"}
# Prometheus has units of its own, largest first; nothing means its own default.
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


def duration(*, required: bool = False) -> Schema:
    return {"type": "string", "pattern": DURATION, **({"minLength": 2} if required else {})}


def callbacks(*, at_exit: bool) -> Schema:
    """A text as the annotation has it, or a list of names and mappings."""
    results = sorted(WHEN_WORDS)
    fields: Schema = {
        "call": {"type": "string", "minLength": 3},
        "exec": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "with": {"type": "object"},
        "timeout": duration(required=True),
        "retries": {"type": "integer", "minimum": 0, "maximum": contract.MAX_RETRIES},
        "policy": {"enum": [each.value for each in Policy]},
    }
    if at_exit:
        fields["when"] = {"type": ["string", "array"], "items": {"enum": results}}
    entry = {
        "type": ["string", "object"],
        "minLength": 3,
        "additionalProperties": False,
        "properties": fields,
        "if": {"type": "object"},
        "then": {"oneOf": [{"required": ["call"]}, {"required": ["exec"]}]},
    }
    return {"type": ["string", "array"], "items": entry}


def options() -> Schema:
    """What there is beside the two lists: the properties by the names that charts have for annotations."""
    retries = {"type": ["integer", "null"], "minimum": 0, "maximum": contract.MAX_RETRIES}
    policies = [each.value for each in Policy]
    return {
        "onStartPolicy": words(*policies),
        "onExitPolicy": words(*policies),
        "onStartTimeout": duration(),
        "onExitTimeout": duration(),
        "onStartRetries": retries,
        "onExitRetries": retries,
        "onExitWhen": {"type": ["string", "array"], "items": {"enum": sorted(WHEN_WORDS)}},
        "mainContainer": {"type": "string"},
        "mode": words(*(each.value for each in Mode)),
        "image": {"type": "string"},
        "python": {"type": "string"},
        "reserve": duration(),
        "guarantee": words(*(each.value for each in Guarantee)),
        "resources": resources(),
        "runtime": mapping(
            {
                "image": TEXT,
                "delivery": DELIVERY,
                "pullPolicy": PULL_POLICY,
            }
        ),
    }


def resources(*more: str) -> Schema:
    amounts = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
    return mapping({"requests": amounts, "limits": amounts, **{name: {"type": "array"} for name in more}})


def library() -> Schema:
    lists = {"onStart": callbacks(at_exit=False), "onExit": callbacks(at_exit=True)}
    return chart("podhooks-lib", mapping({**lists, **options(), "global": OBJECT}))


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
        "onStart": callbacks(at_exit=False),
        "onExit": callbacks(at_exit=True),
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
        "annotations": {**TEXTS, "propertyNames": {"enum": list(contract.USER_ANNOTATIONS)}},
        "webhook": section(webhook),
        "policy": section({"failurePolicy": failure_policy}),
    }


def _certificates() -> Schema:
    age = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))?$"}
    return section(
        {
            "source": {"enum": ["self-made", "cert-manager"]},
            "authorityLifetime": age,
            "certificateLifetime": age,
            "publishDelay": age,
            "checkInterval": age,
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
        "serviceMonitor": section({"enabled": SWITCH, "interval": SCRAPE_INTERVAL, "labels": TEXTS}),
        "topologySpread": SWITCH,
        "extraArgs": STRINGS,
    }
