"""Names of the files and folders in the folder of a run."""

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"
LOCK, LOG = "lock", "log.txt"
COMPARISON = "protocol.json"  # in the folder of a comparison
