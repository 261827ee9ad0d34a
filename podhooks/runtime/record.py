"""What became of the callbacks of one hook: kept in the shared directory and in the termination message.

Both are written when a callback begins and when it ends, so that a container that is killed leaves the truth behind,
and a restarted one doesn't run a finished callback again. The file holds everything; the termination message holds
what fits into contract.TERMINATION_MESSAGE_BYTES and outlives the pod's file systems.
"""

from __future__ import annotations

import os

from podhooks import contract, log
from podhooks.context import CallbackOutcome, ExitInfo, Hook, Status
from podhooks.value import Value

try:
    from _json import encode_basestring_ascii as quote  # what `json` itself uses
except ImportError:  # an interpreter without it
    from json.encoder import encode_basestring_ascii as quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from podhooks.context import Json

FORMAT = 1  # the value of "podhooks" in the JSON; readers leave other formats alone
MAX_FILE_BYTES = 4 * 1024 * 1024  # no plan that fits into annotations has a longer record
INFINITY = float("inf")
MESSAGE_LIMITS = (1000, 400, 200, 80, 30)  # characters of a message, tried in turn until the record fits
STATUS_LETTERS = {
    Status.SUCCEEDED: "s",
    Status.SKIPPED: "k",
    Status.FAILED: "f",
    Status.TIMED_OUT: "t",
    Status.INTERRUPTED: "i",
    Status.RUNNING: "r",
}  # in the order in which outcomes are left out of a message that is too long


class RecordData(Value):
    """A record as it was read.

    `left_out` are marks of outcomes that a bounded message had no room for, `more` counts those that had no room even
    for a mark.
    """

    hook: Hook
    pod_uid: str
    outcomes: tuple[CallbackOutcome, ...] = ()
    exit_info: ExitInfo | None = None
    complete: bool = False
    left_out: tuple[str, ...] = ()
    more: int = 0

    def to_json(self) -> dict[str, Json]:
        data: dict[str, Json] = {"podhooks": FORMAT, "hook": self.hook.value, "pod": self.pod_uid}
        if self.exit_info is not None:
            data["exit"] = {name: value for name, value in self.exit_info.to_json().items() if value not in (None, "")}
        data["callbacks"] = [outcome.to_json() for outcome in self.outcomes]
        data["complete"] = self.complete
        if self.left_out:
            data["left_out"] = " ".join(self.left_out)
        if self.more:
            data["more"] = self.more
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> RecordData:
        if data["podhooks"] != FORMAT:
            raise ValueError(f"format {data['podhooks']}")
        exit_info = ExitInfo.from_json(data["exit"]) if data.get("exit") else None
        outcomes = tuple(CallbackOutcome.from_json(outcome) for outcome in data["callbacks"])
        more = data.get("more") or 0
        if exit_info is not None:
            check_numbers(exit_info.exit_code or 0, exit_info.signal or 0, exit_info.restarts)
        check_numbers(more, *(outcome.attempts for outcome in outcomes))
        return cls(
            hook=Hook(data["hook"]),
            pod_uid=str(data["pod"]),
            outcomes=outcomes,
            exit_info=exit_info,
            complete=data.get("complete") is True,
            left_out=tuple(str(data.get("left_out") or "").split()),
            more=more,
        )

    def encode(self) -> bytes:
        return dump(self.to_json()).encode("ascii")


def dump(value: Json) -> str:
    """`value` as compact JSON. Every pod pays for our start, and importing `json` is a tenth of it."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quote(name)}:{dump(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dump, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, (int, float)) or not -INFINITY < value < INFINITY:
        raise ValueError(f"{value!r} can't be written as JSON")
    return repr(value)


def check_numbers(*numbers: object) -> None:
    """Whoever can write to the shared directory can write anything: only what fits into a message is taken."""
    for number in numbers:
        if not isinstance(number, int) or abs(number) >= 2**63:
            raise ValueError("not a whole number of a sane size")


def parse_message(text: str | bytes) -> RecordData | None:
    """The record in a termination message or a record's file; None when it holds none of ours."""
    return next(iter(parse_messages(text)), None)


def parse_messages(text: str | bytes) -> tuple[RecordData, ...]:
    """All records in a termination message: on-start's holds two where it ran on_exit itself.

    What follows them is passed over: a process killed between writing and truncating leaves an older tail.
    """
    import json

    found = []
    rest = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        while rest := rest.strip():
            data, end = json.JSONDecoder().raw_decode(rest)
            record = RecordData.from_json(data)
            record.encode()  # refuses NaN and infinity, which json.loads takes and JSON doesn't know
            found.append(record)
            rest = rest[end:]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        pass  # not ours, or not whole
    return tuple(found)


def bounded(data: RecordData, limit: int) -> bytes:
    """`data` as JSON of at most `limit` bytes: shorter messages first, then the oldest successes become marks."""
    for length in (None, *MESSAGE_LIMITS):
        shorter = data if length is None else shorten(data, length)
        if len(encoded := shorter.encode()) <= limit:
            return encoded
    order = sorted(data.outcomes, key=lambda outcome: list(STATUS_LETTERS).index(outcome.status))
    count = fewest(lambda n: len(leave_out(shorter, order[:n]).encode()) <= limit, len(order))
    marked = leave_out(shorter, order[:count])
    count = fewest(lambda n: len(drop_marks(marked, n).encode()) <= limit, len(marked.left_out))
    return drop_marks(marked, count).encode()


def fewest(fits: Callable[[int], bool], most: int) -> int:
    """The smallest number up to `most` that `fits` (which stays true once it is), else `most`."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low


def shorten(data: RecordData, length: int) -> RecordData:
    exit_info = data.exit_info
    return data.replace(
        outcomes=tuple(outcome.replace(message=cut(outcome.message, length)) for outcome in data.outcomes),
        exit_info=exit_info
        and exit_info.replace(
            message=cut(exit_info.message, length),
            reason=cut(exit_info.reason, length),
            container=cut(exit_info.container, 63),
        ),
    )


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def leave_out(data: RecordData, outcomes: Sequence[CallbackOutcome]) -> RecordData:
    gone = {outcome.name for outcome in outcomes}
    return data.replace(
        outcomes=tuple(outcome for outcome in data.outcomes if outcome.name not in gone),
        left_out=data.left_out + tuple(mark(outcome.status, outcome.name) for outcome in outcomes),
    )


def drop_marks(data: RecordData, count: int) -> RecordData:
    return data.replace(left_out=data.left_out[count:], more=data.more + count)


def mark(status: Status, name: str) -> str:
    """Nine characters that tell a callback whose name is known what became of it."""
    from binascii import crc32

    return f"{STATUS_LETTERS[status]}{crc32(name.encode('utf-8', 'surrogatepass')):08x}"


class Record:
    """The record of one hook of this pod. Writing never raises: a place that can't be written costs one log line."""

    def __init__(self, data: RecordData, path: str, termination_log: str, beside: Record | None) -> None:
        self._data = data
        self._outcomes = {outcome.name: outcome for outcome in data.outcomes}
        self._path = path
        self._termination_log = termination_log
        self._beside = beside
        self._complaints: set[str] = set()

    @classmethod
    def open(
        cls, hook: Hook, shared_dir: str, termination_log: str, *, pod_uid: str, beside: Record | None = None
    ) -> Record:
        """The record of an earlier life of this container, or an empty one. An empty path means: not there.

        `beside` is another hook's finished record that stays in the same termination message.
        """
        path = os.path.join(shared_dir, contract.RECORD_DIR, f"{hook.value}.json") if shared_dir else ""
        data = read_earlier(path, hook, pod_uid) if path else None
        return cls(data or RecordData(hook, pod_uid), path, termination_log, beside)

    @property
    def data(self) -> RecordData:
        return self._data.replace(outcomes=tuple(self._outcomes.values()))

    @property
    def exit_info(self) -> ExitInfo | None:
        """How main ended, as it was decided when on_exit began."""
        return self._data.exit_info

    @property
    def is_complete(self) -> bool:
        return self._data.complete

    def outcome(self, key: str) -> CallbackOutcome | None:
        if key in self._outcomes:
            return self._outcomes[key]
        for status in STATUS_LETTERS if self._data.left_out else ():
            if mark(status, key) in self._data.left_out:
                return CallbackOutcome(key, status, 1, message="details were left out of the termination message")
        return None

    def decide(self, exit_info: ExitInfo) -> None:
        self._data = self._data.replace(exit_info=exit_info)
        self._write()

    def begin(self, key: str, attempt: int) -> None:
        """Written before the callback starts: whoever reads RUNNING later knows that this attempt was cut off."""
        self.finish(CallbackOutcome(key, Status.RUNNING, attempt))

    def finish(self, outcome: CallbackOutcome) -> None:
        self._outcomes[outcome.name] = outcome
        self._write()

    def complete(self) -> None:
        """Nothing of this hook is left to run."""
        self._data = self._data.replace(complete=True)
        self._write()

    def try_again(self) -> None:
        """For a container that the kubelet starts anew because it failed: what did not succeed has not been yet."""
        kept = (Status.SUCCEEDED, Status.SKIPPED)
        if self.is_complete and any(each.status not in kept for each in self._outcomes.values()):
            self._outcomes = {key: each for key, each in self._outcomes.items() if each.status is Status.SUCCEEDED}
            self._data = self._data.replace(complete=False)
            self._write()

    def merge(self, message: str) -> None:
        """Take in the termination message of an earlier life (the pod's `lastState`), where the file was lost."""
        earlier = parse_message(message)
        if earlier is None or (earlier.hook, earlier.pod_uid) != (self._data.hook, self._data.pod_uid):
            return
        for outcome in earlier.outcomes:
            if more_is_known(outcome, self._outcomes.get(outcome.name)):
                self._outcomes[outcome.name] = outcome
        self._data = self._data.replace(
            exit_info=self._data.exit_info or earlier.exit_info,
            complete=self._data.complete or earlier.complete,
            left_out=tuple(dict.fromkeys(self._data.left_out + earlier.left_out)),
            more=max(self._data.more, earlier.more),
        )
        self._write()

    def resume(self, earlier: RecordData) -> None:
        """Go on from another process's record. What an earlier life of this one did since then counts before it."""
        outcomes = {each.name: each for each in earlier.outcomes}
        for name, outcome in self._outcomes.items():
            if more_is_known(outcome, outcomes.get(name)):
                outcomes[name] = outcome
        self._outcomes = outcomes
        self._data = self._data.replace(left_out=earlier.left_out, more=earlier.more)

    def to_message(self) -> bytes:
        """As JSON of at most contract.TERMINATION_MESSAGE_BYTES; the record that stays beside it comes first."""
        limit = contract.TERMINATION_MESSAGE_BYTES
        if self._beside is None:
            return bounded(self.data, limit)
        other = bounded(self._beside.data, limit // 4) + b"\n"
        return other + bounded(self.data, limit - len(other))

    def _write(self) -> None:
        content = self.data.encode()
        self._attempt(replace_file, self._path, content)
        whole = self._beside is None and len(content) <= contract.TERMINATION_MESSAGE_BYTES
        self._attempt(write_in_place, self._termination_log, content if whole else self.to_message())

    def _attempt(self, write: Callable[[str, bytes], None], path: str, content: bytes) -> None:
        try:
            if path:
                write(path, content)
        except OSError as error:
            if path not in self._complaints:
                self._complaints.add(path)
                log.warning("the record can't be written here", path=path, cause=error.strerror)


def more_is_known(theirs: CallbackOutcome, ours: CallbackOutcome | None) -> bool:
    """A final outcome says more than none or an unfinished one, a later attempt more than an earlier one."""
    if ours is None:
        return True
    return (theirs.status.final, theirs.attempts) > (ours.status.final, ours.attempts)


def read_earlier(path: str, hook: Hook, pod_uid: str) -> RecordData | None:
    """The record in `path` if it is this pod's and whole; else None, and one log line unless there simply is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe in its place must not hold us up
        try:
            content = os.read(file, MAX_FILE_BYTES)
        finally:
            os.close(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("the earlier record can't be read, starting anew", path=path, cause=error.strerror)
        return None
    data = parse_message(content)
    if data is None:
        log.warning("the earlier record is damaged, starting anew", path=path)
        return None
    if (data.hook, data.pod_uid) != (hook, pod_uid):
        log.warning("the earlier record is another pod's, starting anew", path=path, pod=data.pod_uid)
        return None
    return data


def replace_file(path: str, content: bytes) -> None:
    """Atomic: readers see the old record or the new one. A callback may have removed or closed our directory."""
    try:
        _replace_file(path, content)
    except OSError:
        directory = os.path.dirname(path)
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)  # noqa: S103  containers of a pod may run as different users
        _replace_file(path, content)


def _replace_file(path: str, content: bytes) -> None:
    draft = f"{path}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(draft, flags, 0o644)
    try:
        os.fchmod(file, 0o644)  # whatever the umask: the sidecar or the user may not be who wrote it
        write_all(file, content)
    except OSError:
        os.unlink(draft)
        raise
    finally:
        os.close(file)
    os.replace(draft, path)


def write_in_place(path: str, content: bytes) -> None:
    """The kubelet mounts the termination log as a single file: it can't be replaced, only written over."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    try:
        write_all(file, content)
        os.ftruncate(file, len(content))
    finally:
        os.close(file)


def leave_message(path: str, text: str) -> None:
    """`text` as the termination message: why there is no record."""
    try:
        write_in_place(path, f"podhooks: {text}".encode("utf-8", "replace")[: contract.TERMINATION_MESSAGE_BYTES])
    except OSError as error:
        log.warning("the termination message can't be written", path=path, cause=error.strerror)


def write_all(file: int, content: bytes) -> None:
    """One write for anything of our size; more only where the file system takes less at once."""
    while content:
        content = content[os.write(file, content) :]
