"""The shared Secret: everything that makes and serves the webhook's certificate, and its facts."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from podhooks.errors import InputError
from podhooks_operator.certificates import x509
from podhooks_operator.certificates.rotation import (
    Action,
    Adopt,
    Authority,
    Begin,
    Forget,
    Prepare,
    Promote,
    Publish,
    Retired,
    Rhythm,
    Serving,
    Sign,
    Stock,
)
from podhooks_operator.certificates.x509 import Pair

Json: TypeAlias = Any
AUTHORITY, NEXT_AUTHORITY, SERVING = "ca", "next-ca", "tls"  # each as NAME.crt and NAME.key
RETIRED = "retired.crt"  # without keys: nothing is signed by them any more
DROP_AFTER = "retired.json"  # by fingerprint, seconds since the epoch


@dataclass(frozen=True)
class RetiredPem:
    certificate: bytes
    drop_after: float


@dataclass(frozen=True)
class Holdings:
    """What the Secret holds, with keys."""

    authority: Pair
    serving: Pair
    following: Pair | None = None
    retired: tuple[RetiredPem, ...] = ()

    def stock(self, names: Sequence[str]) -> Stock:
        return Stock(
            authority_of(self.authority.certificate),
            serving_of(self.serving, [self.authority.certificate], names),
            authority_of(self.following.certificate) if self.following else None,
            tuple(Retired(authority_of(each.certificate), each.drop_after) for each in self.retired),
        )

    def authorities(self) -> dict[str, bytes]:
        """PEM by id."""
        pems = [self.authority.certificate, *(each.certificate for each in self.retired)]
        pems += [self.following.certificate] if self.following else []
        return {x509.fingerprint(x509.leaf(pem)): pem for pem in pems}


def authority_of(pem: bytes) -> Authority:
    found = x509.leaf(pem)
    return Authority(x509.fingerprint(found), x509.not_before(found), x509.not_after(found))


def serving_of(pair: Pair, authorities: Sequence[bytes], names: Sequence[str]) -> Serving:
    """`issuer` is empty if none of the authorities (PEM) has signed it."""
    found = x509.leaf(pair.certificate)
    signer = x509.issuer_among(x509.certificates(pair.certificate), [x509.leaf(pem) for pem in authorities])
    issuer = x509.fingerprint(signer) if signer else ""
    fits = set(names) <= x509.names_of(found)
    return Serving(x509.fingerprint(found), issuer, x509.not_before(found), x509.not_after(found), fits)


def decode(secret: Mapping[str, Json]) -> Holdings | None:
    """None for a Secret without certificates (a chart may make an empty one). InputError for one that is damaged."""
    data = secret.get("data") or {}
    if not data:
        return None
    try:
        content = {key: base64.b64decode(value, validate=True) for key, value in data.items()}
        drops = json.loads(content.get(DROP_AFTER) or b"{}")
        retired = tuple(
            RetiredPem(x509.to_pem(each), float(drops[x509.fingerprint(each)]))
            for each in x509.certificates(content.get(RETIRED, b""))
        )
        following = _pair(content, NEXT_AUTHORITY) if f"{NEXT_AUTHORITY}.crt" in content else None
        return Holdings(_pair(content, AUTHORITY), _pair(content, SERVING), following, retired)
    except (InputError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise InputError(f"the Secret with the webhook's certificates is damaged: {error!r}") from error


def encode(holdings: Holdings) -> dict[str, str]:
    """The Secret's `data`."""
    pairs = {AUTHORITY: holdings.authority, SERVING: holdings.serving, NEXT_AUTHORITY: holdings.following}
    content = {f"{name}.crt": pair.certificate for name, pair in pairs.items() if pair}
    content |= {f"{name}.key": pair.key for name, pair in pairs.items() if pair}
    if holdings.retired:
        drops = {x509.fingerprint(x509.leaf(each.certificate)): each.drop_after for each in holdings.retired}
        content |= {RETIRED: b"".join(each.certificate for each in holdings.retired)}
        content |= {DROP_AFTER: json.dumps(drops).encode()}
    return {key: base64.b64encode(value).decode() for key, value in content.items()}


@dataclass(frozen=True)
class Maker:
    """Carries the steps of `rotation` out on what the Secret holds."""

    names: tuple[str, ...]
    rhythm: Rhythm

    def after(self, action: Action, holdings: Holdings | None, bundle: Mapping[str, bytes], now: float) -> Holdings:
        """What the Secret holds after the step. `bundle` has the PEM of everything that is published, by id."""
        if isinstance(action, Begin):
            known = {**bundle, **(holdings.authorities() if holdings else {})}
            authority = self._authority(now)
            return Holdings(authority, self._serving(authority, now), None, _retired(action.retired, known))
        if holdings is None or isinstance(action, Publish):
            raise ValueError(f"{action!r} doesn't change the Secret")
        known = {**bundle, **holdings.authorities()}
        if isinstance(action, Adopt):
            return replace(holdings, retired=_retired(action.retired, known))
        if isinstance(action, Prepare):
            return replace(holdings, following=self._authority(now))
        if isinstance(action, Sign):
            return replace(holdings, serving=self._serving(holdings.authority, now))
        if isinstance(action, Forget):
            return replace(holdings, retired=_without(holdings.retired, action.authorities))
        return self._promoted(action, holdings, known, now)

    def _promoted(self, action: Promote, holdings: Holdings, known: Mapping[str, bytes], now: float) -> Holdings:
        authority = holdings.following
        if authority is None:
            raise ValueError("there is no next authority to promote")
        return Holdings(authority, self._serving(authority, now), None, _retired(action.retired, known))

    def _authority(self, now: float) -> Pair:
        return x509.new_authority(now - self.rhythm.skew, now + self.rhythm.authority_lifetime)

    def _serving(self, authority: Pair, now: float) -> Pair:
        ends = min(now + self.rhythm.serving_lifetime, x509.not_after(x509.leaf(authority.certificate)))
        return x509.new_serving(authority, self.names, now - self.rhythm.skew, ends)


def _pair(content: Mapping[str, bytes], name: str) -> Pair:
    pair = Pair(content[f"{name}.crt"], content[f"{name}.key"])
    if not x509.matches(pair):
        raise InputError(f"{name}.key isn't the key of {name}.crt")
    return pair


def _retired(those: Sequence[Retired], known: Mapping[str, bytes]) -> tuple[RetiredPem, ...]:
    return tuple(RetiredPem(known[each.authority.id], each.drop_after) for each in those)


def _without(retired: Sequence[RetiredPem], ids: Sequence[str]) -> tuple[RetiredPem, ...]:
    return tuple(each for each in retired if x509.fingerprint(x509.leaf(each.certificate)) not in ids)
