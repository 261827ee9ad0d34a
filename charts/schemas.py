"""Schemas of the charts' values, as far as they say what callbacks are: from the contract, so that they can't differ.

JSON Schema draft 7, which Helm 3 and 4 both read. Everything is strict: an unknown key is an error, not a silence.
"""

from __future__ import annotations

from typing import Any

from podhooks import contract
from podhooks.inject.settings import Delivery
from podhooks.plan import Guarantee, Mode, Policy
from podhooks.plan_options import WHEN_WORDS

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
_NUMBER = r"[0-9]+(\.[0-9]+)?"
DURATION = rf"^({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"
PULL_POLICIES = ["", "Always", "IfNotPresent", "Never"]


def words(*choices: str) -> Schema:
    """One of them, or nothing: the default."""
    return {"type": "string", "enum": ["", *choices]}


def mapping(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


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
                "image": {"type": "string"},
                "delivery": {"enum": [each.value for each in Delivery]},
                "pullPolicy": {"enum": PULL_POLICIES},
            }
        ),
    }


def resources(*more: str) -> Schema:
    amounts = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
    return mapping({"requests": amounts, "limits": amounts, **{name: {"type": "array"} for name in more}})


def library() -> Schema:
    lists = {"onStart": callbacks(at_exit=False), "onExit": callbacks(at_exit=True)}
    everything = mapping({**lists, **options(), "global": {"type": "object"}})
    return {"$schema": DRAFT, "title": "Values of podhooks-lib", **everything}


def flow_job() -> Schema:
    text, number, flag = {"type": "string"}, {"type": ["integer", "null"], "minimum": 0}, {"type": "boolean"}
    objects, labels = {"type": "array", "items": {"type": "object"}}, _texts()
    job = {
        "backoffLimit": number,
        "activeDeadlineSeconds": number,
        "ttlSecondsAfterFinished": number,
        "parallelism": number,
        "completions": number,
        "completionMode": words("NonIndexed", "Indexed"),
        "suspend": flag,
    }
    cron = {
        "timeZone": text,
        "concurrencyPolicy": {"enum": ["Allow", "Forbid", "Replace"]},
        "startingDeadlineSeconds": number,
        "successfulJobsHistoryLimit": number,
        "failedJobsHistoryLimit": number,
    }
    account = {"create": flag, "name": text, "annotations": labels, "automountToken": flag}
    return {
        "$schema": DRAFT,
        "title": "Values of flow-job",
        **mapping(
            {
                "image": {"type": "string", "minLength": 1},
                "imagePullPolicy": {"enum": PULL_POLICIES},
                "imagePullSecrets": objects,
                "command": _strings(),
                "args": _strings(),
                "env": objects,
                "envFrom": objects,
                "workingDir": text,
                "schedule": text,
                "cron": mapping(cron),
                "job": mapping(job),
                "onStart": callbacks(at_exit=False),
                "onExit": callbacks(at_exit=True),
                "podhooks": {"type": "object"},  # the library's own schema has it
                "callbacks": mapping({"files": _texts(), "path": {"type": "string", "pattern": "^/[^:]+$"}}),
                "resources": resources("claims"),
                "restartPolicy": {"enum": ["Never", "OnFailure"]},
                "terminationGracePeriodSeconds": number,
                "serviceAccount": mapping(account),
                "rbac": mapping({"create": flag, "rules": objects}),
                "podSecurityContext": {"type": "object"},
                "securityContext": {"type": "object"},
                "volumes": objects,
                "volumeMounts": objects,
                "initContainers": objects,
                "extraContainers": objects,
                "podLabels": labels,
                "podAnnotations": labels,
                "nodeSelector": labels,
                "tolerations": objects,
                "affinity": {"type": "object"},
                "topologySpreadConstraints": objects,
                "priorityClassName": text,
                "nameOverride": text,
                "fullnameOverride": text,
                "global": {"type": "object"},
            }
        ),
    }


def operator() -> Schema:
    text, flag, labels, objects = (
        {"type": "string"},
        {"type": "boolean"},
        _texts(),
        {"type": "array", "items": {"type": "object"}},
    )
    reference = {"type": "string", "pattern": r"^[^\s\"'\\@]*(@sha256:[0-9a-f]{64})?$"}
    age = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))?$"}
    whole = {"type": "integer", "minimum": 1}
    policy = {"enum": ["Ignore", "Fail"]}
    certificates = {
        "source": {"enum": ["self-made", "cert-manager"]},
        "authorityLifetime": age,
        "certificateLifetime": age,
        "publishDelay": age,
        "checkInterval": age,
        "issuerRef": mapping({"name": text, "kind": text, "group": text}),
    }
    webhook = {
        "failurePolicy": policy,
        "timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": 30},
        "failOnInvalid": flag,
        "certificates": mapping(certificates),
    }
    runtime = {
        "image": reference,
        "delivery": {"enum": [each.value for each in Delivery]},
        "pullPolicy": {"enum": PULL_POLICIES},
    }
    budget = {
        "minAvailable": {"type": ["integer", "string", "null"]},
        "maxUnavailable": {"type": ["integer", "string", "null"]},
    }
    network = {"enabled": flag, "webhookFrom": objects, "metricsFrom": objects}
    monitor = {"enabled": flag, "interval": text, "labels": labels}
    return {
        "$schema": DRAFT,
        "title": "Values of podhooks",
        **mapping(
            {
                "injector": {"enum": ["webhook", "policy", "none"]},
                "image": mapping({"repository": reference, "tag": text, "pullPolicy": {"enum": PULL_POLICIES}}),
                "imagePullSecrets": objects,
                "runtime": mapping(runtime),
                "optIn": flag,
                "kubernetes": {"type": "string", "pattern": r"^([0-9]+\.[0-9]+)?$"},
                "annotations": {
                    "type": "object",
                    "additionalProperties": text,
                    "propertyNames": {"pattern": "^podhooks\\.io/"},
                },
                "webhook": mapping(webhook),
                "policy": mapping({"failurePolicy": policy}),
                "replicas": whole,
                "resources": resources("claims"),
                "serviceAccount": mapping({"create": flag, "name": text, "annotations": labels}),
                "rbac": mapping({"create": flag}),
                "podDisruptionBudget": mapping({"enabled": flag, **budget}),
                "networkPolicy": mapping(network),
                "serviceMonitor": mapping(monitor),
                "topologySpread": flag,
                "priorityClassName": text,
                "podLabels": labels,
                "podAnnotations": labels,
                "nodeSelector": labels,
                "tolerations": objects,
                "affinity": {"type": "object"},
                "extraArgs": _strings(),
                "nameOverride": text,
                "fullnameOverride": text,
                "global": {"type": "object"},
            }
        ),
    }


def _strings() -> Schema:
    return {"type": "array", "items": {"type": "string"}}


def _texts() -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}}
