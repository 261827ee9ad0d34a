"""Makes a forked child look like a process that was just started, before any of the user's code is in it.

A fork is cheap because nothing is started again; what the parent is and has must not be seen in it: arguments,
`__main__`, signal handlers, descriptors, import path.
"""

from __future__ import annotations

import os
import signal
import sys

from podhooks.runtime import bundled, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

RUNTIME_DIR = os.path.abspath(__file__).rsplit(os.sep, 3)[0]  # the import path's entry that holds our packages
INSTALLED = ("site-packages", "dist-packages")  # podhooks was installed by pip: the directory is the user's, too
MARGIN_BYTES = 8 * 1024 * 1024  # for the container's process 1 and for what isn't counted as data
LEAST_BYTES = 16 * 1024 * 1024  # below this a limit would only turn a callback that might work into one that can't


def become(name: str, output: int, report: int, cgroup_dir: str) -> None:
    """All that doesn't depend on what will run. `output` becomes stdout and stderr; `report` is kept open."""
    os.setsid()
    restore_signals()
    connect(output)
    close_others(report)
    processes.take_name()
    limit_memory(cgroup_dir)
    replace_main(name)


def restore_signals() -> None:
    """Every handler as an interpreter begins with it; nothing blocked; no wake-up descriptor."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if callable(signal.getsignal(number)) and number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def restore_signals_for_exec() -> None:
    """Python ignores these two; a program expects the system's default."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def connect(output: int) -> None:
    """stdin from nowhere, stdout and stderr to `output`, line by line: a callback may be killed at any moment."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nowhere, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = reopen(1, sys.__stdout__, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = reopen(2, sys.__stderr__, "backslashreplace")  # type: ignore[misc]


def reopen(descriptor: int, stream: object, errors: str):  # type: ignore[no-untyped-def]
    """A text stream on `descriptor` with the encoding that the interpreter chose for `stream`."""
    encoding = getattr(stream, "encoding", None)
    return open(
        descriptor, "w", buffering=1, encoding=encoding, errors=getattr(stream, "errors", errors), closefd=False
    )


def close_others(keep: int) -> None:
    """The parent's connections and pipes must not live on in what a callback starts."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != keep:
            try:  # noqa: SIM105  contextlib would be imported for this alone
                os.close(int(name))
            except OSError:
                pass  # the listing's own


def replace_main(name: str) -> None:
    sys.argv = [name]
    sys.modules["__main__"] = type(sys)("__main__")


def import_path(path: Sequence[str], first: str) -> list[str]:
    """`path` with the user's directory first and ours last, so that no name of ours hides one of the user's.

    `first` empty means the current directory, as with `python -m`.
    """
    first = first or current_directory()
    rest = [entry for entry in path if entry != first]
    if os.path.basename(RUNTIME_DIR) not in INSTALLED:
        rest = [*(entry for entry in rest if entry != RUNTIME_DIR), RUNTIME_DIR]
    return [first, *rest]


def run_site() -> None:
    """Our programs may run without `site`: its packages, .pth files and sitecustomize are for the user's code.

    So is PYTHONPATH, which they have put behind the standard library (install.py), or ignored (-I, with our own
    interpreter).
    """
    bundled.settle()
    if sys.flags.no_site:
        entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if sys.flags.ignore_environment:
            sys.path += [entry for entry in entries if entry]
        given = [absolute(entry) for entry in entries]
        sys.path.sort(key=lambda entry: absolute(entry) not in given)
        import site

        site.main()


def absolute(entry: str) -> str:
    """Of the import path. Not os.path.abspath, which fails where the current directory is gone."""
    return os.path.normpath(os.path.join(current_directory(), entry))


def current_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def limit_memory(cgroup_dir: str) -> None:
    """A callback that eats the container's memory gets MemoryError, or is killed first: before us, before the whole.

    On cgroup v2 the kubelet lets the kernel kill all processes of a container together (memory.oom.group), so the
    limit has to hit before that.
    """
    try:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
            file.write(b"1000")
    except OSError:
        pass  # some sandboxes have no such file
    limit = data_limit(read_cgroup_limit(cgroup_dir), resident_bytes())
    if limit is not None:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or limit <= hard:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def data_limit(cgroup_bytes: int | None, own_bytes: int) -> int | None:
    """How much private memory a callback may take in a container of `cgroup_bytes` where we take `own_bytes`."""
    if cgroup_bytes is None:
        return None
    limit = cgroup_bytes - own_bytes - MARGIN_BYTES
    return limit if limit >= LEAST_BYTES else None


def read_cgroup_limit(cgroup_dir: str) -> int | None:
    """The container's memory limit in bytes, by cgroup v2 or v1; None where there is none or it can't be seen."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            with open(f"{cgroup_dir}/{name}", "rb") as file:
                text = file.read().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() and int(text) < 2**60 else None
    return None


def resident_bytes() -> int:
    """Our own memory: what a fork of us begins with, and what our process 1 keeps."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
