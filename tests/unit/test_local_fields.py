"""Variables, expansion, resources, and rewriting of mount paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podhooks.local.fields import ConfigError, Environment, expand, field_value, resource_value
from podhooks.local.sandbox import Launch, Mount, by_depth, rewrite

Json = dict[str, Any]
POD: Json = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "1"}, "annotations": {"x/y": 'say "hi"\n'}},
    "spec": {"nodeName": "local", "containers": []},
}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B.c)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $(A B)", "$A ${A} $(A B)"),
        ("$$", "$"),
    ],
)
def test_expansion_is_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B.c": "2"}) == expanded


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.uid", "u"),
        ("metadata.labels['a']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['x/y']", 'say "hi"\n'),
        ("metadata.annotations", 'x/y="say \\"hi\\"\\n"'),
        ("spec.nodeName", "local"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_downward_api(path: str, value: str) -> None:
    assert field_value(POD, path) == value


def test_an_unknown_field_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"spec\.nope"):
        field_value(POD, "spec.nope")


def test_what_is_no_quantity_is_a_config_error() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "much"}}}
    with pytest.raises(ConfigError, match="'much' is no quantity"):
        resource_value(POD, container, {"resource": "limits.cpu"})


def test_resource_fields_are_rounded_up_in_units_of_the_divisor() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}
    assert resource_value(POD, container, {"resource": "limits.cpu"}) == "2"
    assert resource_value(POD, container, {"resource": "limits.cpu", "divisor": "1m"}) == "1500"
    assert resource_value(POD, container, {"resource": "requests.memory"}) == "0"
    assert int(resource_value(POD, {}, {"resource": "limits.memory"})) > 2**20


def test_missing_references_are_config_errors_unless_optional() -> None:
    environment = Environment(POD, lambda plural, name: {"data": {"k": "v"}} if name == "there" else None)

    def variables(source: Json) -> Json:
        return environment.variables({"env": [{"name": "X", "valueFrom": source}]}, {})

    assert variables({"configMapKeyRef": {"name": "there", "key": "k"}}) == {"X": "v"}
    assert variables({"configMapKeyRef": {"name": "there", "key": "no", "optional": True}}) == {}
    assert variables({"secretKeyRef": {"name": "gone", "key": "k", "optional": True}}) == {}
    with pytest.raises(ConfigError, match="couldn't find key no in ConfigMap n/there"):
        variables({"configMapKeyRef": {"name": "there", "key": "no"}})
    with pytest.raises(ConfigError, match='secret "gone" not found'):
        variables({"secretKeyRef": {"name": "gone", "key": "k"}})


def test_paths_are_rewritten_as_whole_names_longest_first() -> None:
    mounts = (
        Mount(Path("/real/v"), "/data"),
        Mount(Path("/real/w"), "/data/sub"),
        Mount(Path("/m"), "/dev/termination-log"),
    )
    words = (
        "/data",
        "cat /data/x /data/sub/y",
        "--file=/data",
        "/database",
        "/my/data",
        "/data.txt",
        "x:/data:/data/sub",
    )
    env = {"PATH": "/data/bin", "P": "/data/bin"}
    done = rewrite(Launch(words, env, "/data", mounts))
    assert done.command == (
        "/real/v",
        "cat /real/v/x /real/w/y",
        "--file=/real/v",
        "/database",
        "/my/data",
        "/data.txt",
        "x:/real/v:/real/w",
    )
    assert done.env == {"PATH": "/data/bin", "P": "/real/v/bin", "PODHOOKS_TERMINATION_LOG": "/m"}
    assert done.directory == "/real/v"


def test_parents_are_mounted_before_what_is_inside_them() -> None:
    paths = ["/a/b/c", "/z", "/a/b", "/"]
    assert [m.path for m in by_depth(tuple(Mount(Path("/x"), p) for p in paths))] == ["/", "/z", "/a/b", "/a/b/c"]
