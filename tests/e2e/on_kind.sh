#!/usr/bin/env bash
# The e2e suite on a kind cluster of its own: creates it, loads the images, runs the suite, deletes it.
#
#   tests/e2e/on_kind.sh PYTEST_ARGUMENTS...
#
# IMAGE (ours, from `make image`), MAIN_IMAGE (main's: a shell and python3), PREFECT_IMAGE (prefecthq/prefect:3-latest, for the
# tests that run flows) and NODE_IMAGE (kindest/node:...) may be set.
set -euo pipefail
cd "$(dirname "$0")/../.."
IMAGE=${IMAGE:-podhooks/podhooks:0.1.0}
MAIN_IMAGE=${MAIN_IMAGE:-python:3.12-slim}
name=podhooks-e2e-$$
work=$(mktemp -d)

for tool in kind docker; do
  command -v "$tool" >/dev/null || { echo "on_kind.sh: no $tool on this machine: install it, or run the suite on any cluster with 'pytest tests/e2e --kubeconfig FILE'" >&2; exit 2; }
done
docker info >/dev/null 2>&1 || { echo "on_kind.sh: docker doesn't answer: start its engine" >&2; exit 2; }
docker image inspect "$IMAGE" >/dev/null 2>&1 || { echo "on_kind.sh: no image $IMAGE: run 'make image', or name another with IMAGE=" >&2; exit 2; }
for image in "$MAIN_IMAGE" ${PREFECT_IMAGE:+"$PREFECT_IMAGE"}; do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull "$image"
done

clean_up() { kind delete cluster --name "$name" || true; rm -rf "$work"; }
trap clean_up EXIT
kind create cluster --name "$name" --kubeconfig "$work/kubeconfig" --wait 120s ${NODE_IMAGE:+--image "$NODE_IMAGE"}
kind load docker-image --name "$name" "$IMAGE" "$MAIN_IMAGE" ${PREFECT_IMAGE:+"$PREFECT_IMAGE"}
# The gateway of kind's network is this machine, as the API server sees it.
host=$(docker network inspect kind -f '{{range .IPAM.Config}}{{.Gateway}} {{end}}' | tr ' ' '\n' | grep -m1 '\.')
node="docker exec $name-control-plane"
status=0
suite() { # what -k leaves nothing of is no failure: pytest's 5
  "${PYTHON:-.venv/bin/python}" -m pytest "$@" --kubeconfig "$work/kubeconfig" --image "$MAIN_IMAGE" --runtime-image "$IMAGE" \
    --pull-policy IfNotPresent || { code=$?; [ "$code" = 5 ] || status=$code; }
}
suite tests/e2e -n 4 --operator-image "$IMAGE" --webhook-host "$host" --prefect-image "${PREFECT_IMAGE:-}" "$@"
# Alone and last: what befalls the cluster itself.
suite tests/e2e/test_disruptions.py -n 0 --restart-api-server "$node sh -c 'kill \$(pidof kube-apiserver)' && sleep 20" \
  --stop-kubelet "$node systemctl stop kubelet" --start-kubelet "$node systemctl start kubelet" "$@"
exit "$status"
