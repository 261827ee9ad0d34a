"""The pods that every door must make alike: one table, one golden pod each.

The pods are those of tests/golden, before (`input`) and after (`expected`). A door is whatever takes the former and
gives the latter: the command line, the webhook, the policy, the Helm library. What is compared is the pod (or pod
template) without its status annotation: that is the injector's own note, which doors without an injector don't write.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks import contract
from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.inject import InjectSettings, pod_templates
from podhooks.inject.edit import plain
from podhooks.inject.inject_settings import Delivery
from podhooks.inject.templates import OLD_POD_SCHEMA, look_up
from podhooks.version import __version__
from podhooks.yamltext.stream import parse

Pod = dict[str, Any]
GOLDEN = Path(__file__).parents[1] / "golden"
VERSION = "VERSION"  # stands for ours in the golden files


@dataclass(frozen=True)
class DoorCase:
    """One pod. `path` is where the golden file has it; `pod` and `golden` are what is there before and after.

    Both have `metadata` and `spec`, and are copies that may be changed. `settings` are the injector's.
    """

    name: str
    path: tuple[str | int, ...]
    kind: str
    pod: Pod
    golden: Pod
    settings: InjectSettings

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.pod["metadata"]["annotations"]
        return found

    def as_pod(self, pod: Pod | None = None) -> Pod:
        """A Pod object to be created, of `pod` or of the case's own: with apiVersion, kind, and a name or its stem."""
        template = plain(self.pod if pod is None else pod)
        metadata = template["metadata"]
        named = {} if "name" in metadata or "generateName" in metadata else {"generateName": f"{self.name}-"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {**named, **metadata}, "spec": template["spec"]}


def door_cases() -> tuple[DoorCase, ...]:
    """All annotated pods of all golden files that end well, in the order of their names."""
    directories = sorted(each for each in GOLDEN.iterdir() if any(each.glob("expected.*")))
    return tuple(case for directory in directories for case in _cases(directory))


def comparable(pod: Pod) -> Pod:
    """Without the status annotation, and of the rest what makes the pod: metadata and spec."""
    metadata = {**pod["metadata"], "annotations": dict(pod["metadata"]["annotations"])}
    metadata["annotations"].pop(contract.STATUS, None)
    return {"metadata": metadata, "spec": pod["spec"]}


def settings_of(directory: Path) -> InjectSettings:
    """Those that the command line would have with flags.txt."""
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    flags = directory / "flags.txt"
    return settings_from(parser.parse_args(flags.read_text().split() if flags.exists() else []))


def documents(directory: Path, stem: str) -> list[Pod]:
    """The objects of `input` or `expected`."""
    (path,) = directory.glob(f"{stem}.*")
    text = path.read_text(encoding="utf-8").replace(VERSION, __version__)
    return [each.value for each in parse(text, path.name).documents]


def _cases(directory: Path) -> Iterator[DoorCase]:
    before, after = (documents(directory, stem) for stem in ("input", "expected"))
    settings = settings_of(directory)
    for old, new in zip(before, after, strict=True):
        for obj, at, below in pod_templates(old):
            path = (*at, *below)
            pod, golden = look_up(old, path), look_up(new, path)
            if pod == golden:  # a pod that asks for nothing
                continue
            kind = str(obj["kind"])
            fits = settings.replace(delivery=Delivery.COPY) if kind in OLD_POD_SCHEMA else settings
            yield DoorCase(directory.name, path, kind, plain(pod), plain(golden), fits)
