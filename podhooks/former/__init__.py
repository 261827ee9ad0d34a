"""Modules under their former names, for callbacks and tests that users wrote with them.

This folder is a second entry of `podhooks.__path__`, searched for a submodule that isn't at its new place. So each file
here is importable as `podhooks.NAME`, and costs nothing until somebody does.
"""
