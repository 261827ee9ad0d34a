"""What a Job does with its pods, as far as our containers change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Severity
from podhooks.annotations.plan import Plan
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings, whole

CODES = {"failure-policy-counts-ours": Severity.WARNING, "restarts-count": Severity.WARNING}

FEW_RESTARTS = 2


def findings(job: Mapping[str, Json], plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Code, field of the Job's spec, message. `job` is the spec of a Job, or of whatever has the same fields."""
    yield from _failure_policy(job)
    yield from _restarts(job, plan)


def _failure_policy(job: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    """A rule without a container's name looks at all of them, and at init containers:
    https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy"""
    rules = mapping(job.get("podFailurePolicy")).get("rules")
    for index, rule in enumerate(mappings(rules)):
        codes = rule.get("onExitCodes")
        if codes and not mapping(codes).get("containerName"):
            problem = (
                f"this rule is also about exit codes of {contract.ON_START_CONTAINER} and "
                f"{contract.ON_EXIT_CONTAINER}: name main in containerName"
            )
            yield "failure-policy-counts-ours", f"podFailurePolicy.rules[{index}].onExitCodes", problem


def _restarts(job: Mapping[str, Json], plan: Plan) -> Iterator[tuple[str, str, str]]:
    """With OnFailure the Job's controller adds up the restarts of all containers, of init containers as well
    (pastBackoffLimitOnFailure in pkg/controller/job/job_controller.go)."""
    limit = whole(job.get("backoffLimit"))
    spec = mapping(mapping(job.get("template")).get("spec"))
    if spec.get("restartPolicy") != "OnFailure" or limit is None or limit > FEW_RESTARTS or not plan.on_exit:
        return
    problem = (
        f"is {limit}, and with restartPolicy OnFailure restarts of on-start and on-exit count as well: one that is "
        "killed (out of memory, by the node) can fail the Job; set a higher one, or restartPolicy: Never"
    )
    yield "restarts-count", "backoffLimit", problem
