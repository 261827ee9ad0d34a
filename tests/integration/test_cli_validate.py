"""`podhooks validate` as a real process."""

import json
from pathlib import Path

from tests.integration.cli import ANNOTATED, BROKEN, SERVICE, WARNED, podhooks


def test_a_good_manifest() -> None:
    done = podhooks("validate", stdin=SERVICE + "---\n" + ANNOTATED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 objects, 1 with podhooks annotations: 0 errors, 0 warnings\n"


def test_findings_have_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(SERVICE + "---\n" + BROKEN)
    done = podhooks("validate", "-f", str(path))
    assert done.returncode == 2
    first, last = done.stdout.splitlines()
    assert first.startswith(f"{path}:14: Job/etl: error: podhooks.io/on-exot: ")
    assert first.endswith("[unknown-annotation]")
    assert last == "2 objects, 1 with podhooks annotations: 1 error, 0 warnings"


def test_warnings_count_only_with_strict() -> None:
    assert podhooks("validate", stdin=WARNED).returncode == 0
    done = podhooks("validate", "--strict", stdin=WARNED)
    assert done.returncode == 2
    assert done.stdout.endswith("1 object, 1 with podhooks annotations: 0 errors, 1 warning\n")


def test_json_for_machines() -> None:
    done = podhooks("validate", "--format", "json", stdin=SERVICE + "---\n" + WARNED)
    result = json.loads(done.stdout)
    (found,) = result.pop("findings")
    assert result == {"objects": 2, "annotated": 1, "errors": 0, "warnings": 1}
    message = found.pop("message")
    assert "on_exit runs only when the pod is deleted" in message
    assert found == {
        "file": "<stdin>",
        "line": 16,
        "object": "Job/etl",
        "code": "main-restarts",
        "severity": "warning",
        "where": "spec.template.spec.restartPolicy",
    }


def test_every_object_of_a_list_counts() -> None:
    text = json.dumps({"kind": "List", "items": [{"kind": "Service"}, {"kind": "ConfigMap"}]})
    assert podhooks("validate", stdin=text).stdout.startswith("2 objects, 0 with podhooks annotations")


def test_several_findings_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN)
    (tmp_path / "b.yaml").write_text(ANNOTATED.replace("prepare:database", "prepare.database"))
    done = podhooks("validate", "-f", str(tmp_path))
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:2]] == [
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yaml"),
    ]
    assert "write prepare:database" in done.stdout


def test_a_misplaced_annotation_is_found_where_it_is() -> None:
    text = ANNOTATED.replace("  name: etl  # the name", "  name: etl\n  annotations: {podhooks.io/on-exit: 'a:b'}")
    done = podhooks("validate", stdin=text)
    assert done.stdout.startswith("<stdin>:5: Job/etl: warning: metadata.annotations[podhooks.io/on-exit]: ")
