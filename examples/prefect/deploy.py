"""Makes a deployment whose runs have callbacks: python deploy.py WORK_POOL."""

import json
import sys
from pathlib import Path

from prefect import flow

HERE = Path(__file__).parent  # the same directory in the image
ON_EXIT = [
    "podhooks.callbacks.prefect:mark_crashed",
    {"call": "podhooks.callbacks.prefect:report_exit", "with": {"log_lines": 100}},
]

if __name__ == "__main__":
    deployment = flow.from_source(source=str(HERE), entrypoint="flow.py:etl").to_deployment(
        name="with-callbacks",
        work_pool_name=sys.argv[1],
        job_variables={
            "image": "registry.example.com/etl:1",
            "on_start": f"{HERE}/flow.py:collect",
            "on_exit": json.dumps(ON_EXIT),
        },
    )
    deployment.apply()
