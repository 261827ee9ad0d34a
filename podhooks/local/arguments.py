"""What a request asks for, beyond its path: options in its query and body, checked. ApiError 400 for what can't be."""

from __future__ import annotations

from datetime import datetime, timezone
from math import ceil

from podhooks.kinds.resources import Json
from podhooks.local.deletion import parse_rfc3339
from podhooks.local.messages import Request, Target
from podhooks.local.problems import bad_request


def selectors(request: Request) -> tuple[str, str]:
    return request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")


def delete_options(request: Request) -> Json:
    """DeleteOptions from the body and the query; the query wins, as on a real server."""
    options = request.json() if request.body.strip() else {}
    if (grace := request.number("gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    if policy := request.query.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if request.dry_run:
        options["dryRun"] = ["All"]
    if options.get("propagationPolicy") not in (None, "Background", "Foreground", "Orphan"):
        raise bad_request(f'invalid propagationPolicy "{options["propagationPolicy"]}"')
    grace = options.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or grace < 0):
        raise bad_request("gracePeriodSeconds must be a whole number of seconds, 0 or more")
    if not isinstance(options.get("preconditions") or {}, dict):
        raise bad_request("preconditions must be an object")
    return options


def check_addressed(obj: Json, target: Target) -> None:
    """The body must be what the path says. ApiError 400 otherwise."""
    kind, meta = target.kind, obj.get("metadata")
    if not isinstance(meta, dict):
        raise bad_request(f"{kind.kind} without metadata: an object with a name or generateName is expected")
    if obj.get("kind", kind.kind) != kind.kind or obj.get("apiVersion", kind.api_version) != kind.api_version:
        given = f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"
        expected = f"{kind.api_version}, Kind={kind.kind}"
        raise bad_request(f"the object provided ({given}) does not match the endpoint ({expected})")
    if target.name and meta.get("name") != target.name:
        raise bad_request(
            f"the name of the object ({meta.get('name')}) does not match the name on the URL ({target.name})"
        )
    if target.namespace and meta.get("namespace", target.namespace) != target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def choose_container(pod: Json, asked: str) -> str:
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    mains = [container["name"] for container in spec.get("containers") or []]
    inits = [container["name"] for container in spec.get("initContainers") or []]
    if asked and asked not in mains + inits:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if asked:
        return asked
    if len(mains) == 1 and not inits:
        return str(mains[0])
    choice = f"choose one of: [{' '.join(mains)}]"
    if inits:
        choice += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(f"a container name must be specified for pod {name}, {choice}")


def since_seconds(request: Request) -> int | None:
    """`sinceSeconds`, or `sinceTime` as whole seconds before now: rather a line too many than one too few."""
    if not (text := request.query.get("sinceTime")):
        return request.number("sinceSeconds")
    try:
        moment = parse_rfc3339(text)
    except ValueError as error:
        raise bad_request(f'invalid sinceTime "{text}": a time such as 2026-11-23T00:00:00Z is expected') from error
    return max(1, ceil((datetime.now(timezone.utc) - moment).total_seconds()))
