#!/usr/bin/env bash
# Checks a Promela model in every order of its steps: no assertion fails, nothing hangs, and `released` holds under fairness.
#
#   tests/model/check.sh [MODEL]        needs spin and a C compiler
set -euo pipefail
model=$(realpath "${1:-$(dirname "$0")/rescue.pml}")
for tool in spin cc; do command -v "$tool" >/dev/null || { echo "check.sh: no $tool on this machine: install it (Debian: spin, gcc)" >&2; exit 2; }; done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
spin -a "$model" > generated || { cat generated >&2; exit 2; }
prove() { # compiler options, then the verifier's: true if it finds no error
  # shellcheck disable=SC2086
  cc -O2 -DCOLLAPSE $1 -o verifier pan.c
  shift
  ./verifier -m100000 -n "$@" > found
  grep -E "errors:|states, stored" found
  grep -E "^pan:[0-9]+:" found >&2 || true
  grep -q "errors: 0" found
}
prove "-DSAFETY -DNOCLAIM"
prove "" -a -f
