#!/usr/bin/env bash
# The e2e suite on a kind cluster of its own: creates it, loads the images, runs the suite, deletes it.
#
#   tests/e2e/on_kind.sh [FILE...] PYTEST_OPTIONS...     files of tests/e2e narrow the run
#
# May be set: IMAGE (ours, from `make image`), MAIN_IMAGE (main's: a shell and python3), PREFECT_IMAGE (prefecthq/prefect:3-latest,
# for the tests that run flows), NODE_IMAGE (kindest/node:v...), WEBHOOK_HOST (this machine, as the node reaches it), KEEP=1 (the
# cluster stays). A run that fails leaves its logs in LOGS.
set -euo pipefail
cd "$(dirname "$0")/../.."
IMAGE=${IMAGE:-podhooks/podhooks:0.1.0}
MAIN_IMAGE=${MAIN_IMAGE:-python:3.12-slim}
EXAMPLES_IMAGE=python:3.12-slim
name=podhooks-e2e-$$
LOGS=${LOGS:-build/$name}
python=${PYTHON:-.venv/bin/python}

refuse() { echo "on_kind.sh: $1" >&2; exit 2; }
for tool in kind docker; do
  command -v "$tool" >/dev/null || refuse "no $tool on this machine: install it, or run the suite on any cluster with 'pytest tests/e2e --kubeconfig FILE'"
done
docker info >/dev/null 2>&1 || refuse "docker doesn't answer: start its engine"
docker image inspect "$IMAGE" >/dev/null 2>&1 || refuse "no image $IMAGE: run 'make image', or name another with IMAGE="

# Image volumes: on since Kubernetes 1.35, a feature gate since 1.31. Of a NODE_IMAGE without a version the gate isn't needed.
minor=$(sed -nE 's/.*:v1\.([0-9]+).*/\1/p' <<<"${NODE_IMAGE:-}")
if [ -n "$minor" ] && [ "$minor" -lt 31 ]; then
  refuse "NODE_IMAGE $NODE_IMAGE is Kubernetes 1.$minor: the suite mounts images as volumes, which needs 1.31 or newer"
fi

files=() options=()
for word in "$@"; do if [ -e "${word%%::*}" ]; then files+=("$word"); else options+=("$word"); fi; done

images=()
for image in "$IMAGE" "$MAIN_IMAGE" "$EXAMPLES_IMAGE" ${PREFECT_IMAGE:+"$PREFECT_IMAGE"}; do
  docker image inspect "$image" >/dev/null 2>&1 || docker pull "$image"
  case " ${images[*]-} " in *" $image "*) ;; *) images+=("$image") ;; esac
done

work=$(mktemp -d)
status=0
clean_up() {
  code=$?
  if [ "$code" != 0 ]; then kind export logs --name "$name" "$LOGS" >/dev/null 2>&1 && echo "on_kind.sh: the cluster's logs are in $LOGS" >&2 || true; fi
  if [ -n "${KEEP:-}" ]; then
    echo "on_kind.sh: kept: kind delete cluster --name $name; kubeconfig: $work/kubeconfig" >&2
  else
    kind delete cluster --name "$name" || true
    rm -rf "$work"
  fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

gate() { [ -n "$minor" ] && [ "$minor" -lt 35 ] && echo "featureGates: {ImageVolume: true}" || true; }
printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n%s\n' "$(gate)" > "$work/kind.yaml"
kind create cluster --name "$name" --config "$work/kind.yaml" --kubeconfig "$work/kubeconfig" --wait 120s ${NODE_IMAGE:+--image "$NODE_IMAGE"}

# By an archive of one platform: from Docker's containerd store `kind load docker-image` fails for pulled images (kind#3795).
platform=
if docker save --help 2>/dev/null | grep -q -e --platform; then platform="--platform linux/$(docker version -f '{{.Server.Arch}}')"; fi
# shellcheck disable=SC2086  # two words, or none
docker save $platform -o "$work/images.tar" "${images[@]}"
kind load image-archive --name "$name" "$work/images.tar"
rm -f "$work/images.tar"

node=$name-control-plane
# This machine as the node reaches it: tried, because behind a firewall or on Docker Desktop the network's gateway isn't it.
reachable_host() {
  "$python" -u -m http.server 0 --bind 0.0.0.0 --directory "$work" > "$work/listener" 2>&1 &
  local listener=$! port= host
  for _ in $(seq 50); do port=$(sed -nE 's/.* port ([0-9]+).*/\1/p' "$work/listener"); [ -n "$port" ] && break; sleep 0.1; done
  for host in ${WEBHOOK_HOST:-} $(docker network inspect kind -f '{{range .IPAM.Config}}{{.Gateway}} {{end}}' | tr ' ' '\n' | grep '\.') host.docker.internal; do
    if [ -n "$port" ] && docker exec "$node" curl -s -o /dev/null --max-time 3 "http://$host:$port/"; then echo "$host"; break; fi
  done
  kill "$listener" 2>/dev/null || true
}
host=$(reachable_host)
[ -n "$host" ] || echo "on_kind.sh: the node can't reach this machine, so the tests that need it skip: set WEBHOOK_HOST, or open the firewall to kind's network" >&2

ran=0
suite() { # 5: pytest found no test, which is a failure only if neither part has one; 2: it was interrupted
  local code=0
  "$python" -m pytest "$@" --kubeconfig "$work/kubeconfig" --image "$MAIN_IMAGE" --runtime-image "$IMAGE" --pull-policy IfNotPresent || code=$?
  case $code in 0) ran=1 ;; 5) ;; 2 | 130) exit 130 ;; *) ran=1 status=$code ;; esac
}
suite "${files[@]:-tests/e2e}" -n 4 --operator-image "$IMAGE" ${host:+--webhook-host "$host"} --prefect-image "${PREFECT_IMAGE:-}" ${options[@]+"${options[@]}"}
# Alone and last: what befalls the cluster itself. SIGKILL: after a SIGTERM an API server waits a minute for its watches.
disruptions=tests/e2e/test_disruptions.py
if [ ${#files[@]} = 0 ] || [[ " ${files[*]} " == *"test_disruptions"* ]]; then
  ready='for i in $(seq 180); do kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1'
  suite "$disruptions" -n 0 --restart-api-server "docker exec $node sh -c 'kill -9 \$(pidof kube-apiserver); $ready'" \
    --stop-kubelet "docker exec $node systemctl stop kubelet" --start-kubelet "docker exec $node systemctl start kubelet" ${options[@]+"${options[@]}"}
fi
if [ "$ran" = 0 ]; then echo "on_kind.sh: no test of the suite was selected: $*" >&2; status=5; fi
exit "$status"
