"""PATCH: JSON patch, merge patch and the strategic merge patch of Kubernetes."""

from __future__ import annotations

import json

import pytest

from podhooks.kinds.resources import Json
from podhooks.local.patches import apply_patch
from podhooks.local.problems import ApiError

JSON_PATCH, MERGE, STRATEGIC = (
    f"application/{kind}+json" for kind in ("json-patch", "merge-patch", "strategic-merge-patch")
)


def patched(kind: str, obj: Json, patch: object) -> Json:
    before = json.dumps(obj)
    result = apply_patch(kind, obj, json.dumps(patch).encode())
    assert json.dumps(obj) == before, "the original is left alone"
    return result


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"op": "add", "path": "/b", "value": 2}], {"a": {"x": [1, 2]}, "b": 2}),
        ([{"op": "add", "path": "/a/x/1", "value": 9}], {"a": {"x": [1, 9, 2]}}),
        ([{"op": "add", "path": "/a/x/-", "value": 9}], {"a": {"x": [1, 2, 9]}}),
        ([{"op": "remove", "path": "/a/x/0"}], {"a": {"x": [2]}}),
        ([{"op": "replace", "path": "/a/x", "value": 3}], {"a": {"x": 3}}),
        ([{"op": "replace", "path": "", "value": {"n": 1}}], {"n": 1}),
        ([{"op": "move", "from": "/a/x", "path": "/y"}], {"a": {}, "y": [1, 2]}),
        ([{"op": "copy", "from": "/a/x", "path": "/y"}], {"a": {"x": [1, 2]}, "y": [1, 2]}),
        ([{"op": "test", "path": "/a/x/0", "value": 1}, {"op": "remove", "path": "/a"}], {}),
        ([{"op": "add", "path": "/a~1b~0c", "value": 1}], {"a": {"x": [1, 2]}, "a/b~c": 1}),
    ],
)
def test_json_patch(patch: object, expected: Json) -> None:
    assert patched(JSON_PATCH, {"a": {"x": [1, 2]}}, patch) == expected


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"op": "add"}, 400),
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "remove", "path": "/none"}], 422),
        ([{"op": "replace", "path": "/none", "value": 1}], 422),
        ([{"op": "add", "path": "/list/7", "value": 1}], 422),
        ([{"op": "add", "path": "/list/x", "value": 1}], 422),
        ([{"op": "add", "path": "a", "value": 1}], 422),
        ([{"op": "add", "path": "/a/b/c", "value": 1}], 422),
        ([{"op": "dance", "path": "/a"}], 422),
        ([5], 422),
        ([{"op": "replace", "path": "", "value": 5}], 400),
    ],
)
def test_json_patches_that_do_not_fit(patch: object, status: int) -> None:
    with pytest.raises(ApiError) as error:
        patched(JSON_PATCH, {"a": 1, "list": []}, patch)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": None}, {"l": [1, 2]}),
        ({"a": {"y": 2}}, {"a": {"x": 1, "y": 2}, "l": [1, 2]}),
        ({"l": [3]}, {"a": {"x": 1}, "l": [3]}),
        ({"n": {"m": {"o": None}}}, {"a": {"x": 1}, "l": [1, 2], "n": {"m": {}}}),
    ],
)
def test_merge_patch(patch: object, expected: Json) -> None:
    assert patched(MERGE, {"a": {"x": 1}, "l": [1, 2]}, patch) == expected


CONTAINERS: list[Json] = [
    {"name": "a", "image": "1", "args": ["x"], "env": [{"name": "A", "value": "1"}]},
    {"name": "b"},
]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ([{"name": "a", "image": "2"}], [{**CONTAINERS[0], "image": "2"}, CONTAINERS[1]]),
        ([{"name": "c"}], [*CONTAINERS, {"name": "c"}]),
        ([{"name": "a", "$patch": "delete"}], [CONTAINERS[1]]),
        ([{"name": "a", "args": ["y"]}], [{**CONTAINERS[0], "args": ["y"]}, CONTAINERS[1]]),
        ([{"$patch": "replace"}, {"name": "z"}], [{"name": "z"}]),
        (
            [{"name": "a", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": None}]}],
            [{**CONTAINERS[0], "env": [{"name": "A"}, {"name": "B", "value": "2"}]}, CONTAINERS[1]],
        ),
    ],
)
def test_named_lists_are_merged(patch: object, expected: object) -> None:
    assert patched(STRATEGIC, {"spec": {"containers": CONTAINERS}}, {"spec": {"containers": patch}}) == {
        "spec": {"containers": expected}
    }


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        ({"tolerations": [1]}, {"tolerations": [2]}, {"tolerations": [2]}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"volumes": [{"name": "v", "emptyDir": {}}]}, {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, None),
        (
            {"strategy": {"a": 1, "b": 2}},
            {"strategy": {"$retainKeys": ["b", "c"], "c": 3}},
            {"strategy": {"b": 2, "c": 3}},
        ),
        ({"labels": {"a": 1}}, {"labels": {"$patch": "replace", "b": 2}}, {"labels": {"b": 2}}),
        ({"labels": {"a": 1}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
        (
            {"conditions": [{"type": "Ready", "status": "False"}]},
            {
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "X"}],
                "$setElementOrder/conditions": [{"type": "X"}],
            },
            {"conditions": [{"type": "X"}, {"type": "Ready", "status": "True"}]},
        ),
        ({"ports": [{"port": 1}]}, {"ports": [{"port": 2}]}, {"ports": [{"port": 1}, {"port": 2}]}),
    ],
)
def test_the_rest_of_strategic_merge(obj: Json, patch: Json, expected: Json | None) -> None:
    if expected is None:
        expected = {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}
    assert patched(STRATEGIC, obj, patch) == expected


@pytest.mark.parametrize("kind", ["application/apply-patch+yaml", "application/json", ""])
def test_other_kinds_of_patches_are_refused(kind: str) -> None:
    with pytest.raises(ApiError) as error:
        apply_patch(kind, {}, b"{}")
    assert error.value.status == 415


@pytest.mark.parametrize("kind", [JSON_PATCH, MERGE, STRATEGIC])
@pytest.mark.parametrize("body", [b"", b"{", b"5", b"null", b"\xff"])
def test_patches_that_are_none(kind: str, body: bytes) -> None:
    with pytest.raises(ApiError) as error:
        apply_patch(kind, {}, body)
    assert error.value.status == 400
