"""Types of manifests."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # what json.loads returns
Path: TypeAlias = tuple[str | int, ...]  # from a document's root down
