"""What `guarantee: cluster` puts into a pod's metadata: the label that makes it cheap to watch, and the finalizer.

The label comes through every door. The finalizer comes only from an injector that knows of a rescuer beside it: a
finalizer that nobody takes away would keep the pod's object for ever.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.inject.case import Case
from podhooks.inject.edit import Edit
from podhooks.inject.shapes import Pod
from podhooks.inject.status import Status
from podhooks.pod.object import mapping, sequence

LABELS, FINALIZERS = "metadata.labels", "metadata.finalizers"
"""Their places in a status: where the user had ours already, or an empty one."""


def mark(metadata: Pod, edit: Edit, case: Case) -> None:
    """Into `metadata`, noting in `edit` what taking it out again must know."""
    labels, finalizers = mapping(metadata.get("labels")), sequence(metadata.get("finalizers"))
    if labels.get(contract.GUARANTEE_LABEL) == contract.GUARANTEE_CLUSTER:
        edit.own.append(LABELS)
    elif case.plan.guaranteed:
        _note_empty(metadata, "labels", edit)
        metadata["labels"] = {**labels, contract.GUARANTEE_LABEL: contract.GUARANTEE_CLUSTER}
        edit.added.append(f"{LABELS}[{contract.GUARANTEE_LABEL}]")
    if contract.FINALIZER in finalizers:
        edit.own.append(FINALIZERS)
    elif case.plan.guaranteed and case.settings.rescuer:
        _note_empty(metadata, "finalizers", edit)
        metadata["finalizers"] = [*finalizers, contract.FINALIZER]
        edit.added.append(f"{FINALIZERS}[{contract.FINALIZER}]")


def unmark(metadata: Pod, status: Status) -> None:
    labels, finalizers = metadata.get("labels"), metadata.get("finalizers")
    ours = isinstance(labels, dict) and labels.get(contract.GUARANTEE_LABEL) == contract.GUARANTEE_CLUSTER
    if isinstance(labels, dict) and ours and LABELS not in status.own:
        del labels[contract.GUARANTEE_LABEL]
        _give_back_empty(metadata, "labels", status)
    if isinstance(finalizers, list) and FINALIZERS not in status.own and contract.FINALIZER in finalizers:
        finalizers.remove(contract.FINALIZER)
        _give_back_empty(metadata, "finalizers", status)


def _note_empty(metadata: Pod, field: str, edit: Edit) -> None:
    if field in metadata and not metadata[field]:
        edit.was[f"metadata.{field}"] = metadata[field]


def _give_back_empty(metadata: Pod, field: str, status: Status) -> None:
    if metadata[field]:
        return
    if f"metadata.{field}" in status.was:
        metadata[field] = status.was[f"metadata.{field}"]
    else:
        del metadata[field]
