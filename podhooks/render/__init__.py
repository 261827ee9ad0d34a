"""Objects that a cluster administrator applies, as plain dicts out of pure functions.

The charts, manifests/ and `podhooks render` all take them from here, so that they can't drift apart.
"""
