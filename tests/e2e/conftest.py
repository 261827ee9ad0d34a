"""A real cluster for the e2e suite: a namespace of its own, what callbacks are allowed, and where they leave word."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import RealCluster


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[RealCluster]:
    """The cluster that --kubeconfig names; skips without one."""
    kubeconfig = request.config.getoption("--kubeconfig") or os.environ.get("PODHOOKS_E2E_KUBECONFIG", "")
    if not kubeconfig:
        pytest.skip("needs a real cluster: pytest tests/e2e --kubeconfig FILE")
    if not Path(kubeconfig).is_file():
        pytest.fail(f"--kubeconfig {kubeconfig}: no such file")
    found = RealCluster(
        kubeconfig,
        image=request.config.getoption("--image"),
        runtime_image=request.config.getoption("--runtime-image"),
        pull_policy=request.config.getoption("--pull-policy"),
    )
    try:
        found.open()
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the cluster can't be used: {error.stderr}")
    yield found
    found.close()
