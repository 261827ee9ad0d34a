"""Callbacks out of the box: name them in an annotation, `podhooks.callbacks.notify:webhook`.

They run in main's image beside whatever is installed there, so they need the standard library only; what one needs
beyond that is imported when it runs. docs/callbacks/ has a page for each module.
"""
