"""Annotations to a plan and findings, and back."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from podhooks import contract
from podhooks.annotations.callbacks import KEYS, with_keys
from podhooks.annotations.durations import format_duration, parse_duration
from podhooks.annotations.finding import CODES, Finding, Severity
from podhooks.annotations.names import problem
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import (
    ANNOTATIONS,
    TABLE,
    USER_ANNOTATIONS,
    Callback,
    Guarantee,
    Mode,
    Plan,
    Policy,
    Position,
    summary_hash,
)
from podhooks.annotations.writer import to_annotations
from podhooks.context import Result
from podhooks.errors import PlanError

ROOT = Path(__file__).resolve().parents[2]
FAILURE = frozenset(Result) - {Result.SUCCEEDED}


def said(annotations: Mapping[str, Any]) -> tuple[Finding, ...]:
    return parse({contract.PREFIX + name: value for name, value in annotations.items()})[1]


def planned(annotations: Mapping[str, str]) -> Plan:
    plan, findings = parse({contract.PREFIX + name: value for name, value in annotations.items()})
    assert findings == ()
    return plan


def yaml_blocks(page: str) -> Iterator[dict[str, Any]]:
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        yield YAML(typ="safe", pure=True).load(block)


# What nobody wrote


def test_every_default_is_as_promised() -> None:
    plan = planned({"on-start": "a:b", "on-exit": "c:d"})
    assert plan == Plan(
        on_start=(Callback("a:b", "a:b", timeout_seconds=300.0, retries=0, policy=Policy.FAIL),),
        on_exit=(Callback("c:d", "c:d", timeout_seconds=30.0, retries=2, policy=Policy.IGNORE),),
        main_container=None,
        mode=Mode.NATIVE,
        image="main",
        python="python3",
        reserve_seconds=30.0,
        guarantee=Guarantee.POD,
        resources=None,
    )


@pytest.mark.parametrize(
    "annotations", [{}, {"a": "b"}, {"kubectl.kubernetes.io/default-container": "x"}, {contract.STATUS: "}{"}]
)
def test_pods_of_others_and_our_own_status_get_an_empty_plan_and_no_finding(annotations: dict[str, str]) -> None:
    assert parse(annotations) == (Plan(), ())


def test_callbacks_take_their_hooks_options_unless_they_have_their_own() -> None:
    plan = planned({
        "on-exit": "- a:b\n- {call: c:d, timeout: 2m, retries: 7, policy: ignore, when: always}",
        "on-exit-policy": "fail", "on-exit-timeout": "10s", "on-exit-retries": "1", "on-exit-when": "failure",
        "mode": "classic",
        "on-start": "e:f", "on-start-policy": "ignore", "on-start-timeout": "1h", "on-start-retries": "4",
    })  # fmt: skip
    assert plan.on_exit == (
        Callback("a:b", "a:b", timeout_seconds=10.0, retries=1, policy=Policy.FAIL, when=FAILURE),
        Callback("c:d", "c:d", timeout_seconds=120.0, retries=7, policy=Policy.IGNORE, when=None),
    )
    assert plan.on_start == (Callback("e:f", "e:f", timeout_seconds=3600.0, retries=4, policy=Policy.IGNORE),)


def test_the_pods_own_options_are_taken() -> None:
    plan = planned({
        "on-exit": "a:b", "main-container": "*", "mode": "classic", "image": "x.y/z:1@sha256:0",
        "python": "/v/bin/python",
        "reserve": "1m30s", "guarantee": "cluster", "resources": '{"limits": {"cpu": "1.5", "memory": "129e6"}}',
    })  # fmt: skip
    assert (plan.main_container, plan.mode, plan.image) == ("*", Mode.CLASSIC, "x.y/z:1@sha256:0")
    assert (plan.python, plan.reserve_seconds, plan.guarantee) == ("/v/bin/python", 90.0, Guarantee.CLUSTER)
    assert plan.resources == {"limits": {"cpu": "1.5", "memory": "129e6"}}


def test_the_position_of_on_exit() -> None:
    assert planned({"on-exit": "a:b"}).position is Position.LAST
    assert planned({"on-exit": "a:b", "on-exit-position": " first\n"}).position is Position.FIRST
    assert planned({"on-exit": "a:b", "on-exit-position": "last", "mode": "classic"}).position is Position.LAST


# How lists are written


@pytest.mark.parametrize(
    "text",
    [
        "a.b:c, /d/e.py:f",
        "a.b:c\n/d/e.py:f\n",
        "\n# why\n  a.b:c,\r\n\n /d/e.py:f , # and why\n",
        '["a.b:c", "/d/e.py:f"]',
        '[{"call": "a.b:c"}, "/d/e.py:f"]',
        "- a.b:c\n- call: /d/e.py:f",
        "  - a.b:c  # first\n  - '/d/e.py:f'\n",
        "[a.b:c, {call: /d/e.py:f, with: null}]",
        '[\n  "a.b:c",\n  "/d/e.py:f",\n]',
    ],
)
def test_every_form_of_a_list_means_the_same(text: str) -> None:
    assert [callback.call for callback in planned({"on-exit": text}).on_exit] == ["a.b:c", "/d/e.py:f"]


@pytest.mark.parametrize(
    "text",
    [
        "call: a:b\nwith: {x: [1, two]}",
        '{"call": "a:b", "with": {"x": [1, "two"]}}',
        "{call: a:b, with: {x: [1, two]}}",
    ],
)
def test_a_single_mapping_is_a_list_of_one(text: str) -> None:
    (callback,) = planned({"on-exit": text}).on_exit
    assert (callback.call, callback.arguments) == ("a:b", {"x": [1, "two"]})


def test_names_may_have_dots_and_letters_of_any_language() -> None:
    text = "paket.größe:Klasse.methode, /data/mit blank/größe.py:f"
    assert [callback.call for callback in planned({"on-exit": text}).on_exit] == text.split(", ")


def test_keys_are_the_call_or_the_command_and_differ_within_a_hook() -> None:
    long = "echo " + "x" * 100
    entries = ["a:b", {"exec": ["sh", "-c", "echo 'a\nb'"]}, {"call": "a:b", "with": {"n": 1}}, {"exec": long.split()},
               {"exec": [*long.split(), "again"]}, {"call": "a:b", "with": {"n": 2}}]  # fmt: skip
    plan = planned({"on-exit": json.dumps(entries), "on-start": "a:b"})
    keys = [callback.key for callback in plan.on_exit]
    assert keys == ["a:b", keys[1], "a:b#2", long[:60], long[:60] + "#2", "a:b#3"]
    assert keys[1].startswith("sh -c 'echo ")
    assert keys[1].isprintable()
    assert [callback.key for callback in plan.on_start] == ["a:b"]


@pytest.mark.parametrize(
    ("value", "when"),
    [
        ("always", None),
        ("success", frozenset({Result.SUCCEEDED})),
        ("failure", FAILURE),
        ("Failed, OOMKilled,", frozenset({Result.FAILED, Result.OOM_KILLED})),
        ("success,failure", frozenset(Result)),
        ("Failed,always", None),
    ],
)
def test_when_is_a_list_or_a_text_with_commas(value: str, when: frozenset[Result] | None) -> None:
    words = [word.strip() for word in value.split(",") if word.strip()]
    text = json.dumps([{"call": "a:b", "when": value}, {"call": "c:d", "when": words}])
    plan = planned({"on-exit": text})
    assert [callback.when for callback in plan.on_exit] == [when, when]
    assert planned({"on-exit": "a:b", "on-exit-when": value}).on_exit[0].when == when


@pytest.mark.parametrize(
    ("annotations", "seconds"),
    [
        ({"on-start": "a:b"}, 0.0),
        ({"on-exit": "a:b,c:d"}, 60.0),
        ({"on-exit": "- {call: a:b, timeout: 100ms}\n- {call: c:d, timeout: 200ms}", "reserve": "300ms"}, 0.3),
        ({"on-exit": "a:b", "on-exit-timeout": "5m"}, 300.0),
    ],
)
def test_an_unset_reserve_is_the_sum_of_the_timeouts(annotations: dict[str, str], seconds: float) -> None:
    assert planned(annotations).reserve_seconds == seconds


def test_an_unset_reserve_is_bounded_and_a_set_one_is_not() -> None:
    long = {contract.ON_EXIT: "a:b", contract.ON_EXIT_TIMEOUT: "10m"}
    plan, (finding,) = parse(long)
    assert (plan.reserve_seconds, finding.code) == (contract.MAX_DEFAULT_RESERVE_SECONDS, "capped-reserve")
    plan, findings = parse({**long, contract.RESERVE: "10m"})
    assert (plan.reserve_seconds, findings) == (600.0, ())


# What is wrong, where, and what to write


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("pkg.mod.func", "no colon before the function: write pkg.mod:func"),
        ("notify", "doesn't say which module"),
        ("hooks/notify.py:main", "relative path: .* like /hooks/notify.py:main"),
        ("./notify.py:main", "relative path: .* like /notify.py:main"),
        ("notify.py:main", "relative path"),
        ("C:\\\\x\\\\y.py:main", "relative path"),
        ("/hooks/notify.py", "write /hooks/notify.py:function"),
        ("/hooks/notify.py:", "no function's name behind the colon.* write /hooks/notify.py:function"),
        ("/hooks/notify.sh:main", "doesn't end in .py"),
        ("/a.py:b:c", "more than one colon"),
        ("lambda ctx: print(ctx)", "is a lambda"),
        ("pkg.mod:<lambda>", "is a lambda"),
        ("pkg.mod:outer.<locals>.inner", "function inside a function"),
        ("pkg.mod:func()", "has parentheses: .*, pkg.mod:func, "),
        ("print(1)", "has parentheses: .*, package.module:function, "),
        ("pkg.mod::func", "write pkg.mod:func"),
        ("a:b:c", "more than one colon"),
        ("a:b c:d", "separate names by commas"),
        ("echo hi", "a command as exec"),
        ("https://example.com/x", "is a URL"),
        ("'a:b'", "write it without them"),
        ("-a:b", "starts with a dash"),
        ("my-pkg:main", "'my-pkg' can't be a module's name"),
        ("pkg:re-run", "'re-run' can't be a function's name"),
        ("pkg.class:main", "'pkg.class' can't be a module's name"),
        ("pkg.:main", "can't be a module's name"),
    ],
)
def test_a_wrong_name_is_explained(name: str, advice: str) -> None:
    (finding,) = said({"on-exit": json.dumps([name]).replace("\\\\\\\\", "\\\\")})
    assert (finding.code, finding.where) == ("bad-callback", "podhooks.io/on-exit[0]")
    assert re.search(advice, finding.message), finding


def test_a_name_alone_in_the_annotation_is_explained_just_so() -> None:
    for name in ("/hooks/notify.py:", "pkg.mod.func", "lambda ctx: ctx", "print()"):
        (finding,) = said({"on-exit": name})
        assert finding.code == "bad-callback"
    (finding,) = said({"on-exit": "notify: main"})
    assert (finding.code, "write notify:main without the blank" in finding.message) == ("unknown-key", True)


@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        ("on-exitt", "podhooks.io/on-exit?"),
        ("onExit", "podhooks.io/on-exit?"),
        ("On-Exit", "podhooks.io/on-exit?"),
        ("on-exit-timout", "podhooks.io/on-exit-timeout?"),
        ("gaurantee", "podhooks.io/guarantee?"),
        ("pythn", "podhooks.io/python?"),
        ("on-start-when", "remove it"),
        ("xyz", "the names are on-start, on-exit"),
        ("", "the names are"),
    ],
)
def test_an_unknown_annotation_of_ours_is_an_error_that_says_what_was_meant(annotation: str, meant: str) -> None:
    (finding,) = said({annotation: "x"})
    assert (finding.code, finding.severity) == ("unknown-annotation", Severity.ERROR)
    assert finding.where == contract.PREFIX + annotation
    assert meant in finding.message


@pytest.mark.parametrize("annotation", [
    "podhook.io/on-exit", "podhooks/on-exit", "podhooks.io.on-exit", "Podhooks.io/on-exit", "pod-hooks.io/on-exit",
    "phodooks.io/on-exit", "podhooks.dev/on-exit", "podhooks.io-on-exit", "on-exit",
    "podhooks.com/on-exti",
])  # fmt: skip
def test_a_prefix_that_is_nearly_ours_is_a_warning(annotation: str) -> None:
    _, (finding,) = parse({annotation: "a:b"})
    assert (finding.code, finding.severity, finding.where) == ("near-miss", Severity.WARNING, annotation)
    assert finding.message.endswith("did you mean podhooks.io/on-exit?")


@pytest.mark.parametrize("annotation", [
    "example.com/on-exit", "example.com/mode", "image", "python", "podinfo.io/status", "hooks.io/owner",
    "podhooks-team/owner",
])  # fmt: skip
def test_annotations_of_others_are_passed_over(annotation: str) -> None:
    assert parse({annotation: "x"}) == (Plan(), ())


@pytest.mark.parametrize(
    ("annotations", "code", "where", "advice"),
    [
        ({"on-exit": "[a:b, {call: x"}, "bad-list", "on-exit", "line 1, column 7"),
        ({"on-exit": "\n\n- a:b\n- |\n  c"}, "bad-list", "on-exit", "line 4, column 3: .* JSON"),
        ({"on-exit": '{"call": "a:b", "call": "c:d"}'}, "bad-list", "on-exit", "'call' is there twice"),
        ({"on-exit": '{"call": "a:b", "with": {"x": NaN}}'}, "bad-list", "on-exit", "NaN"),
        ({"on-exit": '{"call": "a:b", "with": {"x": 1e999}}'}, "bad-list", "on-exit", "too large"),
        ({"on-exit": '{"call": "a:b", "with": {"x": "\\ud800"}}'}, "bad-list", "on-exit", "surrogate"),
        ({"on-exit": "[" * 99999}, "bad-list", "on-exit", "more than 32 deep"),
        ({"on-exit": "[" * 40 + "]" * 40}, "bad-list", "on-exit", "more than 32 deep"),
        ({"on-exit": "- {call: a:b, timeuot: 3s}"}, "unknown-key", "on-exit[0]", "did you mean timeout"),
        ({"on-exit": "- {cal: a:b}"}, "unknown-key", "on-exit[0]", "did you mean call"),
        ({"on-exit": "- {lambda: 1}"}, "unknown-key", "on-exit[0]", "is a lambda"),
        ({"on-exit": "- a:b\n- {}"}, "call-or-exec", "on-exit[1]", "neither"),
        ({"on-exit": "- {call: a:b, exec: [c]}"}, "call-or-exec", "on-exit[0]", "both"),
        ({"on-exit": "- {exec: ls -l}"}, "bad-exec", "on-exit[0].exec", "list of words"),
        ({"on-exit": "- {exec: []}"}, "bad-exec", "on-exit[0].exec", "empty"),
        ({"on-exit": "- {exec: [sleep, 1]}"}, "bad-exec", "on-exit[0].exec", "1, which isn't text.* quotes"),
        ({"on-exit": "- {exec: [sleep, null]}"}, "bad-exec", "on-exit[0].exec", "null, which isn't text"),
        ({"on-exit": "- {exec: ['', x]}"}, "bad-exec", "on-exit[0].exec", "empty word"),
        ({"on-exit": '- {exec: ["a\\0b"]}'}, "bad-exec", "on-exit[0].exec", "isn't text"),
        ({"on-exit": "- {call: [a]}"}, "bad-callback", "on-exit[0]", "not a name"),
        ({"on-exit": "- {call: a:b, with: [1]}"}, "bad-arguments", "on-exit[0].with", "isn't a mapping"),
        ({"on-exit": "- {call: a:b, with: {x-y: 1}}"}, "bad-arguments", "on-exit[0].with", "'x-y'"),
        ({"on-exit": "- {exec: [a], with: {x: 1}}"}, "arguments-for-exec", "on-exit[0].with", "words of exec"),
        ({"on-exit": "- {call: a:b, timeout: 30}"}, "bad-duration", "on-exit[0].timeout", "write 30s"),
        ({"on-exit": "- {call: a:b, timeout: true}"}, "bad-duration", "on-exit[0].timeout", "write 30s"),
        ({"on-exit": "- {call: a:b, retries: true}"}, "bad-retries", "on-exit[0].retries", "whole"),
        ({"on-exit": "- {call: a:b, retries: 1.5}"}, "bad-retries", "on-exit[0].retries", "whole"),
        ({"on-exit": "a:b", "on-exit-retries": "101"}, "bad-retries", "on-exit-retries", "0 to 100"),
        ({"on-exit": "a:b", "on-exit-retries": "-1"}, "bad-retries", "on-exit-retries", "0 to 100"),
        ({"on-exit": "a:b", "on-exit-retries": "9" * 9999}, "bad-retries", "on-exit-retries", "0 to 100"),
        ({"on-start": "a:b", "on-start-policy": "Fail"}, "bad-policy", "on-start-policy", "did you mean fail"),
        ({"on-exit": "a:b", "on-exit-when": "failed"}, "bad-when", "on-exit-when", "did you mean Failed"),
        ({"on-exit": "a:b", "on-exit-when": "oom"}, "bad-when", "on-exit-when", "did you mean OOMKilled"),
        ({"on-exit": "a:b", "on-exit-when": "Evict"}, "bad-when", "on-exit-when", "did you mean Evicted"),
        ({"on-exit": "a:b", "on-exit-when": "?"}, "bad-when", "on-exit-when", "write one of always"),
        ({"on-exit": "- {call: a:b, when: []}"}, "bad-when", "on-exit[0].when", "names no result"),
        ({"on-exit": "- {call: a:b, when: [3]}"}, "bad-when", "on-exit[0].when", "3 is no result"),
        ({"on-start": "- {call: a:b, when: failure}"}, "when-at-start", "on-start[0].when", "move it to on-exit"),
        ({"on-exit": "a:b", "on-exit-policy": "fail"}, "fail-in-native", "on-exit-policy", "mode: classic"),
        ({"on-exit": "- {call: a:b, policy: fail}"}, "fail-in-native", "on-exit[0].policy", "mode: classic"),
        ({"on-exit": "a:b", "mode": "native", "on-exit-policy": "fail"}, "fail-in-native", "on-exit-policy", "classic"),
        ({"on-exit": "a:b", "mode": "Classic", "on-exit-policy": "fail"}, "bad-mode", "mode", "did you mean classic"),
        ({"on-exit": "a:b", "guarantee": "clustr"}, "bad-guarantee", "guarantee", "did you mean cluster"),
        ({"on-exit": "a:b", "main-container": "a,b"}, "bad-main-container", "main-container", "one name"),
        ({"on-exit": "a:b", "main-container": "Main"}, "bad-main-container", "main-container", "small letters"),
        ({"on-exit": "a:b", "main-container": "x" * 64}, "bad-main-container", "main-container", "can't be"),
        ({"on-exit": "a:b", "main-container": "on-exit"}, "bad-main-container", "main-container", "our own"),
        ({"on-exit": "a:b", "image": "a b"}, "bad-image", "image", "blank"),
        ({"on-exit": "a:b", "image": "https://a/b"}, "bad-image", "image", "URL"),
        ({"on-exit": "a:b", "python": "python3 -u"}, "bad-python", "python", "blank"),
        ({"on-exit": "a:b", "python": " "}, "empty-value", "python", "remove"),
        ({"on-exit": ""}, "empty-value", "on-exit", "remove"),
        ({"on-exit": None}, "value-not-text", "on-exit", "null"),
        ({"on-exit": "a:b", "on-exit-retries": 3}, "value-not-text", "on-exit-retries", "is 3, .* quotes"),
        ({"on-exit": "a:b\x07"}, "odd-character", "on-exit", "U\\+0007"),
        ({"on-exit": "a\u200b:b"}, "odd-character", "on-exit[0]", "U\\+200B ZERO WIDTH SPACE"),
        ({"on-exit": "\u201ca:b\u201d"}, "odd-character", "on-exit[0]", "LEFT DOUBLE QUOTATION MARK"),
        ({"on-exit": "a:b", "mode": "class\u00a0ic"}, "odd-character", "mode", "NO-BREAK SPACE"),
        ({"on-exit": "a:b", "resources": "{"}, "bad-resources", "resources", "can't be read: line 1"),
        ({"on-exit": "a:b", "resources": "[]"}, "bad-resources", "resources", "isn't a mapping"),
        ({"on-exit": "a:b", "resources": '{"limit": {}}'}, "bad-resources", "resources", "'limit' is neither"),
        ({"on-exit": "a:b", "resources": '{"limits": 3}'}, "bad-resources", "resources", "limits is 3"),
        ({"on-exit": "a:b", "resources": '{"limits": {"mem": "1Gi"}}'}, "bad-resources", "resources", "mean memory"),
        ({"on-exit": "a:b", "resources": '{"limits": {"cpu": "1 core"}}'}, "bad-resources", "resources", "100m"),
        ({"on-exit": "a:b", "resources": '{"limits": {"cpu": -1}}'}, "bad-resources", "resources", "quantity"),
        ({"on-exit": "a:b", "resources": '{"limits": {"cpu": true}}'}, "bad-resources", "resources", "quantity"),
        ({"on-exit": "a:b", "resources": '{"limits": {"memory": "64MB"}}'}, "bad-resources", "resources", "write 64Mi"),
        ({"on-exit": "a:b", "resources": '{"limits": {"memory": "128m"}}'}, "bad-resources", "resources", "128Mi"),
        ({"on-exit": "a:b", "resources": '{"limits":{"cpu":"10m"},"requests":{"cpu":1}}'}, "bad-resources", "resources",
         "requests more cpu"),
        ({"on-exit": "[]"}, "no-callbacks", "on-exit", "lists no callback"),
        ({"mode": "classic"}, "no-callbacks", "mode", "does nothing alone"),
        ({"on-exit": "a:b", "on-start-retries": "1"}, "options-without-callbacks", "on-start-retries", "on-start"),
        ({"on-start": "a:b", "reserve": "1s"}, "options-without-callbacks", "reserve", "on-exit"),
        ({"on-exit": "a:b,c:d", "reserve": "59s"}, "short-reserve", "reserve", "add up to 1m"),
        ({"on-exit": "a:b", "on-exit-timeout": "301s"}, "capped-reserve", "reserve", "write 5m1s"),
        ({"on-exit": "a:b, c:d, a:b, a:b"}, "duplicate-callback", "on-exit", "'a:b' twice"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_finding_at_its_place_with_what_to_do(
    annotations: dict[str, Any], code: str, where: str, advice: str
) -> None:
    (finding,) = said(annotations)
    assert (finding.code, finding.where) == (code, contract.PREFIX + where)
    assert finding.severity is CODES[code]
    assert re.search(advice, finding.message), finding
    assert "\n" not in str(finding)


def test_what_can_be_used_is_used_and_the_rest_has_its_default() -> None:
    plan, findings = parse({
        contract.ON_EXIT: "- a:b\n- c\n- {call: d:e, timeout: soon, retries: 1}", contract.ON_EXIT_TIMEOUT: "7",
        contract.ON_EXIT_POLICY: "fail",
    })  # fmt: skip
    assert [finding.code for finding in findings] == ["bad-duration", "fail-in-native", "bad-callback", "bad-duration"]
    assert [callback.call for callback in plan.on_exit] == ["a:b", "d:e"]
    assert {callback.timeout_seconds for callback in plan.on_exit} == {30.0}
    assert {callback.policy for callback in plan.on_exit} == {Policy.IGNORE}
    assert plan.on_exit[1].retries == 1


def test_the_same_callback_for_other_results_or_with_other_arguments_is_no_duplicate() -> None:
    planned({"on-exit": "- {call: a:b, when: success}\n- {call: a:b, when: failure}"})
    planned({"on-exit": "- {call: a:b, with: {x: 1}}\n- {call: a:b, with: {x: 2}}"})


@pytest.mark.timeout(20)
def test_a_list_as_long_as_kubernetes_allows_is_read_in_time() -> None:
    plan, findings = parse({contract.ON_EXIT: "a:b," * 60_000})
    assert len(plan.on_exit) == 60_000
    assert {finding.code for finding in findings} == {"duplicate-callback", "capped-reserve"}


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5), ("1.5s", 1.5),
     ("1h0m0.001s", 3600.001), ("168h", 604800.0), (" 90m ", 5400.0)],
)  # fmt: skip
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("30", "write 30s"), ("1.5", "write 1.5s"), ("0s", "above zero"), ("-5s", "below zero"),
        ("169h", "at most 168h"), ("30 s", "write 30s"), ("30S", "write 30s"), ("5min", "write 5m"),
        ("3d", "write 72h"), ("45d", "write one like"), ("123d", "write one like"),
        ("nan", "write one like"), ("inf", "write one like"), ("", "write one like"), ("s", "write one like"),
        ("1m30", "write one like"), ("30m1h", "write one like"), ("1s1s", "write one like"), ("1e3s", "write one like"),
        ("day", "write one like"), (".", "write one like"), (".5s", "write one like"), ("1.s", "write one like"),
        ("1.2.3s", "write one like"), ("٣s", "write one like"), ("0.0001s", "finer than a millisecond"),
        ("9" * 5000 + "s", "can wait for"), ("0." + "0" * 5000 + "1s", "can wait for"),
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(PlanError, match=advice):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (60.0, "1m"), (90.0, "1m30s"),
     (5400.0, "1h30m"), (3600.5, "1h0.5s"), (-30.0, "-30s")],
)  # fmt: skip
def test_durations_are_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


durations = st.integers(1, int(contract.MAX_TIMEOUT_SECONDS * 1000)).map(lambda milliseconds: milliseconds / 1000)


@given(durations)
def test_a_duration_comes_back_from_its_text(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(st.sampled_from("0123456789.hmsd -+e")) | st.text())
def test_any_other_text_is_a_plan_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except PlanError:
        return
    assert 0 < seconds <= contract.MAX_TIMEOUT_SECONDS


# Whatever stands in a pod

texts = st.text(max_size=40)
keys = st.sampled_from([*KEYS, "requests", "limits", "cpu", "memory"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | keys, inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
pieces = st.lists(
    st.sampled_from([
        *"[]{},:#(\n\x00'\"\u2028", "a:b", "- ", "call: ", "exec: ", "with: ", "when: ", "30s", "fail", "failure",
        "/x.py", "lambda",
    ]),
    max_size=10,
).map("".join)  # fmt: skip
values = texts | pieces | json_values.map(json.dumps)
names = (
    st.sampled_from([*ANNOTATIONS, *USER_ANNOTATIONS[:2], "podhook.io/mode", "on-exit"])
    | texts.map(lambda t: contract.PREFIX + t)
    | texts
)


@settings(max_examples=400)
@given(st.dictionaries(names, values, max_size=6))
def test_parse_never_raises_and_its_findings_are_lines(annotations: dict[str, str]) -> None:
    plan, findings = parse(annotations)
    assert isinstance(plan, Plan)
    for finding in findings:
        assert finding.severity is CODES[finding.code]
        assert str(finding).isprintable()
        assert len(str(finding)) < 600
    for hook in (plan.on_start, plan.on_exit):
        assert len({callback.key for callback in hook}) == len(hook)
        assert all(bool(callback.call) != bool(callback.exec) for callback in hook)
    summary_hash(annotations)


@given(st.dictionaries(names, json_values, max_size=6))
def test_parse_survives_values_that_kubernetes_would_not_take(annotations: dict[str, Any]) -> None:
    parse(annotations)


# And back

plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
arguments = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
calls = st.from_regex(r"(/[a-z]+\.py|[a-z]{2,8}(\.[a-z]{2,8})?):[a-z]{2,8}", fullmatch=True).filter(
    lambda name: problem(name) is None
)
commands = st.lists(plain.filter(lambda word: "\0" not in word), min_size=1, max_size=3).filter(
    lambda c: bool(c[0].strip())
)
policies = st.sampled_from(Policy)


def callbacks(call: st.SearchStrategy[str], when: st.SearchStrategy[Any], policy: st.SearchStrategy[Policy]) -> Any:
    options = {"timeout_seconds": durations, "retries": st.integers(0, 100), "policy": policy, "when": when}
    functions = st.builds(Callback, key=st.just(""), call=call, arguments=arguments, **options)
    programs = st.builds(Callback, key=st.just(""), exec=commands.map(tuple), **options)
    unique = st.lists(functions | programs, max_size=4, unique_by=lambda each: each.call or each.exec)
    return unique.map(with_keys)


whens = st.none() | st.frozensets(st.sampled_from(Result), min_size=1)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    mode = draw(st.sampled_from(Mode))
    on_start = draw(callbacks(calls, st.none(), policies))
    on_exit = draw(callbacks(calls, whens, policies if mode is Mode.CLASSIC else st.just(Policy.IGNORE)))
    needed = round(sum(each.timeout_seconds for each in on_exit), 3)
    if not on_start and not on_exit:
        return Plan()
    most = contract.MAX_TIMEOUT_SECONDS
    return Plan(
        on_start=on_start,
        on_exit=on_exit if needed <= most else (),
        main_container=draw(st.none() | st.sampled_from(["main", "*", "a-1"])),
        mode=mode,
        image=draw(st.sampled_from(["main", "x.y/z:1"])),
        python=draw(st.sampled_from(["python3", "/v/bin/python"])),
        reserve_seconds=draw(st.sampled_from([needed, most])) if on_exit and needed <= most else 0.0,
        guarantee=draw(st.sampled_from(Guarantee)),
        resources=draw(st.none() | st.just({"limits": {"memory": "64Mi"}})),
    )


@given(plans())
def test_a_valid_plan_comes_back_from_its_annotations_without_a_finding(plan: Plan) -> None:
    if plan.empty:
        plan = Plan()
    annotations = to_annotations(plan)
    assert set(annotations) <= set(USER_ANNOTATIONS)
    assert parse(annotations) == (plan, ())


def test_only_what_differs_from_the_defaults_is_written() -> None:
    plan = planned({"on-start": "a:b", "on-exit": "c:d", "on-exit-timeout": "30s"})
    assert to_annotations(plan) == {contract.ON_START: '["a:b"]', contract.ON_EXIT: '["c:d"]'}


def test_arguments_that_json_can_not_hold_are_a_plan_error() -> None:
    with pytest.raises(PlanError, match="JSON"):
        to_annotations(Plan(on_exit=(Callback("a:b", "a:b", arguments={"x": object()}),)))


def test_the_hash_follows_the_users_annotations_and_nothing_else() -> None:
    base = {contract.ON_EXIT: "a:b", contract.MODE: "native"}
    other_order = {contract.MODE: "native", "x": "y", contract.STATUS: "z", contract.ON_EXIT: "a:b"}
    assert summary_hash(base) == summary_hash(other_order)
    assert re.fullmatch("[0-9a-f]{16}", summary_hash(base))
    assert summary_hash(base) != summary_hash({**base, contract.MODE: "classic"})
    assert summary_hash({contract.ON_START: "a"}) != summary_hash({contract.ON_EXIT: "a"})


# What it costs


def test_reading_plain_annotations_imports_nothing_dear() -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from podhooks.annotations.parser import parse
names = {"on-exit": "a:b, /c.py:d", "on-exit-timeout": "1m", "mode": "native"}
found = parse({"podhooks.io/" + name: text for name, text in names.items()})
assert found[0].on_exit and not found[1], found
print(*sorted(sys.modules))
"""
    run = [sys.executable, "-I", "-S", "-c", program, str(ROOT)]
    modules = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    dear = {"typing", "re", "dataclasses", "difflib", "json", "hashlib", "shlex", "inspect", "unicodedata", "decimal"}
    assert dear.isdisjoint(modules)
    assert "podhooks.annotations.yaml_subset" not in modules


# The pages

FINDINGS_PAGE = (ROOT / "docs" / "findings.md").read_text()
ANNOTATIONS_PAGE = (ROOT / "docs" / "annotations.md").read_text()
SECTIONS = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", FINDINGS_PAGE, re.DOTALL | re.MULTILINE))


def test_the_page_of_findings_has_every_code_under_its_severity() -> None:
    assert set(SECTIONS) == set(CODES)
    errors, warnings = FINDINGS_PAGE.split("\n## Warnings\n")
    for code, severity in CODES.items():
        assert f"### `{code}`" in (errors if severity is Severity.ERROR else warnings)


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_example_of_a_finding_gives_it_and_the_right_one_gives_none(code: str) -> None:
    wrong, right = yaml_blocks(SECTIONS[code])
    assert [finding.code for finding in parse(wrong)[1]] == [code]
    assert parse(right)[1] == ()


def test_every_example_on_the_page_of_annotations_is_right() -> None:
    examples = list(yaml_blocks(ANNOTATIONS_PAGE))
    used = {name for example in examples for name in example}
    for example in examples:
        plan, findings = parse(example)
        assert (findings, plan.empty) == ((), False), example
    assert used >= {each.name for each in TABLE if each.shapes_pod} - {contract.GUARANTEE}


def test_the_table_of_annotations_is_complete_and_its_defaults_are_the_codes() -> None:
    rows = re.findall(r"^\| `(podhooks\.io/[a-z-]+)` \|.*\| ([^|]*) \|$", ANNOTATIONS_PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(ANNOTATIONS)
    promised = {
        contract.ON_START_TIMEOUT: format_duration(contract.DEFAULT_ON_START_TIMEOUT_SECONDS),
        contract.ON_EXIT_TIMEOUT: format_duration(contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS),
        contract.ON_START_RETRIES: str(contract.DEFAULT_ON_START_RETRIES),
        contract.ON_EXIT_RETRIES: str(contract.DEFAULT_ON_EXIT_RETRIES),
        contract.IMAGE: contract.MAIN_IMAGE,
        contract.PYTHON: contract.DEFAULT_PYTHON,
        contract.ON_START_POLICY: planned({"on-start": "a:b"}).on_start[0].policy.value,
        contract.ON_EXIT_POLICY: planned({"on-exit": "a:b"}).on_exit[0].policy.value,
        contract.MODE: Plan().mode.value,
        contract.ON_EXIT_POSITION: Plan().position.value,
        contract.GUARANTEE: Plan().guarantee.value,
        contract.ON_EXIT_WHEN: "always",
    }
    assert {name: default for name, default in rows if default.startswith("`")} == {
        name: f"`{default}`" for name, default in promised.items()
    }
    for number in (str(contract.MAX_RETRIES), format_duration(contract.MAX_TIMEOUT_SECONDS)):
        assert number in ANNOTATIONS_PAGE
    assert format_duration(contract.MAX_DEFAULT_RESERVE_SECONDS) in ANNOTATIONS_PAGE
