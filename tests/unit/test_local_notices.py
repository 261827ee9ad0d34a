"""Every field that can't work locally is named, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from podhooks.local import notices

PLAIN: dict[str, Any] = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": 5,
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}}],
    "containers": [
        {"name": "main", "image": "a:1", "command": ["true"], "env": [], "resources": {"requests": {"cpu": "1"}}}
    ],
}


def said(**changes: Any) -> list[str]:
    """What is said besides the line about the image."""
    spec = {**PLAIN, **changes}
    lines = notices(spec)
    assert lines[0].startswith("image (a:1")
    return lines[1:]


def test_what_works_is_not_mentioned() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeSelector", {"a": "b"}),
        ("affinity", {"nodeAffinity": {}}),
        ("runtimeClassName", "gvisor"),
        ("securityContext", {"runAsUser": 1000}),
        ("hostAliases", [{"ip": "1.2.3.4"}]),
        ("hostNetwork", True),
        ("hostPID", True),
        ("schedulingGates", [{"name": "g"}]),
    ],
)
def test_fields_of_the_pod(field: str, value: object) -> None:
    (line,) = said(**{field: value})
    assert line.startswith(f"{field}: ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("livenessProbe", {"exec": {}}),
        ("readinessProbe", {"exec": {}}),
        ("startupProbe", {"exec": {}}),
        ("lifecycle", {"preStop": {}}),
        ("ports", [{"containerPort": 80}]),
        ("securityContext", {"runAsNonRoot": True}),
        ("tty", True),
        ("resources", {"limits": {"memory": "64Mi"}}),
    ],
)
def test_fields_of_a_container(field: str, value: object) -> None:
    (line,) = said(containers=[{**PLAIN["containers"][0], field: value}])
    assert line.startswith("container main: ")


def test_a_container_without_a_command_will_not_start() -> None:
    (line,) = said(containers=[{"name": "main", "image": "a:1"}])
    assert "no command" in line


@pytest.mark.parametrize(
    ("volume", "word"),
    [
        ({"persistentVolumeClaim": {"claimName": "c"}}, "as long as this local cluster"),
        ({"image": {"reference": "x:1"}}, "x:1"),
        ({"hostPath": {"path": "/etc"}}, "/etc"),
        ({"emptyDir": {"medium": "Memory"}}, "not enforced"),
        ({"nfs": {"server": "s"}}, "nfs"),
    ],
)
def test_volumes(volume: dict[str, object], word: str) -> None:
    (line,) = said(volumes=[{"name": "v", **volume}])
    assert word in line


def test_lines_are_not_repeated() -> None:
    twice = [{**PLAIN["containers"][0], "name": name, "image": "a:1"} for name in ("a", "b")]
    assert len(notices({**PLAIN, "containers": twice})) == 1


def test_a_stop_signal_needs_no_word() -> None:
    (line,) = said(containers=[{**PLAIN["containers"][0], "lifecycle": {"stopSignal": "SIGUSR1", "preStop": {}}}])
    assert line == "container main: lifecycle: preStop hooks are not run"
    assert said(containers=[{**PLAIN["containers"][0], "lifecycle": {"stopSignal": "SIGUSR1"}}]) == []
