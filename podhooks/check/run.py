"""All categories, in order. What one needs of another is read once."""

from __future__ import annotations

from collections.abc import Iterator

from podhooks.check.api import check_api
from podhooks.check.doors import DOORS, check_doors
from podhooks.check.finding import Check, Mark
from podhooks.check.pods import PODS, check_pods, look
from podhooks.check.reader import Reader, Unreadable
from podhooks.check.rescuer import check_rescuer
from podhooks.check.rights import check_installer, check_rights


def check(reader: Reader, namespace: str = "") -> Iterator[Check]:
    """The state of an installation. `namespace`: only its pods; empty for all."""
    reached = list(check_api(reader))
    yield from reached
    if any(each.mark is Mark.ERROR and each.code == "api-reachable" for each in reached):
        return
    now = reader.now()
    doors = list(check_doors(reader, now))
    yield from doors
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    try:
        seen = look(reader.items(path), now)
    except Unreadable as error:
        where = f"in namespace {namespace}" if namespace else "in all namespaces: or name one with -n"
        yield PODS.skipped("pods-injected", f"can't look at pods: {error}", f"ask for the right to list pods {where}")
        yield from check_rescuer(reader, now, guaranteed=0)
        return
    yield from check_rescuer(reader, now, guaranteed=seen.guaranteed)
    yield from check_pods(seen, doors=any(each.code == "door-exists" and each.mark is Mark.OK for each in doors))
    yield from check_rights(reader, seen.accounts)


def check_before(reader: Reader, namespace: str) -> Iterator[Check]:
    """Whether Podhooks can be installed."""
    reached = list(check_api(reader))
    yield from reached
    if any(each.mark is Mark.ERROR and each.code == "api-reachable" for each in reached):
        return
    try:
        yield from check_installer(reader, namespace)
    except Unreadable as error:
        yield DOORS.skipped(
            "not-installed", f"can't look at namespace {namespace}: {error}", "ask for the right to get services"
        )
