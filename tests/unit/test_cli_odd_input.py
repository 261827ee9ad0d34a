"""Whatever comes in, every command answers with its exit code and a line: never with a traceback, never half done."""

from __future__ import annotations

import copy
import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podhooks.cli.main import main
from podhooks.yamltext.stream import load

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = [each.read_text(encoding="utf-8") for each in sorted(GOLDEN.glob("*/*.yaml"))]
COMMANDS = [["inject"], ["uninject"], ["validate", "--format", "json"], ["explain"]]
COMMANDS += [["inject", "--delivery", "copy", "--kubernetes", "1.28"]]
STATUS = '{"version":"0.1.0","hash":"x","was":{"main.env":[]},"own":["a"],"annotations":["b"],"grace":5}'
ODD: list[Any] = [
    *[None, True, 0, -1, 10**20, 10**400, 1.5, -0.0, 2**63, "", " ", "a", "*", "1", "yes", "a\nb", "\u2028", "x" * 300],
    *[
        [],
        {},
        [[]],
        [None],
        ["a"],
        {"a": 1},
        {"name": "a"},
        {"name": ["a"]},
        [{"name": "a"}],
        [{"name": None}],
        {"": ""},
    ],
    *["1e999Gi", "9" * 400 + "Gi", "1e10000000000", "-5", "100m", "$(X)", "on-exit", "podhooks-shared", "notify:main"],
    *["Always", "native", STATUS, '{"version":"0.1.0","hash":"x"}', "/podhooks/shared"],
]
NAMES = ["name", "env", "annotations", "metadata", "spec", "containers", "volumes", "items", "kind", "resources"]
NAMES += ["podhooks.io/on-exit", "podhooks.io/x", "podhooks.io/status", "podhooks.io/resources", "securityContext"]
NAMES += ["restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds"]
SCRAPS = [b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\t", b"- ", b"{", b"[", b'"', b"'", b"&a ", b"*a", b"<<: ", b"!!int "]
SCRAPS += [b"%", b"\r\n", b"? ", b"|\n", b"1" * 5000, b"[" * 3000, b"\x85", "é".encode(), b"---\n", b"..."]


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(each, (*path, key))


def with_odd_values(text: str, rng: random.Random) -> bytes:
    documents = copy.deepcopy([each for each in load(text, "t") if each is not None])
    for _ in range(rng.randint(1, 3)):
        *above, last = rng.choice(list(paths(documents))[1:])
        holder: Any = documents
        for part in above:
            holder = holder[part]
        if isinstance(holder, dict) and rng.random() < 0.3:
            last = rng.choice(NAMES)
        holder[last] = copy.deepcopy(rng.choice(ODD))
    if rng.random() < 0.5:
        return "\n".join(map(json.dumps, documents)).encode()
    return yaml.dump_all(documents, Dumper=Plain).encode()


def with_scraps(text: str, rng: random.Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 4)] = rng.choice(SCRAPS)
    return bytes(data)


def answer(arguments: list[str], stdin: bytes) -> tuple[int, bytes, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        code = main(arguments)
        out.flush()
        err.flush()
    return code, out.buffer.getvalue(), err.buffer.getvalue().decode()


@given(st.sampled_from(TEXTS), st.sampled_from([with_odd_values, with_scraps]), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_every_command_answers(text: str, spoil: Any, rng: random.Random) -> None:
    data = spoil(text, rng)
    for command in COMMANDS:
        code, out, err = answer(command, data)
        assert code in (0, 2)
        if command[0] in ("inject", "uninject") and code == 2:
            assert err.strip()
            assert not out
            assert ": injected" not in err
            assert "uninjected" not in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "Pod", "x": ' + "1" * 5000 + "}", "a number of 5000 digits"),
        ('{"kind": "Pod", "x": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        ("kind: Pod\nx: " + "{a: " * 250 + "1" + "}" * 250, "nested too deeply"),
        ("%YAML 1.2\n---\nkind: Pod\n", "take them out"),
        ("kind: Pod\nx: \x07\n", "U+0007"),
    ],
)
def test_what_can_not_be_read_gets_one_line(text: str, said: str) -> None:
    for command in COMMANDS:
        code, out, err = answer(command, text.encode())
        assert (code, out, err.count("\n")) == (2, b"", 1)
        assert said in err


def test_a_container_whose_name_is_a_list_is_an_error() -> None:
    text = (GOLDEN / "native-job" / "expected.yaml").read_text().replace("- name: main", "- name: [main]")
    code, out, err = answer(["inject"], text.encode())
    assert (code, out) == (2, b"")
    assert "must be a name, not a list [malformed-pod]" in err


def test_a_document_that_is_written_anew_is_named() -> None:
    text = (GOLDEN / "native-job" / "input.yaml").read_text()
    aliased = text.replace("        - name: main", "        - &c\n          name: main")
    aliased += "        - <<: *c\n          name: other\n"
    code, out, err = answer(["inject"], aliased.encode())
    assert code == 0
    assert b"*c" not in out
    assert err.splitlines()[-2:-1] == [
        "<stdin>:2: Job/etl: is written anew, without its comments: it can't be changed place by place"
    ]
