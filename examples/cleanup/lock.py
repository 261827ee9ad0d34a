"""A lock that is there exactly as long as main runs: a ConfigMap, made by on_start and deleted by on_exit."""

import json
import os
import ssl
import urllib.error
import urllib.request

from podhooks.runtime.access import Access

NAME = "cleanup-lock"


def take(context):
    """Fails, and with it the start, while another pod has the lock."""
    lock = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"holder": context.pod.uid}}
    if request("POST", "", lock) == 409 and holder() != context.pod.uid:
        raise RuntimeError(f"the lock {NAME} is held by another pod, {holder()}")
    print(f"{context.pod.name} has the lock")


def give_back(context):
    """Runs however main ended. A lock that is gone already, or another pod's, is left alone."""
    if holder() != context.pod.uid:
        print("the lock isn't ours: nothing to clean up")
        return
    request("DELETE", f"/{NAME}")
    print(f"lock given back after {context.exit.result.value}")


def holder():
    """The uid of the pod that has the lock, None if nobody has."""
    answer = request("GET", f"/{NAME}", expect_json=True)
    return answer["data"]["holder"] if isinstance(answer, dict) else None


def request(method, path, body=None, *, expect_json=False):
    """The answer's JSON, or its HTTP status; 404 and 409 are answers like any other."""
    access = Access.in_cluster(os.environ)
    with open(access.token_file, encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    url = f"{access.base_url}/api/v1/namespaces/{access.namespace}/configmaps{path}"
    call = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    secure = ssl.create_default_context(cafile=access.ca_file) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(call, timeout=10, context=secure) as answer:
            return json.load(answer) if expect_json else answer.status
    except urllib.error.HTTPError as error:
        if error.code in (404, 409):
            return error.code
        raise
