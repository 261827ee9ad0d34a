"""Callbacks at both ends of a Kubernetes pod."""

__version__ = "0.1.0"
