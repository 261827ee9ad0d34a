"""Entries, summaries and verdicts as styled text: lists of (text, style) pairs. Pure.

Styles are words of rich, "cyan", "bold red"; the empty one is plain. A display may leave them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from podhooks.annotations.durations import format_duration
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.contract import LOCAL_NODE
from podhooks.inject.shapes import Json
from podhooks.report.news import Entry, Role, Tone, all_containers, name_of, role_of, state_word
from podhooks.report.rescued import ENDED_WELL, OPEN_STATES, Rescued
from podhooks.report.summary import CallbackLine, PodSummary
from podhooks.report.verdict import Verdict

Piece = tuple[str, str]  # text, style
Line = list[Piece]

ROLE_STYLES = {Role.ON_START: "cyan", Role.MAIN: "bold", Role.ON_EXIT: "magenta", Role.OTHER: "blue", Role.RUN: "dim"}
TONE_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.QUIET: "dim"}
STATUS_WORDS = {
    Status.SUCCEEDED: ("ok", "green"),
    Status.FAILED: ("failed", "bold red"),
    Status.TIMED_OUT: ("timed out", "bold red"),
    Status.SKIPPED: ("skipped", "yellow"),
    Status.INTERRUPTED: ("cut off", "bold red"),
    Status.RUNNING: ("running", "yellow"),
}
HOOK_WORDS = {Hook.ON_START: "on_start", Hook.ON_EXIT: "on_exit"}
LEAST_NAME_WIDTH = 8
BAR = "│"
OUR_MARK = "podhooks: "  # before every line that our programs write themselves


@dataclass(frozen=True)
class Prefix:
    """How lines are told apart: the width of the name column, and whether it holds the pod's name too."""

    width: int = LEAST_NAME_WIDTH
    with_pod: bool = False


def entry_line(seconds: float, entry: Entry, prefix: Prefix) -> Line:
    """` 12.3s  main     │ text`. A log line has the bar, news has a blank."""
    name = entry.container or ("pod" if entry.pod and not prefix.with_pod else "")
    if prefix.with_pod and entry.pod:
        name = f"{short(entry.pod)} {entry.container}".rstrip()
    style = ROLE_STYLES[entry.role]
    head: Line = [(f"{seconds:6.1f}s  ", "dim"), (f"{name:<{prefix.width}} ", style)]
    if entry.log:
        return [*head, (f"{BAR} ", style), *log_pieces(entry)]
    return [*head, ("  ", ""), (entry.text, TONE_STYLES[entry.tone])]


def log_pieces(entry: Entry) -> Line:
    """Of our containers: what callbacks write is what one wants to see, our own lines and marks step back."""
    if entry.role not in (Role.ON_START, Role.ON_EXIT):
        return [(entry.text, "")]
    if entry.text.startswith(OUR_MARK):
        words = entry.text.removeprefix(OUR_MARK)
        style = "red" if words.startswith("error: ") else "yellow" if words.startswith("warning: ") else "dim"
        return [(entry.text, style)]
    mark, bracket, rest = entry.text.partition("] ")
    return [(mark + bracket, "dim"), (rest, "")] if mark.startswith("[") and bracket else [(entry.text, "")]


def short(pod: str) -> str:
    """What tells a Job's pods apart: their last part."""
    return pod.rpartition("-")[2] or pod


def name_width(pod: Mapping[str, Json], *, with_pod: bool) -> int:
    names = [len(each.name) for each in all_containers(pod)]
    return max([LEAST_NAME_WIDTH, *names]) + (len(short(name_of(pod))) + 1 if with_pod else 0)


def status_line(pods: Sequence[Mapping[str, Json]]) -> Line:
    """The line at the bottom while it runs: every container of the pods that aren't over."""
    line: Line = []
    for pod in pods:
        if len(pods) > 1:
            line.append((f"{short(name_of(pod))}: ", "dim"))
        for each in all_containers(pod):
            word = state_word(each)
            style = {"running": "green", "waiting": "dim", "done": "dim"}.get(word, "red")
            line += [(each.name, ROLE_STYLES[role_of(pod, each.name)]), (" ", ""), (word, style), ("   ", "")]
    return line


def summary_lines(summary: PodSummary) -> Iterator[Line]:
    """One pod: on_start's callbacks, main, on_exit's callbacks, in the order of time."""
    node = f" on {summary.node}" if summary.node not in ("", LOCAL_NODE) else ""
    yield [("pod ", "dim"), (summary.name, "bold"), (node, "dim")]
    rows = [*(_callback_row(each) for each in summary.of(Hook.ON_START)), _main_row(summary.end)]
    rows += [_callback_row(each) for each in summary.of(Hook.ON_EXIT)]
    widths = [max(len(row[column][0]) for row in rows) for column in range(3)]
    previous = ""
    for point, *others in rows:
        shown = "" if point[0] == previous else point[0]
        previous = point[0]
        cells: Line = [("  ", ""), (f"{shown:<{widths[0]}}", point[1])]
        for (text, style), width in zip(others, (*widths[1:], 0), strict=True):
            cells += [("  ", ""), (f"{text:<{width}}", style)]
        yield cells
    if summary.told is not None and summary.end is not None and differs(summary.told, summary.end):
        told = f"on_exit was told {summary.told.result.value}: more could not be seen from inside the pod then"
        yield [("  ", ""), (told, "dim")]
    if summary.rescued is not None:
        yield from rescue_lines(summary.rescued)
    if summary.held_since is not None:
        since = f"{summary.held_since:%H:%M:%S} UTC"
        yield [
            ("  ", ""),
            ("held", "yellow"),
            (f"  by the rescuer since {since}, until it has read the pod's end", "dim"),
        ]


def rescue_lines(rescued: Rescued) -> Iterator[Line]:
    """What was made good from outside, and what may have run twice."""
    style = "green" if rescued.state == ENDED_WELL else "yellow" if rescued.state in OPEN_STATES else "bold red"
    words = [f"owed {', '.join(rescued.owed)}"] if rescued.owed else []
    words += [_verdict_words(rescued.verdict)] if rescued.verdict else []
    words += [f"{rescued.attempts} attempts"] if rescued.attempts > 1 else []
    said = f": {rescued.reason}: {rescued.message}" if rescued.state not in (ENDED_WELL, *OPEN_STATES) else ""
    yield [
        ("  ", ""),
        ("rescue", "magenta"),
        ("  ", ""),
        (rescued.state, style),
        (f"  {', '.join(words)}{said}", "dim"),
    ]
    if rescued.twice:
        yield [("  ", ""), (f"may have run twice: {', '.join(rescued.twice)}", "bold yellow")]


def _verdict_words(verdict: ExitInfo) -> str:
    code = "" if verdict.exit_code is None else f" with exit code {verdict.exit_code}"
    return f"told {verdict.result.value}{code}"


def differs(told: ExitInfo, end: ExitInfo) -> bool:
    return told.result is not end.result


def verdict_line(label: str, verdict: Verdict) -> Line:
    style = "bold green" if verdict.exit_code == 0 else "bold red"
    return [(f"{label}: ", "bold"), (verdict.line, style), (f"; exit code {verdict.exit_code}", "")]


Row = tuple[Piece, Piece, Piece, Piece]  # the point in time, the word, what it is about, the rest


def _callback_row(line: CallbackLine) -> Row:
    role = Role.ON_START if line.hook is Hook.ON_START else Role.ON_EXIT
    point = (HOOK_WORDS[line.hook], ROLE_STYLES[role])
    if line.outcome is None:
        return point, ("not run", "bold yellow"), (line.name, ""), (line.why, "dim")
    word, style = STATUS_WORDS[line.outcome.status]
    return point, (word, style), (line.name, ""), (_details(line.outcome), "dim")


def _details(outcome: CallbackOutcome) -> str:
    parts = [seconds_text(outcome.seconds)] if outcome.attempts else []
    if outcome.attempts > 1:
        parts.append(f"{outcome.attempts} attempts")
    return ", ".join(parts) + (f"{': ' if parts else ''}{outcome.message}" if outcome.message else "")


def _main_row(end: ExitInfo | None) -> Row:
    point = ("main", ROLE_STYLES[Role.MAIN])
    if end is None:
        return point, ("not over", "yellow"), ("", ""), ("", "")
    style = "green" if end.succeeded else "bold red"
    return point, (end.result.value, style), (_how(end), ""), (_reason(end), "dim")


def _how(end: ExitInfo) -> str:
    if end.exit_code is None or end.result in (Result.START_FAILED, Result.NEVER_STARTED):
        return ""
    parts = [f"exit code {end.exit_code}"]
    if end.started_at and end.finished_at:
        parts.append(f"ran {format_duration((end.finished_at - end.started_at).total_seconds())}")
    if end.restarts:
        parts.append(f"{end.restarts} restart{'s' if end.restarts > 1 else ''}")
    return ", ".join(parts)


def _reason(end: ExitInfo) -> str:
    """Kubernetes' words, where they say more than the result does."""
    plain = end.reason in ("", "Error", "Completed", end.result.value)
    message = " ".join(end.message.split())
    if plain:
        return message
    return f"{end.reason}: {message}" if message else end.reason


def seconds_text(seconds: float) -> str:
    return f"{seconds:.2f}s" if seconds < 60 else format_duration(round(seconds))
