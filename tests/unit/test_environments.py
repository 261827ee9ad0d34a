"""What an environment takes, and what it says about what it doesn't take. Nothing runs here."""

from __future__ import annotations

import functools
import json
import sys
import threading
from typing import Any, cast

import pytest

from podhooks import Environment, LocalEnvironment, contract
from podhooks.context import Hook
from podhooks.environments import flows, memory, pickling
from podhooks.environments.base import label_mapping
from podhooks.errors import CallbackNotFound, InputError
from podhooks.runtime.resolve import load
from tests.integration import environment_callbacks as callbacks


def planned_annotations(environment: Environment) -> dict[str, Any]:
    planned = environment.planned(pickling.PickledFunctions().name_for)
    return {name.removeprefix(contract.PREFIX): text for name, text in planned.annotations.items()}


def test_the_constructor_of_the_proposal() -> None:
    environment = Environment(labels=["gpu"], on_start=callbacks.takes_nothing, on_exit=callbacks.takes_nothing)
    assert environment.labels == {"gpu"}
    assert environment.on_start is callbacks.takes_nothing
    assert environment.on_exit is callbacks.takes_nothing
    assert Environment().labels == set()
    assert repr(LocalEnvironment()) == "<Environment: LocalEnvironment>"


def test_the_base_runs_nothing() -> None:
    Environment().setup(callbacks.flow)
    with pytest.raises(NotImplementedError):
        Environment().execute(callbacks.flow)


async def coroutine() -> None:
    pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (1, "on_start: 1 isn't callable: give a function"),
        ([callbacks.flow, None], "on_start: null isn't callable"),
        ({"call": 3}, "on_start: 3 isn't callable"),
        ({}, "has neither call nor exec"),
        ("notify", "doesn't say which module"),
        ("a.b:c(", "on-start[0]"),
        ({"call": "a:b", "timout": "3s"}, "did you mean timeout"),
        ({"call": callbacks.takes_nothing, "when": "failure"}, "on-start[0].when"),
        ({"call": callbacks.takes_arguments, "with": {"chanel": 1}}, "did you mean 'channel'"),
        (callbacks.takes_arguments, None),  # its one required argument gets the context
        ({"call": callbacks.takes_arguments, "with": {"channel": {1, 2}}}, "use functools.partial"),
        (lambda context, more: None, "needs an argument 'more'"),
        (functools.partial(cast(Any, callbacks.takes_arguments), chanel=1), "did you mean 'channel'"),
    ],
)
def test_what_is_no_callback_is_refused_when_the_environment_is_made(given: Any, said: str | None) -> None:
    if said is None:
        LocalEnvironment(on_start=given)
        return
    with pytest.raises(InputError) as caught:
        LocalEnvironment(on_start=given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_coroutine_has_been_called_already() -> None:
    made = coroutine()
    with pytest.raises(InputError, match="without calling it"):
        LocalEnvironment(on_exit=made)  # type: ignore[arg-type]
    made.close()


@pytest.mark.parametrize("labels", ["gpu", [" "], [""], ["=x"], ["podhooks.io/on-exit"], [1]])
def test_labels_that_kubernetes_would_not_take(labels: Any) -> None:
    with pytest.raises(InputError, match="labels"):
        LocalEnvironment(labels=labels)


def test_labels_as_kubernetes_has_them() -> None:
    assert label_mapping({"gpu", "team=data", "example.com/x="}) == {"gpu": "", "team": "data", "example.com/x": ""}
    old = {"gpu machine", "a=b=c", "node/42", "Größe=xl ", "x" * 70}
    assert label_mapping(old) == {"gpu-machine": "", "a": "b-c", "node/42": "", "Gr-e": "xl", "x" * 63: ""}


def test_a_label_that_is_renamed_is_kept_and_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert Environment(labels=["gpu machine", "team=data"]).labels == {"gpu machine", "team=data"}
    said = capfd.readouterr().err
    assert "'gpu machine' is no label that Kubernetes takes: the Job and its pod have 'gpu-machine'" in said
    assert "team" not in said


def test_annotations_are_checked_at_once() -> None:
    with pytest.raises(InputError, match="did you mean"):
        LocalEnvironment(on_exit=callbacks.takes_nothing, annotations={"podhooks.io/on-exit-timout": "3s"})
    with pytest.raises(InputError, match="on_exit= is for"):
        LocalEnvironment(annotations={"podhooks.io/on-exit": "a:b"})


def test_what_can_be_imported_travels_by_name_with_its_options() -> None:
    environment = LocalEnvironment(
        on_start=callbacks.takes_nothing,
        on_exit=[
            functools.partial(callbacks.takes_arguments, channel="ops"),
            {"call": callbacks.is_async, "timeout": "5s", "when": "failure"},
            {"exec": ["true"]},
            "json:dumps",
        ],
        annotations={"podhooks.io/on-exit-policy": "ignore"},
    )
    found = planned_annotations(environment)
    module = callbacks.__name__
    assert json.loads(found["on-start"]) == [{"call": f"{module}:takes_nothing"}]
    assert json.loads(found["on-exit"]) == [
        {"call": f"{module}:takes_arguments", "with": {"channel": "ops"}},
        {"call": f"{module}:is_async", "timeout": "5s", "when": "failure"},
        {"exec": ["true"]},
        {"call": "json:dumps"},
    ]
    assert found["on-exit-policy"] == "ignore"


@pytest.mark.parametrize(
    "function",
    [lambda: None, callbacks.Notifier("ops"), functools.partial(print, "x"), callbacks.Notifier("a").__call__],
)
def test_what_has_no_name_that_leads_to_it_is_pickled(function: Any) -> None:
    assert pickling.name_of(function) is None
    pickled = pickling.PickledFunctions()
    name = pickled.name_for(function, Hook.ON_EXIT)
    assert name.startswith("/etc/podhooks/pickled_on_exit.py:")
    assert {each.path for each in pickled.files} >= {"pickled_on_exit.py", "cloudpickle/cloudpickle.py"}
    assert pickled.name_for(function, Hook.ON_EXIT).startswith("/etc/podhooks/pickled_on_exit_2.py:")


def test_a_name_that_leads_to_something_else_is_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    function = callbacks.takes_nothing
    assert pickling.name_of(function) == f"{callbacks.__name__}:takes_nothing"
    monkeypatch.setattr(callbacks, "takes_nothing", lambda: None)
    assert pickling.name_of(function) is None


class FlowLike:
    """As Prefect's flows are: an object that is called, with the function in it as `fn`."""

    name = "Load Rows"

    def __init__(self, function: Any) -> None:
        self.fn = function

    def __call__(self) -> None: ...


def test_a_flow_of_prefect_is_named_after_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = FlowLike(callbacks.takes_nothing)
    assert flows.name_of(flow) == "load-rows"
    assert pickling.name_of(flow) is None, "the name leads to the function here, not to the flow"
    monkeypatch.setattr(callbacks, "takes_nothing", flow)
    assert pickling.name_of(flow) == f"{callbacks.__name__}:takes_nothing"


def test_functions_of_main_are_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    def function() -> None: ...

    function.__module__, function.__qualname__ = "__main__", "function"
    monkeypatch.setattr(sys.modules["__main__"], "function", function, raising=False)
    assert pickling.name_of(function) is None


def write_out(pickled: pickling.PickledFunctions, directory: Any) -> None:
    for file in pickled.files:
        path = directory / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.content)


def test_a_pickled_function_is_found_as_the_runtime_finds_callbacks(tmp_path: Any) -> None:
    secret = 41
    pickled = pickling.PickledFunctions(str(tmp_path))
    name = pickled.add(lambda: secret + 1, "on_exit")
    write_out(pickled, tmp_path)
    assert load(name)() == 42


def test_another_python_version_is_told_before_anything_is_unpickled(tmp_path: Any) -> None:
    pickled = pickling.PickledFunctions(str(tmp_path))
    name = pickled.add(lambda: None, "other_version")
    write_out(pickled, tmp_path)
    path = tmp_path / "pickled_other_version.py"
    here = str(sys.version_info[:2])
    path.write_text(path.read_text().replace(here, "(3, 9)").replace("pickle.loads", "no_such_function"))
    with pytest.raises(CallbackNotFound) as caught:
        load(name)
    assert "was pickled by Python 3.9 and this is Python 3." in str(caught.value)
    assert "run it in an image with the same version" in str(caught.value)


def test_more_than_a_secret_holds() -> None:
    big = b"\xff" * (1 << 20)
    pickled = pickling.PickledFunctions()
    pickled.add(lambda: big, "on_start")
    with pytest.raises(InputError, match=r"<lambda> of .* is 1\d{6} bytes .* a Secret holds 1048576"):
        _ = pickled.files


def test_what_can_not_be_pickled() -> None:
    lock = threading.Lock()
    with pytest.raises(InputError, match=r"can't be pickled: .*; make what it uses inside"):
        pickling.PickledFunctions().add(lambda: lock, "on_start")


def test_without_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(InputError, match="pip install"):
        pickling.PickledFunctions().add(lambda: None, "on_start")


def test_names_in_memory_are_told_apart_and_forgotten() -> None:
    first, second = memory.keep(callbacks.fails), memory.keep(callbacks.fails)
    assert first != second
    assert load(second) is callbacks.fails
    memory.forget(first)
    memory.forget(second)
    with pytest.raises(CallbackNotFound):
        load(first)


@pytest.mark.parametrize(
    ("name", "expected"), [("Load Rows!", "load-rows"), ("___", "flow"), ("x" * 99, "x" * 40), ("Ünï", "n")]
)
def test_names_of_flows(name: str, expected: str) -> None:
    def flow() -> None: ...

    flow.__name__ = name
    assert flows.name_of(flow) == expected


class OldFlow:
    tasks = ()

    def run(self) -> None: ...


@pytest.mark.parametrize(("flow", "said"), [(3, "3 is no flow"), (OldFlow(), "Prefect 0.x or 1.x")])
def test_what_is_no_flow(flow: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        LocalEnvironment().execute(flow)
