"""What is said about a run: as Slack's blocks, within Slack's limits, and as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podhooks.callbacks.templates import fields
from podhooks.context import RunContext

if TYPE_CHECKING:
    from podhooks.context import Json

HEADER_CHARACTERS = 150  # Slack refuses a message with one character more, the same below
FIELD_CHARACTERS = 2000
SECTION_CHARACTERS = 3000
FACTS = (
    ("result", "Result"),
    ("exit_code", "Exit code"),
    ("signal", "Signal"),
    ("reason", "Reason"),
    ("job", "Job"),
    ("namespace", "Namespace"),
    ("node", "Node"),
    ("seconds", "Seconds"),
    ("restarts", "Restarts"),
    ("flow_run_id", "Flow run"),
)  # ten fields are the most that a section takes


def headline(context: RunContext) -> str:
    """`etl-x7z: Failed (exit code 3)`."""
    end = context.exit
    if end is None:
        return f"{context.pod.name}: starting"
    code = f" (exit code {end.exit_code})" if end.exit_code else ""
    return f"{context.pod.name}: {end.result.value}{code}"


def facts(context: RunContext) -> list[tuple[str, str]]:
    """What is known, with its names for people."""
    values = fields(context)
    return [(name, values[key]) for key, name in FACTS if values[key]]


def plain(context: RunContext, log_tail: str) -> str:
    lines = [f"{name}: {value}" for name, value in facts(context)]
    return "\n".join([*lines, *(["", log_tail.rstrip("\n")] if log_tail else [])])


def message(context: RunContext, log_tail: str, link: str) -> dict[str, Json]:
    """The body for an incoming webhook. `text` is what notifications and old clients show."""
    head = headline(context)
    blocks: list[Json] = [
        {"type": "header", "text": {"type": "plain_text", "text": head[:HEADER_CHARACTERS]}},
        {"type": "section", "fields": [_field(name, value) for name, value in facts(context)]},
    ]
    if context.exit is not None and context.exit.message:
        blocks.append(_section(escape(context.exit.message)[:SECTION_CHARACTERS]))
    if log_tail.strip():
        blocks.append(_section(quoted(log_tail)))
    if link:
        blocks.append(_section(f"<{escape(link)}|Details>"[:SECTION_CHARACTERS]))
    return {"text": escape(head), "blocks": blocks}


def escape(text: str) -> str:
    """Slack's three: with them, no text can mention or link to anything."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def quoted(log_tail: str) -> str:
    """The end of a log as a code block, cut at its beginning where it's too long: its last lines tell most."""
    body = escape(log_tail.rstrip("\n").replace("```", "'''"))
    room = SECTION_CHARACTERS - len("```\n\n```")
    if len(body) > room:
        cut = body[-room + 2 :]
        body = "…\n" + cut[cut.find("\n") + 1 :]
    return f"```\n{body}\n```"


def _field(name: str, value: str) -> Json:
    return {"type": "mrkdwn", "text": f"*{name}*\n{escape(value)}"[:FIELD_CHARACTERS]}


def _section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
