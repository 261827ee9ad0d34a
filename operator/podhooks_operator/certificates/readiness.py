"""Whether the API server, as things are, accepts us: the truth behind /readyz. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.x509 import Certificate

from podhooks_operator.certificates import x509
from podhooks_operator.certificates.published import Published

MARGIN_SECONDS = 300.0  # before its end; less for certificates that live shorter
MARGIN_SHARE = 0.05


def problems(chain: Sequence[Certificate], published: Published | None, now: float) -> list[str]:
    """Why it wouldn't. `chain` is what we serve, leaf first; `published` is None until it was read once."""
    if not chain:
        return ["there is no certificate yet"]
    if published is None:
        return ["the MutatingWebhookConfiguration hasn't been read yet"]
    return [*_of_time(chain[0], now), *_of_trust(chain, published)]


def _of_time(leaf: Certificate, now: float) -> list[str]:
    begins, ends = x509.not_before(leaf), x509.not_after(leaf)
    if now < begins:
        return ["the certificate isn't valid yet: a clock is wrong"]
    if now >= ends:
        return ["the certificate has expired"]
    if ends - now < min(MARGIN_SECONDS, (ends - begins) * MARGIN_SHARE):
        return ["the certificate is about to expire"]
    return []


def _of_trust(chain: Sequence[Certificate], published: Published) -> list[str]:
    if not published.webhooks:
        return ["there is no MutatingWebhookConfiguration"]
    found = []
    if x509.issuer_among(chain, published.bundle) is None:
        found.append("the caBundle of the MutatingWebhookConfiguration doesn't have the certificate's authority")
    names = x509.names_of(chain[0])
    missing = [host for host in published.hosts if not _covers(names, host)]
    return [*found, *(f"the certificate isn't for {host}, which the API server calls" for host in missing)]


def _covers(names: frozenset[str], host: str) -> bool:
    return host in names or f"*.{host.partition('.')[2]}" in names
