"""`podhooks run --kubeconfig`: the official client against the embedded API server, which can be made to misbehave.

What a real cluster does with the same command is in tests/e2e.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks.local import Cluster
from podhooks.local.apiserver import Action, Fault
from tests.integration.cli import podhooks
from tests.integration.receivers import answer, receiving
from tests.integration.runs import HOOKS, WAITING, Run, directory, in_order, job, manifest

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {KEY: hidden}\n---\n"
ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: []\n---\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose containers import our hooks; its kubeconfig is `tmp_path/kubeconfig`."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    with Cluster(directory=tmp_path) as found:
        found.kubeconfig(tmp_path / "kubeconfig")
        yield found


def command(path: Path, text: str, *arguments: str) -> list[str]:
    return [
        str(directory(path, text)),
        "--kubeconfig",
        str(path / "kubeconfig"),
        "--delivery",
        "installed",
        *arguments,
    ]


def there(cluster: Cluster, *plurals: str) -> list[str]:
    """The names of objects in the default namespace, but for those that every namespace has."""
    found = [each["metadata"]["name"] for plural in plurals for each in cluster.store.list(plural, "default")[0]]
    return [name for name in found if name != "kube-root-ca.crt"]


def test_a_run_on_a_cluster_looks_like_one_here_and_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    ran = Run(*command(tmp_path, SECRET + job(manifest("print('working'); raise SystemExit(3)"))))
    assert ran.end() == 3, ran.output
    assert in_order(
        ran.lines,
        "Job/etl in default, on ",
        "with Secret/key",
        "on-start │ [on-start hooks:prepare] preparing",
        "on-start   ended, exit code 0",
        "work       running",
        "work     │ working",
        "work       ended, exit code 3",  # anywhere among the lines of on-exit: it waits for its log
        "job failed: BackoffLimitExceeded",
        "on_start  ok      hooks:prepare",
        "main      Failed  exit code 3",
        "on_exit   ok      hooks:tell",
    ), ran.output
    assert in_order(ran.lines, "work     │ working", "on-exit  │ [on-exit hooks:tell] told: Failed 3", "job failed")
    assert there(cluster, "jobs", "pods", "secrets") == []
    assert ran.errors == []


def test_a_grant_is_there_as_long_as_the_run(cluster: Cluster, tmp_path: Path) -> None:
    """Everybody may do everything on the embedded server, so it is the objects that are looked at."""
    ran = Run(*command(tmp_path, manifest(WAITING), "--grant")).until("│ working")
    (role,) = cluster.store.list("roles", "default")[0]
    (binding,) = cluster.store.list("rolebindings", "default")[0]
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]} in role["rules"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [each["name"] for each in binding["subjects"]] == ["default"]
    assert ran.send(signal.SIGINT).end() == 130, ran.output
    assert there(cluster, "pods", "roles", "rolebindings") == []


def test_a_grant_without_a_cluster_is_refused(tmp_path: Path) -> None:
    done = podhooks("run", "--grant", str(directory(tmp_path, manifest("pass"))))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--grant needs a cluster" in done.stderr


def test_keep_leaves_the_objects_and_status_reads_them(cluster: Cluster, tmp_path: Path) -> None:
    ran = Run(*command(tmp_path, manifest(tell="broken"), "--keep"))
    assert ran.end() == 0, ran.output
    assert "kept: kubectl -n default get pod etl" in ran.lines
    assert there(cluster, "pods") == ["etl"]
    status = podhooks("status", "--kubeconfig", str(tmp_path / "kubeconfig"))
    assert status.returncode == 0
    assert in_order(
        status.stdout.splitlines(), "pod etl", "ok         hooks:prepare", "Succeeded", "failed     hooks:br"
    )
    for arguments in (["etl"], ["-l", "a!=b"], ["-n", "default"]):
        assert podhooks("status", "--kubeconfig", str(tmp_path / "kubeconfig"), *arguments).stdout == status.stdout


def test_status_of_no_pod_is_told(cluster: Cluster, tmp_path: Path) -> None:
    config = ["--kubeconfig", str(tmp_path / "kubeconfig")]
    assert podhooks("status", "nobody", *config).returncode == 1
    assert "there is no pod nobody in namespace default" in podhooks("status", "nobody", *config).stderr
    assert "no pod in namespace other" in podhooks("status", "-n", "other", *config).stderr
    assert podhooks("status", "nobody", "-l", "a=b", *config).returncode == 2


def test_status_of_a_name_that_no_pod_has_tells_the_next_step(cluster: Cluster, tmp_path: Path) -> None:
    pod = {"spec": {"containers": [{"name": "main", "image": "x"}], "nodeName": "elsewhere"}}
    metadata = {"name": "etl-x7k2p", "namespace": "default", "labels": {"job-name": "etl"}}
    cluster.store.create("pods", {"metadata": metadata, **pod})
    for name, advice in {
        "etl": "it's a Job, so name its pods with job/etl",
        "etl-x7k2": "did you mean etl-x7k2p?",
        "pod/etl-x7k2": "did you mean etl-x7k2p?",
        "other": "without a name all are shown, -n names another namespace",
    }.items():
        told = podhooks("status", name, "--kubeconfig", str(tmp_path / "kubeconfig"))
        line = f"podhooks status: there is no pod {name} in namespace default: {advice}\n"
        assert (told.returncode, told.stdout, told.stderr) == (1, "", line)


def test_ctrl_c_deletes_the_job_and_on_exit_still_runs(cluster: Cluster, tmp_path: Path) -> None:
    ran = Run(*command(tmp_path, job(manifest(WAITING)))).until("│ working").send(signal.SIGINT)
    assert ran.end() == 130, ran.output
    assert in_order(
        ran.lines, "Ctrl-C: deleting Job/etl, on_exit runs", "told: Deleted", "main      Deleted  exit code 143"
    )
    assert there(cluster, "jobs", "pods") == []


def test_a_deletion_by_somebody_else_is_followed_to_its_end(cluster: Cluster, tmp_path: Path) -> None:
    ran = Run(*command(tmp_path, job(manifest(WAITING)))).until("│ working")
    cluster.store.delete("jobs", "default", "etl")
    assert ran.end() == 143, ran.output
    assert in_order(ran.lines, "job is gone", "told: Deleted", "Job/etl: the pod was deleted; exit code 143")


def test_lost_connections_lose_no_line_and_no_news(cluster: Cluster, tmp_path: Path) -> None:
    script = "import time\nfor n in range(60): print(n, flush=True); time.sleep(0.05)"
    ran = Run(*command(tmp_path, job(manifest(script)))).until("│ 5")
    cluster.apiserver.drop_connections()
    ran.until("│ 30")
    cluster.apiserver.drop_connections()
    assert ran.end() == 0, ran.output
    logged = [line.partition("│ ")[2] for line in ran.lines if "s  work     │ " in line]
    assert logged == [str(n) for n in range(60)]
    assert in_order(ran.lines, "work       ended, exit code 0", "on_exit   ok         hooks:tell")


def test_a_history_that_is_too_short_is_read_anew(cluster: Cluster, tmp_path: Path) -> None:
    pods = "/api/v1/namespaces/default/pods"
    cluster.apiserver.faults.add(Fault(pods, Action.ANSWER, status=410, times=3, watch=True))
    ran = Run(*command(tmp_path, manifest()))
    assert ran.end() == 0, ran.output
    assert sum("work       running" in line for line in ran.lines) == 1


def test_trouble_is_told_once_and_survived(cluster: Cluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    closed = f"import os\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    ran = Run(*command(tmp_path, manifest(WAITING.replace("time.sleep(300)", closed)))).until("│ working")
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/pods", Action.ANSWER, status=503, times=9999))
    cluster.apiserver.drop_connections()
    ran.until("trying again")
    cluster.apiserver.faults.clear()
    gate.touch()
    assert ran.end() == 0, ran.output
    assert sum("trying again" in line for line in ran.lines) <= 2
    assert in_order(ran.lines, "trying again", "work       ended, exit code 0", "main succeeded")


def test_a_deletion_that_fails_is_tried_again(cluster: Cluster, tmp_path: Path) -> None:
    ran = Run(*command(tmp_path, job(manifest(WAITING)))).until("│ working")
    jobs = "/apis/batch/v1/namespaces/default/jobs/etl"
    cluster.apiserver.faults.add(Fault(jobs, Action.ANSWER, status=503, times=1, method="DELETE"))
    assert ran.send(signal.SIGTERM).end() == 143, ran.output
    assert in_order(ran.lines, "Job/etl can't be deleted: ", "told: Deleted", "ended by SIGTERM")


def test_a_watch_that_may_not_be_had_is_no_reason_to_go_without_warnings(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/events", Action.ANSWER, status=403, times=999))
    ran = Run(*command(tmp_path, manifest()))
    assert ran.end() == 0
    assert "trying again" not in ran.output


def test_a_log_that_may_not_be_read_is_told(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apiserver.faults.add(Fault("/api/v1/namespaces/default/pods/etl/log", Action.ANSWER, status=403, times=99))
    ran = Run(*command(tmp_path, manifest()))
    assert ran.end() == 0
    assert sum("its log can't be read: " in line for line in ran.lines) == 1


# -- nothing half-applied ---------------------------------------------------------------------------------------------


def test_what_a_dry_run_refuses_is_refused_before_anything_is_there(cluster: Cluster, tmp_path: Path) -> None:
    text = SECRET + manifest().replace("restartPolicy: Never", "restartPolicy: Nver")
    ran = podhooks("run", *command(tmp_path, text))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("podhooks: Pod/etl: ")
    assert "Nver" in ran.stderr
    assert there(cluster, "secrets", "pods") == []
    creations = [each for each in cluster.apiserver.requests if str(each).startswith("POST")]
    assert all("dryRun=All" in str(each) or "review" in str(each) for each in creations)


def test_what_is_refused_after_all_takes_the_earlier_ones_with_it(cluster: Cluster, tmp_path: Path) -> None:
    refuse: Any = cluster.store.defaulters["pods"]
    tries = []

    def once_more(pod: dict[str, Any]) -> None:
        tries.append(pod)
        if len(tries) > 1:  # the first is the dry run
            from podhooks.local.problems import forbidden

            raise forbidden("pods", "etl", "exceeded quota: pods=10")
        refuse(pod)

    cluster.store.defaulters["pods"] = once_more
    ran = podhooks("run", *command(tmp_path, SECRET + ROLE + manifest()))
    assert ran.returncode == 2, ran
    assert "Pod/etl: " in ran.stderr
    assert "exceeded quota: pods=10" in ran.stderr
    assert there(cluster, "secrets", "roles", "pods") == []


def test_a_name_that_is_taken_is_told_and_the_other_object_stays(cluster: Cluster, tmp_path: Path) -> None:
    other = {"metadata": {"name": "etl", "namespace": "default"}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    cluster.store.create("pods", other)
    ran = podhooks("run", *command(tmp_path, SECRET + manifest()))
    assert ran.returncode == 2
    assert "Pod/etl: is in namespace default already: kubectl -n default delete pod etl" in ran.stderr
    assert there(cluster, "pods", "secrets") == ["etl"]


def test_a_companion_that_is_there_already_is_used_and_left_there(cluster: Cluster, tmp_path: Path) -> None:
    same = {"metadata": {"name": "key", "namespace": "default"}, "stringData": {"KEY": "hidden"}}
    cluster.store.create("secrets", same)
    assert Run(*command(tmp_path, SECRET + manifest())).end() == 0
    assert there(cluster, "secrets") == ["key"]


def test_a_companion_that_is_another_is_not_overwritten(cluster: Cluster, tmp_path: Path) -> None:
    other = {"metadata": {"name": "key", "namespace": "default"}, "stringData": {"KEY": "other"}}
    cluster.store.create("secrets", other)
    ran = podhooks("run", *command(tmp_path, SECRET + manifest()))
    assert ran.returncode == 2
    assert "Secret/key: is in namespace default already, and is another" in ran.stderr
    assert cluster.store.get("secrets", "default", "key")["data"]["KEY"] == "b3RoZXI="


# -- access -----------------------------------------------------------------------------------------------------------


def kubeconfig(path: Path, server: str, **user: object) -> list[str]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "current-context": "here",
    }
    (path / "config").write_text(json.dumps(config))
    return ["--kubeconfig", str(path / "config")]


def test_access_that_can_not_be_had_is_one_line_and_exit_code_2(cluster: Cluster, tmp_path: Path) -> None:
    path = str(directory(tmp_path, manifest()))
    cases = {
        "can't reach the API server at http://127.0.0.1:1: Connection refused": kubeconfig(
            tmp_path, "http://127.0.0.1:1"
        ),
    }
    for problem, arguments in cases.items():
        for subcommand in (["run", path], ["status"]):
            ran = podhooks(*subcommand, *arguments)
            assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran
            assert problem in ran.stderr
    wrong = podhooks("run", path, *kubeconfig(tmp_path, cluster.url, token="wrong"))
    assert (wrong.returncode, "log in again" in wrong.stderr) == (2, True), wrong
    unknown = podhooks("run", path, *kubeconfig(tmp_path, cluster.url), "--context", "there")
    assert (unknown.returncode, "--context there" in unknown.stderr, "has here" in unknown.stderr) == (2, True, True)


@pytest.mark.parametrize(
    ("server", "user", "problem"),
    [
        ("127.0.0.1:6443", {}, "its cluster's server is '127.0.0.1:6443': write it like https://HOST:6443"),
        (None, {}, "The kubeconfig has no credentials for it: log in, or use another --context"),
        (None, {"token": "secret\u2603"}, "its token has characters that can't be in one: log in again"),
        (None, {"token": "secret\nsecret"}, "its token has characters that can't be in one: log in again"),
        (None, {"exec": "exit 3"}, "its login command failed: exec: process returned 3. come in: log in again"),
    ],
)
def test_credentials_that_are_none(
    cluster: Cluster, tmp_path: Path, server: str | None, user: dict[str, str], problem: str
) -> None:
    login = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh"}
    given = {"exec": {**login, "args": ["-c", f"echo come in >&2; {user['exec']}"]}} if "exec" in user else user
    ran = podhooks("status", *kubeconfig(tmp_path, server or cluster.url, **given))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran
    assert problem in ran.stderr
    assert "secret" not in ran.stderr


def test_a_tokens_file_may_end_in_a_newline(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{cluster.token}\n")
    ran = podhooks("status", *kubeconfig(tmp_path, cluster.url, tokenFile=str(tmp_path / "token")))
    assert "no pod in namespace team" in ran.stderr


@pytest.mark.parametrize(
    "text", ["", "nonsense", "a: [", "a:\n\tb: c\n", "[]", "{}", "contexts: [a]\ncurrent-context: a"]
)
def test_what_is_no_kubeconfig_is_one_line(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config"
    config.write_text(text)
    ran = podhooks("status", "--kubeconfig", str(config))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran
    assert ran.stderr.startswith(f"podhooks: {config} ")


def test_another_server_than_the_api_is_quoted(tmp_path: Path) -> None:
    for body, said in (("Speak HTTPS here.\n", ": Speak HTTPS here."), ("<html>a page</html>", "")):
        with receiving(answer(400, body)) as receiver:
            url = f"http://127.0.0.1:{receiver.server_address[1]}"
            ran = podhooks("status", *kubeconfig(tmp_path, url))
        assert (ran.returncode, ran.stderr) == (2, f"podhooks: {url} answered HTTP 400{said}\n")


def test_a_right_that_is_missing_is_named(cluster: Cluster, tmp_path: Path) -> None:
    for path, what in (("pods", "pods of namespace default"), ("secrets", "Secret/key")):
        cluster.apiserver.faults.clear()
        cluster.apiserver.faults.add(
            Fault(f"/api/v1/namespaces/default/{path}", Action.ANSWER, status=403, message=f"may not touch {path}")
        )
        ran = podhooks("run", *command(tmp_path, SECRET + manifest()))
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith(f"podhooks: {what}: ")
        assert f"may not touch {path}" in ran.stderr
        assert there(cluster, "secrets", "pods") == []


def test_the_contexts_namespace_is_the_usual_one(cluster: Cluster, tmp_path: Path) -> None:
    cluster.store.create("namespaces", {"metadata": {"name": "team"}})
    access = kubeconfig(tmp_path, cluster.url, token=cluster.token)
    ran = Run(str(directory(tmp_path, manifest())), *access, "--context", "here", "--delivery", "installed")
    assert ran.end() == 0, ran.output
    assert ran.lines[0].startswith("Pod/etl in team, on here (http://127.0.0.1:")
