"""One pod through every door that makes it of annotations here. Helm's is in tests/unit/test_charts.py, the policy's in
test_policy.py."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import jsonpatch
import pytest
from podhooks_operator.webhook.review import ReviewSettings, review

from manifests.generate import text as manifest_text
from podhooks.inject import inject, inject_object
from podhooks.inject.edit import plain
from podhooks.inject.templates import look_up, pod_templates
from podhooks.local.defaults import default_pod_spec
from podhooks.yamltext.stream import parse
from tests.doors.cases import GOLDEN, DoorCase, Pod, comparable, documents, door_cases

CASES = door_cases()


def flags_of(directory: Path) -> str:
    path = directory / "flags.txt"
    return path.read_text() if path.exists() else ""


GROUPS = sorted({(flags_of(path.parent), path.suffix) for path in GOLDEN.glob("*/expected.*")})
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_there_are_at_least_twenty_five_different_ones() -> None:
    assert len({json.dumps(each.pod, sort_keys=True) + repr(each.settings) for each in CASES}) >= 25


@EVERY
def test_inject(case: DoorCase) -> None:
    assert inject(case.pod, case.settings)[0] == case.golden


@pytest.mark.parametrize(("flags", "suffix"), GROUPS)
def test_the_command_line(flags: str, suffix: str) -> None:
    """All files with the same flags at once, in a real process."""
    found = sorted(path.parent for path in GOLDEN.glob(f"*/expected{suffix}"))
    directories = [each for each in found if flags_of(each) == flags]
    files = [argument for each in directories for argument in ("-f", str(next(each.glob("input.*"))))]
    ran = subprocess.run(
        [sys.executable, "-m", "podhooks.cli", "inject", "-q", *files, *flags.split()],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr
    made = [comparable(pod) for each in parse(ran.stdout, "stdout").documents for pod in pods(each.value)]
    names = [each.name for each in directories]
    assert made == [comparable(each.golden) for each in CASES if each.name in names]


def pods(document: dict[str, object]) -> list[dict[str, object]]:
    found = [look_up(obj, below) for obj, _, below in pod_templates(document)]
    return [each for each in found if "podhooks.io/status" in each.get("metadata", {}).get("annotations", {})]


@EVERY
def test_the_webhook(case: DoorCase) -> None:
    """Its patch, applied by somebody else's code, makes the golden pod."""
    pod = case.as_pod()
    request = {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "default",
        "operation": "CREATE",
        "object": pod,
    }
    asked = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    response = review(asked, ReviewSettings(case.settings)).answer["response"]
    assert response["allowed"] is True
    patched = jsonpatch.apply_patch(pod, json.loads(base64.b64decode(response["patch"])))
    assert comparable(patched) == comparable(case.as_pod(case.golden))


@EVERY
def test_the_webhook_with_the_defaults_that_the_api_server_writes_beforehand(case: DoorCase) -> None:
    """They come from fields of main that its author never wrote: they may say nothing about our containers."""
    made = inject(defaulted(case.as_pod()), case.settings)[0]
    assert comparable(defaulted(made)) == comparable(defaulted(case.as_pod(case.golden)))


def defaulted(pod: Pod) -> Pod:
    made: Pod = plain(pod)
    default_pod_spec(made["spec"])
    return made


def test_the_manifests() -> None:
    """What writes them makes the golden objects: of all with its settings, and without anything to say against them."""
    compared = 0
    for directory in sorted({path.parent for path in GOLDEN.glob("*/expected.*")}):
        for before, after in zip(documents(directory, "input"), documents(directory, "expected"), strict=True):
            if flags_of(directory) or any(each.report.findings for each in inject_object(before)[1]):
                continue
            made = parse(manifest_text("Any", [before]), directory.name).documents
            assert [each.value for each in made] == [after]
            compared += 1
    assert compared >= 25
