"""A flow between callbacks: what on_start collects is there when it begins."""

import json
import os
from pathlib import Path

from prefect import flow


def collect(context):
    """on_start: any function that the image can import."""
    (context.shared_dir / "inputs.json").write_text(json.dumps({"rows": 3, "for": context.flow_run_id}))


@flow(log_prints=True)
def etl():
    inputs = json.loads(Path(os.environ["PODHOOKS_SHARED_DIR"], "inputs.json").read_text())
    print(f"working on {inputs['rows']} rows")
    return inputs["rows"]
