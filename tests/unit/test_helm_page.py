"""docs/helm.md and docs/image.md: their examples are what they say."""

import re
from pathlib import Path

from podhooks import contract
from podhooks.yamltext.stream import parse
from tests.helm import rendered

ROOT = Path(__file__).parents[2]
HELM = (ROOT / "docs/helm.md").read_text()
IMAGE = (ROOT / "docs/image.md").read_text()


def test_the_example_of_flow_job_renders() -> None:
    example = re.search(r"```yaml\n# etl.yaml\n(.*?)```", HELM, re.DOTALL)
    assert example is not None
    values = parse(f"kind: Values\n{example[1]}", "docs/helm.md").documents[0].value
    del values["kind"]
    (cron,) = (each for each in rendered("flow-job", values, name="etl") if each["kind"] == "CronJob")
    assert cron["metadata"]["name"] == "etl-flow-job"
    annotations = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations[contract.ON_START] == "etl.hooks:prepare"


def test_the_pages_name_files_and_targets_that_are_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make (charts|image|wheels|manifests)\b", HELM + IMAGE)) <= targets
    for path in re.findall(r"`((?:charts|tests|image)/[\w./-]+)`", HELM + IMAGE):
        assert (ROOT / path).exists(), path


def test_the_build_arguments_are_those_of_the_dockerfile() -> None:
    arguments = set(re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    table = "\n".join(re.findall(r"^\|.*", IMAGE, re.MULTILINE))
    assert set(re.findall(r"`([A-Z][A-Z_0-9]+)`", table)) <= arguments
