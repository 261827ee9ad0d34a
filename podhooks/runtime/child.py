"""What happens in a callback's process: find the function, call it, say in one line what went wrong."""

from __future__ import annotations

import os
import signal
import sys

from podhooks import contract
from podhooks.errors import CallbackNotFound, PodhooksError
from podhooks.runtime import children, forked, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from podhooks.annotations.plan import Callback
    from podhooks.context import RunContext

MESSAGE_BYTES = 2000  # of the line that goes into the record
COMMAND_FAILED = 127  # what a shell says for a command that isn't there


def work(callback: Callback, context: RunContext, cgroup_dir: str) -> children.Work:
    """The work of one attempt, to be done in a child."""
    run = run_command if callback.exec else run_function
    return children.Work(
        callback.key,
        lambda report: run(callback, context, report),
        cgroup_dir,
    )


def run_function(callback: Callback, context: RunContext, report: int) -> int:
    write = writer(report)
    say = reporter(write)
    inherit_environment(context)
    forked.run_site()
    try:
        sys.path[:] = forked.import_path(sys.path, resolve.first_directory(callback.call))
        function = resolve.load(callback.call)
        arguments, named = resolve.bind(function, callback.arguments, context)
    except CallbackNotFound as error:
        say(str(error))
        print_cause(error)
        return contract.EXIT_CALLBACK_FAILED
    code = call(lambda: function(*arguments, **named), say)
    leave()
    if code == contract.EXIT_OK:
        say_finished(write)
    return code


def inherit_environment(context: RunContext) -> None:
    """Where our container was made before main's environment was known."""
    if os.environ.get(contract.ENV_INHERIT):
        from podhooks.pod.environment import inherit

        inherit(context)


def call(function: Callable[[], object], say: Callable[[str], None]) -> int:
    """The exit code that an interpreter would have after `function`; its result is not looked at."""
    try:
        wait_for(function())
    except SystemExit as error:
        return exit_code(error, say)
    except PodhooksError as error:  # its one line says all there is to say, and no more than may be said
        return exit_code(SystemExit(" ".join(str(error).split())), say)
    except BaseException as error:  # noqa: BLE001  the user's code may raise anything
        say(explain(error))  # first: the callback may have closed the stream that the traceback goes to
        print_error(error)
        return contract.EXIT_CALLBACK_FAILED
    return contract.EXIT_OK


def wait_for(result: object) -> None:
    """An async function's call returns something that still has to run."""
    if hasattr(result, "__await__"):
        import asyncio

        async def wait() -> None:
            await result

        asyncio.run(wait())


def exit_code(error: SystemExit, say: Callable[[str], None]) -> int:
    """As the interpreter does it: None is success, a number is the code, anything else is a text and failure."""
    if error.code is None:
        return contract.EXIT_OK
    if isinstance(error.code, int):
        return error.code & 0xFF
    say(str(error.code))
    sys.stderr.write(f"{error.code}\n")
    return contract.EXIT_CALLBACK_FAILED


def explain(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "MemoryError: the container's memory limit leaves no more; raise its limit with `podhooks.io/resources`"
    return resolve.one_line(error)


def print_cause(error: CallbackNotFound) -> None:
    """The traceback of an import that failed is for the log; a name that leads nowhere is said in one line."""
    cause = error.__cause__
    if cause is not None and not isinstance(cause, ModuleNotFoundError):
        print_error(cause)


def print_error(error: BaseException) -> None:
    """The traceback without our own frames."""
    import traceback

    traceback.print_exception(type(error), error, users_part(error.__traceback__))


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """`trace` from the first frame that isn't ours; the whole of it when all are."""
    part = trace
    while part is not None and not resolve.is_users(part.tb_frame.f_code.co_filename):
        part = part.tb_next
    return part or trace


def leave() -> None:
    """What an interpreter does at its end: wait for threads, run atexit's functions, flush."""
    import atexit

    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    flush(sys.stdout)
    flush(sys.stderr)


def say_finished(write: Callable[[bytes], None]) -> None:
    """From here on a signal changes nothing: without a handler of its own, the callback would have died of one before.

    With a handler it may have returned because of a SIGTERM: then it was ended, and hasn't finished.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        write(children.FINISHED)


def flush(stream: object) -> None:
    try:  # noqa: SIM105  contextlib would be imported for this alone
        stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):
        pass  # the callback closed it


def writer(report: int) -> Callable[[bytes], None]:
    """A function that writes to `report`, unless the callback has closed it or put something else in its place."""
    pipe = os.fstat(report)

    def write(content: bytes) -> None:
        try:
            now = os.fstat(report)
            if (now.st_dev, now.st_ino) == (pipe.st_dev, pipe.st_ino):
                os.write(report, content)
        except OSError:
            pass  # the exit code says enough

    return write


def reporter(write: Callable[[bytes], None]) -> Callable[[str], None]:
    """A function that reports one line."""

    def say(text: str) -> None:
        line = " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace")
        write(line[:MESSAGE_BYTES])

    return say


def run_command(callback: Callback, context: RunContext, report: int) -> int:
    """Become the command; returns only when that fails."""
    say = reporter(writer(report))
    inherit_environment(context)
    command = callback.exec
    connect_stdin(context)
    forked.restore_signals_for_exec()
    try:
        os.execvpe(command[0], command, {**os.environ, **variables(context)})  # noqa: S606
    except OSError as error:
        say(exec_failure(command[0], error))
    except ValueError as error:
        say(f"command {command[0]!r} can't be run: {error}")
    return COMMAND_FAILED


def connect_stdin(context: RunContext) -> None:
    """The context as JSON on stdin, from a file that has no name: a pipe could fill up with nobody to empty it."""
    import json

    text = json.dumps(context.to_json()).encode() + b"\n"
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("context")
    else:
        import tempfile

        file = os.dup(tempfile.TemporaryFile().fileno())  # noqa: SIM115
    os.write(file, text)
    os.lseek(file, 0, os.SEEK_SET)
    os.dup2(file, 0)


def exec_failure(command: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        if "/" not in command:
            return f"command {command!r} not found in PATH ({os.environ.get('PATH', '')})"
        if os.path.exists(command):
            return f"command {command!r} can't be run: the interpreter in its first line doesn't exist here"
        return f"command {command!r}: no such file in this container"
    if isinstance(error, PermissionError):
        return f"command {command!r} is not executable: chmod +x it, or name its interpreter first"
    return f"command {command!r} can't be run: {error.strerror}"


def variables(context: RunContext) -> Mapping[str, str]:
    """The PODHOOKS_* variables that an `exec` callback finds; what isn't known is not set."""
    end = context.exit
    values: dict[str, object] = {
        contract.ENV_HOOK: context.hook.value,
        contract.ENV_CALLBACK: context.callback,
        contract.ENV_IDEMPOTENCY_KEY: context.idempotency_key,
        contract.ENV_ATTEMPT: context.attempt,
        contract.ENV_DEADLINE: context.to_json()["deadline"],
        contract.ENV_SHARED_DIR: context.shared,
        contract.ENV_FLOW_RUN_ID: context.flow_run_id,
        contract.ENV_MAIN_CONTAINER: context.main_container,
        contract.ENV_POD_NAME: context.pod.name,
        contract.ENV_POD_NAMESPACE: context.pod.namespace,
        contract.ENV_POD_UID: context.pod.uid,
        contract.ENV_NODE_NAME: context.pod.node,
    }
    if end is not None:
        values |= {
            contract.ENV_RESULT: end.result.value,
            contract.ENV_EXIT_CODE: end.exit_code,
            contract.ENV_SIGNAL: end.signal,
            contract.ENV_REASON: end.reason,
            contract.ENV_MESSAGE: end.message,
        }
    return {name: str(value).replace("\0", "") for name, value in values.items() if value not in (None, "")}
