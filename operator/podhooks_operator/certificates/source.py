"""What the rest of the operator knows of where certificates come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from podhooks_operator.certificates.published import Published
from podhooks_operator.certificates.x509 import Pair


class Source(Protocol):
    def refresh(self, published: Published, ages: Mapping[str, float]) -> Pair | None:
        """What is to be served now, None if there is nothing yet. Called every few seconds, by one thread.

        `published` has just been read, `ages` says for how long we have seen each of its authorities (seconds, by id).
        Raises PodhooksError: then what is served stays, and it is called again.
        """
