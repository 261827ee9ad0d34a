"""The image, really built and really run: as root, with buildah, without a daemon, a registry or a package index.

The base is $PODHOOKS_IMAGE_BASE, or one that mmdebstrap makes of Debian's archive and that later runs find again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.version import __version__

pytestmark = pytest.mark.timeout(480)
ROOT = Path(__file__).parents[2]
BASE = os.environ.get("PODHOOKS_IMAGE_BASE", "localhost/podhooks-base:bookworm")
CONTEXT = ("podhooks", "initcontainer", "sidecar", "operator", "image", "pyproject.toml", "README.md", "LICENSE")
PYTHONS = ("BASE", "PYTHON_3_10", "PYTHON_3_11", "PYTHON_3_12", "PYTHON_3_14")
IMAGE = f"localhost/podhooks-test:{os.getpid()}"
# What the official image brings beside Python, where it brings it.
PIP = ("bin/pip3", "lib/python{}/site-packages/pip/__init__.py", "lib/python{}/ensurepip/_bundled/pip.whl")


def output(*command: str | Path) -> str:
    ran = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def missing_tools() -> str:
    """What keeps us from building, empty if nothing does."""
    if os.geteuid() != 0:
        return "building an image needs root"
    if not shutil.which("buildah"):
        return "building an image needs buildah"
    if not base_is_there() and not shutil.which("mmdebstrap"):
        return f"building an image needs a base: {BASE}, or mmdebstrap to make it"
    return ""


def base_is_there() -> bool:
    inspected = subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True, check=False)
    return inspected.returncode == 0


class Container:
    """A container of an image, to run commands in and to look at its files."""

    def __init__(self, image: str) -> None:
        self.id = output("buildah", "from", "--pull-never", image).strip()
        self.root = Path(output("buildah", "mount", self.id).strip())

    def run(self, *command: str) -> str:
        """What a command prints, by way of a file: on a busy machine buildah loses what short ones write to pipes."""
        said = self.root / "tmp/said"
        script = ("sh", "-c", 'exec "$0" "$@" > /tmp/said')
        output("buildah", "run", "--isolation", "chroot", self.id, "--", *script, *command)
        text = said.read_text()
        said.unlink()
        return text

    def remove(self) -> None:
        output("buildah", "rm", self.id)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if reason := missing_tools():
        pytest.skip(reason)
    if not base_is_there():
        output(ROOT / "image/debian.sh", BASE)
    base = Container(BASE)
    version = base.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    for each in PIP:
        path = base.root / "usr/local" / each.format(version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("pip\n")
    output("buildah", "commit", "--rm", base.id, f"{IMAGE}-base")
    build(context(tmp_path_factory.mktemp("context"), version), f"{IMAGE}-base")
    made = Container(IMAGE)
    yield made
    made.remove()
    output("buildah", "rmi", IMAGE, f"{IMAGE}-base")


def context(directory: Path, version: str) -> Path:
    """A copy, so that the wheels of this test get into nobody's way."""
    for name in (*CONTEXT, "Dockerfile", ".dockerignore"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)
    output(directory / "image/wheels.sh", sys.executable, version, directory / "build/wheels")
    return directory


def build(directory: Path, base: str) -> None:
    arguments: Sequence[str] = [f"--build-arg={name}={base}" for name in PYTHONS] + ["--build-arg=REVISION=abc1234"]
    output("buildah", "build", "--isolation", "chroot", "--pull-never", *arguments, "-t", IMAGE, directory)


def test_the_image_runs_the_command_line_and_both_programs(container: Container) -> None:
    assert container.run("python3", "-m", "podhooks.cli", "--version") == f"podhooks {__version__}\n"
    for script, name in (("on_start.py", "podhooks-on-start"), ("on_exit.py", "podhooks-on-exit")):
        said = container.run("python3", "-S", f"{contract.IMAGE_RUNTIME_DIR}/{script}", "--version")
        assert said == f"{name} {__version__}\n"


def test_the_image_has_what_the_operator_imports(container: Container) -> None:
    container.run("python3", "-c", "import podhooks_operator.server, cryptography.x509, httptools, uvloop")


def test_the_image_runs_as_a_numeric_user_without_rights(container: Container) -> None:
    config = json.loads(output("buildah", "inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python3", "-m", "podhooks.cli"]
    labels = {key.rpartition(".")[2]: text for key, text in config["Labels"].items() if "opencontainers" in key}
    assert (labels["version"], labels["revision"], labels["licenses"]) == (__version__, "abc1234", "Apache-2.0")
    assert labels["title"] == "podhooks"
    assert container.run("python3", "-c", "import os; print(os.getuid(), os.getgid())") == "65532 65532\n"


def test_the_copying_init_container_copies_from_it(container: Container) -> None:
    """Byte code comes with it: it was made once, when the image was built, and isn't made again."""
    target = "/tmp/runtime/opt/podhooks"
    container.run("python3", "-I", f"{contract.IMAGE_RUNTIME_DIR}/podhooks/runtime/install.py", target)
    assert container.run("python3", "-S", f"{target}/on_exit.py", "--version").startswith("podhooks-on-exit")
    ours = container.root / "opt/podhooks"
    for path in (each for each in ours.rglob("*.pyc") if each.parent.parent != ours):  # not of the two scripts
        copied = container.root / target.lstrip("/") / path.relative_to(ours)
        assert copied.read_bytes() == path.read_bytes()
        assert path.read_bytes()[4:8] == b"\1\0\0\0"


CHECKS = """
import json, multiprocessing, sqlite3, ssl, subprocess, sys
certificates = sys.prefix + "/etc/ssl/cert.pem"
child = [sys.executable, "-I", "-c", "import sys, ssl; print(sys.prefix)"]
foreign = [line.split()[-1] for line in open("/proc/self/maps") if ".so" in line and "/podhooks/runtime/" not in line]
seen = {
    "executable": sys.executable,
    "child": subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip(),
    "pools": [multiprocessing.get_context(m).Pool(2).map(len, ["a", "bb"]) for m in ("fork", "spawn", "forkserver")],
    "certificates": ssl.create_default_context(cafile=certificates).cert_store_stats(),
    "foreign": foreign,
    "path": sys.path,
}
json.dump(seen, open("/said", "w"))
"""


def in_an_empty_image(volume: Path) -> Any:
    """What the interpreter of a runtime volume says of itself where there is nothing but that volume."""
    empty = Container("scratch")
    settings = ("LD_LIBRARY_PATH=/lib", "PYTHONHOME=/usr", "PYTHONPATH=/nowhere")
    options = [argument for each in settings for argument in ("--env", each)]
    command = (contract.INTERPRETER, "-I", "-S", "-c", CHECKS)
    mount = ("--isolation", "chroot", "--volume", f"{volume}:{contract.RUNTIME_MOUNT}:ro", *options)
    try:
        output("buildah", "run", *mount, empty.id, "--", *command)
        return json.loads((empty.root / "said").read_text())
    finally:
        empty.remove()


def assert_runs_anywhere(volume: Path) -> None:
    seen = in_an_empty_image(volume)
    assert seen["executable"] == contract.INTERPRETER
    assert seen["child"] == contract.INTERPRETER_DIR
    assert seen["pools"] == [[1, 2]] * 3
    assert seen["certificates"]["x509_ca"] > 50
    assert seen["foreign"] == []
    assert [each for each in seen["path"] if not each.startswith(contract.INTERPRETER_DIR)] == []


def test_its_interpreter_runs_in_an_image_that_has_nothing(container: Container) -> None:
    assert_runs_anywhere(container.root)


def test_its_interpreter_does_so_as_a_copy(container: Container) -> None:
    volume = "/tmp/volume"
    targets = [f"{volume}{each}" for each in (contract.IMAGE_RUNTIME_DIR, contract.IMAGE_INTERPRETER_DIR)]
    container.run("python3", "-I", f"{contract.IMAGE_RUNTIME_DIR}/podhooks/runtime/install.py", *targets)
    assert_runs_anywhere(container.root / volume.lstrip("/"))


def test_its_interpreter_has_byte_code_and_no_absolute_links(container: Container) -> None:
    layout = container.root / contract.IMAGE_INTERPRETER_DIR.lstrip("/")
    links = [path for path in layout.rglob("*") if path.is_symlink()]
    assert links
    assert [path for path in links if path.readlink().is_absolute() or not path.exists()] == []
    (library,) = (path.resolve() for path in (layout / "lib").glob("python3.*"))
    for name in ("argparse", "asyncio/events", "ssl"):
        compiled = next((library / name).parent.glob(f"__pycache__/{Path(name).name}.*.pyc"))
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"


def test_the_image_holds_no_tools_and_no_leftovers(container: Container) -> None:
    names = {path.name for path in (container.root / "opt/operator").iterdir()}
    assert not names & {"pip", "setuptools", "wheel", "bin", "hatchling"}
    assert not (container.root / "src").exists()
    assert not list((container.root / "root").rglob("*cache*"))
    assert not [path for path in (container.root / "usr/local").rglob("*pip*") if path.is_file()]
    runtime = container.root / "opt/podhooks"
    assert not [path for path in runtime.rglob("*") if path.suffix in (".so", ".c")]
    sources = {path for path in runtime.rglob("*.py") if path.parent != runtime}
    compiled = {path.parents[1] / f"{path.name.split('.')[0]}.py" for path in runtime.rglob("*.pyc")}
    assert sources <= compiled


def test_the_image_needs_no_file_that_can_be_written(container: Container) -> None:
    """Nothing of it belongs to its user, so a read-only root changes nothing."""
    owned = [path for path in (container.root / "opt").rglob("*") if path.lstat().st_uid == 65532]
    assert owned == []


def test_the_image_is_as_small_as_the_readme_says(container: Container) -> None:
    said = re.search(r"(\d+) MB operator and command line, (\d+) MB\s+the runtime", (ROOT / "README.md").read_text())
    assert said
    assert megabytes(container.root / "opt/operator") == pytest.approx(int(said[1]), rel=0.15)
    assert round(megabytes(container.root / "opt/podhooks")) == int(said[2])


def megabytes(directory: Path) -> float:
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir()) / 1e6
