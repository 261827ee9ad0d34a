"""Delete a DaskCluster resource: the Dask operator's objects are owned by it and go with it."""

from __future__ import annotations

from collections.abc import Mapping

from podhooks.callbacks.api import Api, Grant
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.dask.place import DaskCluster, cluster_of
from podhooks.context import RunContext
from podhooks.errors import ApiError, CallbackError, Conflict, NotFound
from podhooks.runtime.access import Access
from podhooks.runtime.backoff import backoff_seconds

PATH = "/apis/kubernetes.dask.org/v1/namespaces/{namespace}/daskclusters/{name}"
GRANT = Grant("podhooks-dask", "delete", "daskclusters.kubernetes.dask.org")


def delete_cluster(
    context: RunContext, environ: Mapping[str, str], name: str | None, namespace: str | None, name_file: str | None
) -> None:
    found = cluster_of(context, environ, name, namespace, name_file)
    if found is None:
        print(f"main left no cluster's name in {context.shared_dir / (name_file or '')}: nothing to delete")
        return
    access = Access.in_cluster(environ).replace(namespace=found.namespace)
    with Api(access, GRANT, Budget.of(context)) as api:
        print(f"DaskCluster {found.namespace}/{found.name} ({found.said_by}): {_delete(api, found)}")


def _delete(api: Api, cluster: DaskCluster) -> str:
    """What became of it, in words. Safe to repeat: an object that is on its way out is deleted once more."""
    tries = 0
    while True:
        tries += 1
        try:
            answer = api.persist(lambda: api.delete(PATH.format(namespace=cluster.namespace, name=cluster.name)))
        except NotFound:
            return "gone already"
        except ApiError as error:
            if not isinstance(error, Conflict) or not api.budget.pause(backoff_seconds(tries)):
                raise _gave_up(cluster, error) from error
        else:
            being_deleted = (answer.get("metadata") or {}).get("deletionTimestamp")
            return "being deleted" if being_deleted else "deleted"


def _gave_up(cluster: DaskCluster, error: ApiError) -> CallbackError:
    by_hand = f"kubectl -n {cluster.namespace} delete daskclusters {cluster.name}"
    return CallbackError(f"DaskCluster {cluster.name} isn't deleted: {error}. By hand: {by_hand}")
