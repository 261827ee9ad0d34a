"""The record: what a restarted container reads, and a termination message that always fits."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podhooks import contract
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.runtime.record import Record, RecordData, bounded, dump, parse_message, parse_messages

LIMIT = contract.TERMINATION_MESSAGE_BYTES
OUTCOMES = st.builds(
    CallbackOutcome,
    name=st.text(max_size=300),
    status=st.sampled_from(list(Status)),
    attempts=st.integers(0, 100),
    seconds=st.floats(0, 1e6),
    message=st.text(max_size=3000),
)
EXITS = st.none() | st.builds(
    ExitInfo,
    result=st.sampled_from(list(Result)),
    exit_code=st.none() | st.integers(0, 255),
    reason=st.text(max_size=2000),
    message=st.text(max_size=5000),
    container=st.text(max_size=300),
)


def opened(tmp_path: Path, hook: Hook = Hook.ON_EXIT, uid: str = "u1") -> Record:
    return Record.open(hook, str(tmp_path / "shared"), str(tmp_path / "log"), pod_uid=uid)


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "shared" / contract.RECORD_DIR / "on-exit.json"


def test_a_restarted_container_finds_what_was_recorded(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.decide(ExitInfo(Result.OOM_KILLED, exit_code=5, message="killed"))
    done = CallbackOutcome("a:b", Status.SUCCEEDED, 2, 1.5)
    first.finish(done)
    first.begin("c:d", 1)
    second = opened(tmp_path)
    assert second.outcome("a:b") == done
    running = second.outcome("c:d")
    assert running is not None
    assert (running.status, running.attempts) == (Status.RUNNING, 1)
    assert second.exit_info == ExitInfo(Result.OOM_KILLED, exit_code=5, message="killed")
    assert not second.is_complete
    first.complete()
    assert opened(tmp_path).is_complete


def test_the_termination_message_says_the_same_after_every_step(tmp_path: Path) -> None:
    record = opened(tmp_path)
    for outcome in (
        CallbackOutcome("a:b", Status.RUNNING, 1),
        CallbackOutcome("a:b", Status.FAILED, 1, 0.1, "x" * 500),
        CallbackOutcome("a:b", Status.FAILED, 1, 0.1, "short"),
    ):
        record.finish(outcome)
        assert parse_message((tmp_path / "log").read_bytes()) == record.data


def test_a_shorter_message_leaves_no_tail_of_a_longer_one(tmp_path: Path) -> None:
    record = opened(tmp_path)
    record.finish(CallbackOutcome("a:b", Status.FAILED, 1, 0.1, "x" * 500))
    record.finish(CallbackOutcome("a:b", Status.FAILED, 1, 0.1, "y"))
    json.loads((tmp_path / "log").read_text())


def test_a_tail_left_by_a_kill_between_write_and_truncate_is_passed_over() -> None:
    data = RecordData(Hook.ON_EXIT, "u1", (CallbackOutcome("a:b", Status.FAILED),))
    assert parse_message(data.encode() + b'lds":1,"message":"old"}],"complete":true}') == data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"podhooks":2,"hook":"on-exit","pod":"u1","callbacks":[]}',
        b'{"podhooks":1,"hook":"on-exit","pod":"u1","callbacks":[{"name":"a","status":"odd"}]}',
        b'{"podhooks":1,"hook":"on-exit","pod":"u1","callbacks":[{"name":"a","status":"failed","seconds":1e999}]}',
        b'{"podhooks":1,"hook":"on-exit","pod":"u1","callbacks":[],"more":"x"}',
        b'{"podhooks":1,"hook":"on-exit","pod":"u1","callbacks":[],"exit":{"result":"Failed","exit_code":"0"}}',
        b'{"podhooks":1,"hook":"on-exit","pod":"u1","callbacks":7}',
    ],
)
def test_a_damaged_record_is_said_once_and_left_alone(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file_of(tmp_path).parent.mkdir(parents=True)
    file_of(tmp_path).write_bytes(content)
    record = opened(tmp_path)
    assert record.data.outcomes == ()
    assert capfd.readouterr().err.count("\n") == 1
    record.finish(CallbackOutcome("a:b", Status.SUCCEEDED))
    assert opened(tmp_path).outcome("a:b") is not None


def test_another_pods_record_is_not_believed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened(tmp_path, uid="other").finish(CallbackOutcome("a:b", Status.SUCCEEDED))
    assert opened(tmp_path).outcome("a:b") is None
    assert "another pod" in capfd.readouterr().err


def test_hooks_have_records_of_their_own(tmp_path: Path) -> None:
    opened(tmp_path, Hook.ON_START).finish(CallbackOutcome("a:b", Status.SUCCEEDED))
    assert opened(tmp_path).outcome("a:b") is None


def test_the_file_is_readable_for_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        opened(tmp_path).complete()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(tmp_path).stat().st_mode) == 0o644
    assert stat.S_IMODE(file_of(tmp_path).parent.stat().st_mode) == 0o777


def test_a_removed_or_closed_directory_is_made_anew(tmp_path: Path) -> None:
    record = opened(tmp_path)
    record.begin("a:b", 1)
    file_of(tmp_path).unlink()
    file_of(tmp_path).parent.rmdir()
    record.finish(CallbackOutcome("a:b", Status.SUCCEEDED))
    assert opened(tmp_path).outcome("a:b") == CallbackOutcome("a:b", Status.SUCCEEDED)


def test_a_link_in_the_shared_directory_is_not_followed(tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    Path(f"{file_of(tmp_path)}.new").symlink_to(precious)
    opened(tmp_path).complete()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("bad", ["shared", "log"])
def test_where_one_place_fails_the_other_is_written_and_one_line_said(
    bad: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = {"shared": str(tmp_path / "shared"), "log": str(tmp_path / "log")}
    (tmp_path / "file").write_text("")
    places[bad] = str(tmp_path / "file" / "nowhere")
    record = Record.open(Hook.ON_EXIT, places["shared"], places["log"], pod_uid="u1")
    record.begin("a:b", 1)
    record.finish(CallbackOutcome("a:b", Status.SUCCEEDED, 1))
    said = capfd.readouterr().err
    assert said.count("can't be written") == 1
    written = file_of(tmp_path) if bad == "log" else tmp_path / "log"
    assert parse_message(written.read_bytes()) == record.data


def test_a_pipe_in_the_records_place_does_not_hold_us_up(tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir(parents=True)
    os.mkfifo(file_of(tmp_path))
    record = opened(tmp_path)
    record.complete()
    assert opened(tmp_path).is_complete


def test_a_full_disk_under_the_termination_log_costs_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = Record.open(Hook.ON_EXIT, str(tmp_path / "shared"), "/dev/full", pod_uid="u1")
    record.begin("a:b", 1)
    record.complete()
    assert opened(tmp_path).is_complete
    assert capfd.readouterr().err.count("No space left on device") == 1


def test_a_file_that_cannot_be_written_keeps_the_older_record(tmp_path: Path) -> None:
    record = opened(tmp_path)
    record.begin("a:b", 1)
    Path(f"{file_of(tmp_path)}.new").symlink_to("/dev/full")
    record.finish(CallbackOutcome("a:b", Status.SUCCEEDED))
    earlier = opened(tmp_path).outcome("a:b")
    assert earlier is not None
    assert earlier.status is Status.RUNNING


def test_a_message_of_an_earlier_life_replaces_a_lost_file(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.decide(ExitInfo(Result.FAILED, 3))
    first.finish(CallbackOutcome("a:b", Status.SUCCEEDED, 1))
    first.begin("c:d", 1)
    second = opened(tmp_path / "new")
    second.merge(first.to_message().decode())
    assert (second.data, second.exit_info) == (first.data, ExitInfo(Result.FAILED, 3))


def test_merging_takes_the_end_of_an_attempt_that_the_file_shows_as_begun(tmp_path: Path) -> None:
    ended, begun = opened(tmp_path / "ended"), opened(tmp_path / "begun")
    ended.finish(CallbackOutcome("a:b", Status.SUCCEEDED, 1))
    begun.begin("a:b", 1)
    begun.merge(ended.to_message().decode())
    assert begun.outcome("a:b") == CallbackOutcome("a:b", Status.SUCCEEDED, 1)


def test_merging_never_turns_back_what_is_known(tmp_path: Path) -> None:
    old = opened(tmp_path / "old")
    old.begin("a:b", 1)
    old.decide(ExitInfo(Result.UNKNOWN))
    new = opened(tmp_path / "new")
    new.finish(CallbackOutcome("a:b", Status.SUCCEEDED, 1))
    new.decide(ExitInfo(Result.FAILED))
    new.merge(old.to_message().decode())
    found = new.outcome("a:b")
    assert found is not None
    assert found.status is Status.SUCCEEDED
    assert new.exit_info == ExitInfo(Result.FAILED)


@pytest.mark.parametrize("message", ["", "Error", "{}", '{"podhooks": 1}'])
def test_messages_of_others_change_nothing(message: str, tmp_path: Path) -> None:
    record = opened(tmp_path)
    record.merge(message)
    assert record.data == RecordData(Hook.ON_EXIT, "u1")


def test_messages_of_other_pods_and_hooks_change_nothing(tmp_path: Path) -> None:
    record = opened(tmp_path)
    for other in (opened(tmp_path / "1", uid="u2"), opened(tmp_path / "2", Hook.ON_START)):
        other.finish(CallbackOutcome("a:b", Status.SUCCEEDED))
        record.merge(other.to_message().decode())
    assert record.data.outcomes == ()


@given(st.lists(OUTCOMES, max_size=60), EXITS, st.text(max_size=40))
def test_every_record_becomes_valid_json_that_fits(
    outcomes: list[CallbackOutcome], exit_info: ExitInfo | None, uid: str
) -> None:
    unique = {outcome.name: outcome for outcome in outcomes}
    data = RecordData(Hook.ON_EXIT, uid, tuple(unique.values()), exit_info)
    message = bounded(data, LIMIT)
    assert len(message) <= LIMIT
    json.loads(message)
    read = parse_message(message)
    assert read is not None
    assert (read.hook, read.pod_uid) == (Hook.ON_EXIT, uid)
    assert len(read.outcomes) + len(read.left_out) + read.more == len(unique)
    assert {(each.name, each.status) for each in read.outcomes} <= {(o.name, o.status) for o in outcomes}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
def test_dump_writes_what_json_reads(value: object) -> None:
    assert json.loads(dump(value)) == value


def test_messages_are_shortened_before_anything_is_left_out() -> None:
    outcomes = tuple(CallbackOutcome(f"m:f{n}", Status.FAILED, 1, 0.1, "long " * 200) for n in range(10))
    read = parse_message(bounded(RecordData(Hook.ON_EXIT, "u", outcomes), LIMIT))
    assert read is not None
    assert [each.name for each in read.outcomes] == [each.name for each in outcomes]
    assert all(each.message.startswith("long long") for each in read.outcomes)


def test_the_oldest_successes_are_left_out_first_and_failures_stay(tmp_path: Path) -> None:
    outcomes = [CallbackOutcome(f"module:function{n}", Status.SUCCEEDED, 1) for n in range(100)]
    outcomes.insert(0, CallbackOutcome("module:bad", Status.FAILED, 3, message="why"))
    record = opened(tmp_path)
    for outcome in outcomes:
        record.finish(outcome)
    read = parse_message(record.to_message())
    assert read is not None
    assert read.outcomes[0] == outcomes[0]
    assert read.outcomes[-1] == outcomes[-1]
    assert len(read.left_out) == len(outcomes) - len(read.outcomes) > 0


def test_what_was_left_out_of_a_message_is_still_not_run_again(tmp_path: Path) -> None:
    record = opened(tmp_path)
    for n in range(100):
        record.finish(CallbackOutcome(f"module:function{n}", Status.SUCCEEDED, 1))
    later = opened(tmp_path / "new")
    later.merge(record.to_message().decode())
    for n in range(100):
        found = later.outcome(f"module:function{n}")
        assert found is not None
        assert found.status is Status.SUCCEEDED
    assert later.outcome("module:other") is None


def test_a_termination_message_can_hold_two_records(tmp_path: Path) -> None:
    start = opened(tmp_path, Hook.ON_START)
    for n in range(40):
        start.finish(CallbackOutcome(f"start:{n}", Status.SUCCEEDED, 1))
    start.complete()
    end = Record.open(Hook.ON_EXIT, str(tmp_path / "shared"), str(tmp_path / "log"), pod_uid="u1", beside=start)
    for n in range(40):
        end.finish(CallbackOutcome(f"exit:{n}", Status.FAILED, 1, message="x" * 100))
    end.complete()
    message = (tmp_path / "log").read_bytes()
    assert len(message) <= LIMIT
    assert [(each.hook, each.complete) for each in parse_messages(message)] == [
        (Hook.ON_START, True),
        (Hook.ON_EXIT, True),
    ]
