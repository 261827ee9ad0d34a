"""Types of what is injected."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # what json.loads returns
Pod: TypeAlias = dict[str, Json]  # a Pod, or a pod template: anything with `metadata` and a pod's `spec`
Path: TypeAlias = tuple[str | int, ...]  # from a document's root down
