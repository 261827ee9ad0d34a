"""Main: as many workers as on_start found CPUs."""

import json
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

shared = pathlib.Path(os.environ["PODHOOKS_SHARED_DIR"])
resources = json.loads((shared / "resources.json").read_text())
workers = resources["cpus"]
with ThreadPoolExecutor(workers) as pool:
    total = sum(pool.map(lambda number: number * number, range(1000)))
(shared / "result.json").write_text(json.dumps({"total": total, "workers": workers}))
print(f"done with {workers} workers: {total}")
