"""The command line as a module: `python -m fish_jax --config=ralsgan`."""

from fish_jax.cli import app

if __name__ == "__main__":
    app.start()
