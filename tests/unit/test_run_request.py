"""What of a file is run, and what goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from podhooks.cluster.request import label_of, request, with_variables
from podhooks.errors import InputError
from podhooks.run.session import holds

Object = dict[str, Any]


def pod(name: str = "p", **metadata: str) -> Object:
    spec = {"containers": [{"name": "main", "image": "i", "env": [{"name": "A", "value": "1"}]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def config(name: str = "c", **metadata: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {"template": {"spec": pod()["spec"]}},
}
CRON: Object = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "nightly", "namespace": "etl"},
    "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": JOB["spec"]}},
}


def test_companions_come_along_in_their_order_and_lists_are_opened() -> None:
    found = request([{"kind": "List", "items": [config("a"), pod()]}, config("b")], "f")
    assert (found.label, [label_of(each) for each in found.companions]) == ("Pod/p", ["ConfigMap/a", "ConfigMap/b"])


def test_one_job_is_made_of_a_cronjob() -> None:
    found = request([CRON], "f")
    assert (found.run["kind"], found.run["metadata"]["generateName"], found.namespace) == ("Job", "nightly-", "etl")
    assert found.run["spec"] == JOB["spec"]


def test_objects_that_name_no_namespace_get_one() -> None:
    assert request([pod(), config()], "f").namespaces == ("default",)
    assert request([pod(), config()], "f", usual_namespace="team").namespaces == ("team",)
    assert request([pod(namespace="own"), config()], "f", usual_namespace="team").namespaces == ("own", "team")
    assert request([pod(), config()], "f", namespace="n", usual_namespace="team").namespaces == ("n",)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([config()], "nothing in it can be run"),
        ([pod("a"), pod("b")], "choose one, with --only Pod/a"),
        ([{"kind": "Pod", "apiVersion": "v1", "metadata": {}}], "has no metadata.name"),
        (
            [{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": 24}}],
            "has 24 as metadata.name: write text, in quotes",
        ),
        ([{"kind": "Jobb", "apiVersion": "x", "metadata": {"name": "j"}}], "did you mean Job?"),
        ([{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d"}}], "nothing that ends"),
        ([{**JOB, "apiVersion": "v1"}], "write apiVersion: batch/v1"),
        ([{**CRON, "spec": {}}], "has no spec.jobTemplate.spec"),
    ],
)
def test_what_can_not_be_run_is_refused_in_one_line(documents: list[Object], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        request(documents, "file.yaml")
    assert str(caught.value).startswith("file.yaml: ")
    assert "\n" not in str(caught.value)


def test_one_of_several_is_chosen_by_kind_and_name_or_by_name() -> None:
    both = [pod("a"), {**JOB, "metadata": {"name": "b"}}]
    assert request(both, "f", only="job/b").label == "Job/b"
    assert request(both, "f", only="a").label == "Pod/a"
    with pytest.raises(InputError, match="f has Pod/a, Job/b"):
        request(both, "f", only="Pod/b")


def test_a_namespace_that_contradicts_the_file_is_an_error() -> None:
    with pytest.raises(InputError, match="is for namespace own, and -n says other"):
        request([pod(namespace="own")], "f", namespace="other")


def test_variables_win_over_the_manifests() -> None:
    changed = with_variables(JOB, {"A": "2", "B": ""})
    env = changed["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "A", "value": "2"}, {"name": "B", "value": ""}]
    assert JOB["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    assert with_variables(pod(), {"A": "2"})["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]
    assert with_variables(JOB, {}) is JOB


def test_what_a_server_adds_makes_no_difference() -> None:
    assert holds({"a": 1, "uid": "x", "list": [{"b": 2, "c": 3}]}, {"a": 1, "list": [{"b": 2}], "none": None})
    assert not holds({"a": 1}, {"a": 2})
    assert not holds({"list": [1, 2]}, {"list": [1]})
    assert not holds({"a": 1}, {"a": {"b": 1}})
