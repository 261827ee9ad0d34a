"""A pod's volumes as directories of this machine, and a container's mounts of them.

Written once, when the pod starts: a ConfigMap that changes later doesn't change a running pod here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podhooks.kinds.resources import Json
from podhooks.local.fields import ConfigError, Lookup, data_of, expand, field_value, resource_value
from podhooks.local.sandbox import Mount

DEFAULT_MODE = 0o644
ROOT_CA = "kube-root-ca.crt"


class MountError(Exception):
    """A volume can't be set up (yet): FailedMount. The message is for the event."""


@dataclass(frozen=True)
class Storage:
    """Where volumes come from. `directory` is the pod's own; `claims` is kept as long as the cluster runs."""

    directory: Path
    claims: Path
    images: Mapping[str, Path]
    token: str

    def prepare(self, pod: Json, lookup: Lookup) -> dict[str, Path]:
        """Name of each volume to its directory or file. MountError: one is missing or not supported."""
        return {volume["name"]: self._prepare(pod, volume, lookup) for volume in pod["spec"].get("volumes") or ()}

    def _prepare(self, pod: Json, volume: Json, lookup: Lookup) -> Path:
        name = volume["name"]
        if "hostPath" in volume:
            return _host_path(name, volume["hostPath"])
        if "image" in volume:
            return self._image(name, volume["image"])
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"].get("claimName", "")
            if lookup("persistentvolumeclaims", claim) is None:
                raise MountError(f'persistentvolumeclaim "{claim}" not found')
            return _made(self.claims / pod["metadata"]["namespace"] / claim)
        target = _made(self.directory / name)
        files = self._files(pod, volume, lookup)
        if files is None:
            raise MountError(f'volume "{name}": its kind ({", ".join(set(volume) - {"name"})}) does not exist locally')
        for path, (content, mode) in files.items():
            _write(target, path, content, mode)
        return target

    def _image(self, name: str, source: Json) -> Path:
        reference = source.get("reference", "")
        if reference not in self.images:
            raise MountError(f'volume "{name}": image "{reference}" has no local directory; there are no images here')
        return self.images[reference]

    def _files(self, pod: Json, volume: Json, lookup: Lookup) -> dict[str, tuple[bytes, int]] | None:
        """Content and mode by path inside the volume; None for a kind that isn't known."""
        if "emptyDir" in volume or "ephemeral" in volume:
            return {}
        if "projected" in volume:
            files: dict[str, tuple[bytes, int]] = {}
            mode = volume["projected"].get("defaultMode", DEFAULT_MODE)
            for source in volume["projected"].get("sources") or ():
                files |= self._source(pod, source, lookup, mode)
            return files
        for kind in ("configMap", "secret", "downwardAPI"):
            if kind in volume:
                source = volume[kind] or {}
                named = {**source, "name": source.get("secretName", source.get("name", ""))}
                return self._source(pod, {kind: named}, lookup, source.get("defaultMode", DEFAULT_MODE))
        return None

    def _source(self, pod: Json, source: Json, lookup: Lookup, mode: int) -> dict[str, tuple[bytes, int]]:
        if "serviceAccountToken" in source:
            return {source["serviceAccountToken"]["path"]: (self.token.encode(), mode)}
        if "downwardAPI" in source:
            items = source["downwardAPI"].get("items") or ()
            return {item["path"]: (_downward(pod, item).encode(), item.get("mode", mode)) for item in items}
        for kind, plural in (("configMap", "configmaps"), ("secret", "secrets")):
            if kind in source:
                return _items(plural, source[kind], lookup, mode)
        raise MountError(f"projected source {', '.join(source)} does not exist locally")


def _items(plural: str, source: Json, lookup: Lookup, mode: int) -> dict[str, tuple[bytes, int]]:
    optional = bool(source.get("optional"))
    found = lookup(plural, source.get("name", ""))
    if found is None:
        if optional:
            return {}
        raise MountError(f'{plural[:-1]} "{source.get("name")}" not found')
    data = data_of(plural, found)
    if not source.get("items"):
        return {key: (content, mode) for key, content in data.items()}
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not optional:
            raise MountError(f'{plural[:-1]} "{source.get("name")}" has no key "{item["key"]}"')
    return files


def _downward(pod: Json, item: Json) -> str:
    try:
        if "fieldRef" in item:
            return field_value(pod, item["fieldRef"]["fieldPath"])
        return resource_value(pod, {}, item["resourceFieldRef"])
    except ConfigError as problem:
        raise MountError(str(problem)) from problem


def _host_path(name: str, source: Json) -> Path:
    path = Path(source["path"])
    kind = source.get("type") or ""
    if kind == "DirectoryOrCreate":
        return _made(path)
    if kind == "FileOrCreate":
        path.touch()
    wrong = {"Directory": not path.is_dir(), "File": not path.is_file(), "Socket": not path.is_socket()}
    if wrong.get(kind, not path.exists()):
        raise MountError(f'volume "{name}": hostPath type check failed: {path} is not {kind.lower() or "there"}')
    return path


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(directory: Path, name: str, content: bytes, mode: int) -> None:
    path = directory / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise MountError(f'path "{name}" leaves its volume')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def container_mounts(container: Json, volumes: Mapping[str, Path], pod: Json, env: Mapping[str, str]) -> list[Mount]:
    """A container's volumeMounts. ConfigError: the name of a volume that isn't there, or a bad subPath."""
    read_only = {v["name"] for v in pod["spec"].get("volumes") or () if _is_written_by_kubelet(v)}
    found = []
    for entry in container.get("volumeMounts") or ():
        if entry["name"] not in volumes:
            raise ConfigError(f'volumeMount "{entry["name"]}" has no volume of this name')
        source = volumes[entry["name"]]
        below = expand(entry["subPathExpr"], env) if "subPathExpr" in entry else entry.get("subPath", "")
        if below:
            source = _below(source, below)
        found.append(Mount(source, entry["mountPath"], bool(entry.get("readOnly")) or entry["name"] in read_only))
    return found


def _below(source: Path, name: str) -> Path:
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ConfigError(f'subPath "{name}" must stay inside its volume')
    path = source / name
    if not path.exists():
        path.mkdir(parents=True)
    return path


def _is_written_by_kubelet(volume: Json) -> bool:
    return any(kind in volume for kind in ("configMap", "secret", "projected", "downwardAPI", "image"))
