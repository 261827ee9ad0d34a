"""Options of the whole suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadGroupScheduling

# How long examples take says how busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
# Modules whose tests share something that is costly to make: a Prefect server, an image, a whole cluster's story.
TOGETHER = {f"test_{name}.py" for name in ("benchmarks", "dask", "demo", "image", "prefect", "trace_order", "wheel")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/*/expected.* anew; read the diff")
    e2e = parser.getgroup("tests/e2e, on a real cluster")
    e2e.addoption("--kubeconfig", default="", help="the cluster's; without it they are skipped")
    e2e.addoption("--image", default="python:3.12-slim", help="an image with a shell and python3, for main")
    e2e.addoption("--runtime-image", default="podhooks/podhooks:0.1.0", help="the image with our runtime")
    e2e.addoption(
        "--webhook-host", default="", help="this machine's address as the API server sees it, for the webhook"
    )
    e2e.addoption(
        "--empty-image",
        default="",
        help="an image with nothing but /pause, like registry.k8s.io/pause:3.10",
    )
    e2e.addoption("--operator-image", default="", help="all of our image (docs/image.md), for the operator's chart")
    e2e.addoption("--prefect-image", default="", help="an image with Prefect 3 whose entrypoint runs its arguments")
    e2e.addoption("--restart-api-server", default="", help="a shell command that restarts the API server, and waits")
    e2e.addoption("--stop-kubelet", default="", help="a shell command that stops the (only) node's kubelet")
    e2e.addoption("--start-kubelet", default="", help="a shell command that starts it again")
    e2e.addoption("--pull-policy", default="IfNotPresent", help="imagePullPolicy of both")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling:
    """Every test wherever there is room, but those that share something costly one after the other in one process.

    That is what xdist_group is for; xdist 3.8 can't do it with pytest 9.2, whose node ids can't be changed.
    """
    from xdist.scheduler import LoadGroupScheduling

    class Together(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file.rpartition("/")[2] in TOGETHER else nodeid

    return Together(config, log)
