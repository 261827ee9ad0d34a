"""Main: looks numbers up in the table that on_start broadcast to the workers."""

import os

from distributed import Client, get_worker


def look_up(number):
    return get_worker().lookup_table[number]


with Client(os.environ["DASK_SCHEDULER_ADDRESS"]) as client:
    print("main: the sum is", sum(client.gather(client.map(look_up, range(100)))), flush=True)
