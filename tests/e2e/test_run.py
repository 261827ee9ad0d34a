"""`podhooks run` and the examples, unchanged, on a real cluster."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.cluster import RealCluster
from tests.integration.cli import podhooks
from tests.integration.runs import Run, in_order

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(cluster: RealCluster, name: str, *arguments: str) -> Run:
    return Run(
        str(EXAMPLES / name / "job.yaml"),
        *("--kubeconfig", cluster.kubeconfig, "-n", cluster.namespace),
        *("--image", cluster.settings.image, "--timeout", "120s"),
        *arguments,
    )


def left(cluster: RealCluster) -> str:
    names = (
        "demo",
        "notification",
        "resources",
        "cleanup",
    )  # other tests of the suite may have used the namespace, too
    jobs = cluster.kubectl("get", "jobs", *names, "--no-headers", "--ignore-not-found")
    return jobs + cluster.kubectl("get", "pods", "--no-headers", "-l", f"job-name in ({','.join(names)})")


@pytest.mark.parametrize(("end", "code", "result"), [("succeed", 0, "Succeeded"), ("fail", 3, "Failed")])
def test_the_demo_runs_unchanged(cluster: RealCluster, end: str, code: int, result: str) -> None:
    ran = run(cluster, "demo", "-e", f"END={end}")
    assert ran.end() == code, ran.output
    assert in_order(
        ran.lines,
        "before main: 40 rows are ready",
        "on-start   ended, exit code 0",
        "main       running",
        "main     │ main: 40 rows found",
        f"main       ended, exit code {code}",
        f"after main: result {result}, exit code {code}",
        "on-exit    ended, exit code 0",
    ), ran.output


def test_ctrl_c_deletes_the_job_and_on_exit_still_runs(cluster: RealCluster) -> None:
    ran = run(cluster, "demo", "-e", "END=wait").until("half of the rows done").send(signal.SIGINT)
    assert ran.end() == 130, ran.output
    assert in_order(
        ran.lines, "Ctrl-C: deleting Job/demo, on_exit runs", "after main: result Deleted", "ended by Ctrl-C"
    )
    assert any("main      Deleted  exit code 143" in line for line in ran.lines), ran.output


def test_the_notification_runs_unchanged(cluster: RealCluster) -> None:
    ran = run(cluster, "notification", "-e", "CODE=3")
    assert ran.end() == 3, ran.output
    assert any('"result": "Failed", "exit_code": 3' in line for line in ran.lines), ran.output


def test_the_collected_resources_run_unchanged(cluster: RealCluster) -> None:
    ran = run(cluster, "resources")
    assert ran.end() == 0, ran.output
    assert in_order(ran.lines, "collected: {'cpus': ", "main     │ done with ", "it left {'total': 332833500")


def test_the_cleanup_runs_unchanged(cluster: RealCluster) -> None:
    ran = run(cluster, "cleanup", "-e", "SECONDS_OF_WORK=300").until("working under the lock").send(signal.SIGINT)
    assert ran.end() == 130, ran.output
    assert any("lock given back after Deleted" in line for line in ran.lines), ran.output


def test_status_reads_what_was_kept(cluster: RealCluster) -> None:
    assert run(cluster, "resources", "--keep").end() == 0
    try:
        access = ("--kubeconfig", cluster.kubeconfig, "-n", cluster.namespace)
        shown = podhooks("status", "-l", "job-name=resources", *access)
        assert in_order(shown.stdout.splitlines(), "collect:collect", "main      Succeeded", "collect:tell"), shown
    finally:
        kept = "configmap/resources-code"
        cluster.kubectl("delete", "job/resources", kept)


def test_what_keeps_a_pod_from_starting_is_told(cluster: RealCluster, tmp_path: Path) -> None:
    text = (EXAMPLES / "resources" / "job.yaml").read_text().replace("name: resources-code\n\n", "")
    (tmp_path / "job.yaml").write_text(
        text.replace("            name: resources-code\n", "            name: nowhere\n")
    )
    ran = Run(
        str(tmp_path / "job.yaml"),
        *("--kubeconfig", cluster.kubeconfig, "-n", cluster.namespace),
        *("--image", cluster.settings.image, "--timeout", "8s"),
    )
    assert ran.end() == 124, ran.output
    assert 'configmap "nowhere" not found' in ran.lines[-1]


def test_nothing_is_left_of_all_this(cluster: RealCluster) -> None:
    cluster.until(lambda: not left(cluster), "the runs' objects are gone", 60)
