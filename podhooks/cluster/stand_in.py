"""A run on the embedded stand-in: this machine, no cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from podhooks import errors
from podhooks.annotations.parser import parse
from podhooks.cluster.backend import Event, Selection
from podhooks.cluster.request import Object, Request
from podhooks.contract import IMAGE_RUNTIME_DIR
from podhooks.inject import Delivery, InjectSettings
from podhooks.inject.shapes import Json
from podhooks.kinds.resources import RESOURCES
from podhooks.local import Cluster
from podhooks.local.admission import check_fields
from podhooks.local.apiserver import ApiServer
from podhooks.local.jobs import job_notices
from podhooks.local.node import base_environment
from podhooks.local.problems import ApiError
from podhooks.local.runtime_image import lay_out_interpreter
from podhooks.local.supervisor import PATHS
from podhooks.pod.object import main_containers, mapping, mappings, text
from podhooks.runtime import install

MOUNTS = "volumeMounts"
PLURALS = {row.kind: row.plural for row in RESOURCES.values()}


class StandIn:
    """Containers are processes of this machine. They work in `directory`, and import from it first.

    Args:
        directory: where the manifest is.
        settings: the injector's, for the image that delivery `image` mounts.
        keep: leave volumes and logs where they are.
    """

    namespace = "default"

    def __init__(self, directory: Path, settings: InjectSettings, *, keep: bool = False) -> None:
        environment = {**base_environment(), "PYTHONPATH": import_path(directory, os.environ.get("PYTHONPATH"))}
        self._cluster = Cluster(directory=directory, environment=environment, keep=keep)
        self._cluster.start()
        if settings.delivery is Delivery.IMAGE:
            root = self._cluster.state_dir / "runtime-image"
            install.install(root / IMAGE_RUNTIME_DIR.lstrip("/"))
            lay_out_interpreter(root)
            self._cluster.image_volumes[settings.image] = root
        self.where = f"on this machine: {self._cluster.sandbox}"
        self.kubeconfig = self._cluster.kubeconfig(self._cluster.state_dir / "kubeconfig")
        self.state_dir = self._cluster.state_dir

    @property
    def apiserver(self) -> ApiServer:
        return self._cluster.apiserver

    def notices(self, written: Request, injected: Request) -> list[str]:  # noqa: ARG002  ours works here
        spec = written.run["spec"]
        lines = job_notices(spec) if written.run["kind"] == "Job" else []
        lines += Cluster.notices(written.pod["spec"])
        if self._cluster.sandbox_mode == PATHS:
            lines += [_file_notice(name) for name in _files_in_volumes(written.pod)]
        return [f"not done locally: {each}" for each in lines]

    def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        self._have_namespace(obj["metadata"]["namespace"])
        with _errors():
            check_fields(RESOURCES[PLURALS[obj["kind"]]], obj, "Strict")
            return self._cluster.store.create(PLURALS[obj["kind"]], obj, dry_run=dry_run)

    def read(self, obj: Object) -> Object | None:
        try:
            return self._cluster.store.get(PLURALS[obj["kind"]], obj["metadata"]["namespace"], obj["metadata"]["name"])
        except ApiError:
            return None

    def delete(self, obj: Object, *, grace_seconds: int | None = None) -> None:
        metadata = obj["metadata"]
        try:
            self._cluster.store.delete(
                PLURALS[obj["kind"]],
                metadata["namespace"],
                metadata["name"],
                grace_seconds=grace_seconds,
                uid=metadata.get("uid"),
            )
        except ApiError as error:
            if error.status != 404:
                raise translated(error) from error

    def list(self, what: Selection) -> tuple[list[Object], str]:
        with _errors():
            store = self._cluster.store
            return store.list(PLURALS[what.kind], what.namespace, labels=what.labels, fields=what.fields)

    def watch(self, what: Selection, version: str) -> Iterator[Event]:
        with _errors():
            watch = self._cluster.store.watch(
                PLURALS[what.kind], what.namespace, since=version, labels=what.labels, fields=what.fields
            )
        for event in watch:
            if event.type == "ERROR":
                raise errors.Gone(str(event.object.get("message")), status=410)
            yield Event(event.type, event.object)

    def logs(  # has_ended isn't needed: a log that is followed ends with its container
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool,
        has_ended: Callable[[], bool],  # noqa: ARG002
    ) -> Iterator[str]:
        with _errors():
            lines = self._cluster.logs(namespace, pod, container, follow=not previous, previous=previous)
            for line in lines:
                yield line.decode("utf-8", "replace").rstrip("\n")

    def kept(self, run: Object) -> str:  # noqa: ARG002  all of it is in one place
        return f"{self.state_dir} (volumes and logs)"

    def close(self) -> None:
        self._cluster.stop()

    def _have_namespace(self, name: str) -> None:
        with contextlib.suppress(ApiError):
            self._cluster.store.create("namespaces", {"metadata": {"name": name}})


def _files_in_volumes(pod: Mapping[str, Json]) -> list[str]:
    """Callbacks that are named by a file below a mount of main's."""
    plan, _ = parse(mapping(mapping(pod.get("metadata")).get("annotations")))
    mounts = [
        text(mount.get("mountPath")) for main in main_containers(pod) for mount in mappings(main.spec.get(MOUNTS))
    ]
    named = [each.call for each in (*plan.on_start, *plan.on_exit) if each.call.startswith("/")]
    return [name for name in named if any(name.startswith(f"{mount.rstrip('/')}/") for mount in mounts)]


def _file_notice(name: str) -> str:
    return f"callback {name}: volumes aren't at their paths here; name a module, and put its directory into PYTHONPATH"


def import_path(directory: Path, inherited: str | None) -> str:
    """PYTHONPATH of the containers: the manifest's directory, then what our own process was given."""
    return os.pathsep.join([str(directory), *([inherited] if inherited else [])])


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise translated(error) from error


def translated(error: ApiError) -> errors.ApiError:
    kind = errors.Gone if error.status == 410 else errors.ApiError
    return kind(error.message, status=error.status)
