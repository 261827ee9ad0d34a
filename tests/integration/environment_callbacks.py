"""Flows and callbacks that every environment gets in its tests, importable by name.

They leave word in files of the directory that the variable WORD_DIR names; without it, in their logs. Standard library
only: on a cluster this file alone is in main's container.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podhooks.context import RunContext

WORD_DIR = "TEST_WORD_DIR"
WORD = "a word from"  # before each line of a log that is one


def leave(name: str, **more: Any) -> None:
    """Never overwrites: a second call leaves a second word."""
    if WORD_DIR not in os.environ:
        print(WORD, name, json.dumps(more), flush=True)
        return
    directory = Path(os.environ[WORD_DIR])
    number = len(list(directory.glob(f"*-{name}-*")))
    path = directory / f"{time.monotonic_ns():020}-{name}-{number}"
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(more))
    draft.rename(path)


def takes_nothing() -> None:
    leave("nothing")


def takes_context(context: RunContext) -> None:
    leave(
        "context",
        hook=context.hook.value,
        exit=context.exit and context.exit.to_json(),
        earlier=[each.status.value for each in context.earlier],
        labels={name: context.pod.labels.get(name) for name in ("team", "gpu")},
        key=context.idempotency_key,
        uid=context.pod.uid,
        shared=sorted(each.name for each in context.shared_dir.iterdir() if not each.name.startswith(".")),
    )


def takes_arguments(channel: str, *, size: int = 1) -> None:
    leave("arguments", channel=channel, size=size)


async def is_async(context: RunContext) -> None:
    await asyncio.sleep(0.01)
    leave("async", hook=context.hook.value)


def prepares(context: RunContext) -> None:
    context.shared_dir.joinpath("prepared").write_text("by on_start")


def fails() -> None:
    raise RuntimeError("on purpose")


class Notifier:
    """An object that can be called is a callback, too."""

    def __init__(self, channel: str) -> None:
        self.channel = channel

    def __call__(self, context: RunContext) -> None:
        leave("notifier", channel=self.channel, hook=context.hook.value)


def flow(value: int = 1) -> int:
    prepared = Path(os.environ.get("PODHOOKS_SHARED_DIR", "/nowhere")) / "prepared"
    leave("main", value=value, prepared=prepared.read_text() if prepared.exists() else None)
    print(f"main says {value}", flush=True)
    return value + 1


async def async_flow(value: int = 1) -> int:
    await asyncio.sleep(0.01)
    return flow(value)


def failing_flow() -> None:
    leave("main")
    raise ValueError("no rows")


def leaving_flow(code: int) -> None:
    leave("main")
    raise SystemExit(code)


def vanishing_flow(code: int) -> None:
    leave("main")
    os._exit(code)


def killed_flow() -> None:
    leave("main")
    os.kill(os.getpid(), 9)
    time.sleep(60)


def wait_to_be_ended() -> None:
    """Once the word is there a SIGTERM ends it. Before, as process 1 of its container, it costs the grace period."""
    leave("main")
    time.sleep(60)
