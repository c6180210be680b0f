"""A run on Weights & Biases: its log as curves, its samples as pictures, its best scores.

pip install wandb
WANDB_MODE=offline python docs/examples/weights_and_biases.py runs/mine    # `wandb sync` later
"""

import sys
from typing import Any

import wandb

import fish_jax


def follow(run: Any) -> fish_jax.Callbacks:
    """Callbacks that send what they see to a run of Weights & Biases."""

    def on_epoch(epoch: int, state: Any, samples: Any) -> None:
        run.log({"samples": [wandb.Image(sample) for sample in samples]}, step=int(state.step))

    def on_checkpoint(step: int, scores: dict[str, float]) -> None:
        if scores and scores["frechet"] < run.summary.get("best_frechet", float("inf")):
            run.summary.update({"best_frechet": scores["frechet"], "best_step": step})

    return fish_jax.Callbacks(
        on_log=lambda step, line: run.log(line, step=step),
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
    )


def train(config: Any, folder: str) -> None:
    """Trains, followed by Weights & Biases; the same call resumes both."""
    with wandb.init(project="fish_jax", name=config.name, config=config.to_dict()) as run:
        fish_jax.train(config, folder, callbacks=follow(run))


if __name__ == "__main__":
    config = fish_jax.load_config("ralsgan", "demo")
    config.evaluate_every_epochs = 5
    train(config, sys.argv[1])
