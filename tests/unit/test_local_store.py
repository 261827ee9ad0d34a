"""The embedded API server's store: the rules that controllers, the sidecar and kubectl rely on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from podhooks.local.store import RESOURCES, ApiError, Json, Store, Watch

START = datetime(2026, 11, 23, 0, 16, 28, 900000, tzinfo=timezone.utc)


class FakeClock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Iterator[Store]:
    store = Store(clock=clock)
    yield store
    store.close()


def pod(name: str = "a", **meta: object) -> Json:
    return {"metadata": {"name": name, **meta}, "spec": {"containers": [{"name": "main"}]}}


def scheduled(store: Store, name: str = "a", *, grace: int | None = 20, **meta: object) -> Json:
    manifest = pod(name, **meta)
    if grace is not None:
        manifest["spec"]["terminationGracePeriodSeconds"] = grace
    store.create("pods", manifest)

    def run(obj: Json) -> None:
        obj["spec"]["nodeName"] = "local"
        obj["status"]["phase"] = "Running"

    return store.mutate("pods", "default", name, run, subresource="*")


def drain(watch: Watch) -> list[tuple[str, str]]:
    events = []
    while event := watch.next(0.01):
        events.append((event.type, event.object["metadata"]["name"]))
    return events


def set_phase(phase: str) -> object:
    def change(obj: Json) -> None:
        obj["status"]["phase"] = phase

    return change


def refused(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return error.value.status, error.value.reason


# -- create, get, list


def test_create_stamps_what_only_the_server_knows(store: Store) -> None:
    made = store.create(
        "pods", {**pod(generation=7, deletionTimestamp="x", managedFields=[1]), "status": {"phase": "x"}}
    )
    meta = made["metadata"]
    assert (made["kind"], made["apiVersion"], meta["namespace"]) == ("Pod", "v1", "default")
    assert meta["creationTimestamp"] == "2026-11-23T00:16:28Z"
    assert (meta["generation"], made["status"]) == (1, {"phase": "Pending"})
    assert meta["uid"]
    assert not {"deletionTimestamp", "managedFields"} & meta.keys()


def test_generate_name_adds_five_characters(store: Store) -> None:
    made = store.create("pods", {"metadata": {"generateName": "run-"}, "spec": {}})
    assert made["metadata"]["name"].startswith("run-")
    assert len(made["metadata"]["name"]) == 9


@pytest.mark.parametrize("name", ["", "Upper", "under_score", "-a", "a/b", "a" * 254])
def test_names_that_the_api_refuses(store: Store, name: str) -> None:
    with pytest.raises(ApiError) as error:
        store.create("pods", pod(name))
    assert refused(error) == (422, "Invalid")


@pytest.mark.parametrize("name", ["a..b", "a.-b", "a-.b"])
def test_each_part_of_a_name_is_a_label(store: Store, name: str) -> None:
    with pytest.raises(ApiError, match="lowercase RFC 1123 subdomain"):
        store.create("pods", pod(name))


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"finalizers": ["bad"]}, r'metadata.finalizers\[0\]: Invalid value: "bad": name is neither a standard'),
        ({"finalizers": ["a b/c"]}, 'metadata.finalizers: Invalid value: "a b/c": prefix part a lowercase'),
        ({"labels": {"b/c/d": "z"}}, 'metadata.labels: Invalid value: "b/c/d": prefix part'),
        ({"labels": {"a": "x y"}}, 'metadata.labels: Invalid value: "x y": a valid label must be'),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"annotations": {"x y": "z"}}, 'metadata.annotations: Invalid value: "x y": name part must consist'),
    ],
)
def test_ill_formed_keys_and_values_are_invalid(store: Store, metadata: Json, sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence) as error:
        store.create("pods", pod(**metadata))
    assert refused(error) == (422, "Invalid")
    made = store.create(
        "pods", pod("fine", labels={"a.io/B_c": ""}, annotations={"A.io/b": "x y"}, finalizers=["a.io/b"])
    )
    made["metadata"].update(metadata)
    with pytest.raises(ApiError, match=sentence):
        store.update("pods", made)


def test_what_is_being_deleted_gets_no_new_finalizer(store: Store) -> None:
    """The sentence of a real API server."""
    scheduled(store, finalizers=["podhooks.io/on-exit"])
    store.delete("pods", "default", "a")
    held = store.get("pods", "default", "a")
    held["metadata"]["finalizers"].append("x.io/y")
    with pytest.raises(ApiError) as error:
        store.update("pods", held)
    why = 'no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.io/y"}'
    assert error.value.message == f'Pod "a" is invalid: metadata.finalizers: Forbidden: {why}'
    assert error.value.details["causes"][0]["reason"] == "FieldValueForbidden"
    held["metadata"] |= {"finalizers": ["podhooks.io/on-exit"], "annotations": {"a.io/b": "1"}}
    assert store.update("pods", held)["metadata"]["annotations"] == {"a.io/b": "1"}, "annotations at any time"


def test_a_name_that_is_going_is_still_taken(store: Store) -> None:
    scheduled(store, finalizers=["podhooks.io/on-exit"])
    store.delete("pods", "default", "a")
    with pytest.raises(ApiError, match='object is being deleted: pods "a" already exists') as error:
        store.create("pods", pod())
    assert refused(error) == (409, "AlreadyExists")


def test_a_taken_name_is_already_exists(store: Store) -> None:
    store.create("jobs", pod())
    with pytest.raises(ApiError, match=r'jobs\.batch "a" already exists') as error:
        store.create("jobs", pod())
    assert refused(error) == (409, "AlreadyExists")


def test_a_missing_namespace_is_not_found(store: Store) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found') as error:
        store.create("pods", pod(namespace="nowhere"))
    assert error.value.to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'namespaces "nowhere" not found',
        "reason": "NotFound",
        "details": {"name": "nowhere", "kind": "namespaces"},
        "code": 404,
    }


def test_defaulters_fill_in_and_refuse(store: Store) -> None:
    def default(obj: Json) -> None:
        if "image" in obj["spec"]:
            raise ApiError(422, "Invalid", "no")
        obj["spec"]["dnsPolicy"] = "ClusterFirst"
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}

    store.defaulters["pods"] = default
    made = store.create("pods", pod())
    assert made["spec"]["dnsPolicy"] == "ClusterFirst"
    assert made["status"]["qosClass"] == "BestEffort"
    with pytest.raises(ApiError, match="no"):
        store.create("pods", {"metadata": {"name": "b"}, "spec": {"image": "x"}})
    assert len(store.list("pods")[0]) == 1


def test_what_is_handed_out_is_a_copy(store: Store) -> None:
    before = store.resource_version
    store.create("pods", pod())
    for handed_out in (store.get("pods", "default", "a"), store.list("pods")[0][0]):
        handed_out["spec"]["containers"].clear()
    for watch in (store.watch("pods"), store.watch("pods", since=before)):
        event = watch.next(1)
        assert event
        event.object["spec"]["containers"].clear()
    assert store.get("pods", "default", "a")["spec"]["containers"] == [{"name": "main"}]


def test_dry_run_creates_nothing(store: Store) -> None:
    before = store.resource_version
    assert store.create("pods", pod(), dry_run=True)["metadata"]["uid"]
    assert (store.list("pods")[0], store.resource_version) == ([], before)


def test_string_data_becomes_data(store: Store) -> None:
    made = store.create("secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}, "data": {"a": "Yg=="}})
    assert (made["data"], "stringData" in made) == ({"a": "Yg==", "k": "dg=="}, False)


# -- selectors


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", ["a", "b", "c"]),
        ("app=web", ["a", "b"]),
        ("app==web,tier!=front", ["b"]),
        ("tier!=front", ["b", "c"]),
        ("tier in (front, back)", ["a", "b"]),
        ("tier notin (front,back)", ["c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("app in (web),tier=back", ["b"]),
    ],
)
def test_label_selectors(store: Store, selector: str, names: list[str]) -> None:
    store.create("pods", pod("a", labels={"app": "web", "tier": "front"}))
    store.create("pods", pod("b", labels={"app": "web", "tier": "back"}))
    store.create("pods", pod("c"))
    assert [o["metadata"]["name"] for o in store.list("pods", labels=selector)[0]] == names


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b"]),
        ("spec.nodeName=", ["b"]),
        ("spec.nodeName=local,status.phase=Running", ["a"]),
        ("status.phase!=Running", ["b"]),
        ("metadata.namespace=default", ["a", "b"]),
    ],
)
def test_field_selectors(store: Store, selector: str, names: list[str]) -> None:
    scheduled(store, "a")
    store.create("pods", pod("b"))
    assert [o["metadata"]["name"] for o in store.list("pods", "default", fields=selector)[0]] == names


def test_events_are_selected_by_the_object_they_are_about(store: Store) -> None:
    for name in ("x", "y"):
        store.create("events", {"metadata": {"name": name}, "involvedObject": {"name": name, "kind": "Pod"}})
    found, _ = store.list("events", fields="involvedObject.name=x,involvedObject.kind=Pod")
    assert [o["metadata"]["name"] for o in found] == ["x"]


@pytest.mark.parametrize(("labels", "fields"), [("a b", ""), ("a in b", ""), ("", "spec.hostname=x"), ("", "name")])
def test_selectors_that_cannot_be_meant_are_refused(store: Store, labels: str, fields: str) -> None:
    with pytest.raises(ApiError) as error:
        store.list("pods", labels=labels, fields=fields)
    assert refused(error) == (400, "BadRequest")


# -- update and mutate


def test_status_and_spec_are_written_through_different_doors(store: Store) -> None:
    made = scheduled(store)
    made["spec"]["extra"], made["status"]["extra"] = 1, 1
    status = store.update("pods", made, subresource="status")
    assert ("extra" in status["spec"], "extra" in status["status"]) == (False, True)
    made["metadata"]["resourceVersion"], made["status"] = "", {}
    spec = store.update("pods", made)
    assert (spec["spec"]["extra"], spec["status"]["extra"]) == (1, 1)


def test_only_a_changed_spec_counts_a_generation(store: Store) -> None:
    made = scheduled(store)
    assert made["metadata"]["generation"] == 1  # the binding doesn't count: native-succeeded
    assert store.mutate("pods", "default", "a", set_phase("Failed"))["metadata"]["generation"] == 1  # type: ignore[arg-type]
    made["metadata"].update(labels={"a": "b"}, resourceVersion="")
    assert store.update("pods", made)["metadata"]["generation"] == 1
    made["spec"]["activeDeadlineSeconds"] = 5
    assert store.update("pods", made)["metadata"]["generation"] == 2


def test_an_old_version_or_another_uid_is_a_conflict(store: Store) -> None:
    made = store.create("pods", pod())
    scheduled_later = {**made, "spec": {"nodeName": "local"}}
    store.update("pods", scheduled_later)
    with pytest.raises(ApiError, match="the object has been modified") as error:
        store.update("pods", made)
    assert refused(error) == (409, "Conflict")
    other = {**made, "metadata": {**made["metadata"], "resourceVersion": "", "uid": "other"}}
    with pytest.raises(ApiError, match="UID") as error:
        store.update("pods", other)
    assert refused(error) == (409, "Conflict")


def test_no_change_is_no_event(store: Store) -> None:
    store.create("pods", pod(labels={}))
    before, watch = store.resource_version, store.watch("pods", since=store.resource_version)
    store.mutate("pods", "default", "a", lambda _: None)
    store.mutate("pods", "default", "a", lambda _: None, subresource="")
    store.mutate("pods", "default", "a", set_phase("Pending"))  # type: ignore[arg-type]
    assert (store.resource_version, drain(watch)) == (before, [])


def test_the_identity_of_an_object_cannot_be_changed(store: Store) -> None:
    made = store.create("pods", pod())
    changed = {**made, "kind": "Job", "metadata": {**made["metadata"], "creationTimestamp": "x", "generation": 9}}
    assert store.update("pods", changed) == made


def test_concurrent_writers_lose_nothing(store: Store) -> None:
    store.create("configmaps", {"metadata": {"name": "n"}, "data": {"n": "0"}})

    def count(obj: Json) -> None:
        obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)

    def work() -> None:
        for _ in range(50):
            store.mutate("configmaps", "default", "n", count, subresource="")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("configmaps", "default", "n")["data"] == {"n": "200"}


# -- deletion


def deletions(watch: Watch) -> list[tuple[str, str | None, int | None, int, list[str] | None]]:
    seen = []
    while event := watch.next(0.01):
        meta = event.object["metadata"]
        grace = meta.get("deletionGracePeriodSeconds")
        seen.append((event.type, meta.get("deletionTimestamp"), grace, meta["generation"], meta.get("finalizers")))
    return seen


def test_graceful_deletion_is_what_was_recorded(store: Store, clock: FakeClock) -> None:
    """The last five events of the trace native-deleted."""
    tracking = ["batch.kubernetes.io/job-tracking"]
    scheduled(store, finalizers=tracking)
    watch = store.watch("pods", since=store.resource_version)
    store.delete("pods", "default", "a")
    store.mutate("pods", "default", "a", lambda o: o["metadata"].pop("finalizers"), subresource="")
    clock.tick(12)
    store.mutate("pods", "default", "a", set_phase("Succeeded"))  # type: ignore[arg-type]
    store.delete("pods", "default", "a", grace_seconds=0)
    assert deletions(watch) == [
        ("MODIFIED", "2026-11-23T00:16:48Z", 20, 2, tracking),
        ("MODIFIED", "2026-11-23T00:16:48Z", 20, 2, None),
        ("MODIFIED", "2026-11-23T00:16:48Z", 20, 2, None),
        ("MODIFIED", "2026-11-23T00:16:40Z", 0, 2, None),
        ("DELETED", "2026-11-23T00:16:40Z", 0, 2, None),
    ]
    with pytest.raises(ApiError, match='pods "a" not found'):
        store.get("pods", "default", "a")


def test_force_deletion_waits_for_finalizers_only(store: Store) -> None:
    """The last events of the trace classic-force-deleted: DELETED still shows the finalizer."""
    tracking = ["batch.kubernetes.io/job-tracking"]
    scheduled(store, finalizers=tracking)
    watch = store.watch("pods", since=store.resource_version)
    store.delete("pods", "default", "a", grace_seconds=0)
    store.mutate("pods", "default", "a", lambda o: o["metadata"].update(finalizers=[]), subresource="")
    assert deletions(watch) == [
        ("MODIFIED", "2026-11-23T00:16:28Z", 0, 2, tracking),
        ("DELETED", "2026-11-23T00:16:28Z", 0, 2, tracking),
    ]


@pytest.mark.parametrize(
    ("grace", "timestamp", "seconds"),
    [(None, "2026-11-23T00:16:48Z", 20), (60, "2026-11-23T00:16:48Z", 20), (10, "2026-11-23T00:16:38Z", 10)],
)
def test_a_grace_period_is_only_ever_shortened(
    store: Store, clock: FakeClock, grace: int | None, timestamp: str, seconds: int
) -> None:
    scheduled(store)
    store.delete("pods", "default", "a")
    clock.tick(3)
    meta = store.delete("pods", "default", "a", grace_seconds=grace)["metadata"]
    assert (meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"]) == (timestamp, seconds)


def test_the_grace_period_without_a_word_is_thirty_seconds(store: Store) -> None:
    scheduled(store, grace=None)
    assert store.delete("pods", "default", "a")["metadata"]["deletionGracePeriodSeconds"] == 30


@pytest.mark.parametrize("phase", ["", "Succeeded", "Failed"])
def test_a_pod_without_a_kubelet_or_that_is_over_goes_at_once(store: Store, phase: str) -> None:
    if phase:
        scheduled(store)
        store.mutate("pods", "default", "a", set_phase(phase))  # type: ignore[arg-type]
    else:
        store.create("pods", pod())
    store.delete("pods", "default", "a", grace_seconds=30)
    assert store.list("pods")[0] == []


def test_deletion_of_another_uid_is_a_conflict(store: Store) -> None:
    store.create("pods", pod())
    with pytest.raises(ApiError) as error:
        store.delete("pods", "default", "a", uid="other")
    assert refused(error) == (409, "Conflict")
    assert len(store.list("pods")[0]) == 1


def test_other_kinds_go_at_once_unless_held(store: Store) -> None:
    store.create("configmaps", {"metadata": {"name": "a"}})
    store.create("configmaps", {"metadata": {"name": "b", "finalizers": ["x/y"]}})
    watch = store.watch("configmaps", since=store.resource_version)
    store.delete("configmaps", "default", "a")
    store.delete("configmaps", "default", "b")
    assert drain(watch) == [("DELETED", "a"), ("MODIFIED", "b")]
    store.mutate("configmaps", "default", "b", lambda o: o["metadata"].pop("finalizers"), subresource="")
    assert drain(watch) == [("DELETED", "b")]


def owned_pod(store: Store, propagation: str) -> list[tuple[str, str, int | None]]:
    """Delete a job with a running pod; what a watcher of pods and jobs sees."""
    job = store.create("jobs", {"metadata": {"name": "j"}, "spec": {}})
    owner = {"kind": "Job", "apiVersion": "batch/v1", "name": "j", "uid": job["metadata"]["uid"], "controller": True}
    scheduled(store, "p", ownerReferences=[owner], finalizers=["batch.kubernetes.io/job-tracking"])
    pods, jobs = (store.watch(kind, since=store.resource_version) for kind in ("pods", "jobs"))
    store.delete("jobs", "default", "j", propagation=propagation)
    seen = []
    for watch in (jobs, pods):
        while event := watch.next(0.01):
            meta = event.object["metadata"]
            seen.append((event.type, meta["name"], meta.get("deletionGracePeriodSeconds")))
    return seen


def test_background_deletion_takes_the_pods_of_a_job_along(store: Store) -> None:
    """The trace classic-job-deleted: first the finalizer goes, then the deletion starts."""
    assert owned_pod(store, "Background") == [("DELETED", "j", None), ("MODIFIED", "p", None), ("MODIFIED", "p", 20)]


def test_foreground_deletion_keeps_the_owner_until_the_pods_are_gone(store: Store) -> None:
    assert owned_pod(store, "Foreground") == [("MODIFIED", "j", 0), ("MODIFIED", "p", None), ("MODIFIED", "p", 20)]
    assert store.get("jobs", "default", "j")["metadata"]["finalizers"] == ["foregroundDeletion"]
    store.delete("pods", "default", "p", grace_seconds=0)
    assert (store.list("jobs")[0], store.list("pods")[0]) == ([], [])


def test_orphaned_pods_stay(store: Store) -> None:
    assert owned_pod(store, "Orphan") == [("DELETED", "j", None), ("MODIFIED", "p", None)]
    assert "ownerReferences" not in store.get("pods", "default", "p")["metadata"]


def test_what_has_another_owner_stays(store: Store) -> None:
    jobs = [store.create("jobs", {"metadata": {"name": name}, "spec": {}})["metadata"] for name in ("i", "j")]
    store.create("pods", pod(ownerReferences=[{"kind": "Job", "name": job["name"], "uid": job["uid"]} for job in jobs]))
    store.delete("jobs", "default", "i")
    assert len(store.list("pods")[0]) == 1
    store.delete("jobs", "default", "j")
    assert store.list("pods")[0] == []


def test_a_namespace_goes_with_its_last_object(store: Store) -> None:
    store.create("namespaces", {"metadata": {"name": "team"}})
    store.create("configmaps", {"metadata": {"name": "c", "namespace": "team"}})
    scheduled(store, "p", namespace=None)
    manifest = pod("p", namespace="team")
    store.create("pods", manifest)
    store.mutate("pods", "team", "p", lambda o: o["spec"].update(nodeName="local"), subresource="*")
    store.delete("namespaces", None, "team")
    assert store.get("namespaces", None, "team")["status"]["phase"] == "Terminating"
    assert len(store.list("configmaps", "team")[0]) == 1, "pods go first"
    with pytest.raises(ApiError, match="being terminated") as error:
        store.create("pods", pod("q", namespace="team"))
    assert refused(error) == (403, "Forbidden")
    store.delete("pods", "team", "p", grace_seconds=0)
    assert [o["metadata"]["name"] for o in store.list("namespaces")[0]] == ["default", "kube-system"]


def test_a_held_pod_blocks_its_namespace_and_no_condition_names_it(store: Store) -> None:
    """Fact R12."""
    store.create("namespaces", {"metadata": {"name": "team"}})
    store.create("configmaps", {"metadata": {"name": "c", "namespace": "team", "finalizers": ["x.io/y"]}})
    store.create("pods", pod("p", namespace="team", finalizers=["podhooks.io/on-exit"]))
    store.delete("namespaces", None, "team")
    found = store.get("namespaces", None, "team")["status"]["conditions"]
    assert [each["status"] for each in found] == ["False"] * 5
    assert "deletionTimestamp" not in store.get("configmaps", "team", "c")["metadata"]
    store.mutate("pods", "team", "p", lambda o: o["metadata"].pop("finalizers"), subresource="")
    assert "deletionTimestamp" in store.get("configmaps", "team", "c")["metadata"]
    found = store.get("namespaces", None, "team")["status"]["conditions"]
    assert {each["reason"]: each["message"] for each in found if each["status"] == "True"} == {
        "SomeResourcesRemain": "Some resources are remaining: configmaps. has 1 resource instances",
        "SomeFinalizersRemain": "Some content in the namespace has finalizers remaining: "
        "x.io/y in 1 resource instances",
    }
    store.mutate("configmaps", "team", "c", lambda o: o["metadata"].pop("finalizers"), subresource="")
    assert [o["metadata"]["name"] for o in store.list("namespaces")[0]] == ["default", "kube-system"]


def test_eviction_says_so_one_event_before_the_deletion(store: Store) -> None:
    scheduled(store)
    watch = store.watch("pods", since=store.resource_version)
    store.evict("default", "a")
    first, second = watch.next(1), watch.next(1)
    assert first
    assert second
    condition = first.object["status"]["conditions"][-1]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")
    assert "deletionTimestamp" not in first.object["metadata"]
    assert second.object["metadata"]["deletionGracePeriodSeconds"] == 20


# -- watches


def test_a_watch_without_a_version_starts_with_everything(store: Store) -> None:
    store.create("pods", pod("a"))
    watch = store.watch("pods")
    store.create("pods", pod("b"))
    store.delete("pods", "default", "a")
    assert drain(watch) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_watch_from_a_list_misses_and_repeats_nothing(store: Store) -> None:
    store.create("pods", pod("a"))
    _, version = store.list("pods")
    store.create("pods", pod("b"))
    watch = store.watch("pods", since=version)
    store.create("pods", pod("c"))
    assert drain(watch) == [("ADDED", "b"), ("ADDED", "c")]
    assert watch.resource_version == store.resource_version


def test_a_watch_sees_its_namespace_and_kind_only(store: Store) -> None:
    store.create("namespaces", {"metadata": {"name": "team"}})
    watch = store.watch("pods", "team")
    store.create("pods", pod("a"))
    store.create("configmaps", {"metadata": {"name": "c", "namespace": "team"}})
    store.create("pods", pod("b", namespace="team"))
    assert drain(watch) == [("ADDED", "b")]


def test_an_object_that_stops_matching_is_deleted_for_the_watcher(store: Store) -> None:
    store.create("pods", pod("a", labels={"app": "web"}))
    watch = store.watch("pods", since=store.resource_version, labels="app=web")

    def label(value: str) -> None:
        store.mutate("pods", "default", "a", lambda o: o["metadata"].update(labels={"app": value}), subresource="")

    label("other")
    label("web")
    store.mutate("pods", "default", "a", set_phase("Running"))  # type: ignore[arg-type]
    first = watch.next(1)
    assert first
    assert (first.type, first.object["metadata"]["labels"]) == ("DELETED", {"app": "web"})
    assert int(first.object["metadata"]["resourceVersion"]) == int(store.resource_version) - 2
    assert drain(watch) == [("ADDED", "a"), ("MODIFIED", "a")]


def test_a_version_older_than_the_history_is_expired(store: Store) -> None:
    old = store.resource_version
    store.create("pods", pod("a"))
    watch = store.watch("pods", since=old)
    store.compact()
    with pytest.raises(ApiError, match="too old resource version") as error:
        store.watch("pods", since=old)
    assert refused(error) == (410, "Expired")
    event = watch.next(1)
    assert event
    assert (event.type, event.object["code"], event.object["reason"]) == ("ERROR", 410, "Expired")
    assert watch.next(1) is None


def test_the_history_is_bounded(clock: FakeClock) -> None:
    store = Store(history=3, clock=clock)
    watch = store.watch("pods", since=store.resource_version)
    for name in "abcd":
        store.create("pods", pod(name))
    event = watch.next(1)
    assert event
    assert event.type == "ERROR"


@pytest.mark.parametrize(("since", "status"), [("soon", 400), ("99999", 504)])
def test_versions_that_never_were_are_refused(store: Store, since: str, status: int) -> None:
    with pytest.raises(ApiError) as error:
        store.watch("pods", since=since)
    assert error.value.status == status


def test_close_ends_a_waiting_watch(store: Store) -> None:
    for end in ("watch", "store"):
        watch, ended = store.watch("pods"), threading.Event()

        def read(watch: Watch = watch, ended: threading.Event = ended) -> None:
            assert list(watch) == []
            ended.set()

        thread = threading.Thread(target=read)
        thread.start()
        watch.close() if end == "watch" else store.close()
        assert ended.wait(10)
        assert watch.closed
        thread.join()


def test_every_kind_has_a_path_of_its_own() -> None:
    paths = {(kind.root, plural) for plural, kind in RESOURCES.items()}
    assert len(paths) == len(RESOURCES)
    assert RESOURCES["jobs"].root == "/apis/batch/v1"
    assert RESOURCES["pods"].root == "/api/v1"
