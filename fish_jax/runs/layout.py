"""Names of the files and folders in the folder of a run."""

from pathlib import Path

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"
LOCK, LOG = "lock", "log.txt"
SAMPLES, AUTOENCODER = "samples", "autoencoder"  # folders with a picture for each epoch
TENSORBOARD, DAMAGED, EXPORT = "tensorboard", "damaged", "export"
COMPARISON, SPACE = "protocol.json", "space.npz"  # in the folder of a comparison


def epoch_pictures(folder: Path, kind: str) -> list[Path]:
    """The pictures that a run drew after its epochs, oldest epoch first.

    Args:
      folder: the folder of the run.
      kind: `SAMPLES` or `AUTOENCODER`.

    Returns:
      Paths whose stems are the epochs; other files are left out.
    """
    numbered = (path for path in (folder / kind).glob("*.png") if path.stem.isdecimal())
    return sorted(numbered, key=lambda path: int(path.stem))
