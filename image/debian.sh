#!/bin/sh
# A base image without a registry: Debian's Python, made by mmdebstrap out of Debian's archive. About half a minute.
# usage: image/debian.sh NAME        e.g. image/debian.sh localhost/podhooks-base:bookworm
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mmdebstrap --quiet --variant=essential --include=python3-minimal,libpython3-stdlib,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$directory/root.tar"
printf 'FROM scratch\nADD root.tar /\nCMD ["python3"]\n' >"$directory/Dockerfile"
buildah build --isolation chroot --quiet --tag "$1" "$directory"
