"""Where pods run: a real cluster, or the embedded stand-in, behind one interface."""
