"""The version of all of Podhooks: library, programs, charts and image carry the same one."""

__version__ = "0.1.0"
