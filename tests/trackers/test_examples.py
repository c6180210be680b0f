"""Each example trains a small run, and what its tracker kept is what the run logged."""

import struct

import numpy as np
import pytest
from PIL import Image

from fish_jax.runs import metrics


def records(path):
    """The records of a file of Weights & Biases, a log as of LevelDB: blocks of 32 KiB."""
    content, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 2**15 - place % 2**15
        if left < 7:
            place += left
            continue
        size, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def test_weights_and_biases(example, config, tmp_path):
    module = example("weights_and_biases", "wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    module.train(config, "run")
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    history = []
    for record in map(Record.FromString, records(path)):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            history.append(
                {item.key or "/".join(item.nested_key): item.value_json for item in items}
            )
    lines = metrics.read_lines(tmp_path / "run")
    found = [float(each["d_loss"]) for each in history if "d_loss" in each]
    np.testing.assert_allclose(found, [line["d_loss"] for line in lines])
    assert sum("scores/frechet" in each for each in history) == 2
    assert len(list(path.parent.glob("files/media/images/*.png"))) >= 4


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_mlflow(example, config, tmp_path, monkeypatch, channels, mode):
    config.data.channels = channels
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    module = example("mlflow_tracking", "mlflow")
    import mlflow

    module.train(config, "run")
    (run,) = mlflow.search_runs(output_format="list")
    lines = metrics.read_lines(tmp_path / "run")
    kept = mlflow.MlflowClient().get_metric_history(run.info.run_id, "d_loss")
    assert [(m.step, m.value) for m in kept] == [(int(x["step"]), x["d_loss"]) for x in lines]
    assert run.data.metrics["scores/frechet"] == lines[-1]["scores/frechet"]
    assert run.data.params["loss"] == "lsgan"
    pictures = sorted((tmp_path / "mlruns").rglob("samples/*.png"))
    assert [path.stem for path in pictures] == [f"{epoch:06d}" for epoch in range(1, 5)]
    picture = Image.open(pictures[0])
    assert picture.size == (160, 80) and picture.mode == mode


def test_optuna(example, config, tmp_path):
    module = example("optuna_search", "optuna")
    import optuna

    class Second(optuna.pruners.BasePruner):
        """Ends the second trial at its first report."""

        def prune(self, study, trial):
            return trial.number == 1

    study = module.search(
        config, tmp_path, 3, pruner=Second(), sampler=optuna.samplers.RandomSampler(seed=0)
    )
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE"]
    for trial in study.trials:
        lines = metrics.read_lines(tmp_path / str(trial.number))
        scores = [line["scores/frechet"] for line in lines if "scores/frechet" in line]
        assert list(trial.intermediate_values.values()) == scores[: 1 if trial.number == 1 else 2]
    assert study.best_value == pytest.approx(
        min(min(trial.intermediate_values.values()) for trial in study.trials if trial.number != 1)
    )
