"""The floor of the waiting sidecar: an interpreter that has imported ssl and json and holds one TLS connection."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.pod import DeliveredPod
from benchmarks.stage import settle

PROGRAM = """
import json, signal, socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(sys.argv[2])
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
print("connected", flush=True)
signal.pause()
"""


@contextmanager
def idle_interpreter(pod: DeliveredPod, *options: str, errors: Any = subprocess.DEVNULL) -> Iterator[int]:
    """Its pid, at rest."""
    arguments = [str(pod.server.port), str(pod.account / "ca.crt")]
    with subprocess.Popen(
        [pod.stage.python, "-S", *options, "-c", PROGRAM, *arguments],
        env=pod.stage.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
    ) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"connected\n":
                raise RuntimeError("the idle interpreter found no API server")
            settle(process.pid)
            yield process.pid
        finally:
            process.kill()
