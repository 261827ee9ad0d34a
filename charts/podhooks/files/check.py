"""What `helm test` runs: the webhook is asked to inject a pod, as the API server would ask it."""

import base64
import json
import ssl
import sys
import urllib.request

host, port = sys.argv[1:]
pod = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "test",
        "namespace": "default",
        "annotations": {"podhooks.io/on-exit": "package.module:function"},
    },
    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "main"}]},
}
request = {
    "uid": "helm-test",
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "resource": {"group": "", "version": "v1", "resource": "pods"},
    "namespace": "default",
    "operation": "CREATE",
    "dryRun": True,
    "object": pod,
}
review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = (
    False,
    ssl.CERT_NONE,
)  # the API server checks it; readiness tells whether it does
address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
asked = urllib.request.Request(
    f"https://{address}/mutate", json.dumps(review).encode(), {"Content-Type": "application/json"}
)
response = json.load(urllib.request.urlopen(asked, timeout=20, context=context))["response"]  # noqa: S310 (https)
patch = json.loads(base64.b64decode(response.get("patch") or "W10="))
added = sorted({part["name"] for each in patch if isinstance(each.get("value"), list) for part in each["value"]})
print(f"allowed: {response['allowed']}, added: {', '.join(added)}")
sys.exit(0 if response["allowed"] and {"on-start", "on-exit"} <= set(added) else 1)
