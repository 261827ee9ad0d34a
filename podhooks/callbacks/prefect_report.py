"""How main ended, in Prefect's forms: a markdown artifact and an event."""

from __future__ import annotations

from datetime import datetime, timezone

from podhooks.callbacks.prefect_state import signal_name
from podhooks.context import format_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from podhooks.context import ExitInfo, Json, RunContext

EVENT = "podhooks.main.ended"
MAX_LOG_CHARACTERS = 20_000  # Prefect keeps artifacts and events in its database


def markdown(context: RunContext, tail: str, state: Mapping[str, Json]) -> str:
    """`state` is the flow run's, as Prefect has it: a flow that failed ends its process with 0."""
    end = context.exit
    if end is None:
        return ""
    rows = [("Result", f"**{end.result.value}**"), *_state_rows(state), *_rows(context, end)]
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows)])
    parts = [f"# Main ended: {end.result.value}", table]
    if context.earlier:
        lines = [
            f"| {_cell(f'`{each.name}`')} | {each.status.value} | {_cell(each.message)} |" for each in context.earlier
        ]
        parts.append("\n".join(["| callback before this one | outcome | |", "|---|---|---|", *lines]))
    if tail:
        fence = "````" if "```" in tail else "```"
        parts.append(f"## Log\n\n{fence}\n{tail[-MAX_LOG_CHARACTERS:].rstrip()}\n{fence}")
    return "\n\n".join(parts) + "\n"


def _state_rows(state: Mapping[str, Json]) -> list[tuple[str, str]]:
    name, message = state.get("name") or state.get("type"), state.get("message")
    if not name:
        return []
    return [("Flow run", f"**{name}**{f': {str(message)[:500]}' if message else ''}")]


def _rows(context: RunContext, end: ExitInfo) -> list[tuple[str, str]]:
    pod = context.pod
    known = {
        "Exit code": "" if end.exit_code is None else str(end.exit_code),
        "Signal": "" if end.signal is None else signal_name(end.signal),
        "Reason": end.reason,
        "Message": end.message,
        "Started": format_time(end.started_at) or "",
        "Finished": format_time(end.finished_at) or "",
        "Restarts": str(end.restarts) if end.restarts else "",
        "Container": end.container or context.main_container,
        "Pod": f"{pod.namespace}/{pod.name}",
        "Node": pod.node,
        "Job": context.owner.name if context.owner else "",
    }
    return [(name, value) for name, value in known.items() if value]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def event(
    context: RunContext, flow_run_id: str, tail: str, state: Mapping[str, Json], *, identity: UUID
) -> dict[str, Json]:
    """Prefect keeps an event's id once, so the same one sent again is the same one."""
    end = context.exit
    finished = (end.finished_at if end else None) or datetime.now(timezone.utc)
    result = end.result.value if end else ""
    return {
        "id": str(identity),
        "occurred": format_time(finished),
        "event": EVENT,
        "resource": {
            "prefect.resource.id": f"podhooks.pod.{context.pod.uid or context.pod.name}",
            "prefect.resource.name": context.pod.name,
            "podhooks.result": result,
        },
        "related": [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}],
        "payload": {
            "exit": end.to_json() if end else None,
            "flow_run": {"id": flow_run_id, "state": {"type": state.get("type"), "name": state.get("name")}},
            "pod": {"name": context.pod.name, "namespace": context.pod.namespace, "node": context.pod.node},
            "log_tail": tail[-MAX_LOG_CHARACTERS:],
        },
    }
