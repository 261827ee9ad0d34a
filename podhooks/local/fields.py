"""The downward API, environment variables and `$(VAR)` expansion of a container. Pure but for the two lookups given."""

from __future__ import annotations

import base64
import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from podhooks.annotations.quantities import quantity
from podhooks.kinds.resources import Json
from podhooks.local.envfiles import EnvFileError, value_of

Lookup = Callable[[str, str], "Json | None"]
"""(plural, name) to the object in the pod's namespace, or None."""

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")
_REFERENCE = re.compile(r"\$(\$|\(([-._A-Za-z0-9]+)\))")
_VARIABLE = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")


class ConfigError(Exception):
    """A container can't be made of its spec (yet): CreateContainerConfigError. The message is the kubelet's."""


def field_value(pod: Json, path: str) -> str:
    """A `fieldRef`. ConfigError for a path that the downward API doesn't have."""
    if found := _SUBSCRIPT.match(path):
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = pod["metadata"].get(path.partition(".")[2]) or {}
        return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(entries.items()))
    simple = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        **{f"status.{name}": "127.0.0.1" for name in ("podIP", "podIPs", "hostIP", "hostIPs")},
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(simple[path])


def _quoted(value: object) -> str:
    """As the kubelet writes it: Go's %q, which for text equals a C-like string."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{text}"'


def resource_value(pod: Json, container: Json, reference: Mapping[str, str]) -> str:
    """A `resourceFieldRef`: limits fall back to this machine, requests to nothing; rounded up in units of `divisor`."""
    name = reference.get("containerName")
    owner = container
    if name:
        everyone = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
        owner = next((c for c in everyone if c["name"] == name), container)
    kind, _, resource = reference["resource"].partition(".")
    given = (owner.get("resources") or {}).get(kind) or {}
    amount = amount_of(str(given[resource])) if resource in given else _machine(resource) if kind == "limits" else 0
    divisor = amount_of(str(reference.get("divisor") or "0")) or 1
    return str(-int(-amount // divisor))


def _machine(resource: str) -> Fraction:
    if resource == "cpu":
        return Fraction(os.cpu_count() or 1)
    return Fraction(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if resource == "memory" else 0)


def amount_of(text: str) -> Fraction:
    try:
        return quantity(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(VAR)` becomes its value, an unknown one stays, `$$` is a dollar sign."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else env.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def data_of(plural: str, obj: Json) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
    plain = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


@dataclass(frozen=True)
class Environment:
    """Resolves a container's variables. `lookup` finds ConfigMaps and Secrets in the pod's namespace; `volumes` are the
    pod's, by name."""

    pod: Json
    lookup: Lookup
    volumes: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def variables(self, container: Json, base: Mapping[str, str]) -> dict[str, str]:
        """All variables. `base` has what the node sets; the container's own win. ConfigError: something is missing."""
        env = dict(base)
        for source in container.get("envFrom") or ():
            env |= self._all_of(source)
        for entry in container.get("env") or ():
            if "valueFrom" in entry:
                value = self._value_from(container, entry["valueFrom"])
                if value is not None:
                    env[entry["name"]] = value
            else:
                env[entry["name"]] = expand(str(entry.get("value") or ""), env)
        return env

    def _all_of(self, source: Json) -> dict[str, str]:
        prefix = source.get("prefix", "")
        for field, plural in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in source:
                data = self._data(plural, source[field])
                return {prefix + k: v.decode(errors="replace") for k, v in data.items() if _VARIABLE.match(prefix + k)}
        return {}

    def _data(self, plural: str, reference: Json) -> dict[str, bytes]:
        found = self.lookup(plural, reference.get("name", ""))
        if found is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{plural[:-1]} "{reference.get("name")}" not found')
        return data_of(plural, found)

    def _value_from(self, container: Json, source: Json) -> str | None:
        if "fieldRef" in source:
            return field_value(self.pod, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return resource_value(self.pod, container, source["resourceFieldRef"])
        for field, plural, kind in (
            ("configMapKeyRef", "configmaps", "ConfigMap"),
            ("secretKeyRef", "secrets", "Secret"),
        ):
            if field in source:
                return self._keyed(plural, kind, source[field])
        if "fileKeyRef" in source:
            return self._in_file(source["fileKeyRef"])
        raise ConfigError(f"valueFrom has none of the known sources: {', '.join(source) or 'it is empty'}")

    def _in_file(self, reference: Json) -> str | None:
        """Also an optional one needs the file; a key without a value is none. The messages are the kubelet's."""
        volume, path = reference.get("volumeName", ""), Path(reference.get("path", ""))
        if volume not in self.volumes:
            raise ConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
        if path.is_absolute() or ".." in path.parts:
            raise ConfigError(f'fileKeyRef path "{path}" must stay inside its volume')
        file = self.volumes[volume] / path
        try:
            value = value_of(file.read_text(errors="replace"), reference.get("key", ""))
        except (OSError, EnvFileError) as problem:
            raise ConfigError("couldn't parse env file") from problem
        if not value and not reference.get("optional"):
            raise ConfigError(f'environment variable key "{reference.get("key")}" not found in file "{file}"')
        return value or None

    def _keyed(self, plural: str, kind: str, reference: Json) -> str | None:
        data = self._data(plural, reference)
        if reference["key"] in data:
            return data[reference["key"]].decode(errors="replace")
        if reference.get("optional"):
            return None
        where = f"{self.pod['metadata']['namespace']}/{reference.get('name')}"
        raise ConfigError(f"couldn't find key {reference['key']} in {kind} {where}")
