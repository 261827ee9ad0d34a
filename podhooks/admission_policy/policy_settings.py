"""What the policy is told by whoever renders it."""

from __future__ import annotations

from dataclasses import dataclass

from podhooks.inject import InjectSettings

USUAL = InjectSettings()


@dataclass(frozen=True)
class PolicySettings:
    """`inject` is what every other door has; of it, `kubernetes` and `annotations` mean nothing here.

    `namespace` is the operator's: it is never touched, nor is kube-system. Of all others those labelled
    `podhooks.io/injection: disabled` aren't, and with `opt_in` only those labelled `enabled` are. A pod that can't be
    given its callbacks is admitted as it is with `failure_policy` Ignore, and refused, with the reason, with Fail.
    """

    inject: InjectSettings = USUAL
    name: str = "podhooks"
    namespace: str = "podhooks"
    opt_in: bool = False
    failure_policy: str = "Ignore"
