"""The server's side of TLS with a certificate that changes while it serves."""

from __future__ import annotations

import os
import ssl

from podhooks.errors import InputError
from podhooks_operator.certificates.x509 import Pair


class LiveContext:
    """`context` is the listener's for ever; each handshake that begins gets the certificate that is current then.

    A context of its own for every certificate, and not `load_cert_chain` on the one in use: that keeps a certificate of
    each kind of key, so that after a change from RSA to ECDSA the old one would still be served to some; and a pair
    that doesn't load leaves nothing half-changed.
    """

    def __init__(self) -> None:
        self.context = _server_context()
        self.context.sni_callback = self._hand_over
        self._current: ssl.SSLContext | None = None
        self.pair: Pair | None = None

    def use(self, pair: Pair) -> None:
        """From the next handshake on; connections stay. InputError for a pair that can't be used."""
        fresh = _server_context()
        try:
            _load(fresh, pair)
        except (ssl.SSLError, OSError) as error:
            raise InputError(f"the certificate can't be used: {error}") from error
        self._current, self.pair = fresh, pair

    def _hand_over(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:  # noqa: ARG002
        """Called for every handshake, also of clients that name no server (those that call an IP address)."""
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """OpenSSL reads files only: this one is in memory, so that the key never lies on a disk."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pair.certificate.rstrip() + b"\n" + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
