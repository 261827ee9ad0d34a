"""What callbacks say: templates, Slack's limits, an Event's fields, and nothing that is secret."""

from __future__ import annotations

import json

import pytest

from podhooks.callbacks import events, logs, slack_blocks
from podhooks.callbacks.budget import Budget, timeout_seconds, within
from podhooks.callbacks.secrecy import expand, hide, secrets_of, shown_url
from podhooks.callbacks.templates import fields, fill, fill_url
from podhooks.context import ExitInfo, Result
from podhooks.errors import InputError
from podhooks.runtime.backoff import backoff_seconds
from tests.callback_contexts import ended, on_exit, on_start

# -- templates


def test_every_field_of_a_template_is_text() -> None:
    assert fields(on_exit())["seconds"] == "12"
    assert fields(on_start())["result"] == ""
    assert all(isinstance(each, str) for each in fields(on_exit()).values())


def test_values_in_a_url_are_quoted() -> None:
    assert fill_url("https://x/{pod}?q={message}", {"pod": "a/b", "message": "1 & 2"}, "link") == (
        "https://x/a%2Fb?q=1%20%26%202"
    )


def test_values_are_not_templates_themselves() -> None:
    assert fill("{a}", {"a": "{b}", "b": "no"}, "x") == "{b}"


# -- secrecy


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/XYZ", "https://hooks.slack.com/***"),
        ("https://user:pass@host:8443/?token=x", "https://host:8443/***"),
        ("https://host", "https://host"),
        ("https://[::1", "***"),
        ("no url at all", "***"),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_token(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_secrets_are_hidden_in_every_form() -> None:
    url = "https://ann:p%40ssword@host/services/ABCDEFGH?token=qu%2Fery"
    said = f"{url} /services/ABCDEFGH ABCDEFGH p%40ssword p@ssword qu/ery token=qu%2Fery host"
    assert hide(said, secrets_of(url)) == "*** *** *** *** *** *** *** host"


def test_variables_are_expanded_wherever_they_stand() -> None:
    assert expand("a$X-${Y}$$Z$", "url", {"X": "1", "Y": " 2\n"}) == "a1-2$Z$"
    with pytest.raises(InputError, match="url: the environment variable NO is not set here"):
        expand("$NO", "url", {"NO": " "})


# -- time


def test_a_budget_ends_before_the_deadline() -> None:
    assert 10 < Budget.of(on_exit(seconds=20)).left() < 19.6
    assert Budget.of(on_exit(seconds=-5)).left() == 0
    assert Budget.of(on_exit(seconds=None)).left() > 20
    assert Budget(0.2).pause(5) is False


def test_a_backoff_grows_and_never_undercuts_what_was_asked_for() -> None:
    assert all(0 <= backoff_seconds(tries) <= 0.5 * 2 ** (tries - 1) for tries in range(1, 5))
    assert all(backoff_seconds(30) <= 15 for _ in range(20))
    assert 7 <= backoff_seconds(1, 7) <= 7.5


def test_within_hands_on_results_and_errors() -> None:
    assert within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


@pytest.mark.parametrize("value", [0, -1, "", "soon", None, True, [], float("inf")])
def test_a_timeout_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"timeout: .* is no duration"):
        timeout_seconds(value)


def test_timeouts_are_numbers_or_durations() -> None:
    assert [timeout_seconds(each) for each in (3, 0.5, "1m30s")] == [3, 0.5, 90]


# -- Slack


def test_texts_are_cut_to_what_slack_takes() -> None:
    lines = "".join(f"line {number} with <tags> & ``` marks\n" for number in range(400))
    context = on_exit(ended(message="m" * 5000, reason="r" * 5000))
    message = slack_blocks.message(context, lines, "")
    header, facts, said, log = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(facts["fields"]) <= 10
    assert all(len(each["text"]) <= 2000 for each in facts["fields"])
    assert len(said["text"]["text"]) == 3000
    text = log["text"]["text"]
    assert len(text) <= 3000
    assert text.startswith("```\n…\nline ")
    assert text.endswith("line 399 with &lt;tags&gt; &amp; ''' marks\n```")


def test_one_log_line_that_is_too_long_is_cut_too() -> None:
    assert len(slack_blocks.quoted("x" * 9000)) <= 3000


def test_nothing_that_main_says_can_mention_anybody() -> None:
    message = json.dumps(slack_blocks.message(on_exit(ended(message="<!channel>")), "<@U1>", ""))
    assert "<!" not in message
    assert "<@" not in message


def test_at_on_start_there_is_a_headline_and_no_log() -> None:
    message = slack_blocks.message(on_start(), "", "")
    assert message["text"] == "etl-x7z: starting"
    assert [each["type"] for each in message["blocks"]] == ["header", "section"]


# -- Events

JOB = {"apiVersion": "batch/v1", "kind": "Job", "name": "etl", "uid": "uid-of-the-job", "controller": True}


def test_an_event_is_about_the_owner_whose_uid_the_pod_knows() -> None:
    context = on_exit().replace(_pod_object=lambda: {"metadata": {"ownerReferences": [JOB]}})
    about = {"apiVersion": "batch/v1", "kind": "Job", "name": "etl", "uid": "uid-of-the-job", "namespace": "team"}
    assert events.subject(context, "owner") == about
    assert events.subject(context, "pod")["kind"] == "Pod"
    assert events.subject(on_exit(), "owner")["uid"] == "uid-of-the-pod"


def test_an_event_says_how_it_ended() -> None:
    context = on_exit(ended(message="no such\ntable"))
    made = events.event(context, events.subject(context, "pod"), "", "")
    assert (made["reason"], made["type"], made["count"]) == ("PodhooksOnExit/Failed", "Warning", 1)
    assert made["message"] == (
        "Main container main of pod etl-x7z ended: Failed, exit code 3, after 12 s, 1 restarts: no such table"
    )


def test_success_and_start_are_normal_and_a_type_can_be_given() -> None:
    well, start = on_exit(ended(Result.SUCCEEDED, 0)), on_start()
    assert events.event(well, events.subject(well, "pod"), "", "")["type"] == "Normal"
    made = events.event(start, events.subject(start, "pod"), "{pod}!", "Warning")
    assert (made["reason"], made["type"], made["message"]) == ("PodhooksOnStart", "Warning", "etl-x7z!")


def test_an_event_has_one_name_for_all_attempts_and_another_for_another_callback() -> None:
    name = events.event_name("etl", "key")
    assert name == events.event_name("etl", "key") != events.event_name("etl", "other")
    assert len(events.event_name("x" * 253, "key")) <= 253


def test_a_message_is_cut_between_characters() -> None:
    assert events.shortened("ü" * 600) == "ü" * 512


def test_what_is_not_known_of_an_end_is_not_said() -> None:
    context = on_exit(ExitInfo(Result.UNKNOWN))
    assert events.sentence(context) == "Main container main of pod etl-x7z ended: Unknown"


# -- names of files


@pytest.mark.parametrize(
    ("name", "safe"),
    [("main", "main"), ("../../etc", ".._.._etc"), ("..", "_"), (".", "_"), ("", "_"), ("a/b\0", "a_b_")],
)
def test_no_name_leads_out_of_its_directory(name: str, safe: str) -> None:
    assert logs.safe_name(name) == safe
    assert logs.Source(name, "main", previous=True).path == f"{safe}/main.previous.log"
