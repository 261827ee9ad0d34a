"""Callback names: found, or one line that says why not."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks.annotations.plan import Callback
from podhooks.context import Hook, PodInfo, RunContext
from podhooks.errors import CallbackNotFound
from podhooks.runtime import resolve
from podhooks.runtime.children import Watch

CONTEXT = RunContext(Hook.ON_START, "m:f", PodInfo("p", "ns", "u"), "main", "key", "/shared")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An import path of the user's, and the current directory."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def complaint(call: str) -> str:
    with pytest.raises(CallbackNotFound) as caught:
        resolve.load(call)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_function_of_a_module_and_a_nested_attribute_are_found(code: Path) -> None:
    (code / "userhooks.py").write_text("class A:\n  @staticmethod\n  def f(): return 1\ndef g(): return 2\n")
    assert resolve.load("userhooks:A.f")() == 1
    assert resolve.load("userhooks:g")() == 2


def test_a_function_of_a_submodule_is_found(code: Path) -> None:
    (code / "userpack").mkdir()
    (code / "userpack" / "__init__.py").write_text("")
    (code / "userpack" / "deep.py").write_text("def f(): return 3\n")
    assert resolve.load("userpack.deep:f")() == 3


def test_a_file_is_loaded_under_its_own_name(code: Path) -> None:
    file = code / "script.py"
    file.write_text("def f(): return __name__\n")
    assert resolve.load(f"{file}:f")() == "script"


def test_a_file_named_like_a_loaded_module_hides_nothing(code: Path) -> None:
    file = code / "json.py"
    file.write_text("def f(): return __name__\n")
    name = resolve.load(f"{file}:f")()
    assert isinstance(name, str)
    assert name.startswith("podhooks_file_")
    assert sys.modules["json"].__file__ != str(file)


def test_two_functions_of_a_file_share_its_module(code: Path) -> None:
    file = code / "script.py"
    file.write_text("def f(): pass\ndef g(): pass\n")
    assert resolve.load(f"{file}:f").__globals__ is resolve.load(f"{file}:g").__globals__


def test_a_missing_module_is_named_with_its_near_ones(code: Path) -> None:
    (code / "userhooks.py").write_text("")
    assert complaint("userhoks:f") == (
        f"no module named 'userhoks' on the import path (current directory: {code}); did you mean 'userhooks'?"
    )
    assert "installed in this image?" in complaint("qqzzqqzz:f")
    assert "'podhooks'" not in complaint("hooks:f")
    assert "did you mean 'podhooks'" in complaint("podhook.callbacks:f")


def test_a_missing_submodule_is_named_with_its_near_ones(code: Path) -> None:
    (code / "userpack").mkdir()
    (code / "userpack" / "notify.py").write_text("")
    assert complaint("userpack.notfy:f") == "no module named 'userpack.notfy' in userpack; did you mean 'notify'?"
    (code / "plain.py").write_text("")
    assert "'plain' is a module, not a package" in complaint("plain.sub:f")


def test_a_missing_module_is_named_where_the_current_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert complaint("userhooks_nowhere:f").startswith("no module named 'userhooks_nowhere'")


def test_a_module_of_the_users_is_not_taken_for_a_loaded_one_of_the_standard_library(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sched

    monkeypatch.setitem(sys.modules, "sched", sched)
    assert resolve.load("sched:scheduler") is sched.scheduler
    (code / "sched.py").write_text("def f(): return 4\n")
    assert resolve.load("sched:f")() == 4


def test_a_missing_attribute_is_named_with_its_near_ones(code: Path) -> None:
    (code / "userhooks.py").write_text("def notify(): pass\nclass A: pass\n")
    assert complaint("userhooks:notfy") == "userhooks has no 'notfy'; did you mean 'notify'?"
    assert complaint("userhooks:A.f") == "userhooks:A has no 'f'"


def test_what_cannot_be_called_is_no_callback(code: Path) -> None:
    (code / "userhooks.py").write_text("x = 5\n")
    assert "it is a int; name a function" in complaint("userhooks:x")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nraise RuntimeError('no\\nway')\n", "RuntimeError: no way ({path}, line 2)"),
        ("import nothing_here\n", "No module named 'nothing_here' ({path}, line 1)"),
        ("def f(:\n", "SyntaxError: "),
        ("def f(:\n", "({path}, line 1)"),
        ("import sys\nsys.exit(3)\n", "it called sys.exit ({path}, line 2)"),
        ("x = 1\x00\n", "can't be imported: "),
    ],
)
@pytest.mark.parametrize("by", ["module", "file"])
def test_an_import_that_fails_is_said_with_its_place(by: str, source: str, expected: str, code: Path) -> None:
    path = code / "userhooks.py"
    path.write_text(source)
    assert expected.format(path=path) in complaint("userhooks:f" if by == "module" else f"{path}:f")


def test_a_missing_file_is_said(code: Path) -> None:
    assert complaint("/nowhere/hooks.py:f").startswith("/nowhere/hooks.py: no such file")


@pytest.mark.parametrize("name", ["module", ":f", "module:", ""])
def test_a_name_of_another_form_is_said(name: str) -> None:
    assert "not of the form" in complaint(name)


def nothing() -> None: ...
def any_name(whatever: RunContext) -> None: ...
def keyword(*, context: RunContext) -> None: ...
def default(message: str = "hi") -> None: ...
def second(message: str, context: RunContext) -> None: ...
def both(run: RunContext, channel: str, retries: int = 3) -> None: ...
def positional(run: RunContext, /, channel: str) -> None: ...
def open_ended(*args: Any, **kwargs: Any) -> None: ...
async def later(context: RunContext) -> None: ...


@functools.wraps(any_name)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


class Instance:
    def __call__(self, run: RunContext) -> None: ...

    def method(self, context: RunContext, *, x: int = 1) -> None: ...


class Constructed:
    def __init__(self, context: RunContext) -> None: ...


@pytest.mark.parametrize(
    ("function", "given", "args", "kwargs"),
    [
        (nothing, {}, [], {}),
        (any_name, {}, [], {"whatever": CONTEXT}),
        (keyword, {}, [], {"context": CONTEXT}),
        (default, {}, [], {}),
        (default, {"message": "x"}, [], {"message": "x"}),
        (second, {"message": "x"}, [], {"context": CONTEXT, "message": "x"}),
        (both, {"channel": "c"}, [], {"run": CONTEXT, "channel": "c"}),
        (positional, {"channel": "c"}, [CONTEXT], {"channel": "c"}),
        (open_ended, {"x": 1}, [], {"x": 1}),
        (later, {}, [], {"context": CONTEXT}),
        (keyword, {"context": "mine"}, [], {"context": "mine"}),
        (wrapped, {}, [], {"whatever": CONTEXT}),
        (Instance(), {}, [], {"run": CONTEXT}),
        (Instance().method, {"x": 2}, [], {"context": CONTEXT, "x": 2}),
        (Constructed, {}, [], {"context": CONTEXT}),
        (functools.partial(both, channel="c"), {}, [], {"run": CONTEXT}),
        (functools.partial(any_name, CONTEXT), {}, [], {}),
        (dict, {"x": 1}, [], {"x": 1}),
    ],
)
def test_a_function_gets_what_its_signature_asks_for(
    function: Any, given: dict[str, object], args: list[object], kwargs: dict[str, object]
) -> None:
    assert resolve.bind(function, given, CONTEXT) == (args, kwargs)


@pytest.mark.parametrize("function", [nothing, any_name, keyword, default, second, both, positional, open_ended, later])
def test_a_plain_functions_parameters_are_read_as_inspect_reads_them(function: Any) -> None:
    import inspect

    mine = resolve.parameters(function)
    assert mine is not None
    theirs = [
        (p.name, p.kind.name, p.default is p.empty and p.kind.name not in resolve.VARIABLE)
        for p in inspect.signature(function).parameters.values()
    ]
    assert [(p.name if p.name != "**" else "kwargs", p.kind, p.required) for p in mine] == theirs


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        (nothing, {"channel": "c"}, "takes no argument 'channel' (given in `with`); it takes none"),
        (both, {"chanel": "c"}, "takes no argument 'chanel' (given in `with`); did you mean 'channel'?"),
        (both, {}, "needs an argument 'channel'; give it in `with`"),
        (positional, {"run": 1, "channel": "c"}, "takes no argument 'run'"),
        (generator, {}, "generator function"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(function: Any, given: dict[str, object], expected: str) -> None:
    with pytest.raises(CallbackNotFound) as caught:
        resolve.bind(function, given, CONTEXT)
    assert expected in str(caught.value)


def test_check_names_each_callback_that_does_not_resolve(code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (code / "userhooks.py").write_text("print('imported')\ndef good(): pass\ndef needs(a, b): pass\n")
    callbacks = [
        Callback("first", call="userhooks:good"),
        Callback("second", call="userhooks:god"),
        Callback("third", exec=("no-such-command-here", "x")),
        Callback("fourth", exec=("sh", "-c", "true")),
        Callback("fifth", call="userhooks:needs"),
    ]
    assert [line.partition(" (/")[0] for line in resolve.check(callbacks)] == [
        "second: userhooks has no 'god'; did you mean 'good'?",
        "third: command 'no-such-command-here': not found in PATH" + check_path(),
        "fifth: it needs an argument 'b'; give it in `with`, or give it a default",
    ]
    assert set(capfd.readouterr().out.splitlines()) == {"[check] imported"}
    assert "userhooks" not in sys.modules


def test_callbacks_that_are_checked_together_do_not_harm_each_other(code: Path) -> None:
    for name in ("a", "b"):
        (code / name).mkdir()
        (code / name / "common.py").write_text(f"def only_{name}(): pass\n")
        (code / name / f"hooks_{name}.py").write_text(f"from common import only_{name}\ndef f(): pass\n")
    (code / "moving.py").write_text("import os\nos.chdir('/')\ndef f(): pass\n")
    (code / "beside.py").write_text("def f(): pass\n")
    calls = (f"{code}/a/hooks_a.py:f", f"{code}/b/hooks_b.py:f", f"{code}/moving.py:f", "./beside.py:f", "nowhere:f")
    assert [line.partition(":")[0] for line in resolve.check([Callback(call, call=call) for call in calls])] == [
        "nowhere"
    ]


def check_path() -> str:
    import os

    return f" ({os.environ['PATH']})".partition(" (/")[0]


def test_an_import_that_ends_the_process_costs_only_itself(code: Path) -> None:
    (code / "deadly.py").write_text("import os\nos._exit(9)\n")
    (code / "crash.py").write_text("import ctypes\nctypes.string_at(0)\n")
    (code / "fine.py").write_text("def f(): pass\n")
    callbacks = [Callback(name, call=f"{name}:f") for name in ("fine", "deadly", "crash", "missing_one")]
    first, second, third = resolve.check(callbacks)
    assert first == "deadly: importing it ended the process: exited with code 9"
    assert second == "crash: importing it ended the process: killed by SIGSEGV"
    assert third.startswith("missing_one: no module named")


def test_an_import_that_hangs_is_ended(code: Path) -> None:
    (code / "hanging.py").write_text("import time\ntime.sleep(600)\n")
    (line,) = resolve.check([Callback("h", call="hanging:f")], timeout_seconds=1.0)
    assert line.startswith("h: importing it took more than 1 s")


def test_a_check_ends_nobody_elses_process(code: Path) -> None:
    (code / "waiting.py").write_text(
        "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\ndef f(): pass\n"
    )
    check = resolve.Check([Callback("w", call="waiting:f")], Watch(30.0))
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as stranger:
        (code / "go").write_text("")
        assert check.finish() == {}
        assert stranger.poll() is None
        stranger.kill()


def test_nothing_to_check_starts_no_process() -> None:
    assert resolve.problems([], Watch(0.0)) == {}
