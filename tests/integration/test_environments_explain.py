"""`podhooks explain MODULE:NAME` as a real process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import podhooks

MODULE = """
from podhooks import DaskKubernetesEnvironment, KubernetesJobEnvironment, LocalEnvironment, RemoteEnvironment

def notify(context): ...

local = LocalEnvironment(on_start=lambda: None, on_exit={"call": notify, "timeout": "5s", "when": "failure"})
remote = RemoteEnvironment(on_exit=notify)
job = KubernetesJobEnvironment(image="etl:1", on_start=notify, on_exit=lambda: None)
dask = DaskKubernetesEnvironment(image="etl:1")
number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "etl.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_main_in_this_process(here: Path) -> None:
    done = podhooks("explain", "etl:local")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == """\
LocalEnvironment  (etl:local)

  main     this process
  callbacksa process beside it, one child for each
           on_start: <lambda> can't be imported by a name: only forks of this process have it

  on_start before main
           1. <lambda>
              at most 5m, no retry
              if it fails: main never starts, on_exit runs
  main     this process
  on_exit  after main, however it ended
           1. etl:notify
              at most 5s each time, 2 retries, only when Failed, OOMKilled, Evicted, Deleted, DeadlineExceeded, \
NodeLost, StartFailed, NeverStarted, Unknown
              if it fails: recorded in the log and the pod's status
""".replace("callbacksa", "where    a")
    )


def test_main_in_a_job(here: Path) -> None:
    done = podhooks("explain", f"{here}/etl.py:job")
    assert (done.returncode, done.stderr) == (0, "")
    for each in (
        "main     a Job of its own\n",
        "where    that Job's pod: init container and sidecar\n",
        "on_exit: <lambda> can't be imported by a name: it travels pickled, in a Secret of the Job\n",
        "Job/flow  (spec.template, native mode, main: flow)\n",
        "init container on-start, in etl:1\n",
        "1. etl:notify\n",
        "out of memory    OOMKilled",
    ):
        assert each in done.stdout


def test_main_on_a_dask_cluster(here: Path) -> None:
    done = podhooks("explain", "etl:dask")
    assert "on_exit also deletes the DaskCluster" in done.stdout
    assert "1. podhooks.callbacks.dask:delete_cluster" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["etl:loca"], "etl:loca: etl has no 'loca'; did you mean 'local'?"),
        (["etl:qqq"], "etl has no 'qqq'; there are dask, job, local, remote"),
        (["etl:number"], "etl:number: is 3, not an environment; there are"),
        (["elt:local"], "elt:local: no module named 'elt'"),
        (["nowhere.py:x"], "nowhere.py: no such file"),
        (["job.yaml"], "'job.yaml': files are given with -f, environments as MODULE:NAME"),
        (["etl:local", "-f", "x.yaml"], "explain one of them at a time"),
    ],
)
def test_what_is_no_environment(here: Path, arguments: list[str], said: str) -> None:
    done = podhooks("explain", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
