"""The CustomResourceDefinition of Rescue: what a pod with `guarantee: cluster` left undone, and what became of it."""

from __future__ import annotations

from podhooks import contract
from podhooks.inject.shapes import Json

PLURAL, SINGULAR, KIND = "rescues", "rescue", "Rescue"
STATES = ("Recorded", "Running", "Done", "Refused", "Failed", "Expired")
COLUMNS = (
    ("Pod", "string", ".spec.pod.name"),
    ("In", "string", ".spec.pod.namespace"),
    ("Verdict", "string", ".spec.verdict.result"),
    ("State", "string", ".status.state"),
    ("Attempts", "integer", ".status.attempts"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("Reason", "string", ".status.reason"),
)


def rescue_definition() -> dict[str, Json]:
    """No status subresource: a Rescue is written with its state, in one request."""
    version = {
        "name": contract.RESCUE_VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema()},
        "additionalPrinterColumns": [{"name": name, "type": kind, "jsonPath": path} for name, kind, path in COLUMNS],
    }
    names = {"plural": PLURAL, "singular": SINGULAR, "kind": KIND, "listKind": f"{KIND}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{contract.RESCUE_GROUP}"},
        "spec": {"group": contract.RESCUE_GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _schema() -> dict[str, Json]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    text, number = {"type": "string"}, {"type": "integer"}
    texts = {"type": "array", "items": text}
    pod = {"name": text, "namespace": text, "uid": text, "node": text}
    spec = {
        "pod": {"type": "object", "required": ["name", "namespace", "uid"], "properties": pod},
        "verdict": {**anything, "description": "How main ended, by the pod's last object."},
        "confirmed": {"type": "boolean", "description": "Whether a kubelet told the end; false for a lost node."},
        "owed": {**texts, "description": "Callbacks of on_exit that are to be run."},
        "begun": {**texts, "description": "Those of them that had begun in the pod."},
        "forfeit": {
            **texts,
            "description": "Callbacks that had begun and that their retries allow no further attempt.",
        },
        "object": {**anything, "description": "The pod's last object."},
    }
    status = {
        "state": {"type": "string", "enum": list(STATES)},
        "reason": text,
        "message": text,
        "attempts": number,
        "job": text,
        "finishedAt": text,
        "twice": {**texts, "description": "Callbacks that may have run twice."},
        "record": {**anything, "description": "The record of on_exit, with what the rescue has done."},
    }
    return {
        "type": "object",
        "description": "What a pod with podhooks.io/guarantee: cluster left undone, and what became of it.",
        "properties": {
            "spec": {"type": "object", "properties": spec},
            "status": {"type": "object", "properties": status},
        },
    }
