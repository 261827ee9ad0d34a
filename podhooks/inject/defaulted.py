"""Whether a pod is what the injector makes, but for what an API server has filled in since.

A pod that was injected before it was created reaches the webhook with defaults in our own containers and volumes, and
with the token of its service account mounted in them. Taking that out would be a patch that the API server undoes at
once, at every creation and every reinvocation.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping

FILLED_IN: tuple[tuple[str, Json], ...] = (
    ("terminationMessagePath", contract.TERMINATION_LOG),
    ("imagePullPolicy", "Always"),
    ("imagePullPolicy", "IfNotPresent"),
    ("pullPolicy", "Always"),  # of an image volume
    ("pullPolicy", "IfNotPresent"),
    ("apiVersion", "v1"),  # of a fieldRef
    ("defaultMode", 420),  # of a downward API volume
)

UNORDERED = {"volumes": "name", "volumeMounts": "mountPath"}  # what their items go by; the order means nothing


def same_but_for_defaults(made: Json, found: Json) -> bool:
    """Whether `found` is `made` and, beyond that, has nothing but defaults."""
    if isinstance(made, dict) and isinstance(found, dict):
        more = found.keys() - made.keys()
        return (
            made.keys() <= found.keys()
            and all((key, found[key]) in FILLED_IN for key in more)
            and all(_same_field(key, value, found[key]) for key, value in made.items())
        )
    if isinstance(made, list) and isinstance(found, list):
        return len(made) == len(found) and all(map(same_but_for_defaults, made, found))
    return bool(made == found)


def _same_field(field: str, made: Json, found: Json) -> bool:
    if field not in UNORDERED or not isinstance(made, list) or not isinstance(found, list):
        return same_but_for_defaults(made, found)
    key = UNORDERED[field]
    made_items, found_items = ({str(mapping(each).get(key)): each for each in items} for items in (made, found))
    if contract.SERVICE_ACCOUNT_DIR not in made_items:
        found_items.pop(contract.SERVICE_ACCOUNT_DIR, None)  # a volume can't have that name
    return same_but_for_defaults(made_items, found_items)
