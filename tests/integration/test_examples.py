"""Every example runs as its README says, and carries the code that lies beside it."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from podhooks.cli.files import read_streams
from podhooks.cli.reports import judge
from podhooks.inject import InjectSettings
from tests.integration.runs import Run, in_order

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = sorted(EXAMPLES.glob("*/*.yaml"))
ALONE = [each for each in MANIFESTS if each.parent.name not in ("callbacks", "dask")]  # those need somebody to talk to


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def run(name: str, *arguments: str) -> Run:
    return Run(str(EXAMPLES / name / "job.yaml"), *arguments)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_a_manifest_carries_the_modules_beside_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    embedded = module(EXAMPLES / "embed.py").embedded(text, path.parent)
    assert text == embedded, "python examples/embed.py copies the modules into the manifests"
    assert all(f"  {each.name}: |" in text for each in path.parent.glob("*.py"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_a_manifest_has_nothing_to_be_said_about_it(path: Path) -> None:
    judged = judge(read_streams([str(path)]), InjectSettings())
    assert {each.report.findings for one in judged for each in one.reports} == {()}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_an_example_has_a_readme_that_names_its_files(path: Path) -> None:
    readme = (path.parent / "README.md").read_text(encoding="utf-8")
    files = {each.name for each in path.parent.iterdir() if each.suffix in (".py", ".yaml")}
    assert files == {each for each in re.findall(r"^\| `([\w.]+)` ", readme, re.MULTILINE) if "/" not in each}
    assert f"({path.parent.name}/README.md)" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


class Inbox(HTTPServer):
    """A webhook: refuses the first message, as a busy one does, and keeps what comes after."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.messages: list[tuple[str, dict[str, object]]] = []
        super().__init__(("127.0.0.1", 0), Receiver)


class Receiver(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        if self.server.refused:
            self.server.messages.append((key, body))
        else:
            self.server.refused.append(key)
        self.send_response(200 if self.server.messages else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_notification_comes_with_a_retry_under_the_same_key(inbox: Inbox) -> None:
    ran = run("notification", "-e", "CODE=3", "-e", f"WEBHOOK_URL=http://127.0.0.1:{inbox.server_port}/")
    assert ran.end() == 3, ran.output
    [(key, message)] = inbox.messages
    assert inbox.refused == [key]
    assert key.endswith("/on-exit/notify:post")
    assert (message["channel"], message["result"], message["exit_code"], message["attempt"]) == ("#etl", "Failed", 3, 2)
    assert message["log"] == "working\nending with 3\n"


def test_the_notification_can_go_to_a_file_or_the_log(tmp_path: Path) -> None:
    assert run("notification", "-e", f"NOTIFY_FILE={tmp_path}/told.jsonl").end() == 0
    assert json.loads((tmp_path / "told.jsonl").read_text())["result"] == "Succeeded"
    ran = run("notification")
    assert ran.end() == 0
    assert any('"result": "Succeeded"' in line for line in ran.lines)


def test_main_finds_the_resources_that_on_start_collected() -> None:
    ran = run("resources")
    assert ran.end() == 0, ran.output
    assert in_order(ran.lines, "collected: {'cpus': ", "main     │ done with ", "it left {'total': 332833500")


@pytest.mark.parametrize("code", [0, 3])
def test_the_lock_is_given_back_however_main_ended(code: int) -> None:
    ran = run("cleanup", "-e", f"CODE={code}", "-e", "SECONDS_OF_WORK=0")
    assert ran.end() == code, ran.output
    result = "Failed" if code else "Succeeded"
    assert in_order(ran.lines, "has the lock", "working under the lock", f"lock given back after {result}")


def test_the_lock_is_given_back_when_the_job_is_deleted() -> None:
    ran = run("cleanup", "-e", "SECONDS_OF_WORK=300").until("working under the lock").send(signal.SIGINT)
    assert ran.end() == 130, ran.output
    assert any("lock given back after Deleted" in line for line in ran.lines)


WITHOUT_NAMESPACES = """
import sys
import podhooks.cluster.stand_in as stand_in
from podhooks.cli import main
from podhooks.local import Cluster

class PlainProcesses(Cluster):
    def __init__(self, **options):
        super().__init__(sandbox="paths", **options)

stand_in.Cluster = PlainProcesses
sys.exit(main(["run", *sys.argv[1:]]))
"""


def without_namespaces(manifest: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_NAMESPACES, str(manifest)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.parent.name)
def test_an_example_runs_where_the_machine_allows_no_namespaces(path: Path) -> None:
    done = without_namespaces(path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "containers run as plain processes" in done.stdout
    assert "main succeeded" in done.stdout
    assert not any(word in done.stdout for word in ("failed", "not run", "skipped")), done.stdout


def test_a_callback_that_can_not_be_found_without_namespaces_is_told(tmp_path: Path) -> None:
    text = (EXAMPLES / "resources" / "job.yaml").read_text()
    (tmp_path / "job.yaml").write_text(text.replace("on-exit: collect:tell", "on-exit: /code/collect.py:tell"))
    done = without_namespaces(tmp_path / "job.yaml")
    assert "not done locally: callback /code/collect.py:tell: volumes aren't at their paths here" in done.stdout
