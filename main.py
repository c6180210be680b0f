"""The command line from a checkout: `python main.py --config=configs/ralsgan.py`."""

from fish_jax.cli import app

if __name__ == "__main__":
    app.start()
