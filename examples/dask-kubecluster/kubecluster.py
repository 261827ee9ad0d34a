"""A KubeCluster whose workers have callbacks around them. Where the webhook is installed, annotations are enough."""

from dask_kubernetes.operator import KubeCluster, make_cluster_spec

from podhooks.inject import inject_object

CALLBACKS = {
    "podhooks.io/mode": "classic",  # a DaskCluster knows no native sidecars
    "podhooks.io/on-start": '[{"exec": ["sh", "-c", "date > $PODHOOKS_SHARED_DIR/began"]}]',
    "podhooks.io/on-exit": '[{"exec": ["sh", "-c", "echo began $(cat $PODHOOKS_SHARED_DIR/began), ended $(date)"]}]',
}


def cluster_spec(name, workers=2):
    spec = make_cluster_spec(name, image="ghcr.io/dask/dask:latest", n_workers=workers)
    for part in ("scheduler", "worker"):  # make_cluster_spec writes dask-scheduler and dask-worker, which are gone
        container = spec["spec"][part]["spec"]["containers"][0]
        container["args"][:1] = ["dask", part]
    spec["spec"]["worker"]["metadata"] = {"annotations": CALLBACKS}
    injected, reports = inject_object(spec)
    errors = [each.message for report in reports for each in report.report.errors]
    if errors:
        raise SystemExit("; ".join(errors))
    return injected


if __name__ == "__main__":
    with KubeCluster(custom_cluster_spec=cluster_spec("etl")) as cluster, cluster.get_client() as client:
        print(client.submit(sum, range(100)).result())
