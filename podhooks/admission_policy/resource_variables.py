"""The annotation `resources`, read in CEL where it is JSON without escapes, and completed as inject() completes it."""

from __future__ import annotations

from collections.abc import Mapping

from podhooks import contract
from podhooks.admission_policy.cel import Cel, listed, literal, pattern, quoted
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping

_AMOUNT = r'("[0-9A-Za-z.+-]+"|[0-9]+(\.[0-9]+)?)'
_PAIR = rf'"[A-Za-z0-9._/-]+"\s*:\s*{_AMOUNT}'
_AMOUNTS = rf"\{{\s*({_PAIR}(\s*,\s*{_PAIR})*)?\s*\}}"
_PART = rf'"(requests|limits)"\s*:\s*{_AMOUNTS}'
JSON = rf"^\{{\s*{_PART}(\s*,\s*{_PART})?\s*\}}$"
PARTS = ("requests", "limits")


def resource_variables(defaults: Mapping[str, Json]) -> dict[str, str]:
    """`requests` and `limits` of our containers: always both, by the rules of podhooks.inject.container_resources."""
    return {
        "resourcesText": f"variables.given[?{quoted(contract.RESOURCES)}].orValue('')",
        **{f"{part}Given": _given(part) for part in PARTS},
        **{f"{part}Merged": _merged(part, mapping(defaults.get(part))) for part in PARTS},
        "requests": _completed("requests", "limits"),
        "limits": _completed("limits", "requests"),
    }


def is_readable() -> Cel:
    """Whether every quantity of the annotation can be read."""
    quantities = " && ".join(
        f"variables.{part}Given.all(name, isQuantity(variables.{part}Given[name]))" for part in PARTS
    )
    return Cel(f"(variables.resourcesText.matches({pattern(JSON)}) && {quantities})")


def _given(part: str) -> str:
    """What the annotation says of one part, as a map of texts; an empty one without the annotation."""
    part_pattern = rf'"{part}"\s*:\s*{_AMOUNTS}'
    key, amount = "pair.split(':')[0].trim().replace('\"', '')", "pair.split(':')[1].trim().replace('\"', '')"
    return (
        f"variables.resourcesText.findAll({pattern(part_pattern)})\n"
        f".map(text, text.split('{{')[1].findAll({pattern(_PAIR)})).flatten()\n"
        f".transformMapEntry(i, pair, {{{key}: {amount}}})"
    )


def _merged(part: str, defaults: Mapping[str, Json]) -> str:
    given, ours = f"variables.{part}Given", literal(dict(defaults), part)
    names = f"({given}.map(k, k) + {listed(defaults)}.filter(k, !(k in {given})))"
    return f"{names}.transformMapEntry(i, k, {{k: k in {given} ? {given}[k] : {ours}[k]}})"


def _completed(part: str, other: str) -> str:
    """A default that contradicts what is given for the other part gives way; what only the other has is taken over."""
    mine, others, given = f"variables.{part}Merged", f"variables.{other}Merged", f"variables.{part}Given"
    names = f"({mine}.map(k, k) + {others}.map(k, k).filter(k, !(k in {mine})))"
    above = "quantity(variables.requestsMerged[k]).isGreaterThan(quantity(variables.limitsMerged[k]))"
    from_other = f"!(k in {mine}) || (!(k in {given}) && k in {others} && {above})"
    return f"{names}.transformMapEntry(i, k, {{k: {from_other} ? {others}[k] : {mine}[k]}})"
