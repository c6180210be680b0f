"""A run in MLflow: its fields, its log as curves, its samples as pictures.

pip install mlflow
python docs/examples/mlflow_tracking.py runs/mine    # then `mlflow ui` shows it
"""

import sys
from typing import Any

import mlflow

import fish_jax


def follow() -> fish_jax.Callbacks:
    """Callbacks that write what they see to the active run of MLflow."""

    def on_epoch(epoch: int, state: Any, samples: Any) -> None:
        sheet = samples.reshape(4, 4, *samples.shape[1:]).swapaxes(1, 2)  # four by four
        height, width = 4 * samples.shape[1], 4 * samples.shape[2]
        sheet = sheet.reshape(height, width, -1)
        greys = sheet.shape[2] == 1
        mlflow.log_image(sheet[..., 0] if greys else sheet, f"samples/{epoch:06d}.png")

    return fish_jax.Callbacks(
        on_log=lambda step, line: mlflow.log_metrics(line, step=step),
        on_epoch=on_epoch,
        on_checkpoint=lambda step, scores: mlflow.set_tag("checkpoint", step),
    )


def train(config: Any, folder: str) -> None:
    """Trains, followed by MLflow."""
    with mlflow.start_run(run_name=config.name):
        mlflow.log_params({"loss": config.loss.name, **config.optimizer.to_dict()})
        fish_jax.train(config, folder, callbacks=follow())


if __name__ == "__main__":
    config = fish_jax.load_config("ralsgan", "demo")
    config.evaluate_every_epochs = 5
    train(config, sys.argv[1])
