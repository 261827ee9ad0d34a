"""Main: works through the rows that on_start left, 0.05 s each, and ends as END says."""

import json
import os
import pathlib
import signal
import sys
import time


def told_to_end(number, _):
    print("main: told to end", flush=True)
    sys.exit(128 + number)


signal.signal(signal.SIGTERM, told_to_end)  # the first process of a container doesn't die of it otherwise
shared = pathlib.Path(os.environ["PODHOOKS_SHARED_DIR"])
rows = json.loads((shared / "rows.json").read_text())
print(f"main: {len(rows)} rows found", flush=True)
for done in range(1, len(rows) + 1):
    time.sleep(0.05)
    (shared / "progress").write_text(str(done))
    if done == len(rows) // 2:
        print("main: half of the rows done", flush=True)
        if os.environ.get("END") == "fail":
            sys.exit(3)
        if os.environ.get("END") == "wait":  # for somebody to kill it, or to delete the Job
            time.sleep(3600)
print("main: all rows done", flush=True)
