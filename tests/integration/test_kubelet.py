"""The process kubelet: what containers find, how they end, and that nothing is left behind. Both sandbox modes."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from podhooks.contract import RUNTIME_MOUNT
from podhooks.inject.inject_settings import InjectSettings
from podhooks.local import Cluster
from podhooks.local.store import ApiError
from tests.integration.local_pods import (
    Follower,
    Json,
    children_of_this_process,
    command_of,
    container,
    create,
    ended,
    events,
    eventually,
    find_child,
    is_gone,
    is_over,
    is_running,
    output,
    pod,
    python,
    run,
    run_for_output,
    status_of,
    wait,
    wait_for_line,
    wait_until_gone,
    waits_with,
)

BACKOFF_SECONDS = 0.3
ROOT = Path(__file__).parent.parent.parent


def _mode_of_this_machine() -> str:
    with Cluster() as cluster:
        return cluster.sandbox_mode


MODES = ("namespaces", "paths")


@pytest.fixture(scope="module", params=MODES)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == "namespaces" and _mode_of_this_machine() != "namespaces":
        pytest.skip("this machine forbids namespaces")
    with Cluster(sandbox=request.param, backoff_seconds=BACKOFF_SECONDS) as running:
        store = running.store
        store.create(
            "configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1", "b.txt": "two\n", "UPPER": "x"}}
        )
        secret = {"password": base64.b64encode(b"hunter2").decode()}
        store.create("secrets", {"metadata": {"name": "keys"}, "data": secret})
        yield running


@pytest.fixture
def namespaces(cluster: Cluster) -> Cluster:
    if cluster.sandbox_mode != "namespaces":
        pytest.skip("only a mount namespace can do this")
    return cluster


def test_the_sandbox_says_in_one_line_how_containers_run(cluster: Cluster) -> None:
    assert "\n" not in cluster.sandbox
    assert ("namespaces" in cluster.sandbox) == (cluster.sandbox_mode == "namespaces")


# -- volumes -----------------------------------------------------------------------------------------------------------


def mounted(name: str, path: str, **more: object) -> Json:
    return {"name": name, "mountPath": path, **more}


def test_an_empty_dir_carries_files_from_init_to_main_and_nothing_appears_on_the_host(cluster: Cluster) -> None:
    where = [mounted("v", "/podhooks-test/shared")]
    manifest = pod(
        container("cat /podhooks-test/shared/note", volumeMounts=where),
        init=(container("echo hello > /podhooks-test/shared/note", "init", volumeMounts=where),),
        volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}],
    )
    assert run_for_output(cluster, manifest) == "hello\n"
    assert not Path("/podhooks-test").exists()


def test_config_maps_and_secrets_are_files_with_chosen_names_and_modes(cluster: Cluster) -> None:
    items = [{"key": "b.txt", "path": "deep/c.txt", "mode": 0o600}]
    manifest = pod(
        container(
            "cat /conf/a; cat /some/deep/c.txt; cat /keys/password; stat -L -c %a /keys/password /some/deep/c.txt",
            volumeMounts=[mounted("all", "/conf"), mounted("some", "/some"), mounted("keys", "/keys")],
        ),
        volumes=[
            {"name": "all", "configMap": {"name": "settings"}},
            {"name": "some", "configMap": {"name": "settings", "items": items}},
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        ],
    )
    assert run_for_output(cluster, manifest) == "1two\nhunter2400\n600\n"


def test_projected_and_downward_volumes_hold_what_the_pod_says(cluster: Cluster) -> None:
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}}, {"downwardAPI": downward}]
    manifest = pod(
        container("cd /all && cat a password labels", volumeMounts=[mounted("all", "/all")]),
        volumes=[{"name": "all", "projected": {"sources": sources}}],
    )
    manifest["metadata"]["labels"] = {"b": "2", "a": "1"}
    assert run_for_output(cluster, manifest) == '1hunter2a="1"\nb="2"'


def test_a_sub_path_shows_one_file_or_directory_of_a_volume(cluster: Cluster) -> None:
    manifest = pod(
        container(
            "cat /one.txt; echo x > /data/f; ls /whole",
            volumeMounts=[
                mounted("conf", "/one.txt", subPath="b.txt"),
                mounted("v", "/data", subPathExpr="$(WHO)"),
                mounted("v", "/whole"),
            ],
            env=[{"name": "WHO", "value": "me"}],
        ),
        volumes=[{"name": "conf", "configMap": {"name": "settings"}}, {"name": "v", "emptyDir": {}}],
    )
    assert run_for_output(cluster, manifest) == "two\nme\n"


def test_host_paths_and_claims_are_real_directories(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("here")
    cluster.store.create("persistentvolumeclaims", {"metadata": {"name": f"c-{cluster.sandbox_mode}"}, "spec": {}})
    volumes = [
        {"name": "h", "hostPath": {"path": str(tmp_path)}},
        {"name": "c", "persistentVolumeClaim": {"claimName": f"c-{cluster.sandbox_mode}"}},
    ]
    mounts = [mounted("h", "/host"), mounted("c", "/claim")]
    first = pod(container("cat /host/given; echo kept > /claim/f", volumeMounts=mounts), volumes=volumes)
    assert run_for_output(cluster, first) == "here"
    assert run_for_output(cluster, pod(container("cat /claim/f", volumeMounts=mounts), volumes=volumes)) == "kept\n"


def test_a_mount_below_a_directory_of_the_host_leaves_its_other_files_visible(namespaces: Cluster) -> None:
    manifest = pod(
        container(
            "cat /etc/podhooks-test/a; test -e /etc/passwd && echo host too",
            volumeMounts=[mounted("v", "/etc/podhooks-test")],
        ),
        volumes=[{"name": "v", "configMap": {"name": "settings"}}],
    )
    assert run_for_output(namespaces, manifest) == "1host too\n"
    assert not Path("/etc/podhooks-test").exists()


def test_read_only_means_it_and_config_maps_always_are(namespaces: Cluster) -> None:
    script = (
        "for f in /ro/x /conf/a; do (echo x > $f) 2>/dev/null || echo refused; done; echo x > /rw/x && echo written"
    )
    mounts = [mounted("v", "/rw"), mounted("v", "/ro", readOnly=True), mounted("c", "/conf")]
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "settings"}}]
    manifest = pod(container(script, volumeMounts=mounts), volumes=volumes)
    assert run_for_output(namespaces, manifest) == "refused\nrefused\nwritten\n"


def test_a_missing_volume_keeps_the_pod_waiting_until_it_is_there(cluster: Cluster) -> None:
    late = f"late-{cluster.sandbox_mode}"
    manifest = pod(
        container("cat /conf/k", volumeMounts=[mounted("v", "/conf")]),
        volumes=[{"name": "v", "configMap": {"name": late}}],
    )
    name = create(cluster, manifest)
    eventually(lambda: any("not found" in e["message"] for e in events(cluster, name, "FailedMount")))
    assert waits_with("ContainerCreating")(cluster.store.get("pods", "default", name))
    cluster.store.create("configmaps", {"metadata": {"name": late}, "data": {"k": "v"}})
    assert wait(cluster, name, is_over)["status"]["phase"] == "Succeeded"


def test_an_optional_volume_may_be_missing(cluster: Cluster) -> None:
    volume = {"name": "v", "configMap": {"name": "nowhere", "optional": True}}
    manifest = pod(container("ls /conf", volumeMounts=[mounted("v", "/conf")]), volumes=[volume])
    assert run_for_output(cluster, manifest) == ""


def test_an_image_volume_is_a_mapped_directory_or_a_clear_event(cluster: Cluster) -> None:
    ours = {"name": "v", "image": {"reference": InjectSettings().image}}
    listing = container(
        f"ls {RUNTIME_MOUNT}/opt/podhooks/podhooks/contract.py", volumeMounts=[mounted("v", RUNTIME_MOUNT)]
    )
    assert "contract.py" in run_for_output(cluster, pod(listing, volumes=[ours]))
    name = create(cluster, pod(container("true"), volumes=[{"name": "v", "image": {"reference": "other:1"}}]))
    eventually(lambda: any("other:1" in e["message"] for e in events(cluster, name, "FailedMount")))
    cluster.store.delete("pods", "default", name)


def test_a_container_has_its_service_account(cluster: Cluster) -> None:
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    text = run_for_output(cluster, pod(container(f"cat {where}/namespace; echo; cat {where}/token; ls {where}")))
    assert text.startswith(f"default\n{cluster.token}")
    assert "ca.crt" in text


def test_the_token_opens_the_api(cluster: Cluster) -> None:
    script = (
        "import os, json, urllib.request as u\n"
        "d = os.environ.get('PODHOOKS_SERVICE_ACCOUNT_DIR', '/var/run/secrets/kubernetes.io/serviceaccount')\n"
        "url = os.environ['PODHOOKS_API_SERVER'] + '/api/v1/namespaces/default/pods/' + os.environ['HOSTNAME']\n"
        "ask = u.Request(url, headers={'Authorization': 'Bearer ' + open(d + '/token').read()})\n"
        "print(json.load(u.urlopen(ask))['status']['phase'])"
    )
    assert run_for_output(cluster, pod(python(script))) == "Running\n"


# -- environment -------------------------------------------------------------------------------------------------------


def test_variables_come_from_everywhere_and_later_ones_may_use_earlier_ones(cluster: Cluster) -> None:
    def ref(kind: str, **fields: object) -> Json:
        return {kind: fields}

    env: list[Json] = [
        {"name": "NAME", "valueFrom": ref("fieldRef", fieldPath="metadata.name")},
        {"name": "LABEL", "valueFrom": ref("fieldRef", fieldPath="metadata.labels['app.io/x']")},
        {"name": "NOTHING", "valueFrom": ref("fieldRef", fieldPath="metadata.annotations['missing']")},
        {"name": "IP", "valueFrom": ref("fieldRef", fieldPath="status.podIP")},
        {"name": "LIMIT", "valueFrom": ref("resourceFieldRef", resource="limits.memory", divisor="1Mi")},
        {"name": "MAP", "valueFrom": ref("configMapKeyRef", name="settings", key="a")},
        {"name": "KEY", "valueFrom": ref("secretKeyRef", name="keys", key="password")},
        {"name": "NONE", "valueFrom": ref("secretKeyRef", name="keys", key="no", optional=True)},
        {"name": "SUM", "value": "$(NAME)-$(PRE_UPPER)-$(UNKNOWN)-$$(NAME)"},
    ]
    names = ["LABEL", "NOTHING", "IP", "LIMIT", "MAP", "KEY", "NONE", "PRE_UPPER", "SUM", "HOSTNAME"]
    show = "import os, sys; print([os.environ.get(n) for n in sys.argv[1].split()])"
    main = python(show, env=env, envFrom=[{"prefix": "PRE_", "configMapRef": {"name": "settings"}}])
    main |= {"args": ["$(ALL)"], "resources": {"limits": {"memory": "64Mi"}}}
    main["env"].append({"name": "ALL", "value": " ".join(names)})
    manifest = pod(main)
    manifest["metadata"]["labels"] = {"app.io/x": "y"}
    name = manifest["metadata"]["name"]
    expected = ["y", "", "127.0.0.1", "64", "1", "hunter2", None, "x", f"{name}-x-$(UNKNOWN)-$(NAME)", name]
    assert run_for_output(cluster, manifest) == f"{expected}\n"


def test_a_missing_config_map_is_a_config_error_until_it_is_there(cluster: Cluster) -> None:
    late = f"env-{cluster.sandbox_mode}"
    name = create(cluster, pod(container("echo $K", envFrom=[{"configMapRef": {"name": late}}])))
    waiting = wait(cluster, name, waits_with("CreateContainerConfigError"))
    assert status_of(waiting)["state"]["waiting"]["message"] == f'configmap "{late}" not found'
    cluster.store.create("configmaps", {"metadata": {"name": late}, "data": {"K": "there"}})
    wait(cluster, name, is_over)
    assert output(cluster, name) == "there\n"


def test_python_is_the_interpreter_that_runs_podhooks(cluster: Cluster) -> None:
    assert run_for_output(cluster, pod(python("import sys; print(sys.executable)"))) == f"{sys.executable}\n"


def test_the_working_directory_is_the_containers_own(cluster: Cluster) -> None:
    manifest = pod(
        container("pwd; cat a", workingDir="/conf", volumeMounts=[mounted("v", "/conf")]),
        volumes=[{"name": "v", "configMap": {"name": "settings"}}],
    )
    assert run_for_output(cluster, manifest).endswith("\n1")


# -- how containers end ------------------------------------------------------------------------------------------------


def test_a_termination_message_is_the_files_first_4096_bytes(cluster: Cluster) -> None:
    write = (
        "open('/dev/termination-log', 'w').write('x' * 5000)"
        if cluster.sandbox_mode == "namespaces"
        else ("import os; open(os.environ['PODHOOKS_TERMINATION_LOG'], 'w').write('x' * 5000)")
    )
    assert ended(run(cluster, pod(python(write))))["message"] == "x" * 4096


def test_a_termination_message_path_may_be_chosen(cluster: Cluster) -> None:
    main = container("echo -n why > /tmp/podhooks-why; exit 3", terminationMessagePath="/tmp/podhooks-why")
    assert ended(run(cluster, pod(main)))["message"] == "why"
    assert not Path("/tmp/podhooks-why").exists()


def test_the_last_log_lines_are_the_message_of_a_failure_if_asked(cluster: Cluster) -> None:
    main = container(
        "for i in $(seq 100); do echo line $i; done; exit 3", terminationMessagePolicy="FallbackToLogsOnError"
    )
    message = ended(run(cluster, pod(main)))["message"]
    assert message.startswith("line 21\n")
    assert message.endswith("line 100\n")


def test_a_message_survives_sigkill_after_the_grace_period(cluster: Cluster) -> None:
    main = container("echo -n so far > /dev/termination-log; trap '' TERM; echo ready; sleep 60 & wait; sleep 60")
    name = create(cluster, pod(main, terminationGracePeriodSeconds=2))
    wait_for_line(cluster, name, "ready")
    cluster.store.delete("pods", "default", name)
    last = wait(cluster, name, is_over)
    assert (ended(last)["exitCode"], ended(last)["reason"], ended(last)["message"]) == (137, "Error", "so far")


def test_a_signal_is_128_plus_its_number(cluster: Cluster) -> None:
    """As PID 1 a container can't be killed by a signal of its own, so its exec'ed child is."""
    last = run(
        cluster, pod(python("import subprocess, sys; sys.exit(128 - subprocess.call(['sh', '-c', 'kill -SEGV $$$$']))"))
    )
    assert ended(last)["exitCode"] == 128 + signal.SIGSEGV + 0


def test_a_killed_container_has_137(cluster: Cluster) -> None:
    name = create(cluster, pod(container("echo ready; exec sleep 6060")))
    wait_for_line(cluster, name, "ready")
    find_child("sleep", "6060").send_signal(signal.SIGKILL)
    assert ended(wait(cluster, name, is_over))["exitCode"] == 137


def test_pid_1_without_a_handler_ignores_sigterm_as_in_a_container(cluster: Cluster) -> None:
    name = create(cluster, pod(container("echo ready; exec sleep 60"), terminationGracePeriodSeconds=2))
    wait_for_line(cluster, name, "ready")
    started = time.monotonic()
    cluster.store.delete("pods", "default", name)
    code = ended(wait(cluster, name, is_over))["exitCode"]
    took = time.monotonic() - started
    assert (code, took >= 2) == ((137, True) if cluster.sandbox_mode == "namespaces" else (143, False))


def test_a_missing_program_is_a_start_error(cluster: Cluster) -> None:
    last = run(cluster, pod({"name": "main", "image": "demo", "command": ["/no/such/program"]}))
    state = ended(last)
    assert (state["exitCode"], state["reason"], state["startedAt"]) == (128, "StartError", "1970-01-01T00:00:00Z")
    assert "/no/such/program" in state["message"]
    assert last["status"]["phase"] == "Failed"


def test_a_container_without_a_command_says_what_to_do(cluster: Cluster) -> None:
    name = create(cluster, pod({"name": "main", "image": "demo:1"}))
    waiting = wait(cluster, name, waits_with("CreateContainerConfigError"))
    assert "give it a command" in status_of(waiting)["state"]["waiting"]["message"]
    cluster.store.delete("pods", "default", name)
    wait_until_gone(cluster, name)


def test_what_a_container_leaves_running_ends_with_it(cluster: Cluster) -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '4321'], start_new_session=True); print('left', flush=True)"
    run(cluster, pod(python(script)))
    assert all(command_of(p) != ["sleep", "4321"] for p in children_of_this_process())


# -- restarts ----------------------------------------------------------------------------------------------------------


def test_always_restarts_even_a_success_with_growing_delay(cluster: Cluster) -> None:
    name = create(cluster, pod(container("echo run; exit 0"), restartPolicy="Always"))
    wait(cluster, name, waits_with("CrashLoopBackOff"))
    third = wait(cluster, name, lambda p: status_of(p)["restartCount"] >= 3)
    assert status_of(third)["lastState"]["terminated"]["reason"] == "Completed"
    assert third["status"]["phase"] == "Running"
    assert output(cluster, name, previous=True) == "run\n"
    assert any("back-off" in e["message"] for e in events(cluster, name, "BackOff"))
    cluster.store.delete("pods", "default", name, grace_seconds=0)


def test_a_sidecar_that_dies_is_restarted_with_its_files_and_does_not_fail_the_pod(cluster: Cluster) -> None:
    mounts = [mounted("v", "/v")]
    sidecar = container("echo x >> /v/n; [ $(wc -l < /v/n) -gt 1 ] && sleep 60; exit 3", "side", restartPolicy="Always")
    main = container("until [ -e /v/n ] && [ $(wc -l < /v/n) -gt 1 ]; do sleep 0.05; done")
    manifest = pod(
        main | {"volumeMounts": mounts},
        init=(sidecar | {"volumeMounts": mounts},),
        volumes=[{"name": "v", "emptyDir": {}}],
        terminationGracePeriodSeconds=1,
    )
    last = run(cluster, manifest)
    assert last["status"]["phase"] == "Succeeded"
    assert status_of(last, "side")["restartCount"] == 1


def test_a_failing_init_container_is_tried_again_on_failure(cluster: Cluster) -> None:
    init = container("echo x >> /v/n; [ $(wc -l < /v/n) -gt 2 ]", "init", volumeMounts=[mounted("v", "/v")])
    manifest = pod(
        container("echo main"), init=(init,), restartPolicy="OnFailure", volumes=[{"name": "v", "emptyDir": {}}]
    )
    last = run(cluster, manifest)
    assert (last["status"]["phase"], status_of(last, "init")["restartCount"]) == ("Succeeded", 2)


# -- the order of endings ----------------------------------------------------------------------------------------------

SAYS_TERM = (
    "import signal, sys, time\n"
    "def end(*_):\n    print('term', time.time(), flush=True); time.sleep({wait})\n"
    "    print('end', time.time(), flush=True)\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end); print('ready', flush=True)\n"
    "while True: signal.pause()"
)


def test_sidecars_end_after_main_one_by_one_in_reverse_order(cluster: Cluster) -> None:
    sidecars = tuple(python(SAYS_TERM.format(wait=0.2), n, restartPolicy="Always") for n in ("a", "b"))
    name = create(cluster, pod(python(SAYS_TERM.format(wait=0.4)), init=sidecars))
    for each in ("a", "b", "main"):
        wait_for_line(cluster, name, "ready", each)
    logs = {each: Follower(cluster, name, each) for each in ("a", "b", "main")}
    cluster.store.delete("pods", "default", name)
    wait(cluster, name, is_gone)
    a, b, main = (logs[each].times() for each in ("a", "b", "main"))
    assert main["term"] < main["end"] <= b["term"] < b["end"] <= a["term"] < a["end"]


def test_a_deletion_during_on_start_ends_it_together_with_the_sidecar(cluster: Cluster) -> None:
    """Kubelet fact 23."""
    sidecar = python(SAYS_TERM.format(wait=0), "side", restartPolicy="Always")
    on_start = python(SAYS_TERM.format(wait=1.0), "on-start")
    name = create(cluster, pod(container("true"), init=(sidecar, on_start)))
    wait_for_line(cluster, name, "ready", "side")
    wait_for_line(cluster, name, "ready", "on-start")
    logs = {each: Follower(cluster, name, each) for each in ("side", "on-start")}
    cluster.store.delete("pods", "default", name)
    last = wait(cluster, name, is_gone)
    assert logs["side"].times()["term"] < logs["on-start"].times()["end"] - 0.5
    assert "running" not in str(status_of(last)["state"])
    assert status_of(last)["restartCount"] == 0


def test_a_sidecar_has_two_seconds_when_the_grace_period_is_used_up(namespaces: Cluster) -> None:
    sidecar = python(SAYS_TERM.format(wait=30), "side", restartPolicy="Always")
    name = create(
        namespaces, pod(container("echo ready; exec sleep 60"), init=(sidecar,), terminationGracePeriodSeconds=1)
    )
    wait_for_line(namespaces, name, "ready", "side")
    wait_for_line(namespaces, name, "ready")
    log = Follower(namespaces, name, "side")
    namespaces.store.delete("pods", "default", name)
    last = wait(namespaces, name, is_over)
    ended_at = time.time()
    assert ended(last, "side")["exitCode"] == 137
    assert 1.9 <= ended_at - log.times()["term"] < 10


def test_a_pods_deadline_shows_main_running_until_all_are_dead(cluster: Cluster) -> None:
    """Kubelet fact 10."""
    sidecar = python(SAYS_TERM.format(wait=0.5), "side", restartPolicy="Always")
    main = container("trap 'exit 0' TERM; while :; do sleep 0.05; done")
    manifest = pod(main, init=(sidecar,), activeDeadlineSeconds=2, terminationGracePeriodSeconds=5)
    watch = cluster.store.watch("pods", "default", fields=f"metadata.name={create(cluster, manifest)}")
    seen: list[tuple[str, str, str]] = []
    while event := watch.next(20):
        status = event.object["status"]
        known = status.get("containerStatuses", [{"state": {"none": 1}}])[0]
        ready = next((c.get("reason", "") for c in status.get("conditions", ()) if c["type"] == "Ready"), "")
        seen.append((status["phase"], next(iter(known["state"])), ready))
        if is_over(event.object):
            break
    assert (status["reason"], status["phase"]) == ("DeadlineExceeded", "Failed")
    assert seen[-2:] == [("Running", "running", "PodFailed"), ("Failed", "terminated", "PodFailed")]


def test_a_deletion_during_the_backoff_shows_how_main_ended(cluster: Cluster) -> None:
    name = create(cluster, pod(container("exit 3"), init=(SLOW_SIDECAR,), restartPolicy="Always"))
    wait(cluster, name, lambda pod: waits_with("CrashLoopBackOff")(pod) and status_of(pod)["restartCount"] == 3)
    cluster.store.delete("pods", "default", name)
    # On a slow machine the backoff may be over just now: then the code is that of one more run, and as true.
    last = wait(cluster, name, lambda pod: is_ending(pod) and "exitCode" in ended(pod))
    assert ended(last)["exitCode"] == 3
    wait_until_gone(cluster, name)


SLOW_SIDECAR = container("trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done", "side", restartPolicy="Always")


def is_ending(pod: Json) -> bool:
    """The kubelet has seen the deletion."""
    return bool(pod["metadata"].get("deletionTimestamp")) and pod["status"].get("observedGeneration") == 2


def test_an_eviction_is_named_before_the_deletion(cluster: Cluster) -> None:
    """Kubelet fact 8."""
    name = create(cluster, pod(container("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")))
    wait_for_line(cluster, name, "ready")
    cluster.store.evict("default", name)
    last = wait(cluster, name, is_over)
    assert {c["type"]: c.get("reason") for c in last["status"]["conditions"]}[
        "DisruptionTarget"
    ] == "EvictionByEvictionAPI"


def test_a_forced_deletion_leaves_hardly_any_time(cluster: Cluster) -> None:
    name = create(cluster, pod(container("echo ready; trap '' TERM; while :; do sleep 0.1; done")))
    wait_for_line(cluster, name, "ready")
    processes = [p for p in children_of_this_process() if "trap" in " ".join(command_of(p))]
    started = time.monotonic()
    cluster.store.delete("pods", "default", name, grace_seconds=0)
    wait_until_gone(cluster, name)
    assert time.monotonic() - started < 20  # and not the 30 s of its grace period
    assert processes
    eventually(lambda: not any(p.is_running() for p in processes))


def test_a_pod_that_is_over_goes_at_once(cluster: Cluster) -> None:
    name = run(cluster, pod(container("true")))["metadata"]["name"]
    cluster.store.delete("pods", "default", name)
    with pytest.raises(ApiError):
        cluster.store.get("pods", "default", name)


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs_can_be_cut_stamped_and_followed(cluster: Cluster) -> None:
    name = create(cluster, pod(container("for i in 1 2 3; do echo line $i; sleep 0.2; done; printf 'no end'")))
    wait(cluster, name, is_running())
    assert output(cluster, name, follow=True) == "line 1\nline 2\nline 3\nno end"
    assert output(cluster, name, tail_lines=2) == "line 3\nno end"
    assert output(cluster, name, limit_bytes=9) == "line 1\nli"
    assert output(cluster, name, since_seconds=3600).startswith("line 1")
    stamped = output(cluster, name, timestamps=True).splitlines()[0]
    assert stamped.endswith("Z line 1")
    assert len(stamped) == len("2026-11-23T00:16:28.123456789Z line 1")


def test_logs_of_what_has_not_run_are_refused_as_by_a_real_server(cluster: Cluster) -> None:
    name = create(cluster, pod(container("true"), init=(container("sleep 60", "init"),)))
    wait(cluster, name, is_running("init"))
    with pytest.raises(ApiError, match="waiting to start: PodInitializing"):
        output(cluster, name)
    with pytest.raises(ApiError, match='previous terminated container "init"'):
        output(cluster, name, "init", previous=True)
    with pytest.raises(ApiError, match="container nope is not valid"):
        output(cluster, name, "nope")
    cluster.store.delete("pods", "default", name, grace_seconds=0)


def test_much_output_arrives_complete(cluster: Cluster) -> None:
    name = run(
        cluster, pod(python("print('x' * 99 + '\\n', end='') if 0 else print('\\n'.join(['x' * 99] * 100000))"))
    )["metadata"]["name"]
    assert len(output(cluster, name)) == 100 * 100000


# -- the cluster -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    if request.param == "namespaces" and _mode_of_this_machine() != "namespaces":
        pytest.skip("this machine forbids namespaces")
    return str(request.param)


STUBBORN = "trap '' TERM; (setsid sleep 7777 &); echo ready; while :; do sleep 0.1; done"


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # between the two questions
        return False


def test_stopping_ends_everything_soon_and_removes_the_state(mode: str) -> None:
    threads = threading.enumerate()
    before = children_of_this_process()
    with Cluster(sandbox=mode) as cluster:
        state = cluster.state_dir
        name = create(
            cluster, pod(container(STUBBORN), init=(python(SAYS_TERM.format(wait=9), "side", restartPolicy="Always"),))
        )
        wait_for_line(cluster, name, "ready")
        ours = [p for p in children_of_this_process() if p not in before]
        started = time.monotonic()
    assert time.monotonic() - started < 9  # the sidecar would like that long
    assert len(ours) > 3
    assert not any(is_alive(p) for p in ours)
    assert not state.exists()
    assert str(state) not in Path("/proc/self/mounts").read_text()
    eventually(
        lambda: not [t.name for t in threading.enumerate() if t.name.startswith("podhooks") and t not in threads]
    )


def test_the_state_is_kept_when_asked(mode: str) -> None:
    with Cluster(sandbox=mode, keep=True) as cluster:
        run(cluster, pod(container("echo kept")))
        state = cluster.state_dir
    logs = list(state.glob("pods/*/containers/main/0/log"))
    assert [log.read_text().endswith("kept\n") for log in logs] == [True]
    shutil.rmtree(state)


def test_a_killed_cluster_takes_its_processes_and_state_with_it(mode: str, tmp_path: Path) -> None:
    script = (
        "import sys, time; from podhooks.local import Cluster\n"
        "from tests.integration.local_pods import *\n"
        f"c = Cluster(sandbox={mode!r}).start()\n"
        f"n = create(c, pod(container({STUBBORN!r})))\n"
        "wait_for_line(c, n, 'ready'); print(c.state_dir, flush=True); time.sleep(60)"
    )
    victim = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with victim:
        assert victim.stdout
        state = Path(victim.stdout.readline().strip())
        try:
            find_child("sleep", "7777")
            processes = psutil.Process(victim.pid).children(recursive=True)
        finally:
            victim.kill()
    assert len(processes) > 3
    eventually(lambda: not any(p.is_running() for p in processes))
    eventually(lambda: not state.exists())
    assert str(state) not in Path("/proc/self/mounts").read_text()


def test_a_supervisor_that_is_killed_takes_its_container_with_it(cluster: Cluster) -> None:
    name = create(cluster, pod(container("echo ready; exec sleep 5555")))
    wait_for_line(cluster, name, "ready")
    main = find_child("sleep", "5555")
    supervisor = main.parent()
    assert supervisor
    supervisor.kill()
    assert ended(wait(cluster, name, is_over))["exitCode"] == 137
    eventually(lambda: not main.is_running())


def test_two_clusters_at_once_and_one_started_again(mode: str) -> None:
    with Cluster(sandbox=mode) as one, Cluster(sandbox=mode) as two:
        assert one.url != two.url
        manifest = pod(container("echo $PODHOOKS_API_SERVER"))
        assert run_for_output(one, manifest) == f"{one.url}\n"
        assert run_for_output(two, manifest) == f"{two.url}\n"
    with one:
        assert run_for_output(one, manifest) == f"{one.url}\n"
    with pytest.raises(RuntimeError, match="isn't running"):
        _ = one.store


def test_an_idle_cluster_uses_no_cpu(mode: str) -> None:
    with Cluster(sandbox=mode) as cluster:
        sidecar = python("import signal; print('ready', flush=True); signal.pause()", "side", restartPolicy="Always")
        name = create(cluster, pod(container("echo ready; exec sleep 60"), init=(sidecar,)))
        wait_for_line(cluster, name, "ready")
        everyone = [psutil.Process(), *children_of_this_process()]
        eventually(lambda: cpu_seconds(everyone, 1.0) <= 0.03)  # not at once: the start settles


def cpu_seconds(processes: list[psutil.Process], seconds: float) -> float:
    """What they use in that time."""
    before = sum(sum(each.cpu_times()[:2]) for each in processes)
    time.sleep(seconds)  # the time that is measured
    return sum(sum(each.cpu_times()[:2]) for each in processes) - before


def test_without_root_user_namespaces_do_the_same(tmp_path: Path) -> None:
    interpreter = "/usr/bin/python3"
    if os.getuid() != 0:
        pytest.skip("the other tests run without root already")
    if not os.access(interpreter, os.X_OK):
        pytest.skip("no interpreter that another user may run")
    home = Path("/tmp") / f"podhooks-nobody-{os.getpid()}"
    shutil.copytree(ROOT / "podhooks", home / "podhooks", ignore=shutil.ignore_patterns("__pycache__"))
    for program in ("initcontainer", "sidecar"):
        shutil.copytree(ROOT / program, home / program, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "from podhooks.local import Cluster\n"
        "with Cluster() as c:\n"
        "    c.store.create('pods', {'metadata': {'name': 'p'}, 'spec': {'restartPolicy': 'Never',\n"
        "        'volumes': [{'name': 'v', 'emptyDir': {}}], 'containers': [{'name': 'main', 'image': 'x',\n"
        "        'volumeMounts': [{'name': 'v', 'mountPath': '/podhooks-test/v'}],\n"
        "        'command': ['sh', '-c', 'cd /podhooks-test/v; echo hi > f; echo $$$$ $(id -u) $(cat f)']}]}})\n"
        "    for event in c.store.watch('pods'):\n"
        "        if event.object['status']['phase'] in ('Succeeded', 'Failed'): break\n"
        "    print(c.sandbox_mode, b''.join(c.logs('default', 'p')).decode())\n"
    )
    env = {"PATH": os.defpath, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"}
    try:
        done = subprocess.run(
            [interpreter, "-c", script],
            cwd="/",
            env=env,
            user=65534,
            group=65534,
            extra_groups=[],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=40,
        )
    except PermissionError:
        pytest.skip("this root may not become another user")
    finally:
        shutil.rmtree(home)
    if done.stdout.startswith("paths"):
        pytest.skip("this machine forbids user namespaces")
    assert done.stdout.split() == ["namespaces", "1", "65534", "hi"]


def test_where_namespaces_are_forbidden_paths_are_rewritten() -> None:
    script = "from podhooks.local import Cluster\nwith Cluster() as c: print(c.sandbox_mode, c.sandbox)"
    forbid = 'echo 0 > /proc/sys/user/max_pid_namespaces && exec "$0" -c "$1"'
    command = ["unshare", "-Ur", "sh", "-c", forbid, sys.executable, script]
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("this machine has no user namespace in which to forbid others")
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, cwd=ROOT)
    assert done.stdout.startswith("paths containers run as plain processes"), done.stderr
    assert "no namespaces here" in done.stdout


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM", None])
def test_a_container_is_told_to_end_by_its_own_stop_signal(cluster: Cluster, name: str | None) -> None:
    """KEP-4960."""
    script = 'for s in USR1 TERM; do trap "echo SIG$s; exit 0" $s; done; echo ready; while :; do sleep 0.1; done'
    main = container(script)
    main |= {"lifecycle": {"stopSignal": name}} if name else {}
    made = create(cluster, pod(main, terminationGracePeriodSeconds=20))
    wait_for_line(cluster, made, "ready")
    seen = Follower(cluster, made)
    cluster.store.delete("pods", "default", made)
    wait_until_gone(cluster, made)
    seen.times()
    assert f"{name or 'SIGTERM'}\n" in seen._lines


def test_a_stop_signal_that_nobody_knows_keeps_the_container_from_starting(cluster: Cluster) -> None:
    made = create(cluster, pod(container("true", lifecycle={"stopSignal": "SIGNONE"})))
    seen = wait(cluster, made, waits_with("CreateContainerConfigError"))
    assert "SIGNONE" in status_of(seen)["state"]["waiting"]["message"]
