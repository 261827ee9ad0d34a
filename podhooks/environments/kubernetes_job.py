"""Main in a Job of its own, made from a job file."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks import contract, log
from podhooks.cluster.backend import Backend, Selection
from podhooks.cluster.request import Request, label_of
from podhooks.cluster.stand_in import StandIn
from podhooks.context import EMPTY
from podhooks.environments import clusters, flows, manifest, pickling, pin12
from podhooks.environments.base import Environment, label_mapping, label_part
from podhooks.environments.hooks import Callbacks, NameFor, Planned
from podhooks.environments.job_handle import JobHandle
from podhooks.environments.manifest import Call, Object, Wanted
from podhooks.environments.pickling import PickledFunctions, SecretFile
from podhooks.errors import ApiError, InputError
from podhooks.inject import InjectSettings, inject_object

ENV_FLOW_RUN_ID = contract.PREFECT_FLOW_RUN_ID_VARIABLES[0]


@dataclass(frozen=True)
class Trip:
    """Everything that is created for one run. `main` is the flow's container."""

    written: Object
    job: Object
    secret: Object | None
    planned: Planned

    @property
    def main(self) -> str:
        return str(self.written["spec"]["template"]["spec"]["containers"][0]["name"])


class KubernetesJobEnvironment(Environment):
    """
    Args:
        job_spec_file: a Job, YAML or JSON, read now. The flow runs in its first container: that one's command is
            replaced, and its image if `image` is given. Default: a Job with that one container.
        unique_job_name: add eight hexadecimal digits to the Job's name, so that runs don't get in each other's way.
            Without a job file its name is the flow's and always unique.
        executor: Prefect 0.15's, which had this place; refused with a sentence.
        image: the flow's; default: `metadata["image"]`, else the job file's.
        namespace: default: the job file's, else the cluster's.
        cluster: see docs/environments.md: a context of the kubeconfig, or `local` for the stand-in on this machine;
            default: the current context, or in a pod that pod's cluster.
        kubeconfig: its file, if it isn't the usual one.
        settings: how the runtime gets into the pod; default: by an image volume.

    The others are `Environment`'s.

    Raises:
        InputError: the job file, a callback, a label or an annotation can't be used.
    """

    where_main_runs = "a Job of its own"
    where_callbacks_run = "that Job's pod: init container and sidecar"

    def __init__(  # noqa: PLR0913  PIN-12's arguments, in its order
        self,
        job_spec_file: str | Path | None = None,
        unique_job_name: bool = False,
        executor: None = None,
        labels: Iterable[str] | None = None,
        on_start: Callbacks = None,
        on_exit: Callbacks = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        image: str | None = None,
        namespace: str | None = None,
        annotations: Mapping[str, str] = EMPTY,
        cluster: str | None = None,
        kubeconfig: str | None = None,
        settings: InjectSettings | None = None,
    ) -> None:
        pin12.refuse_gone(executor=executor)
        self.job_spec_file = Path(job_spec_file).absolute() if job_spec_file else None
        self.unique_job_name = unique_job_name
        self.image = pin12.image_of(image, metadata)
        self.namespace = namespace
        self.cluster = cluster
        self.kubeconfig = kubeconfig
        self.settings = clusters.settings_for(cluster, settings)
        self._spec = manifest.read_job_file(self.job_spec_file) if self.job_spec_file else dict(manifest.DEFAULT_SPEC)
        self.identifier_label = str(uuid.uuid4())
        super().__init__(labels, on_start, on_exit, metadata, annotations)
        if self.job_spec_file:
            for line in pin12.retried(self._spec, f"job_spec_file {self.job_spec_file}"):
                log.warning(line)

    def planned(self, name_for: NameFor, annotations: Mapping[str, str] | None = None) -> Planned:
        """With the annotations that the job file has itself; what is given here wins."""
        own = manifest.template_annotations(self._spec)
        for name, given in ((contract.ON_START, self.on_start), (contract.ON_EXIT, self.on_exit)):
            if given is not None and name in own:
                argument = name.removeprefix(contract.PREFIX).replace("-", "_")
                raise InputError(f"{self.job_spec_file}: has the annotation {name}, and {argument}= is given, too")
        return super().planned(name_for, {**own, **(self.annotations if annotations is None else annotations)})

    def execute(
        self,
        flow: Callable[..., object],
        parameters: Mapping[str, Any] = EMPTY,
        *,
        flow_run_id: str | None = None,
    ) -> JobHandle:
        """Creates the Job and returns; the handle follows it.

        Args:
            flow_run_id: of a Prefect flow run: main is this run (else Prefect makes a new one), and the callbacks'
                context has it. Prefect's API must be known in the Job: PREFECT_API_URL in the job file.

        Raises:
            InputError: something can't be used, there is no cluster, or it refuses. Nothing is left behind.
        """
        flow = flows.check(flow)
        backend = self._connected(flow)
        try:
            trip = self.trip(flow, parameters, backend, flow_run_id)
            for line in notices(trip, backend):
                log.warning(line)
            flows.warn_of_callbacks(flow, trip.planned.plan)
            job = create(trip, backend)
            return self._handle(backend, job, trip)
        except BaseException:
            self._give_up(backend)
            raise

    def _connected(self, flow: Callable[..., object]) -> Backend:  # noqa: ARG002  for those whose setup needs it
        return clusters.connect(self.cluster, self.kubeconfig, self.settings, self._directory())

    def _handle(self, backend: Backend, job: Object, trip: Trip) -> JobHandle:
        return JobHandle(backend, job, main=trip.main, label=trip.planned.label)

    def _give_up(self, backend: Backend) -> None:
        backend.close()

    def _variables(self, flow_run_id: str | None) -> dict[str, str]:
        """What all containers find in their environment, unless the job file says otherwise."""
        return {ENV_FLOW_RUN_ID: flow_run_id} if flow_run_id else {}

    def _labels(self, flow_run_id: str | None) -> dict[str, str]:
        """Of the Job and its pod: those given, and the two by which tools of 0.15's time find them."""
        run = label_part(flow_run_id or "unknown")
        ours = {contract.LABEL_IDENTIFIER: self.identifier_label, contract.LABEL_FLOW_RUN_ID_OF_0_15: run}
        return {**label_mapping(self.labels), **ours}

    def trip(
        self,
        flow: Callable[..., object],
        parameters: Mapping[str, Any],
        backend: Backend,
        flow_run_id: str | None = None,
    ) -> Trip:
        """What `execute` would create. Raises InputError."""
        pickled = PickledFunctions(
            str(backend.state_dir / "pickled") if isinstance(backend, StandIn) else pickling.MOUNT
        )
        call = call_of(flow, parameters, pickled)
        planned = self.planned(pickled.name_for)
        files = pickled.files
        namespace = self._namespace(backend)
        wanted = Wanted(
            name=self._name(flow),
            namespace=namespace,
            call=call,
            python=manifest.mains_python(planned.plan),
            image=self.image or ("local" if isinstance(backend, StandIn) and not self.job_spec_file else None),
            labels=self._labels(flow_run_id),
            annotations=planned.annotations,
            env=self._variables(flow_run_id),
            main_env={"PYTHONPATH": clusters.import_path()} if isinstance(backend, StandIn) else EMPTY,
            pickled_dir=pickled.directory if files else "",
        )
        written = manifest.with_items(manifest.filled(self._spec, wanted), files)
        secret = manifest.secret(wanted.name, namespace, files) if files else None
        if isinstance(backend, StandIn):
            _unpack(pickled.directory, files)
        return Trip(written, self._injected(written), secret, planned)

    def draft(self, planned: Planned) -> Object:
        """The Job as far as it is known before there is a flow and a cluster."""
        name = str(self._spec.get("metadata", {}).get("name") or "flow")
        wanted = Wanted(
            name=name,
            namespace=self.namespace or "default",
            call=Call("flow"),
            python=manifest.mains_python(planned.plan),
            image=self.image or (None if self.job_spec_file else "(image not given)"),
            labels=label_mapping(self.labels),
            annotations=planned.annotations,
        )
        return manifest.filled(self._spec, wanted)

    def _namespace(self, backend: Backend) -> str:
        own = self._spec.get("metadata", {}).get("namespace")
        return str(self.namespace or own or backend.namespace)

    def _name(self, flow: object) -> str:
        name = manifest.name_in(self._spec)
        if name is None:
            return manifest.unique(manifest.prefix_in(self._spec) or flows.name_of(flow))
        return manifest.unique(name) if self.unique_job_name else name

    def _directory(self) -> Path:
        return self.job_spec_file.parent if self.job_spec_file else Path.cwd()

    def _injected(self, job: Object) -> Object:
        injected, reports = inject_object(job, self.settings)
        errors = [f"{each.where}: {each.message}" for report in reports for each in report.report.errors]
        if errors:
            raise InputError(f"{label_of(job)}: {'; '.join(errors)}")
        return injected


def call_of(flow: Callable[..., object], parameters: Mapping[str, Any], pickled: PickledFunctions) -> Call:
    """By name with parameters in JSON, where that can be; else all of it in one pickle."""
    name, text = pickling.name_of(flow), pickling.parameters_text(parameters)
    if text is None:
        return Call(pickled.add(functools.partial(flow, **parameters), "flow"))
    return Call(name or pickled.add(flow, "flow"), text)


def _unpack(directory: str, files: Sequence[SecretFile]) -> None:
    """Where the stand-in can't mount at the volume's path, the files themselves are there."""
    for each in files:
        path = Path(directory, each.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.content)


def notices(trip: Trip, backend: Backend) -> list[str]:
    """What doesn't work there; but files of ours are at their paths on the stand-in, whatever it says of others'."""
    found = backend.notices(Request(trip.written), Request(trip.job))
    return [each for each in found if not (isinstance(backend, StandIn) and pickling.PREFIX in each)]


def create(trip: Trip, backend: Backend) -> Object:
    """The Job as the server made it. The kubelet waits for the Secret, which can have its owner only afterwards.

    Raises:
        InputError: the cluster refuses; nothing is left behind.
    """
    try_out(trip, backend)
    job = made(trip.job, backend)
    if trip.secret is not None:
        try:
            made(manifest.owned_by(trip.secret, job), backend)
        except BaseException:
            backend.delete(job)
            raise
    return job


def try_out(trip: Trip, backend: Backend) -> None:
    """A dry run of everything, so that what will be refused is refused before anything is there."""
    namespace = trip.job["metadata"]["namespace"]
    try:
        backend.list(Selection("Pod", namespace, fields="metadata.name=podhooks"))
    except ApiError as error:
        raise clusters.said(f"the pods of namespace {namespace}", error) from error
    for each in (trip.job, trip.secret):
        if each is not None:
            made(each, backend, dry_run=True)


def made(obj: Object, backend: Backend, *, dry_run: bool = False) -> Object:
    try:
        return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **backend.create(obj, dry_run=dry_run)}
    except ApiError as error:
        raise clusters.said(f"{label_of(obj)} in namespace {obj['metadata']['namespace']}", error) from error
