"""A search for learning rates with Optuna, which ends runs whose scores are hopeless.

pip install optuna
python docs/examples/optuna_search.py runs/search    # a run of each trial is kept there
"""

import sys
from pathlib import Path
from typing import Any

import optuna

import fish_jax


def try_rates(trial: optuna.Trial, config: Any, folder: Path) -> float:
    """Trains with the learning rates of a trial; returns the best Frechet distance on the way."""
    config = config.copy_and_resolve_references()
    for name in ("generator_lr", "discriminator_lr"):
        config.optimizer[name] = trial.suggest_float(name, 1e-4, 1e-2, log=True)
    found = []

    def on_checkpoint(step: int, scores: dict[str, float]) -> None:
        if scores:  # others are saved by the clock
            found.append(scores["frechet"])
            trial.report(scores["frechet"], step)
            if trial.should_prune():
                raise optuna.TrialPruned

    callbacks = fish_jax.Callbacks(on_checkpoint=on_checkpoint)
    fish_jax.train(config, folder / str(trial.number), callbacks=callbacks)
    return min(found)


def search(config: Any, folder: Path, trials: int, **options: Any) -> optuna.Study:
    """Tries learning rates; `options` are those of `optuna.create_study`."""
    study = optuna.create_study(**options)
    study.optimize(lambda trial: try_rates(trial, config, folder), n_trials=trials)
    return study


if __name__ == "__main__":
    config = fish_jax.load_config("hinge", "demo")
    config.evaluate_every_epochs = 2
    print(search(config, Path(sys.argv[1]), trials=20).best_params)
