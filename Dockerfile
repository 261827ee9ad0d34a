# One image for the copying init container, the runtime volume and the operator. docs/image.md says how to build it with
# and without a registry or a package index, and what each argument costs.
#
#   docker build -t podhooks/podhooks:0.1.0 .
#   make image BASE=localhost/my-python:3.11 BUILD='buildah build --isolation chroot'

# Any glibc image with `python3` (3.10 or newer). The official one has both architectures.
ARG BASE=docker.io/library/python:3.13-slim
# Interpreters whose byte code the runtime is to have: main's image may have another one than ours, and what is mounted
# read-only can't be compiled there. Any of them may be BASE itself, then nothing is gained and nothing lost.
ARG PYTHON_3_10=docker.io/library/python:3.10-slim
ARG PYTHON_3_11=docker.io/library/python:3.11-slim
ARG PYTHON_3_12=docker.io/library/python:3.12-slim
ARG PYTHON_3_14=docker.io/library/python:3.14-slim

# ---- the runtime, which has no dependencies, and the operator with its own
FROM ${BASE} AS build
WORKDIR /src
COPY . .
# A pip.conf comes as a build secret, so that a private index and its password are in no layer.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf sh image/install.sh

# ---- byte code of further interpreters, each on top of the one before
FROM ${PYTHON_3_10} AS python-3.10
COPY --from=build /opt/podhooks /opt/podhooks
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/podhooks

FROM ${PYTHON_3_11} AS python-3.11
COPY --from=python-3.10 /opt/podhooks /opt/podhooks
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/podhooks

FROM ${PYTHON_3_12} AS python-3.12
COPY --from=python-3.11 /opt/podhooks /opt/podhooks
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/podhooks

FROM ${PYTHON_3_14} AS python-3.14
COPY --from=python-3.12 /opt/podhooks /opt/podhooks
RUN python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/podhooks

# ---- what is shipped
FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="podhooks" \
      org.opencontainers.image.description="Runs your callbacks at both ends of a Kubernetes pod: runtime, init container and operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# The official images bring pip; nothing here needs it.
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip*
# Bases leave out the standard library's byte code, all or most of it, and nobody can write it later.
RUN python3 -m compileall -q -f -x '/(lib2to3|test|site-packages|dist-packages)/' --invalidation-mode unchecked-hash \
    "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=build /opt/operator /opt/operator
COPY --from=build /opt/interpreter /opt/interpreter
COPY --from=python-3.14 /opt/podhooks /opt/podhooks
# The runtime never looks here: it is started by its files' paths (docs/inject.md).
ENV PYTHONPATH=/opt/operator \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["python3", "-m", "podhooks.cli"]
