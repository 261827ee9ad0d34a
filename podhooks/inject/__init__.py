"""Adds our containers to a pod: one pure function behind every door (CLI, webhook, policy, Helm, manifests)."""

from podhooks.inject.core import inject, uninject
from podhooks.inject.inject_settings import Delivery, InjectSettings, parse_kubernetes_version
from podhooks.inject.manifests import ObjectReport, inject_object, uninject_object
from podhooks.inject.report import REASONS, Outcome, Report
from podhooks.inject.templates import pod_templates

__all__ = [
    "REASONS",
    "Delivery",
    "InjectSettings",
    "ObjectReport",
    "Outcome",
    "Report",
    "inject",
    "inject_object",
    "parse_kubernetes_version",
    "pod_templates",
    "uninject",
    "uninject_object",
]
