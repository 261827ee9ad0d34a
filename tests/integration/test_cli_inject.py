"""`podhooks inject` and `uninject`, and what all commands have in common, as real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podhooks.version import __version__
from podhooks.yamltext.stream import parse
from tests.integration.cli import ANNOTATED, BROKEN, PODHOOKS, SERVICE, WARNED, podhooks, refused


def test_a_stream_goes_through_with_only_the_pods_changed() -> None:
    done = podhooks("inject", stdin=SERVICE + "---\n" + ANNOTATED + "# the end\n")
    assert done.returncode == 0
    assert done.stdout.startswith(SERVICE + "---\n")
    assert "name: etl  # the name\n" in done.stdout
    assert done.stdout.endswith("# the end\n")
    assert "- name: on-exit" in done.stdout
    assert done.stderr == (
        "Job/etl: injected: native, main main, callbacks 1 at start and 2 at exit, grace period 30s -> 1m30s\n"
    )


def test_uninject_gives_back_the_original_to_the_byte() -> None:
    for text in (
        ANNOTATED,
        ANNOTATED.replace("\n", "\r\n"),
        SERVICE + "---\n" + ANNOTATED.rstrip("\n"),
        "\ufeff" + ANNOTATED,
    ):
        changed = podhooks("inject", "-q", stdin=text)
        assert changed.stderr == ""
        back = podhooks("uninject", stdin=changed.stdout)
        assert back.stdout == text.removeprefix("\ufeff")
        assert back.stderr == "Job/etl: uninjected\n"


@pytest.mark.parametrize(
    "text", [ANNOTATED, "# first\n" + ANNOTATED.rstrip("\n"), "---\n" + SERVICE + "---\n" + ANNOTATED]
)
def test_the_rights_that_the_pods_need_come_in_front_and_go_without_a_trace(text: str) -> None:
    changed = podhooks("inject", "--with-rbac", "-n", "etl", stdin=text)
    assert changed.stderr.endswith(
        "service account default may get and watch pods of namespace etl: Role and RoleBinding added\n"
    )
    role, binding, *_ = parse(changed.stdout, "t").documents
    assert (role.value["kind"], binding.value["kind"]) == ("Role", "RoleBinding")
    assert binding.value["subjects"] == [{"kind": "ServiceAccount", "name": "default", "namespace": "etl"}]
    assert role.value["metadata"]["namespace"] == binding.value["metadata"]["namespace"] == "etl"
    again = podhooks("inject", "--with-rbac", "-n", "etl", stdin=changed.stdout)
    assert again.stdout == changed.stdout
    assert podhooks("uninject", stdin=changed.stdout).stdout == text


def test_each_service_account_gets_its_own_rights_and_json_stays_json() -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "annotations": {"podhooks.io/on-exit": "a:b"}}}
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
    first = {**pod, "spec": {**spec, "serviceAccountName": "etl"}}
    second = {**pod, "metadata": {**pod["metadata"], "namespace": "other"}, "spec": spec}  # type: ignore[dict-item]
    text = json.dumps(first) + "\n" + json.dumps(second) + "\n"
    changed = podhooks("inject", "-q", "--with-rbac", stdin=text)
    found = parse(changed.stdout, "t")
    assert found.is_json
    bindings = [each.value for each in found.documents if each.value["kind"] == "RoleBinding"]
    assert [(each["metadata"]["namespace"], each["subjects"][0]["name"]) for each in bindings] == [
        ("default", "etl"),
        ("other", "default"),
    ]
    assert podhooks("uninject", "-q", stdin=changed.stdout).stdout == text


def test_uninject_of_what_was_never_injected_says_so() -> None:
    done = podhooks("uninject", stdin=ANNOTATED)
    assert (done.returncode, done.stdout, done.stderr) == (0, ANNOTATED, "nothing here was injected\n")


def test_uninject_refuses_a_status_that_is_not_ours() -> None:
    text = ANNOTATED.replace("annotations:\n", "annotations:\n        podhooks.io/status: mine\n")
    assert refused(podhooks("uninject", stdin=text)).startswith(
        "podhooks: <stdin>:1: the annotation podhooks.io/status"
    )


def test_injecting_again_changes_nothing_and_says_so() -> None:
    once = podhooks("inject", stdin=ANNOTATED).stdout
    again = podhooks("inject", stdin=once)
    assert again.stdout == once
    assert again.stderr.startswith("Job/etl: unchanged: ")
    other = podhooks("inject", "--delivery", "copy", stdin=once)
    assert other.stderr.startswith(f"Job/etl: updated (was injected by {__version__}): ")


def test_an_error_anywhere_writes_nothing_at_all() -> None:
    done = podhooks("inject", stdin=ANNOTATED + "---\n" + BROKEN)
    assert (done.returncode, done.stdout) == (2, "")
    assert "<stdin>:26: Job/etl: error: podhooks.io/on-exot: " in done.stderr
    assert "did you mean podhooks.io/on-exit?" in done.stderr
    assert done.stderr.endswith("podhooks inject: 1 error, nothing was written\n")


def test_warnings_are_told_and_do_no_harm() -> None:
    done = podhooks("inject", "-q", stdin=WARNED)
    assert done.returncode == 0
    assert done.stderr.startswith("<stdin>:12: Job/etl: warning: spec.template.spec.restartPolicy: ")


def test_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(ANNOTATED)
    (tmp_path / "a.yml").write_text(SERVICE)
    (tmp_path / "c.json").write_text('{"kind": "ConfigMap"}\n')
    (tmp_path / "README.md").write_text("no manifest")
    done = podhooks("inject", "-f", str(tmp_path))
    assert done.stdout.startswith(SERVICE + "---\napiVersion: batch/v1")
    assert done.stdout.endswith('---\n{"kind": "ConfigMap"}\n')
    both = podhooks("inject", "-f", str(tmp_path / "a.yml"), "--filename", "-", stdin=SERVICE)
    assert both.stdout == SERVICE + "---\n" + SERVICE


def test_json_in_json_out() -> None:
    pod = {
        "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"podhooks.io/on-exit": "a:b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]},
    }
    done = podhooks("inject", stdin=json.dumps({"kind": "List", "items": [pod]}))
    (result,) = json.loads(done.stdout)["items"]
    assert [each["name"] for each in result["spec"]["initContainers"]] == ["on-exit", "on-start"]
    assert "\n" not in done.stdout.rstrip()
    assert json.loads(podhooks("uninject", stdin=done.stdout).stdout) == {"kind": "List", "items": [pod]}


def test_flags_reach_the_pod() -> None:
    done = podhooks("inject", "--delivery=copy", "--image", "r/p:9", "--pull-policy", "Never", stdin=ANNOTATED)
    assert "- name: podhooks-runtime\n          image: r/p:9\n          imagePullPolicy: Never\n" in done.stdout
    done = podhooks("inject", "--kubernetes", "v1.28.4", stdin=ANNOTATED)
    assert done.returncode == 2
    assert "[native-too-new]" in done.stderr


@pytest.mark.parametrize("command", ["inject", "uninject", "validate", "explain"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "<stdin>: there is no object in it"),
        (b"# nothing\n---\n", "<stdin>: there is no object in it"),
        (b"kind: K\na: b: c\n", "<stdin>:2:5: not YAML: mapping values are not allowed in this context"),
        (b"kind: K\n\0", "<stdin>:2: has a NUL byte, so it isn't a text file"),
        (b"kind: K\na: \xff\n", "<stdin>:2: isn't UTF-8 text: byte 0xff"),
        ("kind: K\n".encode("utf-16"), "<stdin>: is UTF-16; save it as UTF-8"),
        (b"hello\n", "<stdin>:1: is the value 'hello', not a Kubernetes object"),
        (b"a: 1\n", "<stdin>:1: has no kind, so it isn't a Kubernetes object"),
    ],
)
def test_bad_input_gets_one_line(command: str, text: bytes, complaint: str) -> None:
    assert refused(podhooks(command, stdin=text)) == f"podhooks: {complaint}"


@pytest.mark.parametrize("command", ["inject", "uninject", "validate", "explain"])
def test_bad_files_get_one_line(command: str, tmp_path: Path) -> None:
    assert refused(podhooks(command, "-f", "/nowhere/x.yaml")) == (
        "podhooks: /nowhere/x.yaml: can't be read: No such file or directory"
    )
    assert "there is no .yaml, .yml or .json file in this directory" in refused(podhooks(command, "-f", str(tmp_path)))
    too_long = "x" * 300
    assert refused(podhooks(command, "-f", too_long)) == f"podhooks: {too_long}: can't be read: File name too long"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["injct"], "podhooks: 'injct' is no command: did you mean inject?"),
        (["xyz"], "podhooks: 'xyz' is no command: commands are inject, uninject, validate, explain"),
        (["--verson"], "podhooks: unknown argument '--verson': did you mean --version? (see podhooks -h)"),
        (["inject", "--delivry", "copy"], "podhooks inject: unknown argument '--delivry': did you mean --delivery?"),
        (["inject", "--delivery", "mail"], "podhooks inject: --delivery: invalid choice: 'mail'"),
        (["inject", "job.yaml"], "podhooks inject: unknown argument 'job.yaml': files are given with -f"),
        (["inject", "-f"], "podhooks inject: --filename: expected one argument"),
        (["inject", "--image", ""], "podhooks inject: --image: '' is no image: write a reference like"),
        (["run", "x", "--image", "a b"], "podhooks run: --image: 'a b' is no image: write a reference like"),
        (["inject", "--kubernetes", "new"], "podhooks: 'new' isn't a Kubernetes version: write it like 1.36"),
    ],
)
def test_wrong_flags_get_one_line(arguments: list[str], complaint: str) -> None:
    assert complaint in refused(podhooks(*arguments))


def test_help_has_examples_and_the_version_is_told() -> None:
    assert podhooks("--version").stdout == f"podhooks {__version__}\n"
    assert podhooks().returncode == 2
    for arguments in ([], ["inject"], ["uninject"], ["validate"], ["explain"]):
        done = podhooks(*arguments, "-h")
        assert done.returncode == 0
        assert "examples:\n  " in done.stdout


def test_a_reader_that_goes_away_is_no_error_of_ours() -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen([PODHOOKS, "inject", "-q"], stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write((SERVICE + "---\n").encode() * 20)
    process.stdin.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=50) == 141


def in_shell(line: str) -> subprocess.CompletedProcess[str]:
    """`podhooks LINE`, as a shell has its redirections."""
    script = f'exec "$0" {line}'
    return subprocess.run(["sh", "-c", script, PODHOOKS], capture_output=True, timeout=50, text=True)


@pytest.mark.parametrize("command", ["inject", "uninject", "validate", "explain", "run -"])
def test_streams_that_the_caller_closed(command: str) -> None:
    assert refused(in_shell(f"{command} <&-")) == "podhooks: <stdin>: there is no object in it"
    assert refused(in_shell(f"{command} <&- >&-")) == "podhooks: stdout is closed: send it to a file, or to /dev/null"


def test_a_report_without_stderr_does_not_end_in_the_output(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(ANNOTATED)
    usual = podhooks("inject", "-f", str(tmp_path / "job.yaml"))
    assert usual.stderr
    assert in_shell(f"inject -f '{tmp_path}/job.yaml' 2>&-").stdout == usual.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["inject -q", "uninject -q", "validate", "explain", "run"])
def test_a_full_disk_is_told_in_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(ANNOTATED.replace("prepare:database", "os:getcwd").replace("notify:", "os:"))
    file = "" if command == "run" else "-f"
    done = in_shell(f"{command} {file} '{tmp_path}/job.yaml' >/dev/full")
    assert (done.returncode, done.stderr) == (1, "podhooks: can't write: No space left on device\n")


def test_without_pyyaml_it_says_how_to_get_it(tmp_path: Path) -> None:
    hidden = tmp_path / "yaml"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('hidden')")
    done = podhooks("inject", stdin=ANNOTATED, env={"PYTHONPATH": str(tmp_path)})
    assert refused(done) == "podhooks: reading YAML needs PyYAML: pip install 'podhooks[cli]'"
    assert podhooks("inject", stdin='{"kind": "K"}', env={"PYTHONPATH": str(tmp_path)}).stdout == '{"kind": "K"}'


@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_on_a_terminal_it_asks_for_a_file() -> None:
    import pty

    controller, terminal = pty.openpty()
    try:
        done = subprocess.run([PODHOOKS, "inject"], stdin=terminal, capture_output=True, timeout=50)
    finally:
        os.close(controller)
        os.close(terminal)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"podhooks: nothing to read: name a manifest with -f FILE, or pipe one in\n"


def test_the_output_does_not_depend_on_the_language_of_the_terminal() -> None:
    text = ANNOTATED.replace("# the name", "# n\u00e4chtlich \u2014 \u6d4b\u8bd5")
    done = podhooks("inject", stdin=text, env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert "# n\u00e4chtlich \u2014 \u6d4b\u8bd5" in done.stdout
