"""Manifests as text: read as kubectl reads them, and changed only where their values change."""
