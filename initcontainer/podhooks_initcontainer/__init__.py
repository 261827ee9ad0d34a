"""The on-start program: runs the on_start callbacks before the main container starts."""
