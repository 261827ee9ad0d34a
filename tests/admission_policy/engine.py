"""An admission policy evaluated here, by Google's CEL engine, as the API server does it.

What the API server does: every match condition must hold; variables are evaluated when they are first used, and once;
the mutation's expression gives a JSON Patch, which is applied as a whole or not at all.
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/

What isn't here: cost limits, the API server's own defaults, and the selectors of policy and binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from typing import Any

import jsonpatch

from tests.admission_policy.translation import translated

Json = Any
CONFIG = """
name: kubernetes
extensions:
- name: optional
- name: strings
- name: lists
- name: two-var-comprehensions
"""


MUTATION = "mutation"


class CelError(Exception):
    """An expression that can't be compiled or evaluated."""


class Denied(Exception):
    """What failurePolicy Fail makes of an error; the text has the reason."""


class Policy:
    """A MutatingAdmissionPolicy with one mutation by JSON Patch. CelError: one of its expressions doesn't compile."""

    def __init__(self, made: Mapping[str, Json]) -> None:
        spec = made["spec"]
        self._fails = spec["failurePolicy"] == "Fail"
        self.conditions = {each["name"]: Expression(each["expression"], {}) for each in spec["matchConditions"]}
        self.variables: dict[str, Expression] = {}
        for each in spec["variables"]:
            self.variables[each["name"]] = Expression(each["expression"], self.types())
        (mutation,) = spec["mutations"]
        self.mutation = Expression(mutation["jsonPatch"]["expression"], self.types())

    def types(self) -> dict[str, Any]:
        return {f"variables.{name}": expression.type for name, expression in self.variables.items()}

    def expressions(self) -> dict[str, Expression]:
        return {**self.conditions, **self.variables, MUTATION: self.mutation}

    def changed(self, name: str, expression: Expression) -> Policy:
        """A policy with another expression of that name, whose type is the same."""
        made = copy(self)
        for part in ("conditions", "variables"):
            if name in getattr(self, part):
                setattr(made, part, {**getattr(self, part), name: expression})
        if name == MUTATION:
            made.mutation = expression
        return made

    def admit(self, pod: Json) -> Json:
        """The pod as it is stored. Denied: it isn't, and why."""
        try:
            if not all(condition({"object": pod}) for condition in self.conditions.values()):
                return pod
            return jsonpatch.apply_patch(pod, self.mutation(self.values(pod)))
        except (CelError, jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            if self._fails:
                raise Denied(str(error)) from error
            return pod

    def values(self, pod: Json) -> dict[str, Json]:
        """What the mutation may use. A variable that fails is left out, so that only using it fails."""
        known = {"object": pod}
        for name, expression in self.variables.items():
            with suppress(CelError):
                known[f"variables.{name}"] = expression(known)
        return known


class Expression:
    """One expression; `types` are those of the variables that it may use, by name. CelError: it doesn't compile."""

    def __init__(self, text: str, types: Mapping[str, Any]) -> None:
        from cel_expr_python import cel

        from tests.admission_policy.functions import functions

        self.text = text
        env = cel.NewEnv(
            config=cel.NewEnvConfigFromYaml(CONFIG),
            variables={"object": cel.Type.DYN, **types},
            functions=functions(),
        )
        try:
            self._compiled = env.compile(translated(text))
        except RuntimeError as error:
            raise CelError(f"{error}: {text[:200]}") from error
        self.type = self._compiled.return_type()

    def __call__(self, known: Mapping[str, Json]) -> Json:
        from cel_expr_python import cel

        made = self._compiled.eval(data=known)
        if made.type() == cel.Type.ERROR:
            raise CelError(f"{made.plain_value()}: {self.text[:200]}")
        return made.plain_value()
