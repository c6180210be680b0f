"""The folder of a run, its checkpoints and logs, and images drawn from it."""
