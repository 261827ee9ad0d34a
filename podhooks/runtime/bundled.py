"""What callbacks need that run by our own interpreter (contract.INTERPRETER), in an image that may have nothing."""

from __future__ import annotations

import os
import sys

from podhooks import contract

CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions have all CA certificates in one file: https://go.dev/src/crypto/x509/root_linux.go."""
OWN_CERTIFICATES = contract.INTERPRETER_DIR + "/etc/ssl/cert.pem"


def is_bundled() -> bool:
    return sys.executable == contract.INTERPRETER


def settle() -> None:
    """The environment of a function's process; commands (`exec`) keep main's.

    OpenSSL is told whom to trust, main's certificates or else those of our image: itself it would look where our
    image's distribution has them. A home of main's Python would mislead interpreters that the function starts.
    """
    if not is_bundled():
        return
    os.environ.pop("PYTHONHOME", None)
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return
    found = next((each for each in (*CERTIFICATES, OWN_CERTIFICATES) if os.path.isfile(each)), None)
    if found is not None:
        os.environ["SSL_CERT_FILE"] = found
