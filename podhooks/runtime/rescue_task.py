"""What a rescue Job's program is told: whose on_exit it runs, how main ended, and what was done already.

The operator writes it into an annotation of the Job's pod; the program reads it as a file of the downward API.
"""

from __future__ import annotations

from podhooks.context import EMPTY, ExitInfo, PodInfo, Status
from podhooks.errors import InputError
from podhooks.runtime.record import RecordData
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import Json

FORMAT = 1


class RescueTask(Value):
    """`record` is what the pod left, or an earlier rescue Job. `emptied` are directories of main whose contents went
    with the pod. `pod_object` is its last one; empty where it was too large to be handed on.
    """

    pod: PodInfo
    main_container: str
    exit_info: ExitInfo
    record: RecordData | None = None
    emptied: tuple[str, ...] = ()
    pod_object: Mapping[str, Json] = EMPTY

    def to_json(self) -> dict[str, Json]:
        pod = self.pod
        return {
            "podhooks": FORMAT,
            "pod": {
                "name": pod.name,
                "namespace": pod.namespace,
                "uid": pod.uid,
                "node": pod.node,
                "labels": dict(pod.labels),
                "annotations": dict(pod.annotations),
            },
            "main": self.main_container,
            "exit": self.exit_info.to_json(),
            "record": None if self.record is None else self.record.to_json(),
            "emptied": list(self.emptied),
            "object": dict(self.pod_object),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> RescueTask:
        if data["podhooks"] != FORMAT:
            raise ValueError(f"format {data['podhooks']}")
        pod = data["pod"]
        return cls(
            pod=PodInfo(*(pod[key] for key in ("name", "namespace", "uid", "node", "labels", "annotations"))),
            main_container=str(data["main"]),
            exit_info=ExitInfo.from_json(data["exit"]),
            record=RecordData.from_json(data["record"]) if data.get("record") else None,
            emptied=tuple(map(str, data.get("emptied") or ())),
            pod_object=data.get("object") or EMPTY,
        )


def read_task(path: str) -> RescueTask:
    """InputError for a file that can't be read, or isn't one that the operator wrote."""
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return RescueTask.from_json(json.load(file))
    except OSError as error:
        raise InputError(f"the rescue's task can't be read: {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} holds no task of the operator's ({error}): are operator and runtime of one version?"
        ) from error


def reopened(record: RecordData) -> RecordData:
    """The record to go on from: what only the pod's lack of time brought about isn't an outcome for us.

    A callback that was skipped so counts as not begun, any other as cut off in the attempt that it was at.
    """
    kept = [each for each in record.outcomes if not (each.cut and each.status is Status.SKIPPED)]
    outcomes = tuple(each.replace(status=Status.INTERRUPTED, cut=False) if each.cut else each for each in kept)
    return record.replace(outcomes=outcomes, complete=False)
