"""The rescuer: keeps `guarantee: cluster`. Its law: record the truth, drop the finalizer, then run."""
