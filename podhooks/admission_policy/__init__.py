"""A MutatingAdmissionPolicy that injects inside the API server: the pod that inject() gives, with no server of ours."""

from podhooks.admission_policy.objects import binding, policy
from podhooks.admission_policy.policy_settings import PolicySettings

__all__ = ["PolicySettings", "binding", "policy"]
