"""Delete a DaskCluster resource: the Dask operator's objects are owned by it and go with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from podhooks.callbacks.api import Api, Grant
from podhooks.callbacks.budget import Budget
from podhooks.callbacks.dask.place import SAID_BY_NAME, DaskCluster, cluster_of
from podhooks.context import RunContext
from podhooks.errors import ApiError, CallbackError, Conflict, NotFound
from podhooks.runtime.access import Access
from podhooks.runtime.backoff import backoff_seconds

COLLECTION = "/apis/kubernetes.dask.org/v1/namespaces/{namespace}/daskclusters"
PATH = COLLECTION + "/{name}"
GRANT = Grant("podhooks-dask", "delete,list", "daskclusters.kubernetes.dask.org")


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
        except NotFound as error:
            return _not_there(api, cluster, error)
        except ApiError as error:
            if not isinstance(error, Conflict) or not api.budget.pause(backoff_seconds(tries)):
                raise _gave_up(cluster, error) from error
        else:
            being_deleted = (answer.get("metadata") or {}).get("deletionTimestamp")
            return "being deleted" if being_deleted else "deleted"


def _not_there(api: Api, cluster: DaskCluster, error: NotFound) -> str:
    """Gone already, unless the API doesn't know the kind, or there is one of almost that name.

    Raises:
        CallbackError: so it is; nothing has been deleted.
    """
    try:
        there = [str(each["metadata"]["name"]) for each in api.items(COLLECTION.format(namespace=cluster.namespace))]
    except NotFound:
        raise CallbackError(
            f"DaskCluster {cluster.name} can't be deleted: the API doesn't know DaskClusters. "
            "Is the Dask operator installed, with its resource definitions? https://kubernetes.dask.org"
        ) from error
    except ApiError:
        return "isn't there: gone already, or never there (with the right to list DaskClusters it could be told)"
    meant = [] if cluster.said_by != SAID_BY_NAME else almost(cluster.name, there)
    if meant:
        raise CallbackError(
            f"there is no DaskCluster {cluster.name} in namespace {cluster.namespace}, but {meant[0]}: "
            "if that is meant, mend `name`"
        ) from error
    return "gone already"


def almost(name: str, there: Iterable[str]) -> list[str]:
    """Names that differ by a slip of the keyboard, and not in a number or a suffix that was made to be different."""
    with_suffix = [each for each in there if _without_suffix(each) != _without_suffix(name)]
    return difflib.get_close_matches(name, with_suffix, n=1, cutoff=0.85)


def _without_suffix(name: str) -> str:
    return re.sub(r"-?[0-9a-f]*[0-9][0-9a-f]*$", "", name)


def _gave_up(cluster: DaskCluster, error: ApiError) -> CallbackError:
    by_hand = f"kubectl -n {cluster.namespace} delete daskclusters {cluster.name}"
    return CallbackError(f"DaskCluster {cluster.name} isn't deleted: {error}. By hand: {by_hand}")
