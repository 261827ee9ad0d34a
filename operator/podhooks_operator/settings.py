"""Everything that whoever runs the operator can set: by a flag, or by the variable of the same name."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum

from podhooks import contract
from podhooks.annotations.finding import Severity, did_you_mean
from podhooks.annotations.parser import parse
from podhooks.arguments.parser import Parser, image
from podhooks.context import EMPTY
from podhooks.errors import InputError
from podhooks.inject import Delivery, InjectSettings, parse_kubernetes_version
from podhooks.render.rbac import OperatorNames
from podhooks.render.webhook import WebhookOptions
from podhooks.value import Value
from podhooks.version import __version__
from podhooks_operator.certificates.rotation import Rhythm
from podhooks_operator.rescue.rescue_settings import RescueSettings
from podhooks_operator.webhook.review import ReviewSettings

# Not PODHOOKS_OPERATOR_: beside a Service `podhooks-operator`, Kubernetes itself sets PODHOOKS_OPERATOR_PORT in pods.
VARIABLE_PREFIX = "PODHOOKS_OPTION_"
UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no")
NAMES, WEBHOOK, INJECT, RESCUE = OperatorNames(), WebhookOptions(), InjectSettings(), RescueSettings()


class CertificateSource(str, Enum):
    SELF_MADE = "self-made"
    FILES = "files"


class Settings(Value):
    """Times in seconds. docs/webhook.md has this table; a test compares them."""

    host: str = ""
    port: int = 8443
    health_port: int = 8080
    namespace: str = ""
    service: str = WEBHOOK.service
    host_name: tuple[str, ...] = ()
    webhook_configuration: str = NAMES.configuration
    certificates: CertificateSource = CertificateSource.SELF_MADE
    certificate_directory: str = "/etc/podhooks/tls"
    secret: str = NAMES.secret
    lease: str = NAMES.lease
    authority_lifetime: float = Rhythm.authority_lifetime
    certificate_lifetime: float = Rhythm.serving_lifetime
    publish_delay: float = Rhythm.publish_delay
    check_interval: float = 10.0
    fail_on_invalid: bool = False
    image: str = INJECT.image
    delivery: Delivery = INJECT.delivery
    pull_policy: str = ""
    kubernetes: str = ""
    annotation: Mapping[str, str] = EMPTY
    webhook: bool = True
    rescuer: bool = False
    rescue_namespace: tuple[str, ...] = ()
    lease_duration: float = 30.0
    hold: float = RESCUE.hold
    rescue_deadline: float = RESCUE.deadline
    rescue_attempts: int = RESCUE.attempts
    rescues_at_once: int = RESCUE.at_once
    keep_rescues: float = RESCUE.keep
    most_rescues: int = RESCUE.keep_most
    drain: float = 5.0
    shutdown_timeout: float = 20.0

    @property
    def rhythm(self) -> Rhythm:
        skew = min(Rhythm.skew, self.certificate_lifetime / 10)
        return Rhythm(self.authority_lifetime, self.certificate_lifetime, self.publish_delay, skew)

    @property
    def inject(self) -> InjectSettings:
        """A rescuer of some namespaces only holds pods itself: the webhook doesn't know whether it will come by."""
        return INJECT.replace(
            image=self.image,
            delivery=self.delivery,
            pull_policy=self.pull_policy or None,
            kubernetes=parse_kubernetes_version(self.kubernetes) if self.kubernetes else None,
            annotations=self.annotation,
            rescuer=None if self.rescue_namespace else self.rescuer,
        )

    @property
    def review(self) -> ReviewSettings:
        return ReviewSettings(self.inject, self.fail_on_invalid)

    @property
    def rescue(self) -> RescueSettings:
        return RescueSettings(
            self.hold,
            self.rescue_deadline,
            self.rescue_attempts,
            self.rescues_at_once,
            self.keep_rescues,
            self.most_rescues,
        )

    def names(self, namespace: str) -> tuple[str, ...]:
        """What the API server may call us by."""
        base = f"{self.service}.{namespace}"
        return (f"{base}.svc", base, self.service, f"{base}.svc.cluster.local", *self.host_name)


def duration(text: str) -> float:
    """`10s`, `5m`, `12h`, `365d`, `1.5s`: seconds above zero."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 100 * 365 * UNITS["d"]:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} isn't a duration: write one like 30s, 10m, 12h or 365d")
    return seconds


def port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} isn't a port: write a number up to 65535")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal() or len(text) > 6 or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} isn't a number above zero")
    return int(text)


def name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} can't be the name of a Kubernetes object")
    return text


def label(text: str) -> str:
    """Names that become a part of a host's name."""
    if "." in text or len(text) > 63:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} can't be the name of a namespace or a Service")
    return name(text)


def host_name(text: str) -> str:
    """A DNS name or an IP address, as it is written in certificates: there it is looked for again."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(text.partition("%")[0]))
    part = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
    if len(text) > 253 or not re.fullmatch(rf"(\*\.)?({part}\.)*(?!\d+$){part}", text.lower()):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is neither a host's name nor an IP address")
    return text.lower()


def yes_or_no(text: str) -> bool:
    if text.lower() not in (*YES, *NO):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is neither true nor false")
    return text.lower() in YES


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is none of {', '.join(filter(None, words))}")
        return text

    return read


def key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} has no value: write podhooks.io/KEY=VALUE")
    if not key.startswith(contract.PREFIX) or key == contract.STATUS:
        raise argparse.ArgumentTypeError(f"{key[:40]!r} can't have a default: write podhooks.io/KEY=VALUE")
    return key, value


class Option(Value):
    """One flag. `many` may be repeated; in a variable there is one on each line."""

    field: str
    read: Callable[[str], object]
    help: str
    many: bool = False
    group: str = "injection"

    @property
    def flag(self) -> str:
        return "--" + self.field.replace("_", "-")

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.field.upper()


SOURCES = one_of(*(each.value for each in CertificateSource))
DELIVERIES = one_of(*(each.value for each in Delivery))
OPTIONS = (
    Option("host", str, "address to listen on; empty for all, IPv4 and IPv6", group="network"),
    Option("port", port, "of the webhook, TLS", group="network"),
    Option("health_port", port, "of /healthz, /readyz and /metrics, plain HTTP", group="network"),
    Option("drain", duration, "unready for so long before it stops listening", group="network"),
    Option("shutdown_timeout", duration, "for requests under way, after that", group="network"),
    Option("namespace", label, "its own; by default its pod's", group="names"),
    Option("service", label, "the Service that the API server calls", group="names"),
    Option("host_name", host_name, "another name or IP address for the certificate; may be repeated", True, "names"),
    Option("webhook_configuration", name, "the MutatingWebhookConfiguration", group="names"),
    Option("certificates", SOURCES, "self-made, or files (cert-manager)", group="certificates"),
    Option("certificate_directory", str, "with tls.crt and tls.key, for files", group="certificates"),
    Option("secret", name, "that the replicas share, for self-made ones", group="certificates"),
    Option("lease", name, "for which replica rescues pods", group="names"),
    Option("authority_lifetime", duration, "of a CA", group="certificates"),
    Option("certificate_lifetime", duration, "of a serving certificate", group="certificates"),
    Option("publish_delay", duration, "from a new CA's publication to its first certificate", group="certificates"),
    Option("check_interval", duration, "between two looks at Secret and configuration", group="certificates"),
    Option("webhook", yes_or_no, "whether it serves the webhook"),
    Option("fail_on_invalid", yes_or_no, "deny pods with invalid annotations, else they are admitted as they are"),
    Option("image", image, "where the runtime comes from"),
    Option("delivery", DELIVERIES, "how it reaches the user's image: image, copy or installed"),
    Option("pull_policy", one_of("", "Always", "IfNotPresent", "Never"), "for that image; by default Kubernetes'"),
    Option("kubernetes", str, "the oldest version of the cluster's nodes, to be told what can't work"),
    Option("annotation", key_and_value, "a default, podhooks.io/KEY=VALUE; may be repeated", many=True),
    Option("rescuer", yes_or_no, "whether it keeps guarantee: cluster", group="rescuer"),
    Option("rescue_namespace", label, "where it does so; may be repeated. None: everywhere", True, "rescuer"),
    Option(
        "lease_duration", duration, "a replica that leads and is silent for so long is taken for dead", group="rescuer"
    ),
    Option("hold", duration, "for an end that no kubelet confirms: deletion by force, a lost node", group="rescuer"),
    Option("rescue_deadline", duration, "from a Rescue's beginning to its end, whatever happens", group="rescuer"),
    Option("rescue_attempts", count, "Jobs for one Rescue, when their pods are lost as well", group="rescuer"),
    Option("rescues_at_once", count, "Jobs that run at the same time", group="rescuer"),
    Option("keep_rescues", duration, "ended Rescues are kept for so long", group="rescuer"),
    Option("most_rescues", count, "and so many of them", group="rescuer"),
)


def read_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """InputError for variables that hold nonsense; a flag that does ends the process with one line and exit code 2."""
    _check_names(environ)
    values = {option.field: environ[option.variable] for option in OPTIONS if environ.get(option.variable)}
    given = {option.field: _from_variable(option, values[option.field]) for option in OPTIONS if option.field in values}
    parsed = vars(_parser().parse(arguments))
    merged = {**given, **{field: value for field, value in parsed.items() if value is not None}}
    for field in ("host_name", "rescue_namespace"):
        if field in merged:
            merged[field] = tuple(merged[field])
    if "annotation" in merged:
        merged["annotation"] = dict(merged["annotation"])
    for field, kind in (("certificates", CertificateSource), ("delivery", Delivery)):
        if field in merged:
            merged[field] = kind(merged[field])
    return _checked(Settings(**merged))


def _check_names(environ: Mapping[str, str]) -> None:
    known = [option.variable for option in OPTIONS]
    for name in environ:
        if name.startswith(VARIABLE_PREFIX) and name not in known:
            raise InputError(f"{name}: isn't an option: {did_you_mean(name, known, 'podhooks-operator -h has them')}")


def _from_variable(option: Option, text: str) -> object:
    try:
        return [option.read(each) for each in text.splitlines() if each] if option.many else option.read(text)
    except argparse.ArgumentTypeError as error:
        raise InputError(f"{option.variable}: {error}") from error


def _parser() -> Parser:
    parser = Parser(
        prog="podhooks-operator",
        description="Injects annotated pods as a mutating admission webhook.",
        epilog=f"Each flag has a variable, which it overrides: --health-port is {VARIABLE_PREFIX}HEALTH_PORT.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"podhooks-operator {__version__}")
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        _add(groups[option.group], option)
    return parser


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    default = getattr(Settings, option.field)
    shown = _shown(default)
    text = option.help + (f" (default: {shown})" if shown else "")
    if option.read is yes_or_no:
        group.add_argument(option.flag, type=yes_or_no, nargs="?", const=True, metavar="true|false", help=text)
    else:
        action = "append" if option.many else "store"
        metavar = "KEY=VALUE" if option.read is key_and_value else option.field.rpartition("_")[2].upper()
        group.add_argument(option.flag, type=option.read, action=action, metavar=metavar, help=text)


def _shown(default: object) -> str:
    if isinstance(default, float):
        unit = next(unit for unit in ("d", "h", "m", "s", "ms") if default % UNITS[unit] == 0)
        return f"{default / UNITS[unit]:g}{unit}"
    if isinstance(default, Enum):
        return str(default.value)
    return "false" if default is False else str(default) if default else ""


def _checked(settings: Settings) -> Settings:
    """What can't work together. Values by themselves are checked where they are read."""
    if settings.publish_delay > settings.certificate_lifetime / 3:
        raise InputError("--publish-delay must be at most a third of --certificate-lifetime")
    if settings.certificate_lifetime > settings.authority_lifetime / 2:
        raise InputError("--certificate-lifetime must be at most half of --authority-lifetime")
    if settings.check_interval > settings.publish_delay:
        raise InputError("--check-interval must be at most --publish-delay")
    if not settings.webhook and not settings.rescuer:
        raise InputError("--webhook false leaves nothing to do: add --rescuer")
    if settings.rescue_namespace and not settings.rescuer:
        raise InputError("--rescue-namespace says nothing without --rescuer: add that")
    wrong = next((each for each in parse(settings.annotation)[1] if each.severity is Severity.ERROR), None)
    if wrong:
        raise InputError(f"--annotation {wrong.where}: {wrong.message}")
    _ = settings.review  # InputError for a version that isn't one
    return settings
