"""The loop that waits for main's end: one watch on our own pod, and decide() after everything that happens.

It never gives up and never dies silently: whatever the API answers, or doesn't, it says so in one line and tries again,
with SIGTERM as the signal that always arrives.
"""

from __future__ import annotations

import time

from podhooks import contract, log
from podhooks.annotations.plan import Mode
from podhooks.context import EMPTY
from podhooks.errors import ApiError, Forbidden, InputError, NotFound, Unauthorized, Unreachable
from podhooks.pod.object import containers, is_deleting, main_containers, mapping, text
from podhooks.pod.status import exit_info
from podhooks.runtime.backoff import backoff_seconds
from podhooks.runtime.client import ANSWER_TIMEOUT_SECONDS
from podhooks_sidecar.decide import Act, Known, decide
from podhooks_sidecar.wakeup import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from podhooks.context import Json, PodInfo
    from podhooks.runtime.client import Client
    from podhooks_sidecar.wakeup import Wakeup

MOST_BACKOFF_SECONDS = 30.0
MOST_BACKOFF_SILENT_SECONDS = 10.0  # while nobody answers: a try costs the server nothing, and main may be over
MOST_BACKOFF_ENDING_SECONDS = 2.0  # once a SIGTERM came: seconds are left, one pod asks a few times
ENDING_ANSWER_SECONDS = 1.5  # for the first answer after a SIGTERM: the connection may be dead, and seconds are left
SHORT_WATCH_SECONDS = 5.0  # a watch that ends sooner and without an event counts as a failure: no busy loop
TROUBLE_SECONDS = 60.0  # after the API was away: kubelets publish late then (seen: more than 5 s after a restart)
STARTING_SECONDS = 0.2  # between looks at the record of on-start, only after a SIGTERM that came while it ran


class Watcher:
    """What is known of the pod, and how more is learnt. `client` is None where there is no access to the API."""

    def __init__(
        self,
        base: Known,
        client: Client | None,
        wakeup: Wakeup,
        *,
        pod: PodInfo,
        is_starting: Callable[[], bool] = lambda: False,
    ) -> None:
        self.pod: Mapping[str, Json] = EMPTY
        self._base = base
        self._client = client
        self._wakeup = wakeup
        self._pod_name = pod.name
        self._pod_uid = pod.uid
        self._is_starting = is_starting
        self._gone = self._missed = False
        self._ran: frozenset[str] = frozenset()
        self._hopeless = client is None
        self._deleting_since: float | None = None
        self._version = ""  # resourceVersion to watch from; "" = get the pod first
        self._events: Iterator[Json] | None = None
        self._failures = 0
        self._silent = False
        self._complaint = ""
        self._trouble_at = float("-inf")

    def wait(self) -> Act:
        """Until on_exit has to begin."""
        while True:
            known = self.known()
            decision = decide(known)
            if isinstance(decision, Act):
                return decision
            if known.starting and self._version:
                self._wakeup.sleep(STARTING_SECONDS)  # the API has nothing to say about that
            else:
                self._learn(decision.until)

    def known(self) -> Known:
        term_at = self._wakeup.term_at
        return self._base.replace(
            now=time.monotonic(),
            term_at=term_at,
            pod=self.pod,
            gone=self._gone,
            missed=self._missed,
            ran=self._ran,
            server_now=self._client.server_now() if self._client is not None else None,
            deleting_since=self._deleting_since,
            hopeless=self._hopeless,
            troubled=bool(self.pod) and time.monotonic() - self._trouble_at < TROUBLE_SECONDS,
            starting=term_at is not None and self._is_starting(),
        )

    def refresh(self, timeout_seconds: float) -> None:
        """One quick look, for the case that a deletion begins while callbacks run. Failing is no matter."""
        if self._client is None:
            return
        try:
            with self._wakeup.interruptible(time.monotonic() + timeout_seconds):
                self._see(self._client.get_pod(self._pod_name))
        except NotFound:
            self._gone = self._missed = True
        except (ApiError, Interrupted):
            pass

    def _learn(self, until: float | None) -> None:
        """Take in the next event, or what went wrong; come back at `until` or at a SIGTERM at the latest."""
        try:
            if self._client is None:
                self._wakeup.sleep(None if until is None else max(until - time.monotonic(), 0.0))
                return
            hurry = self._wakeup.term_at is not None and self._failures == 0
            self._client.answer_timeout_seconds = ENDING_ANSWER_SECONDS if hurry else ANSWER_TIMEOUT_SECONDS
            with self._wakeup.interruptible(until):
                self._next_event(self._client)
        except Interrupted:
            self._events = None  # whatever it was waiting for: ask anew, on a new connection
        except NotFound:
            self._gone = self._missed = True
        except ApiError as error:
            self._events, self._version = None, ""
            self._complain(error)
            self._notice_answer(error)
            self._pause(error.retry_after_seconds, until)

    def _next_event(self, client: Client) -> None:
        if not self._version:
            self._events = None
            self._see(client.get_pod(self._pod_name))
            return
        if self._events is None:
            self._events, self._watching_since = client.watch_pod(self._pod_name, self._version), time.monotonic()
        event = next(self._events, None)
        if event is None:
            self._events = None
            if time.monotonic() - self._watching_since < SHORT_WATCH_SECONDS:
                raise ApiError("the watch ended at once")
        else:
            self._take(event)
        self._failures, self._watching_since = 0, float("-inf")

    def _take(self, event: Mapping[str, Json]) -> None:
        kind, pod = event.get("type"), mapping(event.get("object"))
        if kind == "BOOKMARK":
            self._version = text(mapping(pod.get("metadata")).get("resourceVersion")) or self._version
        elif kind in ("ADDED", "MODIFIED", "DELETED"):
            self._see(pod, gone=kind == "DELETED")

    def _see(self, pod: Mapping[str, Json], *, gone: bool = False) -> None:
        self._hopeless = False
        if self._complaint:
            self._complaint = ""
            log.info("the Kubernetes API answers again")
        metadata = mapping(pod.get("metadata"))
        if self._pod_uid and metadata.get("uid") != self._pod_uid:
            self._gone = self._missed = True  # another pod has our name: ours is history
            return
        self.pod, self._gone = pod, gone
        self._ran |= {each.name for each in main_containers(pod, self._base.main) if each.started}
        if self._base.mode is Mode.NATIVE:
            refuse_to_block(pod)
        self._version = text(metadata.get("resourceVersion"))
        if is_deleting(pod) and self._deleting_since is None:
            self._deleting_since = time.monotonic()

    def _complain(self, error: ApiError) -> None:
        """Once per kind of trouble, so that a log of six hours stays readable.

        A refusal after a first success may pass: a token that is being rotated, an API server that is only just back.
        """
        self._hopeless = isinstance(error, (Forbidden, Unauthorized)) and not self.pod
        if isinstance(error, Unreachable) or error.status >= 500:
            self._trouble_at = time.monotonic()
        kind = f"{type(error).__name__} {error.status}"
        if error.status != 410 and kind != self._complaint:
            self._complaint = kind
            log.warning(f"{error}; trying again until main ends")

    def _notice_answer(self, error: ApiError) -> None:
        """A server that refuses after it was silent is only just back: its next answers are worth asking for soon."""
        silent = isinstance(error, Unreachable)
        if self._silent and not silent:
            self._failures = 0
        self._silent = silent

    def _pause(self, retry_after_seconds: float | None, until: float | None) -> None:
        self._failures += 1
        if self._failures == 1 and retry_after_seconds is None:
            return
        most = MOST_BACKOFF_SILENT_SECONDS if self._silent else MOST_BACKOFF_SECONDS
        most = most if self._wakeup.term_at is None else MOST_BACKOFF_ENDING_SECONDS
        seconds = min(backoff_seconds(self._failures, retry_after_seconds, most=most), most)
        if until is not None:
            seconds = min(seconds, max(until - time.monotonic(), 0.0))
        self._wakeup.sleep(seconds)


def refuse_to_block(pod: Mapping[str, Json]) -> None:
    """A server or webhook that doesn't know `restartPolicy` of init containers drops it: nothing starts behind us then.

    Raises:
        InputError: this container is an ordinary init container.
    """
    for each in containers(pod, init=True):
        if each.name == contract.ON_EXIT_CONTAINER and each.spec.get("restartPolicy") != "Always":
            raise InputError(
                f"init container {each.name!r} has lost its restartPolicy: Always on the way into the cluster, so main "
                "would never start: an API server before 1.29, a custom resource's old schema or a webhook drops the "
                "field; use podhooks.io/mode: classic, or inject the pods themselves by the webhook"
            )


def others_run(pod: Mapping[str, Json]) -> bool:
    """Whether a container besides ours runs or will run: until all have ended for good the kubelet starts us anew."""
    users = [each for each in containers(pod) if each.name not in contract.OUR_CONTAINERS]
    return any(exit_info(pod, each.name) is None for each in users)


def last_message(pod: Mapping[str, Json]) -> str:
    """The termination message of our own earlier life in this pod; "" if there was none."""
    for each in (*containers(pod, init=True), *containers(pod)):
        if each.name == contract.ON_EXIT_CONTAINER:
            return text(mapping(mapping(each.status.get("lastState")).get("terminated")).get("message"))
    return ""
