"""The command line from a checkout: `python main.py --config=configs/ralsgan.py`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` leaves it out
    from fish_jax.cli import app

    app.start()
