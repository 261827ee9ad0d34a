"""on_exit callbacks for Prefect flows: what a flow's own process can't tell Prefect any more, because it is dead.

They add to Prefect's hooks and detection and replace none: see docs/prefect.md. They all find the flow run by the
context, ask Prefect's REST API, change nothing that was decided already, and may be called any number of times.
"""

from __future__ import annotations

import json
import os
import re
import uuid

from podhooks import contract
from podhooks.callbacks import prefect_report
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.delivery import Message, check, send
from podhooks.callbacks.prefect_api import PrefectApi, PrefectError, PrefectSettings
from podhooks.callbacks.prefect_state import RELINQUISH, Action, Decision, cause, decide
from podhooks.callbacks.secrecy import variable
from podhooks.errors import InputError
from podhooks.pod.environment import hidden_source, literal_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podhooks.context import ExitInfo, Json, RunContext

SIGTERM_BEHAVIOR = "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"
STATES = {Action.CRASH: ("CRASHED", "Crashed"), Action.CANCEL: ("CANCELLED", "Cancelled")}
ARTIFACT_KEY = "podhooks-exit"


def mark_crashed(context: RunContext) -> None:
    """Main is gone: if its flow run isn't final, set it Crashed with the true cause. Leaves every other run alone."""
    end, flow_run_id, api = _ended(context), _flow_run_id(context), _api(context)
    decision = _decide(api, flow_run_id, context)
    if decision.action is Action.LEAVE:
        print(f"flow run {flow_run_id} is left alone: {decision.why}")
        return
    kind, name = STATES[decision.action]
    state = {
        "type": kind,
        "name": name,
        "message": cause(end, context.pod, end.container or context.main_container),
        "state_details": {"transition_id": str(_identity(context))},  # Prefect takes the same transition only once
    }
    verdict = api.set_state(flow_run_id, state)
    if verdict.get("status") == "ACCEPT":
        print(f"flow run {flow_run_id} is {name} now: {state['message']}")
        return
    decision = _decide(api, flow_run_id, context)  # somebody was faster, or Prefect's own rules know better
    reason = (verdict.get("details") or {}).get("reason") or verdict.get("status")
    if decision.action is not Action.LEAVE:
        raise PrefectError(f"Prefect doesn't let flow run {flow_run_id} become {name}: {reason}")
    print(f"flow run {flow_run_id} is left alone: {decision.why}")


def report_exit(
    context: RunContext, *, key: str = ARTIFACT_KEY, log_lines: int = 50, artifact: bool = True, event: bool = True
) -> None:
    """A markdown artifact of the flow run, and an event `podhooks.main.ended`, with how main ended and its log's tail.

    Args:
        key: the artifact's; the UI shows all artifacts with the same key as versions of one.
        log_lines: of main's log; 0 where logs hold what Prefect's users must not see.
        artifact: False makes no artifact.
        event: False sends no event.
    """
    if not re.fullmatch(r"[a-z0-9-]+", key):
        raise InputError(f"key is {key!r}: artifact keys are made of small letters, digits and dashes")
    end, flow_run_id, api = _ended(context), _flow_run_id(context), _api(context)
    tail = end.log_tail(log_lines) if log_lines > 0 else ""
    state = _state_for_report(api, flow_run_id) if artifact or event else {}
    if artifact:
        _create_artifact(api, context, flow_run_id, key, prefect_report.markdown(context, tail, state))
    if event:
        identity = _identity(context)
        api.send_event(prefect_report.event(context, flow_run_id, tail, state, identity=identity))
        print(f"event sent for flow run {flow_run_id}")


def when_state(
    context: RunContext, *, states: Sequence[str], call: str, arguments: Mapping[str, Json] | None = None
) -> None:
    """Call another callback when the flow run's own end is one of these: a flow that failed ends its process with 0.

    Args:
        states: types or names of Prefect's states, like `FAILED`, `Crashed` or `TimedOut`; case doesn't matter.
        call: the callback, by its name, called as a plan would call it.
        arguments: keyword arguments for it.
    """
    if isinstance(states, str) or not states or not all(isinstance(each, str) for each in states):
        raise InputError("when_state needs a list of Prefect's states under `with`, like states: [FAILED, CRASHED]")
    flow_run_id, api = _flow_run_id(context), _api(context)
    state = _state(api.get_flow_run(flow_run_id))
    known = [str(state[field]) for field in ("type", "name") if state.get(field)]
    shown = known[-1] if known else "without a state"
    if not {each.casefold() for each in states} & {each.casefold() for each in known}:
        print(f"flow run {flow_run_id} is {shown}: {call} isn't called")
        return
    print(f"flow run {flow_run_id} is {shown}: calling {call}")
    _call(call, dict(arguments or {}), context)


def notify_zombie(
    context: RunContext,
    *,
    url: str = "",
    url_env: str = "",
    call: str = "",
    arguments: Mapping[str, Json] | None = None,
) -> None:
    """Tell somebody when main is gone and Prefect still believes that the flow run goes on.

    Args:
        url: where a JSON description is POSTed to, with an Idempotency-Key.
        url_env: the environment variable that holds this URL, where it is a secret.
        call: another callback instead, by its name, called as a plan would call it.
        arguments: keyword arguments for that one.
    """
    target = _target(url, url_env, call)
    end, flow_run_id, api = _ended(context), _flow_run_id(context), _api(context)
    run = api.get_flow_run(flow_run_id)
    decision = decide(run, context, retried=_is_retried(context))
    if decision.action is Action.LEAVE:
        print(f"flow run {flow_run_id} is no zombie: {decision.why}")
        return
    print(f"flow run {flow_run_id} is a zombie: {decision.why}")
    if call:
        _call(call, dict(arguments or {}), context)
        return
    state = run.get("state") or {}
    text = f"Flow run {run.get('name') or flow_run_id} is still {state.get('name')} but its process is gone. "
    about = {
        "text": text + cause(end, context.pod, end.container or context.main_container),
        "flow_run": {"id": flow_run_id, "name": run.get("name"), "state": state.get("name")},
        "pod": {"name": context.pod.name, "namespace": context.pod.namespace, "node": context.pod.node},
        "exit": end.to_json(),
    }
    _post(target, about, context)


def _decide(api: PrefectApi, flow_run_id: str, context: RunContext) -> Decision:
    run = api.get_flow_run(flow_run_id)
    return decide(run, context, retried=_is_retried(context))


def _state(run: Mapping[str, Json]) -> Mapping[str, Json]:
    state = run.get("state")
    return state if isinstance(state, dict) else {}


def _state_for_report(api: PrefectApi, flow_run_id: str) -> Mapping[str, Json]:
    """A report without the run's state is better than none."""
    try:
        return _state(api.get_flow_run(flow_run_id))
    except PrefectError as error:
        print(f"the report goes without the flow run's state: {error}")
        return {}


def _ended(context: RunContext) -> ExitInfo:
    if context.exit is None:
        raise InputError("this callback tells Prefect how main ended: move it to on_exit")
    return context.exit


def _flow_run_id(context: RunContext) -> str:
    if not context.flow_run_id:
        raise InputError(
            "this pod runs no Prefect flow run: it has neither PREFECT__FLOW_RUN_ID in its environment nor the label "
            "prefect.io/flow-run-id; take the callback out, or add one of them"
        )
    try:
        return str(uuid.UUID(context.flow_run_id))
    except ValueError as error:
        raise InputError(f"the flow run's id {context.flow_run_id[:60]!r} isn't a UUID") from error


def _api(context: RunContext) -> PrefectApi:
    def source(name: str) -> str:
        return hidden_source(context.pod_object, context.main_container, name)

    return PrefectApi(PrefectSettings.from_environ(os.environ, source), Budget.of(context))


def _main_variable(context: RunContext, name: str) -> str:
    """Ours is main's where the injector saw it; in a work pool's template main gets it later, from the worker."""
    if name in os.environ:
        return os.environ[name]
    return literal_environment(context.pod_object, context.main_container).get(name, "")


def _is_retried(context: RunContext) -> bool:
    """Whether Kubernetes makes another pod after one that failed. The template tells our containers its backoffLimit;
    elsewhere Prefect's worker (0.8 and up) tells main, by what main is to do on SIGTERM."""
    limit = os.environ.get(contract.ENV_BACKOFF_LIMIT, "")
    try:
        return float(limit) > 0
    except ValueError:  # not from a template of ours, or the variable is empty
        return _main_variable(context, SIGTERM_BEHAVIOR) == RELINQUISH


def _identity(context: RunContext) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"podhooks:{context.idempotency_key}")


def _create_artifact(api: PrefectApi, context: RunContext, flow_run_id: str, key: str, text: str) -> None:
    mark = str(_identity(context))
    if any((each.get("metadata_") or {}).get("podhooks") == mark for each in api.find_artifacts(flow_run_id, key)):
        print(f"artifact {key} of flow run {flow_run_id} is there already")
        return
    api.create_artifact(
        {
            "key": key,
            "type": "markdown",
            "description": f"How the flow's process ended: {_ended(context).result.value}",
            "data": text,
            "flow_run_id": flow_run_id,
            "metadata_": {"podhooks": mark},
        }
    )
    print(f"artifact {key} of flow run {flow_run_id} created")


def _target(url: str, url_env: str, call: str) -> str:
    """Checked first: a wrong argument is to be known before the first zombie."""
    if sum(map(bool, (url, url_env, call))) != 1:
        raise InputError("notify_zombie needs one of url, url_env and call under `with`")
    if call:
        return call
    target = url or variable(url_env, "url_env")
    check(Message("the webhook", target, b""))
    return target


def _call(name: str, arguments: dict[str, Json], context: RunContext) -> None:
    from podhooks.runtime import resolve
    from podhooks.runtime.child import wait_for

    function = resolve.load(name)
    positional, named = resolve.bind(function, arguments, context)
    wait_for(function(*positional, **named))


def _post(url: str, about: Mapping[str, Json], context: RunContext) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": context.idempotency_key}
    message = Message("the webhook", url, json.dumps(about).encode(), headers)
    send(message, Budget.of(context))
    print(f"told {message.shown}")
