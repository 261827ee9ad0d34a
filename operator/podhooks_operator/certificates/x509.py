"""Authorities and serving certificates as PEM: made, read, and checked against each other."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podhooks.errors import InputError

BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Pair:
    """A certificate (a serving one with its chain, leaf first) and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Pair({fingerprint(leaf(self.certificate))})"  # never the key


def new_authority(not_before: float, not_after: float) -> Pair:
    """Its name is unique: verifiers look an issuer up by name, and two authorities are in use at the same time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"podhooks-webhook-ca-{secrets.token_hex(4)}")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, key.public_key(), not_before, not_after)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def new_serving(authority: Pair, names: Sequence[str], not_before: float, not_after: float) -> Pair:
    """For the names (DNS names and IP addresses), the first of which is also its common name if it fits there."""
    issuer = leaf(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise InputError("the authority's key isn't one that Podhooks made: delete the Secret, and it is made anew")
    key = ec.generate_private_key(ec.SECP256R1())
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(common, key.public_key(), not_before, not_after)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(identifier, critical=False)
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates of a text, InputError if one of them can't be read. Other text between them is passed over."""
    if BEGIN_CERTIFICATE not in pem:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InputError(f"no PEM certificate: {error}") from error


def leaf(pem: bytes) -> x509.Certificate:
    found = certificates(pem)
    if not found:
        raise InputError("there is no PEM certificate in it")
    return found[0]


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()[:32]


def to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def not_before(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def not_after(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(each) for each in found.get_values_for_type(x509.IPAddress))
    return frozenset((*found.get_values_for_type(x509.DNSName), *addresses))


def matches(pair: Pair) -> bool:
    """Whether the key is the certificate's. InputError for a key that can't be read."""
    try:
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError) as error:
        raise InputError(f"the private key can't be read: {error}") from error
    return _public(key.public_key()) == _public(leaf(pair.certificate).public_key())


def issuer_among(chain: Sequence[x509.Certificate], bundle: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The authority of the bundle that the chain (leaf first, then intermediates) leads to, if there is one."""
    for certificate in chain:
        for each in bundle:
            if certificate == each or _issued(certificate, each):
                return each
    return None


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, not_before: float, not_after: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(not_before), timezone.utc))
        .not_valid_after(datetime.fromtimestamp(int(not_after), timezone.utc))
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Pair(to_pem(certificate), key.private_bytes(serialization.Encoding.PEM, form, plain))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _public(key: object) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)  # type: ignore[attr-defined, no-any-return]
