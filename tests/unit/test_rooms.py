"""What goes into pods, and what a command loads: as little as it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from podhooks.runtime import install

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # tomli comes with import-linter

ROOT = Path(__file__).parents[2]
STANDARD_LIBRARY_ONLY = "the runtime imports the standard library only"


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("delivered") / "runtime"
    install.install(target)
    return target


def contract(name: str) -> dict[str, Any]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return next(each for each in found if each["name"] == name)


def modules(directory: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every module below a directory, by its dotted name."""
    for path in sorted(directory.rglob("*.py")):
        name = ".".join(path.relative_to(directory).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


def test_what_goes_into_pods_is_what_the_contract_speaks_of_and_nothing_else(delivered: Path) -> None:
    checked = set(contract(STANDARD_LIBRARY_ONLY)["source_modules"])
    rooms = {f"podhooks.{each}" for each in install.ROOMS}
    at_the_root = {f"podhooks.{each.stem}" for each in (ROOT / "podhooks").glob("*.py") if each.stem != "__init__"}
    assert checked == rooms | at_the_root | {"podhooks_initcontainer", "podhooks_sidecar"}
    found = {name for name, _ in modules(delivered)}
    whole = {*checked, *install.PACKAGES, *(each.removesuffix(".py") for each in install.SCRIPTS)}
    inside = tuple(f"{each}." for each in (*rooms, *install.SCRIPTS.values()))
    assert {each for each in found if each not in whole and not each.startswith(inside)} == set()


def imported_at_once(module: ast.Module) -> Iterator[str]:
    """What is imported when the module is: not in functions, and not for type checkers."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def test_what_goes_into_pods_loads_the_standard_library_and_itself_only(delivered: Path) -> None:
    known = sys.stdlib_module_names | {*install.PACKAGES}
    foreign = {
        f"{name}: {each}"
        for name, module in modules(delivered)
        for each in imported_at_once(module)
        if each.partition(".")[0] not in known
    }
    assert foreign == set()
    everything = [name for name, _ in modules(delivered) if name.startswith("podhooks") and ".__main__" not in name]
    code = f"import importlib\nfor each in {everything}: importlib.import_module(each)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(delivered)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stderr


def loaded(code: str) -> list[str]:
    """Our modules that a program has loaded in the end."""
    show = "import sys; print(*(each for each in sys.modules if each.startswith('podhooks')))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, timeout=50, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1].split()


def rooms_of(names: list[str]) -> set[str]:
    return {each.split(".")[1] for each in names if each.startswith("podhooks.")}


STATUS = "import podhooks.cli.status"
RUN_ON_A_CLUSTER = "import podhooks.cli.run, podhooks.cluster.real"
OPERATOR = "import podhooks_operator.server, podhooks_operator.settings"


@pytest.mark.parametrize("code", [STATUS, RUN_ON_A_CLUSTER], ids=["status", "run --context"])
def test_commands_for_a_cluster_dont_load_the_stand_in(code: str) -> None:
    assert "cluster" in rooms_of(loaded(code))
    assert "local" not in rooms_of(loaded(code))


def test_the_operator_doesnt_load_the_command_line() -> None:
    assert rooms_of(loaded(OPERATOR)).isdisjoint({"cli", "local", "run", "environments", "callbacks"})


@pytest.mark.parametrize("program", ["podhooks_initcontainer", "podhooks_sidecar"])
def test_a_pods_programs_load_nothing_for_other_programs(program: str) -> None:
    names = loaded(f"import {program}.__main__")
    assert rooms_of(names) <= {
        "annotations",
        "pod",
        "runtime",
        "context",
        "contract",
        "errors",
        "log",
        "value",
        "version",
    }


FORMER = {
    "podhooks.plan": ("parse", "to_annotations", "Severity"),
    "podhooks.podstatus": ("exit_info",),
    "podhooks.kube": ("Access", "Client"),
}


@pytest.mark.parametrize("module", FORMER)
def test_former_names_still_work_where_users_wrote_them(module: str, delivered: Path) -> None:
    for where in (ROOT, delivered):
        code = f"from {module} import {', '.join(FORMER[module])}; import {module}; print({module}.__file__)"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=where)
        assert (ran.returncode, str(where) in ran.stdout) == (0, True), ran.stderr


def test_former_names_are_the_present_things() -> None:
    from podhooks.annotations.parser import parse
    from podhooks.pod.status import exit_info
    from podhooks.runtime.access import Access

    former = {name: __import__(name, fromlist=["x"]) for name in FORMER}
    assert former["podhooks.plan"].parse is parse
    assert former["podhooks.podstatus"].exit_info is exit_info
    assert former["podhooks.kube"].Access is Access
