"""Runs on every worker of the Dask cluster, also on those that come later."""


def warm_up(table, dask_worker):
    """Load what the tasks need before the first of them comes."""
    dask_worker.lookup_table = {number: number * number for number in range(table)}
    print(f"{dask_worker.name} has {table} squares")
