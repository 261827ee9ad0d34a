"""What an API server's refusals mean: one mapping to podhooks.errors, and the next step after a 403. Pure."""

from __future__ import annotations

import json

from podhooks.errors import ApiError, Conflict, Forbidden, Gone, NotFound, Unauthorized, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import Json

KINDS: Mapping[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}
TOO_MANY_REQUESTS = 429
NOT_PERMISSIONS = ("is being terminated", "exceeded quota")
NO_ROLE_HELPS = "No role helps against that"
LONGEST_PLAIN = 200  # characters of an answer that isn't the API's
LONGEST_RETRY_AFTER = 6  # digits


def api_error(
    status: int, said: str, request: str = "", advice: str = "", retry_after_seconds: float | None = None
) -> ApiError:
    """The error for an HTTP status. Its message is one line: the request, what the server said, what to do."""
    message = " ".join((f"{request}: {said}" if request else said).split())
    return KINDS.get(status, ApiError)(
        f"{message.rstrip('.')}. {advice}" if advice else message,
        status=status,
        retry_after_seconds=retry_after_seconds,
    )


def status_of(server: str, code: int, body: bytes) -> tuple[int, str]:
    """Status and message of a refusal; `body` is a metav1.Status, or whatever else is at that address."""
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):
        status = None
    if isinstance(status, dict) and "code" in status:
        return coded(status)
    plain = " ".join(body[:LONGEST_PLAIN].decode("utf-8", "replace").split())
    shown = f": {plain}" if plain and plain[0] not in "<{" else ""  # a proxy's page is nothing for a line
    return code, f"{server} answered HTTP {code}{shown}"


def coded(status: Mapping[str, Json]) -> tuple[int, str]:
    """Code and message of a metav1.Status."""
    code = status.get("code")
    code = code if isinstance(code, int) else 0
    return code, str(status.get("message") or f"HTTP status {code}")


def seconds_of(retry_after: str | None) -> float | None:
    """The header Retry-After, where it is a number of seconds. Kubernetes writes no dates."""
    given = retry_after or ""
    return float(given) if given.isascii() and given.isdigit() and len(given) <= LONGEST_RETRY_AFTER else None


def is_passing(error: ApiError) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, Unreachable) or error.status == TOO_MANY_REQUESTS or error.status >= 500


def grant(said: str, namespace: str) -> str:
    """The next step for whoever reads a 403: the commands that give the missing rule."""
    if any(each in said for each in NOT_PERMISSIONS):
        return NO_ROLE_HELPS
    role, rule = _missing_rule(said)
    return f"Grant it: {commands(namespace, role, rule, service_account(said, namespace))}"


def commands(namespace: str, role: str, rule: str, account: str, *, cluster_wide: bool = False) -> str:
    """What gives an account a rule that is written in kubectl's options. `account` is NAMESPACE:NAME."""
    kind = "clusterrole" if cluster_wide else "role"
    kubectl = "kubectl" if cluster_wide else f"kubectl -n {namespace}"
    return (
        f"{kubectl} create {kind} {role} {rule} && "
        f"{kubectl} create {kind}binding {role} --{kind}={role} --serviceaccount={account}"
    )


def service_account(said: str, namespace: str) -> str:
    """The account that a 403 speaks of, as kubectl's --serviceaccount takes it."""
    user = said.partition("system:serviceaccount:")[2].partition('"')[0]
    return user if ":" in user else f"{namespace}:default"


def _missing_rule(said: str) -> tuple[str, str]:
    """A name for the role, and the options that make its rule."""
    if "pods/log" in said:
        return "podhooks-logs", "--verb=get --resource=pods/log"
    verb, _, rest = said.partition(" cannot ")[2].partition(' resource "')
    resource, _, rest = rest.partition('"')
    if resource in ("", "pods"):
        return "podhooks", "--verb=get,watch --resource=pods"
    group = rest.partition('in API group "')[2].partition('"')[0]
    return f"podhooks-{resource.replace('/', '-')}", f"--verb={verb} --resource={f'{resource}.{group}'.rstrip('.')}"
