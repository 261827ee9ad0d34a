"""How fast and how small the runtime is: `python -m benchmarks`, each measurement beside its floor in the same run."""
