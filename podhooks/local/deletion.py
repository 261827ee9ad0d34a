"""What `DELETE` does to an object: the rules of the API server's `BeforeDelete`, as pure functions on one object.

Checked against the recorded streams: `native-deleted` (generation counts the deletion; the kubelet's last delete shows
grace 0 and a deletionTimestamp of *now* before DELETED), `classic-force-deleted` (grace 0 with a finalizer waits).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from podhooks.kinds.resources import Json

DEFAULT_GRACE_SECONDS = 30


def rfc3339(moment: datetime) -> str:
    """A metav1.Time: UTC, whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> datetime:
    """The reverse of `rfc3339`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def mark_pod(pod: Json, grace_seconds: int | None, now: datetime) -> bool:
    """Record the wish to delete a pod in it. Returns whether that changed it: a second, longer grace doesn't."""
    meta = pod["metadata"]
    if "deletionTimestamp" in meta:
        return _shorten(meta, grace_seconds, now)
    _mark(meta, _pod_grace(pod, grace_seconds), now)
    return True


def mark(obj: Json, now: datetime) -> bool:
    """The same for kinds without a grace period; only an object that a finalizer holds back ever shows it."""
    if "deletionTimestamp" in obj["metadata"]:
        return False
    _mark(obj["metadata"], 0, now)
    return True


def is_due(obj: Json) -> bool:
    """Whether a marked object may go: nothing holds it and no grace period is left."""
    meta = obj["metadata"]
    return "deletionTimestamp" in meta and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds")


def _mark(meta: Json, grace_seconds: int, now: datetime) -> None:
    meta["deletionTimestamp"] = rfc3339(now + timedelta(seconds=grace_seconds))
    meta["deletionGracePeriodSeconds"] = grace_seconds
    if meta.get("generation"):
        meta["generation"] += 1


def _shorten(meta: Json, grace_seconds: int | None, now: datetime) -> bool:
    old = meta.get("deletionGracePeriodSeconds") or 0
    if grace_seconds is None or grace_seconds >= old:
        return False
    asked = parse_rfc3339(meta["deletionTimestamp"]) - timedelta(seconds=old - grace_seconds)
    meta["deletionTimestamp"] = rfc3339(max(asked, now))
    meta["deletionGracePeriodSeconds"] = grace_seconds
    return True


def _pod_grace(pod: Json, asked: int | None) -> int:
    """Seconds. A pod that no kubelet has, or that is over, gets none."""
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    if asked is None:
        asked = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
    return asked if asked >= 0 else 1
