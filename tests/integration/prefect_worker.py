"""What a Prefect Kubernetes worker does with flow runs, by its own code, one request a line on stdin.

Answers each with the Job that it makes of the pool's template and the job variables. With `create` it also creates the
Job on the cluster of KUBECONFIG, as the worker does.
"""

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect_kubernetes.worker import KubernetesWorker


async def job(pool: str, run: str, *, create: bool) -> Any:
    async with get_client() as client:
        flow_run = await client.read_flow_run(UUID(run))
        configuration = await KubernetesWorker.job_configuration.resolve_for_flow_run(
            flow_run, client=client, work_pool=await client.read_work_pool(pool), worker_name="test"
        )
        if create:
            result = await KubernetesWorker(work_pool_name=pool).run(flow_run, configuration)
            await client.update_flow_run(flow_run.id, infrastructure_pid=result.identifier)
    return configuration.job_manifest


async def main() -> None:
    print(json.dumps(KubernetesWorker.get_default_base_job_template()), flush=True)
    for line in sys.stdin:
        print(json.dumps(await job(**json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
