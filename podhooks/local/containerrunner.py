"""One container of a pod, from its spec to a running process and from its end to `state.terminated`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from podhooks.contract import TERMINATION_MESSAGE_BYTES
from podhooks.kinds.resources import Json
from podhooks.local.containers import EPOCH, START_ERROR_CODE, Container, Ended, Role
from podhooks.local.events import timestamp
from podhooks.local.fields import ConfigError
from podhooks.local.logs import LogFile
from podhooks.local.node import Node
from podhooks.local.sandbox import Exit, Process, SandboxError, StartError

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 15.0

OnExit = Callable[[Container, Process, Exit], None]


class ContainerRunner:
    """Starts containers of one pod. `directory` is the pod's; `on_exit` is called by the sandbox's thread.

    `pod` is the latest object: a restarted container sees its pod's labels and annotations as they are then.
    """

    def __init__(self, node: Node, pod: Json, directory: Path, on_exit: OnExit) -> None:
        self._node = node
        self.pod = pod
        self._directory = directory
        self._on_exit = on_exit

    def start(self, container: Container, volumes: Mapping[str, Path]) -> None:
        """Run a container once more, or say why not."""
        if self._lacks_image(container):
            return
        run = container.restarts + 1 if container.ended else container.restarts
        directory = self._directory / "containers" / container.name / str(run)
        directory.mkdir(parents=True, exist_ok=True)
        message_file = directory / "termination-log"
        message_file.write_bytes(b"")
        message_file.chmod(0o666)
        try:
            launch = self._node.launch(self.pod, container, volumes, message_file)
        except ConfigError as problem:
            self._put_off(container, "CreateContainerConfigError", str(problem))
            return
        if container.ended:
            self._node.backoff.advance(container)
            container.last, container.ended = container.ended, None
            container.restarts = run
            container.previous_log = container.log
        container.log, container.message_file = LogFile(directory / "log"), message_file
        container.container_id = f"local://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        container.waiting, container.next_try = None, None
        self.event("Created", f"Container created: {container.name}", container)
        try:
            container.process = self._node.sandbox.start(launch, container.log, partial(self._on_exit, container))
        except StartError as problem:
            self._note_start_error(container, str(problem))
        except SandboxError as problem:
            self._put_off(container, "RunContainerError", str(problem))
        else:
            container.running_since = timestamp(container.process.started_at)
            container.failed_tries = 0
            self.event("Started", f"Container started: {container.name}", container)

    def _note_start_error(self, container: Container, message: str) -> None:
        text = f"failed to start the container's process: {message}"
        container.ended = Ended(
            START_ERROR_CODE,
            "StartError",
            text,
            started_at=EPOCH,
            finished_at=timestamp(),
            container_id=container.container_id,
            ended=time.monotonic(),
        )
        self.event("Failed", f"Error: {text}", container, warning=True)

    def _put_off(self, container: Container, reason: str, message: str) -> None:
        container.waiting = (reason, message)
        container.next_try = time.monotonic() + retry_seconds(container.failed_tries)
        container.failed_tries += 1
        self.event("Failed", f"Error: {message}", container, warning=True)

    def _lacks_image(self, container: Container) -> bool:
        image = container.spec.get("image", "")
        if image not in self._node.missing_images:
            if container.restarts == 0 and not container.failed_tries:
                self.event("Pulled", f'Container image "{image}" treated as local process', container)
            return False
        if container.spec.get("imagePullPolicy") == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._put_off(container, "ErrImageNeverPull", message)
        elif container.failed_tries == 0:
            self._put_off(container, "ErrImagePull", f'failed to pull image "{image}": it is listed as missing')
        else:
            self._put_off(container, "ImagePullBackOff", f'Back-off pulling image "{image}"')
        return True

    def note_end(self, container: Container, process: Process, end: Exit) -> None:
        container.process = None
        container.ended = Ended(
            exit_code=end.code,
            reason="Completed" if end.code == 0 else "Error",
            message=self._termination_message(container, process, end),
            signal=end.signal,
            started_at=container.running_since,
            finished_at=timestamp(end.at),
            container_id=container.container_id,
            ended=time.monotonic(),
        )
        container.running_since = None

    def _termination_message(self, container: Container, process: Process, end: Exit) -> str:
        try:
            with (container.message_file or Path()).open("rb") as file:
                message = file.read(TERMINATION_MESSAGE_BYTES).decode(errors="replace")
        except OSError:  # the container made something else of the file
            message = ""
        if not message and end.code and container.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            return process.log.tail_text()
        return message

    def event(self, reason: str, message: str, container: Container, *, warning: bool = False) -> None:
        record = self._node.recorder.warning if warning else self._node.recorder.normal
        field = "containers" if container.role is Role.MAIN else "initContainers"
        record(self.pod, reason, message, f"spec.{field}{{{container.name}}}")


def retry_seconds(tries: int) -> float:
    return float(min(FIRST_RETRY_SECONDS * 2 ** min(tries, 10), LAST_RETRY_SECONDS))
