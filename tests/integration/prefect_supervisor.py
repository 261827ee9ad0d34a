"""A Prefect server for as long as somebody holds a lock: python prefect_supervisor.py LOCK LOG COMMAND...

Test workers share one server. Each holds a shared lock while it lives, and the kernel takes it back however it ends.
"""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    lock, log, *command = sys.argv[1:]
    with Path(lock).open("r") as users, Path(log).open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # what it knows is thrown away with it
            server.wait()


if __name__ == "__main__":
    main()
