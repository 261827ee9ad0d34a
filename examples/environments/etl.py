"""A flow, its callbacks, and three environments to run it in. Nothing but the environment differs.

python etl.py            # here, then in a Job on this machine's stand-in
podhooks explain etl:environment
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from podhooks import KubernetesJobEnvironment, LocalEnvironment, RunContext

HERE = Path(__file__).parent


def load(rows: int = 3) -> int:
    """Any function is a flow; so is a Prefect flow."""
    if rows < 0:
        raise ValueError("no rows")
    print(f"loaded {rows} rows")
    return rows


def prepare(context: RunContext) -> None:
    """What on_start leaves in the shared directory, main and on_exit find there."""
    context.shared_dir.joinpath("target.json").write_text(json.dumps({"table": "orders"}))


async def notify(context: RunContext, channel: str = "#etl") -> None:
    table = json.loads(context.shared_dir.joinpath("target.json").read_text())["table"]
    assert context.exit is not None
    print(f"{channel}: {table}: {context.exit.result.value} {context.exit.message}".rstrip())


HOOKS = {"on_start": prepare, "on_exit": {"call": notify, "with": {"channel": "#jobs"}, "timeout": "20s"}}

local = LocalEnvironment(labels=["team=data"], **HOOKS)
environment = KubernetesJobEnvironment(HERE / "custom-job.yml", unique_job_name=True, cluster="local", **HOOKS)


def main() -> int:
    print(local.execute(load, {"rows": 5}).check().value)
    with environment.execute(load, {"rows": -1}) as handle:
        end = handle.wait(60)
        print(f"Job/{handle.name}: {end.result.value}, {end.message}")
        for each in handle.callbacks:
            print(f"  {each.hook.value} {each.name}: {each.outcome.status.value if each.outcome else each.why}")
    return 0 if end.message == "ValueError: no rows" else 1


if __name__ == "__main__":
    sys.exit(main())
