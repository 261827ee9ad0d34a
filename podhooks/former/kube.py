"""`podhooks.kube`: now `podhooks.runtime.access` and `podhooks.runtime.client`."""

from podhooks.runtime.access import Access
from podhooks.runtime.client import Client

__all__ = ["Access", "Client"]
