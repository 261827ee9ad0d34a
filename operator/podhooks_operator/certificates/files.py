"""Certificates from files: a Secret that cert-manager keeps up to date, mounted. Its CA injector fills the caBundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podhooks.errors import InputError
from podhooks_operator.certificates import x509
from podhooks_operator.certificates.published import Published
from podhooks_operator.certificates.x509 import Pair


class Files:
    """Reads both files each time: they are small, and modification times say little of mounted Secrets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pair: Pair | None = None

    def refresh(self, published: Published, ages: Mapping[str, float]) -> Pair | None:  # noqa: ARG002 (others need it)
        """InputError for files that don't fit together, as they do while they are being exchanged."""
        pair = Pair(self._read("tls.crt"), self._read("tls.key"))
        if self._pair is None or (pair.certificate, pair.key) != (self._pair.certificate, self._pair.key):
            if not x509.matches(pair):
                raise InputError(f"{self._directory}/tls.key isn't the key of {self._directory}/tls.crt")
            self._pair = pair
        return self._pair

    def _read(self, name: str) -> bytes:
        path = self._directory / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}") from error
