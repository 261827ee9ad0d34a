"""What the kubelet's parts share: settings of the one node, and how a container's process is put together."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from podhooks.contract import ENV_API_SERVER, IMAGE_INTERPRETER_DIR, IMAGE_RUNTIME_DIR, TERMINATION_LOG
from podhooks.kinds.resources import Json
from podhooks.local.containers import Backoff, Container
from podhooks.local.events import Recorder
from podhooks.local.fields import ConfigError, Environment, Lookup, expand
from podhooks.local.sandbox import Launch, Mount, Sandbox
from podhooks.local.store import ApiError, Store
from podhooks.local.volumes import container_mounts

PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHONPATH", "TMPDIR")
"""Variables of our own environment that a container finds in the place of its image's."""

INTERPRETERS = ("python", "python3")


def base_environment() -> dict[str, str]:
    """What an image would set. The interpreter that runs us comes first in PATH, with what is installed for it."""
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', os.defpath)}"
    return {**inherited, "PATH": path}


def _set_event() -> Event:
    event = Event()
    event.set()
    return event


def stop_signal(spec: Json) -> int:
    """`lifecycle.stopSignal` (KEP-4960), or SIGTERM. ConfigError for one that this machine doesn't know."""
    name = str((spec.get("lifecycle") or {}).get("stopSignal") or "SIGTERM")
    known: dict[str, int] = {each.name: each.value for each in signal.Signals}
    known |= {"SIGRTMIN": int(signal.SIGRTMIN), "SIGRTMAX": int(signal.SIGRTMAX)}
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    if base not in known or (sign and not offset.isdigit()):
        raise ConfigError(f'lifecycle.stopSignal: unsupported value: "{name}"')
    return known[base] + (int(offset or 0) if sign == "+" else -int(offset or 0))


@dataclass(frozen=True)
class Node:
    """The one node. `relist_seconds` delays the sight of a container's end, as a real kubelet's relisting does."""

    store: Store
    sandbox: Sandbox
    recorder: Recorder
    state_dir: Path
    url: str
    token: str
    directory: str
    backoff: Backoff = field(default_factory=Backoff)
    relist_seconds: float = 0.0
    keep: bool = False
    missing_images: Collection[str] = ()
    images: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=base_environment)
    connected: Event = field(default_factory=_set_event)
    """Cleared, the kubelet neither hears of the API nor writes to it: its containers go on by themselves (fact R4)."""

    def lookup(self, pod: Json) -> Lookup:
        """Finds objects in the pod's namespace."""

        def find(plural: str, name: str) -> Json | None:
            try:
                return self.store.get(plural, pod["metadata"]["namespace"], name)
            except ApiError:
                return None

        return find

    def launch(self, pod: Json, container: Container, volumes: Mapping[str, Path], message_file: Path) -> Launch:
        """The process of one container. ConfigError: it can't be made of its spec (yet)."""
        spec = container.spec
        if not spec.get("command"):
            image = spec.get("image", "")
            raise ConfigError(f'no command: the entrypoint of image "{image}" is unknown here, give it a command')
        env = Environment(pod, self.lookup(pod), volumes).variables(spec, self._given(pod))
        words = [expand(str(word), env) for word in (*spec["command"], *(spec.get("args") or ()))]
        if words[0] in INTERPRETERS:
            words[0] = sys.executable
        mounts = container_mounts(spec, volumes, pod, env)
        mounts.append(Mount(message_file, spec.get("terminationMessagePath") or TERMINATION_LOG))
        mounts += self._image_files(spec.get("image", ""))
        directory = expand(spec.get("workingDir") or self.directory, env)
        return Launch(tuple(words), env, directory, tuple(mounts), stop_signal(spec))

    def _image_files(self, image: str) -> list[Mount]:
        """What a container with our own image finds in it."""
        if image not in self.images:
            return []
        found = ((self.images[image] / each.lstrip("/"), each) for each in (IMAGE_RUNTIME_DIR, IMAGE_INTERPRETER_DIR))
        return [Mount(inside, path, read_only=True) for inside, path in found if inside.is_dir()]

    def _given(self, pod: Json) -> dict[str, str]:
        host, _, port = self.url.rpartition("//")[2].partition(":")
        return {
            **self.environment,
            "HOSTNAME": str(pod["spec"].get("hostname") or pod["metadata"]["name"]),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "KUBERNETES_SERVICE_PORT_HTTPS": port,
            ENV_API_SERVER: self.url,
        }
