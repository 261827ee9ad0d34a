"""The matrix' field on the embedded stand-in: its node can be cut off, its API server answers on this machine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from podhooks.contract import IMAGE_RUNTIME_DIR
from podhooks.inject import InjectSettings
from podhooks.local import Cluster
from podhooks.local.nodecontroller import NodeTimes
from podhooks.runtime import install
from tests.faults.field import Field

TIMES = NodeTimes(period=0.5, quarantine=2.0, heartbeat=2.0)
AWAY_SECONDS = 8.0


@contextlib.contextmanager
def stand_in(guarantees: Sequence[str]) -> Iterator[Field]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "image")
        install.install(root / IMAGE_RUNTIME_DIR.lstrip("/"))
        with Cluster(node_times=TIMES, image_volumes={InjectSettings().image: root}) as cluster:
            commands = {"stop-kubelet": cluster.disconnect_node, "start-kubelet": cluster.reconnect_node}
            kubeconfig = cluster.kubeconfig(Path(folder, "kubeconfig"))
            yield Field(str(kubeconfig), commands, away_seconds=AWAY_SECONDS)
