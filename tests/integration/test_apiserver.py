"""The embedded API server over real HTTP connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podhooks.local.apiserver import Action, ApiServer, Fault
from podhooks.local.store import ApiError, Json, Store

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
TOKEN = "secret"
WAIT_SECONDS = 20


@pytest.fixture
def server() -> Iterator[ApiServer]:
    store = Store()
    with ApiServer(store, token=TOKEN) as server:
        yield server
    store.close()


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    client = Client(server.port)
    yield client
    client.connection.close()


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        assert self.json["kind"] == "Status"
        assert self.json["status"] == "Failure"
        assert self.json["code"] == self.status
        return self.status, self.json["reason"]


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
        self.token = token

    def open(self, method: str, path: str, body: object = None, **headers: str) -> http.client.HTTPResponse:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, data, {"Authorization": f"Bearer {self.token}", **named})
        return self.connection.getresponse()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        return Answer(self.open(method, path, body, **headers))

    def get(self, path: str, **headers: str) -> Any:
        answer = self.ask("GET", path, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path: str, body: object) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.json

    def watch(self, path: str, **headers: str) -> Iterator[Json]:
        response = self.open("GET", path, **headers)
        assert response.status == 200, response.read()
        return (json.loads(line) for line in response)


def pod(name: str = "a", **meta: object) -> Json:
    return {"metadata": {"name": name, **meta}, "spec": {"containers": [{"name": "main", "image": "x"}]}}


def configmap(name: str = "c", **meta: object) -> Json:
    return {"metadata": {"name": name, **meta}, "data": {"k": "v"}}


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def start_running(store: Store, name: str = "a") -> None:
    def run(obj: Json) -> None:
        obj["spec"].update(nodeName="local", terminationGracePeriodSeconds=20)
        obj["status"]["phase"] = "Running"

    store.mutate("pods", "default", name, run, subresource="*")


# -- who may ask


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic secret", "secret", "Bearer secretx"])
def test_without_the_token_everything_is_unauthorized(server: ApiServer, header: str | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)
    for method, path in (("GET", PODS), ("GET", "/healthz"), ("POST", PODS), ("GET", "/nothing"), ("GET", "/token=x")):
        connection.request(method, path, b"{}", {"Authorization": header} if header else {})
        assert Answer(connection.getresponse()).problem == (401, "Unauthorized")
    connection.close()


def test_the_token_may_be_part_of_the_path_as_kubectl_needs_it(server: ApiServer) -> None:
    client = Client(server.port, token="wrong")
    assert client.get(f"/token={TOKEN}{PODS}")["kind"] == "PodList"
    assert client.ask("GET", f"/token=wrong{PODS}").problem == (401, "Unauthorized")
    assert {asked.path for asked in server.requests} == {PODS}
    client.connection.close()


def test_a_rotated_token_replaces_the_old_one(server: ApiServer, client: Client) -> None:
    server.token = "rotated"
    assert client.ask("GET", PODS).status == 401
    client.token = "rotated"
    assert client.ask("GET", PODS).status == 200


def test_the_kubeconfig_is_for_its_owner_only(server: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    server.kubeconfig(path, namespace="team")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"server: http://127.0.0.1:{server.port}/token={TOKEN}\n" in path.read_text()
    assert "namespace: team\n" in path.read_text()


def test_tls_with_a_real_certificate() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    store = Store()
    with ApiServer(store, token=TOKEN, ssl_context=context, ca_pem=authority.cert_pem.bytes()) as server:
        client = Client(server.port)
        client.connection = http.client.HTTPSConnection(
            "localhost", server.port, timeout=WAIT_SECONDS, context=trusting
        )
        assert server.url == f"https://127.0.0.1:{server.port}"
        events = client.watch(f"{PODS}?watch=1")
        store.create("pods", pod())
        assert next(events)["type"] == "ADDED"
        client.connection.close()
    store.close()


# -- the answers' form


def test_every_answer_has_the_date_and_connections_are_kept(server: ApiServer, client: Client) -> None:
    client.ask("GET", "/healthz")
    kept = client.connection.sock
    for path in ("/healthz", PODS, "/nothing"):
        assert client.ask("GET", path).headers["Date"].endswith("GMT")
        assert client.connection.sock is kept
    assert client.ask("POST", PODS, b"{").problem == (400, "BadRequest")
    assert client.connection.sock is kept


def test_information(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        assert client.ask("GET", path).body == b"ok"
    assert client.get("/version")["gitVersion"].startswith("v1.36.")
    assert client.get("/api")["versions"] == ["v1"]
    assert "batch" in [group["name"] for group in client.get("/apis")["groups"]]
    assert client.get("/apis/batch")["preferredVersion"]["groupVersion"] == "batch/v1"
    resources = {entry["name"]: entry for entry in client.get("/apis/batch/v1")["resources"]}
    assert resources["jobs"]["namespaced"] is True
    assert resources["jobs/status"]["verbs"] == ["get", "patch", "update"]
    assert "pods/log" in {entry["name"] for entry in client.get("/api/v1")["resources"]}


def test_aggregated_discovery_is_one_answer(client: Client) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    answer = client.ask("GET", "/apis", Accept=accept)
    assert "as=APIGroupDiscoveryList" in (answer.headers["Content-Type"] or "")
    assert {"batch", "apps"} <= {item["metadata"]["name"] for item in answer.json["items"]}


def test_the_schema_says_that_the_server_checks_fields(client: Client) -> None:
    paths = client.get("/openapi/v3")["paths"]
    spec = client.get(paths["apis/batch/v1"]["serverRelativeURL"])
    patch = spec["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
    prefixed = client.get(f"/token={TOKEN}/openapi/v3")["paths"]["api/v1"]["serverRelativeURL"]
    assert prefixed == f"/token={TOKEN}/openapi/v3/api/v1"


# -- objects


def test_the_life_of_an_object(client: Client) -> None:
    made = client.post(CONFIGMAPS, configmap())
    assert client.get(f"{CONFIGMAPS}/c") == made
    assert client.get(CONFIGMAPS)["items"] == [made]
    assert client.get("/api/v1/configmaps")["items"] == [made]
    made["data"] = {"k": "w"}
    changed = client.ask("PUT", f"{CONFIGMAPS}/c", made)
    assert (changed.status, changed.json["data"]) == (200, {"k": "w"})
    assert client.ask("PUT", f"{CONFIGMAPS}/c", made).problem == (409, "Conflict")
    gone = client.ask("DELETE", f"{CONFIGMAPS}/c").json
    assert (gone["status"], gone["details"]["uid"]) == ("Success", made["metadata"]["uid"])
    assert client.ask("GET", f"{CONFIGMAPS}/c").problem == (404, "NotFound")


def test_lists_say_their_kind_and_version(client: Client) -> None:
    listed = client.get("/apis/batch/v1/jobs")
    assert (listed["kind"], listed["apiVersion"]) == ("JobList", "batch/v1")
    assert listed["metadata"]["resourceVersion"].isdecimal()


def test_the_status_is_a_door_of_its_own(client: Client) -> None:
    made = client.post(PODS, pod())
    made["status"], made["spec"]["hostname"] = {"phase": "Running"}, "h"
    answer = client.ask("PUT", f"{PODS}/a/status", made).json
    assert (answer["status"], "hostname" in answer["spec"]) == ({"phase": "Running"}, False)
    patch = {"status": {"reason": "Evicted"}}
    merge = {"Content_Type": "application/merge-patch+json"}
    assert client.ask("PATCH", f"{PODS}/a", patch, **merge).json["status"] == {"phase": "Running"}
    patched = client.ask("PATCH", f"{PODS}/a/status", patch, **merge).json
    assert patched["status"] == {"phase": "Running", "reason": "Evicted"}


@pytest.mark.parametrize(
    ("query", "names"),
    [("labelSelector=app%3Dweb", ["a"]), ("fieldSelector=metadata.name%3Db", ["b"]), ("limit=500", ["a", "b"])],
)
def test_selectors_come_in_the_query(client: Client, query: str, names: list[str]) -> None:
    client.post(PODS, pod("a", labels={"app": "web"}))
    client.post(PODS, pod("b"))
    assert [item["metadata"]["name"] for item in client.get(f"{PODS}?{query}")["items"]] == names


@pytest.mark.parametrize(
    ("kind", "patch", "containers", "labels"),
    [
        ("json-patch", [{"op": "replace", "path": "/spec/containers/0/image", "value": "y"}], ["y"], {"a": "1"}),
        ("merge-patch", {"metadata": {"labels": {"a": None, "b": "2"}}}, ["x"], {"b": "2"}),
        ("strategic-merge-patch", {"spec": {"containers": [{"name": "main", "image": "y"}]}}, ["y"], {"a": "1"}),
    ],
)
def test_patches(client: Client, kind: str, patch: object, containers: list[str], labels: Json) -> None:
    client.post(PODS, pod(labels={"a": "1"}))
    answer = client.ask("PATCH", f"{PODS}/a", patch, Content_Type=f"application/{kind}+json")
    assert answer.status == 200, answer.body
    assert [container["image"] for container in answer.json["spec"]["containers"]] == containers
    assert answer.json["metadata"]["labels"] == labels


def test_a_patch_that_names_a_version_is_checked_against_it(client: Client) -> None:
    client.post(CONFIGMAPS, configmap())
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"k": "w"}}
    answer = client.ask("PATCH", f"{CONFIGMAPS}/c", patch, Content_Type="application/merge-patch+json")
    assert answer.problem == (409, "Conflict")


def test_concurrent_patches_without_a_version_all_land(server: ApiServer, client: Client) -> None:
    client.post(CONFIGMAPS, configmap())

    def patch(key: str) -> None:
        own = Client(server.port)
        body = {"data": {key: "1"}}
        assert own.ask("PATCH", f"{CONFIGMAPS}/c", body, Content_Type="application/merge-patch+json").status == 200
        own.connection.close()

    threads = [threading.Thread(target=patch, args=(f"k{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(client.get(f"{CONFIGMAPS}/c")["data"]) == 6


class RacingStore(Store):
    """Somebody else is always faster: each of the first `races` updates finds a newer version."""

    races = 0

    def update(self, plural: str, obj: Mapping[str, Any], *, subresource: str = "", dry_run: bool = False) -> Json:
        if self.races:
            self.races -= 1
            self.mutate(plural, "default", obj["metadata"]["name"], self._step, subresource="")
        return super().update(plural, obj, subresource=subresource, dry_run=dry_run)

    def _step(self, obj: Json) -> None:
        obj["data"]["race"] = str(self.races)


@pytest.mark.parametrize(("races", "status"), [(0, 200), (4, 200), (5, 409)])
def test_a_patch_is_tried_again_when_somebody_was_faster(races: int, status: int) -> None:
    store = RacingStore()
    store.create("configmaps", configmap())
    store.races = races
    with ApiServer(store, token=TOKEN) as server:
        client = Client(server.port)
        patch = client.ask(
            "PATCH", f"{CONFIGMAPS}/c", {"data": {"k": "w"}}, Content_Type="application/merge-patch+json"
        )
        client.connection.close()
    assert patch.status == status
    assert (store.get("configmaps", "default", "c")["data"]["k"] == "w") is (status == 200)
    store.close()


def test_what_can_not_be_changed_is_refused(client: Client) -> None:
    made = client.post(PODS, pod())
    made["spec"]["containers"][0]["command"] = ["other"]
    assert client.ask("PUT", f"{PODS}/a", made).problem == (422, "Invalid")
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    job = client.post(jobs, {"metadata": {"name": "j"}, "spec": {"template": {"spec": {}}}})
    job["spec"]["template"]["spec"]["nodeName"] = "n"
    answer = client.ask("PUT", f"{jobs}/j", job)
    assert answer.problem == (422, "Invalid")
    assert "field is immutable" in answer.json["message"]


def test_dry_run_answers_and_does_nothing(server: ApiServer, client: Client) -> None:
    assert client.post(f"{PODS}?dryRun=All", pod())["metadata"]["uid"]
    assert client.get(PODS)["items"] == []
    client.post(PODS, pod())
    patch, kind = {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json"
    assert client.ask("PATCH", f"{PODS}/a?dryRun=All", patch, Content_Type=kind).json["metadata"]["labels"]
    assert client.ask("DELETE", f"{PODS}/a?dryRun=All").status == 200
    assert "labels" not in client.get(f"{PODS}/a")["metadata"]
    assert client.ask("DELETE", f"{PODS}/a?dryRun=some").problem == (400, "BadRequest")


# -- deletion, eviction, binding


@pytest.mark.parametrize(
    ("query", "body", "grace"),
    [("", None, 20), ("", {"gracePeriodSeconds": 7}, 7), ("?gracePeriodSeconds=5", {"gracePeriodSeconds": 7}, 5)],
)
def test_delete_options_in_body_and_query(
    server: ApiServer, client: Client, query: str, body: Json | None, grace: int
) -> None:
    client.post(PODS, pod())
    start_running(server.store)
    answer = client.ask("DELETE", f"{PODS}/a{query}", body)
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == grace


@pytest.mark.parametrize("body", [{"gracePeriodSeconds": -1}, {"gracePeriodSeconds": "x"}, {"propagationPolicy": "Up"}])
def test_bad_delete_options(client: Client, body: Json) -> None:
    client.post(PODS, pod())
    assert client.ask("DELETE", f"{PODS}/a", body).problem == (400, "BadRequest")


def test_a_precondition_protects_a_namesake(client: Client) -> None:
    client.post(PODS, pod())
    answer = client.ask("DELETE", f"{PODS}/a", {"preconditions": {"uid": "other"}})
    assert answer.problem == (409, "Conflict")


def test_orphaned_pods_stay(client: Client) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    uid = client.post(jobs, {"metadata": {"name": "j"}, "spec": {}})["metadata"]["uid"]
    for policy, left in (("Orphan", ["a"]), ("Background", [])):
        if policy == "Background":
            uid = client.post(jobs, {"metadata": {"name": "j"}, "spec": {}})["metadata"]["uid"]
            client.ask("DELETE", f"{PODS}/a")
        client.post(PODS, pod(ownerReferences=[{"kind": "Job", "name": "j", "uid": uid}]))
        client.ask("DELETE", f"{jobs}/j", {"propagationPolicy": policy})
        assert [item["metadata"]["name"] for item in client.get(PODS)["items"]] == left


def test_a_collection_is_deleted_by_selector(client: Client) -> None:
    for name in ("a", "b"):
        client.post(PODS, pod(name, labels={"name": name}))
    assert client.ask("DELETE", f"{PODS}?labelSelector=name%3Da").status == 200
    assert [item["metadata"]["name"] for item in client.get(PODS)["items"]] == ["b"]
    assert client.ask("DELETE", "/api/v1/pods").problem == (405, "MethodNotAllowed")


def test_eviction(server: ApiServer, client: Client) -> None:
    client.post(PODS, pod())
    start_running(server.store)
    body = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "a"}}
    assert client.post(f"{PODS}/a/eviction", body)["status"] == "Success"
    evicted = client.get(f"{PODS}/a")
    assert evicted["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"
    assert evicted["metadata"]["deletionGracePeriodSeconds"] == 20
    assert client.ask("POST", f"{PODS}/b/eviction", body).problem == (404, "NotFound")


def test_binding(client: Client) -> None:
    client.post(PODS, pod())
    client.post(f"{PODS}/a/binding", {"target": {"kind": "Node", "name": "n1"}})
    assert client.get(f"{PODS}/a")["spec"]["nodeName"] == "n1"


# -- refusals


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("GET", "/", (404, "NotFound")),
        ("GET", "/nothing", (404, "NotFound")),
        ("GET", "/api/v2/pods", (404, "NotFound")),
        ("GET", "/apis/batch/v1/pods", (404, "NotFound")),
        ("GET", "/apis/nothing/v1/things", (404, "NotFound")),
        ("GET", "/api/v1/pods/a", (404, "NotFound")),
        ("GET", "/api/v1/namespaces/default/nodes", (404, "NotFound")),
        ("GET", f"{PODS}/a/log/b", (404, "NotFound")),
        ("GET", f"{PODS}/a/nothing", (404, "NotFound")),
        ("GET", "/openapi/v2", (404, "NotFound")),
        ("POST", "/nothing", (404, "NotFound")),
        ("POST", "/version", (405, "MethodNotAllowed")),
        ("PUT", PODS, (405, "MethodNotAllowed")),
        ("POST", f"{PODS}/a", (405, "MethodNotAllowed")),
        ("POST", "/api/v1/pods", (405, "MethodNotAllowed")),
        ("DELETE", f"{PODS}/a/log", (405, "MethodNotAllowed")),
        ("TRACE", PODS, (405, "MethodNotAllowed")),
        ("POST", f"{PODS}/a/exec", (501, "NotImplemented")),
        ("GET", f"{PODS}?timeoutSeconds=soon&watch=1", (400, "BadRequest")),
        ("GET", f"{PODS}?labelSelector=a%20b", (400, "BadRequest")),
        ("GET", f"{PODS}?fieldSelector=spec.x%3Da", (400, "BadRequest")),
        ("GET", f"{PODS}?watch=1&resourceVersion=soon", (400, "BadRequest")),
        ("GET", f"{PODS}?watch=1&resourceVersion=99999", (504, "Timeout")),
        ("GET", f"{PODS}/none/log", (404, "NotFound")),
    ],
)
def test_paths_and_methods_that_are_not_there(client: Client, method: str, path: str, problem: tuple[int, str]) -> None:
    assert client.ask(method, path).problem == problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", (400, "BadRequest")),
        (b"{", (400, "BadRequest")),
        (b"\xff\xfe", (400, "BadRequest")),
        (b"[]", (400, "BadRequest")),
        (b"{}", (400, "BadRequest")),
        (b'{"metadata": 5}', (400, "BadRequest")),
        (b'{"metadata": {}}', (422, "Invalid")),
        (b'{"metadata": {"name": 5}}', (400, "BadRequest")),
        (b'{"metadata": {"name": "A"}}', (422, "Invalid")),
        (b'{"kind": "Job", "metadata": {"name": "a"}}', (400, "BadRequest")),
        (b'{"apiVersion": "v2", "metadata": {"name": "a"}}', (400, "BadRequest")),
        (b'{"metadata": {"name": "a", "namespace": "other"}}', (400, "BadRequest")),
    ],
)
def test_bodies_that_are_no_pods(client: Client, body: bytes, problem: tuple[int, str]) -> None:
    assert client.ask("POST", PODS, body, Content_Type="application/json").problem == problem


def test_what_is_not_supported_says_what_to_do(client: Client) -> None:
    client.post(PODS, pod())
    applied = client.ask("PATCH", f"{PODS}/none", b"{}", Content_Type="application/apply-patch+yaml")
    assert applied.problem == (415, "UnsupportedMediaType")
    assert "without --server-side" in applied.json["message"]
    protobuf = client.ask("POST", PODS, b"k8s\x00", Content_Type="application/vnd.kubernetes.protobuf")
    assert protobuf.problem == (415, "UnsupportedMediaType")
    assert "--dry-run=client -o yaml" in protobuf.json["message"]


def test_an_object_is_written_under_its_own_name_only(client: Client) -> None:
    client.post(PODS, pod())
    assert client.ask("PUT", f"{PODS}/a", pod("b")).problem == (400, "BadRequest")
    patch = [{"op": "replace", "path": "/metadata/name", "value": "b"}]
    answer = client.ask("PATCH", f"{PODS}/a", patch, Content_Type="application/json-patch+json")
    assert answer.problem == (400, "BadRequest")


def test_a_body_of_three_megabytes_is_enough(client: Client) -> None:
    big = {**configmap(), "data": {"k": "v" * (3 << 20)}}
    answer = client.ask("POST", CONFIGMAPS, big)
    assert answer.problem == (413, "RequestEntityTooLarge")
    big["data"]["k"] = "v" * (3 << 20 - 1)
    assert client.ask("POST", CONFIGMAPS, big).status == 201


def test_malformed_http_gets_an_answer(server: ApiServer) -> None:
    for lines in (
        "GARBAGE",
        "GET /x HTTP/9.9",
        "GET http://[ HTTP/1.1",
        f"POST {PODS} HTTP/1.1\r\nTransfer-Encoding: chunked",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as connection:
            connection.sendall(f"{lines}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb").read()
        assert b'"status":"Failure"' in answer


# -- tables


def test_tables_for_kubectl_get(client: Client) -> None:
    client.post(PODS, pod())
    table = client.get(PODS, Accept=TABLE)
    names = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert names == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert table["rows"][0]["cells"][:4] == ["a", "0/1", "Pending", "0"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = client.get(f"{PODS}/a?includeObject=Object", Accept=TABLE)
    assert whole["rows"][0]["object"]["spec"]["containers"]
    assert "object" not in client.get(f"{PODS}?includeObject=None", Accept=TABLE)["rows"][0]


def test_plain_json_when_the_client_prefers_it(client: Client) -> None:
    client.post(PODS, pod())
    for accept in ("application/json", "*/*", "", "application/json,application/json;as=Table;v=v1;g=meta.k8s.io"):
        assert client.get(PODS, Accept=accept)["kind"] == "PodList"
    metadata = client.get(PODS, Accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert [set(item) for item in metadata["items"]] == [{"kind", "apiVersion", "metadata"}]


# -- watches


def test_a_watch_streams_as_things_happen(server: ApiServer, client: Client) -> None:
    version = client.get(PODS)["metadata"]["resourceVersion"]
    events = client.watch(f"{PODS}?watch=true&resourceVersion={version}")
    store = server.store
    store.create("pods", pod())
    assert next(events)["type"] == "ADDED"
    start_running(store)
    event = next(events)
    assert (event["type"], event["object"]["status"]["phase"]) == ("MODIFIED", "Running")
    store.delete("pods", "default", "a", grace_seconds=0)
    assert [next(events)["type"], next(events)["type"]] == ["MODIFIED", "DELETED"]


def test_one_object_can_be_watched_under_its_own_path(server: ApiServer, client: Client) -> None:
    events = client.watch(f"{PODS}/b?watch=true")
    server.store.create("pods", pod("a"))
    server.store.create("pods", pod("b"))
    assert next(events)["object"]["metadata"]["name"] == "b"


def test_a_watch_ends_after_its_timeout_with_a_bookmark(server: ApiServer, client: Client) -> None:
    started = time.monotonic()
    response = client.open("GET", f"{PODS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true")
    server.store.create("configmaps", configmap())
    lines = [json.loads(line) for line in response]
    assert 0.9 < time.monotonic() - started < WAIT_SECONDS
    assert [line["type"] for line in lines] == ["BOOKMARK"]
    assert lines[0]["object"]["metadata"]["resourceVersion"] == server.store.resource_version
    assert client.ask("GET", "/healthz").status == 200  # the connection is still good


def test_a_watch_without_bookmarks_gets_none(client: Client) -> None:
    assert list(client.watch(f"{PODS}?watch=true&timeoutSeconds=1")) == []


def test_an_old_version_is_told_in_the_stream(server: ApiServer, client: Client) -> None:
    version = server.store.resource_version
    server.store.create("pods", pod())
    server.store.compact()
    (event,) = client.watch(f"{PODS}?watch=true&resourceVersion={version}")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_of_metadata_alone_has_bookmarks_of_metadata(client: Client) -> None:
    """Seen on a real API server: kind, version, and a metadata of two fields."""
    client.post(PODS, pod(labels={"x": "y"}))
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    query = (
        "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=x=y"
    )
    events = client.watch(f"{PODS}?{query}", Accept=accept)
    first, bookmark = next(events), next(events)
    assert (first["type"], set(first["object"])) == ("ADDED", {"kind", "apiVersion", "metadata"})
    metadata = bookmark["object"].pop("metadata")
    assert bookmark == {
        "type": "BOOKMARK",
        "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"},
    }
    assert metadata == {
        "resourceVersion": first["object"]["metadata"]["resourceVersion"],
        "annotations": {"k8s.io/initial-events-end": "true"},
    }


def test_a_finalizer_is_dropped_by_its_name_and_under_a_uid(client: Client) -> None:
    """Fact R14."""
    made = client.post(PODS, pod(finalizers=["podhooks.io/on-exit", "x.io/y"]))
    kind = "application/strategic-merge-patch+json"
    drop = {"$deleteFromPrimitiveList/finalizers": ["podhooks.io/on-exit"]}
    other = client.ask("PATCH", f"{PODS}/a", {"metadata": {"uid": "other", **drop}}, Content_Type=kind)
    assert other.status in (409, 422)
    stale = client.ask("PATCH", f"{PODS}/a", {"metadata": {"resourceVersion": "1", **drop}}, Content_Type=kind)
    assert stale.problem == (409, "Conflict")
    named = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"], **drop}
    assert client.ask("PATCH", f"{PODS}/a", {"metadata": named}, Content_Type=kind).json["metadata"]["finalizers"] == [
        "x.io/y"
    ]


def test_initial_events_end_with_a_marked_bookmark(client: Client) -> None:
    client.post(PODS, pod())
    query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events = client.watch(f"{PODS}?{query}")
    assert next(events)["type"] == "ADDED"
    bookmark = next(events)
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_table_watch_has_its_columns_once(server: ApiServer, client: Client) -> None:
    client.post(PODS, pod())
    events = client.watch(f"{PODS}?watch=1", Accept=TABLE)
    first = next(events)["object"]
    start_running(server.store)
    second = next(events)["object"]
    assert (bool(first["columnDefinitions"]), second["columnDefinitions"]) == (True, [])
    assert [first["rows"][0]["cells"][2], second["rows"][0]["cells"][2]] == ["Pending", "Running"]


def test_a_watch_whose_client_left_ends(server: ApiServer) -> None:
    before = threading.active_count()
    client = Client(server.port)
    response = client.open("GET", f"{PODS}?watch=1")
    assert threading.active_count() == before + 1
    response.close()
    client.connection.close()
    eventually(lambda: threading.active_count() == before)


def test_stopping_ends_watches_and_leaves_no_thread() -> None:
    before = threading.active_count()
    store = Store()
    server = ApiServer(store, token=TOKEN)
    server.start()
    client = Client(server.port)
    response = client.open("GET", f"{PODS}?watch=1")
    server.stop()
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        assert response.read() == b""
    response.close()
    client.connection.close()
    assert threading.active_count() == before
    store.close()


# -- logs


class FakeLogs:
    """A kubelet that knows one pod; `closed` is set when its stream is given up."""

    def __init__(self) -> None:
        self.asked: dict[str, object] = {}
        self.closed = threading.Event()
        self.more = threading.Event()

    def __call__(self, namespace: str, pod: str, container: str, *, follow: bool, **options: object) -> Iterator[bytes]:
        if container == "waits":
            raise ApiError(400, "BadRequest", f'container "{container}" in pod "{pod}" is waiting to start')
        self.asked = {"where": (namespace, pod, container), "follow": follow, **options}
        return self._lines(follow)

    def _lines(self, follow: bool) -> Iterator[bytes]:
        try:
            yield b"first\n"
            while follow:
                self.more.wait(0.05)
                yield b"again\n"
        finally:
            self.closed.set()


@pytest.fixture
def logs(server: ApiServer) -> FakeLogs:
    logs = FakeLogs()
    server.logs = logs
    manifest = pod()
    manifest["spec"]["containers"].append({"name": "waits"})
    manifest["spec"]["initContainers"] = [{"name": "init"}]
    server.store.create("pods", manifest)
    server.store.create("pods", pod("single"))
    return logs


def test_logs_pass_on_what_was_asked(client: Client, logs: FakeLogs) -> None:
    query = "container=init&tailLines=3&previous=true&timestamps=true&sinceSeconds=60&limitBytes=9"
    answer = client.ask("GET", f"{PODS}/a/log?{query}")
    assert (answer.body, answer.headers["Content-Type"]) == (b"first\n", "text/plain")
    assert logs.asked == {
        "where": ("default", "a", "init"),
        "follow": False,
        "previous": True,
        "tail_lines": 3,
        "since_seconds": 60,
        "timestamps": True,
        "limit_bytes": 9,
    }


def test_since_time_becomes_seconds(client: Client, logs: FakeLogs) -> None:
    assert client.ask("GET", f"{PODS}/single/log?sinceTime=2026-01-01T00:00:00Z").status == 200
    assert isinstance(logs.asked["since_seconds"], int)
    assert client.ask("GET", f"{PODS}/single/log?sinceTime=soon").problem == (400, "BadRequest")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a/log", "choose one of: [main waits] or one of the init containers: [init]"),
        ("a/log?container=other", "container other is not valid for pod a"),
        ("a/log?container=waits", "is waiting to start"),
        ("a/log?container=main&tailLines=x", "tailLines"),
    ],
)
def test_logs_that_can_not_be_had(client: Client, logs: FakeLogs, path: str, message: str) -> None:
    answer = client.ask("GET", f"{PODS}/{path}")
    assert answer.problem == (400, "BadRequest")
    assert message in answer.json["message"]


def test_following_ends_when_the_client_leaves(server: ApiServer, logs: FakeLogs) -> None:
    client = Client(server.port)
    response = client.open("GET", f"{PODS}/single/log?follow=true")
    assert [response.readline(), response.readline()] == [b"first\n", b"again\n"]
    response.close()
    client.connection.close()
    assert logs.closed.wait(WAIT_SECONDS)


def test_no_kubelet_no_logs(client: Client) -> None:
    client.post(PODS, pod())
    assert client.ask("GET", f"{PODS}/a/log").problem == (503, "ServiceUnavailable")


# -- faults and records


def test_requests_are_recorded(server: ApiServer, client: Client) -> None:
    client.ask("GET", f"{PODS}?watch=1&timeoutSeconds=1")
    client.ask("POST", PODS, b"{")
    recorded = [tuple(asked) for asked in server.requests]
    assert recorded == [("GET", PODS, "watch=1&timeoutSeconds=1"), ("POST", PODS, "")]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "Unauthorized"), (403, "Forbidden"), (410, "Expired"), (429, "TooManyRequests"), (500, "InternalError")],
)
def test_the_next_requests_can_be_refused(server: ApiServer, client: Client, status: int, reason: str) -> None:
    server.faults.add(Fault(PODS, status=status, times=2, retry_after_seconds=3))
    assert client.ask("GET", "/healthz").status == 200
    for _ in range(2):
        answer = client.ask("GET", PODS)
        assert answer.problem == (status, reason)
        assert answer.headers["Retry-After"] == "3"
    assert client.ask("GET", PODS).status == 200
    assert len(server.faults) == 0


def test_faults_can_be_for_watches_or_a_method_only(server: ApiServer, client: Client) -> None:
    server.faults.add(Fault(watch=True, status=403), Fault(method="POST", status=429))
    assert client.ask("GET", PODS).status == 200
    assert client.ask("GET", f"{PODS}?watch=1").status == 403
    assert client.ask("POST", PODS, pod()).status == 429
    assert client.ask("POST", PODS, pod()).status == 201


@pytest.mark.parametrize("action", [Action.HANG, Action.SILENT])
def test_a_black_hole_says_nothing_until_it_is_released(server: ApiServer, client: Client, action: Action) -> None:
    server.faults.add(Fault(PODS, action))
    client.connection.timeout = 0.3
    server.store.create("pods", pod())
    with pytest.raises(TimeoutError):
        client.ask("GET", f"{PODS}?watch=1&timeoutSeconds=1")
    other = Client(server.port)
    server.faults.add(Fault(PODS, action))
    threading.Timer(0.2, server.faults.clear).start()
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        other.ask("GET", f"{PODS}?watch=1")
    other.connection.close()


def test_an_answer_can_be_cut_in_mid_line(server: ApiServer, client: Client) -> None:
    server.store.create("pods", pod())
    server.faults.add(Fault(PODS, Action.CUT, times=2))
    for query in ("?watch=1", ""):
        with pytest.raises(http.client.IncompleteRead):
            client.ask("GET", PODS + query)
        client.connection.close()
    assert client.ask("GET", PODS).status == 200


def test_a_watch_can_be_ended_early(server: ApiServer, client: Client) -> None:
    server.store.create("pods", pod())
    server.faults.add(Fault(PODS, Action.END, watch=True))
    assert list(client.watch(f"{PODS}?watch=1")) == []
    assert client.ask("GET", PODS).status == 200


def test_running_watches_can_be_ended(server: ApiServer, client: Client) -> None:
    events = client.watch(f"{PODS}?watch=1")
    server.store.create("pods", pod())
    assert next(events)["type"] == "ADDED"
    server.end_watches()
    assert list(events) == []
    assert client.ask("GET", PODS).status == 200


def test_all_connections_can_be_dropped(server: ApiServer, client: Client) -> None:
    events = client.open("GET", f"{PODS}?watch=1")
    server.drop_connections()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        events.read()
    client.connection.close()
    assert client.ask("GET", PODS).status == 200


# -- whatever comes

FIELDS = [
    "metadata",
    "name",
    "spec",
    "status",
    "labels",
    "containers",
    "phase",
    "conditions",
    "finalizers",
    "ownerReferences",
    "template",
    "initContainers",
    "containerStatuses",
    "state",
    "op",
    "path",
    "$patch",
    "kind",
    "uid",
    "deleteOptions",
    "preconditions",
    "target",
    "generateName",
    "type",
    "podIPs",
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.sampled_from(["", "a", "Always", "*", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=JSON_VALUES, patch=JSON_VALUES)
def test_no_body_is_an_internal_error(server: ApiServer, client: Client, body: object, patch: object) -> None:
    made = {"metadata": {"name": "a"}, "spec": body, "status": body}
    with contextlib.suppress(ApiError):
        server.store.create("pods", pod())
    asked = [
        client.ask("POST", PODS, made),
        client.ask("POST", "/apis/batch/v1/namespaces/default/jobs", made),
        client.ask("POST", CONFIGMAPS, body),
        client.ask("PUT", f"{PODS}/a/status", made),
        client.ask("POST", f"{PODS}/a/binding", body),
        client.ask("POST", f"{PODS}/a/eviction", body),
    ]
    patches = (f"application/{kind}+json" for kind in ("json-patch", "merge-patch", "strategic-merge-patch"))
    asked += [
        client.ask("PATCH", path, patch, Content_Type=kind)
        for kind in patches
        for path in (f"{PODS}/a", f"{PODS}/a/status")
    ]
    asked += [
        client.ask("GET", path, Accept=TABLE) for path in (PODS, "/apis/batch/v1/jobs", f"{PODS}?labelSelector=a")
    ]
    asked.append(client.ask("DELETE", f"{PODS}/a", body))
    assert [answer.json["message"] for answer in asked if answer.status == 500] == []
