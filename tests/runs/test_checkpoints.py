"""Damaged checkpoints: what is read is what was written, or the one before; nothing there runs."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from helpers import damage
from helpers.tiny import tiny_config, tiny_state

from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.runs import checkpoints, config_file, sampling
from fish_jax.runs.checksums import checksums

OLD, NEW = damage.STEPS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of two checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints") / "whole"
    damage.write_checkpoints(folder)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "checkpoints")


def restore(folder, read_only=True):
    """What is restored, or the exception, and the messages."""
    messages = []
    like = jax.eval_shape(lambda: damage.small_state(0))
    with checkpoints.open_checkpoints(folder, read_only=read_only) as manager:
        try:
            return checkpoints.restore_newest(
                manager, like, damage.device(), messages.append
            ), messages
        except UserError as error:
            return error, messages


def content(folder):
    return {str(p.relative_to(folder)): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


@pytest.mark.slow
def test_no_damage_gives_wrong_numbers_or_a_traceback(whole):
    found = damage.ends(whole, flips=12)
    assert len(found) > 500 and {end for _, _, end in found} > set(damage.GOOD)
    # The user has moved the newest away, or a date is beyond all calendars.
    may = {"taken away": "fell back silently", "other number": "refused"}
    assert [case for case in found if case[2] not in (*damage.GOOD, may.get(case[0]))] == []


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_the_message_names_the_file_or_the_array(whole, tmp_path):
    table = next(path.name for path in (whole / f"{NEW}/state/d").iterdir())
    files = (whole / f"{NEW}/state/ocdbt.process_0/d").iterdir()
    numbers = max(files, key=lambda path: path.stat().st_size).name
    cut = lambda path: path.write_bytes(path.read_bytes()[:9])
    cases = {
        "progress/metadata": (cut, "progress/metadata is not JSON: "),
        "state/_METADATA": (lambda path: path.unlink(), "state/_METADATA is missing"),
        "state/array_metadatas/process_0": (
            lambda path: path.write_bytes(b"\xff"),
            "state/array_metadatas/process_0 is not text: ",
        ),
        "state/manifest.ocdbt": (cut, "state/manifest.ocdbt: "),
        f"state/d/{table}": (lambda path: path.unlink(), f"state/d/{table} is missing"),
        f"state/ocdbt.process_0/d/{numbers}": (
            lambda path: flip(path, path.stat().st_size // 4),
            "00_project.kernel differs from what was written",
        ),
    }
    for index, (name, (change, message)) in enumerate(cases.items()):
        folder = shutil.copytree(whole, tmp_path / str(index))
        change(folder / str(NEW) / name)
        restored, messages = restore(folder)
        assert restored.damaged == [NEW] and restored.state.step == OLD
        assert len(messages) == 1 and len(messages[0]) < 260
        assert messages[0].startswith(f"checkpoint {NEW} cannot be read: ")
        assert message in messages[0]


def test_where_none_can_be_read_nothing_changes(copy):
    for step in (OLD, NEW):
        (copy / str(step) / "state" / "_METADATA").unlink()
    before = content(copy)
    error, messages = restore(copy, read_only=False)
    assert "none of the 2 checkpoints" in str(error) and len(messages) == 2
    assert content(copy) == before


def test_reading_changes_nothing(copy):
    """Nor does it clear away what another process may be writing."""
    (copy / "12.orbax-checkpoint-tmp").mkdir()
    before = content(copy)
    for keep in (1, 3):
        with checkpoints.open_checkpoints(copy, keep, read_only=True) as manager:
            assert manager.all_steps() == [OLD, NEW]
    assert restore(copy)[1] == [] and content(copy) == before


def test_a_renamed_checkpoint_is_told(copy):
    (copy / str(NEW)).rename(copy / "12")
    restored, messages = restore(copy)
    assert restored.state.step == OLD
    assert messages == [f"checkpoint 12 cannot be read: it is of step {NEW}"]


def test_a_file_in_the_place_of_a_checkpoint_is_set_aside(copy):
    for _ in range(2):  # what was set aside before gives way
        shutil.rmtree(copy / str(NEW))
        (copy / str(NEW)).write_bytes(b"")
        assert checkpoints.has_checkpoint(copy)
        assert restore(copy)[0].damaged == [NEW]
        with checkpoints.open_checkpoints(copy) as manager:
            assert checkpoints.set_aside(manager, NEW).is_file()
            checkpoints.save(manager, damage.small_state(NEW), damage.small_progress(NEW))
        restored, messages = restore(copy)
        assert messages == [] and damage.same(restored.state, damage.small_state(NEW))


def test_only_a_number_is_a_checkpoint(tmp_path):
    for name in ("9.bak", "009", "²", "-1", "notes.txt"):
        (tmp_path / name).mkdir()
    assert not checkpoints.has_checkpoint(tmp_path)
    assert restore(tmp_path) == (None, [])


def test_a_date_beyond_all_calendars_is_a_sentence(copy):
    path = copy / str(NEW) / "_CHECKPOINT_METADATA"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"commit_timestamp_nsecs": 10**30}))
    with pytest.raises(UserError, match="a _CHECKPOINT_METADATA there is damaged"):
        restore(copy)


def test_a_checkpoint_of_an_older_version_has_no_checksums(tmp_path):
    arguments = ocp.args.Composite(
        state=ocp.args.StandardSave(damage.small_state(NEW)),
        progress=ocp.args.JsonSave(damage.small_progress(NEW)),
    )
    with checkpoints.open_checkpoints(tmp_path) as manager:
        manager.save(NEW, args=arguments)
    restored, messages = restore(tmp_path)
    assert messages == [] and restored.progress == damage.small_progress(NEW)
    assert damage.same(restored.state, damage.small_state(NEW))


def test_checksums_see_every_leaf():
    state, progress = damage.small_state(NEW), damage.small_progress(NEW)
    before = checksums(state, progress)
    leaves, structure = jax.tree.flatten(state)
    for index, (name, leaf) in enumerate(zip(before, leaves)):
        changed = jax.random.key(4) if name == "key" else leaf.at[(0,) * leaf.ndim].add(1)
        after = checksums(
            structure.unflatten([*leaves[:index], changed, *leaves[index + 1 :]]), progress
        )
        assert [n for n in before if after[n] != before[n]] == [name]
    assert len(before) == len(leaves) + 1 and "generator_params.00_project.kernel" in before
    after = checksums(state, progress | {"count": 1})
    assert [name for name in before if after[name] != before[name]] == ["progress"]
    reshaped = state.replace(loss_state={"k": state.loss_state["k"][None]})
    assert checksums(reshaped, progress)["loss_state.k"] != before["loss_state.k"]


def test_checksums_of_a_state_on_several_devices():
    state = damage.small_state(NEW)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("device",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    assert checksums(jax.device_put(state, everywhere), {}) == checksums(state, {})


CONFIGS = {
    "filters": lambda config: config["generator"]["layers"][0].update(filters=1.5),
    "kernel": lambda config: config["discriminator"]["layers"][0].update(filters=float("inf")),
    "layers": lambda config: config["generator"].update(layers=5),
    "loss": lambda config: config.update(loss=[]),
    "height": lambda config: config.update(height="20"),
    "batch_size": lambda config: config.pop("batch_size"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_makes_no_network_is_a_sentence(copy, name):
    config = config_file.plain(tiny_config("lsgan_dense"))
    CONFIGS[name](config)
    config_file.write_config(copy.parent, config)
    with pytest.raises(UserError):
        sampling.load(copy.parent)


def write(folder, scores, best="frechet", keep=2):
    """Writes a checkpoint for each step; returns those that are there afterwards."""
    for step, values in scores.items():  # each of a start of its own, as after a kill
        with checkpoints.open_checkpoints(folder, keep, best=best) as manager:
            state = damage.small_state(step)
            checkpoints.save(manager, state, damage.small_progress(step), values)
    return sorted(checkpoints.steps(folder))


SCORES = {1: {"frechet": 3.0, "recall": 0.1}, 2: {"frechet": 2.0, "recall": 0.4}, 3: {}, 4: {}}


@pytest.mark.parametrize(
    "best, later, kept",
    [
        ("frechet", {5: {}}, [2, 4, 5]),
        ("frechet", {5: {"frechet": 2.5}}, [2, 4, 5]),
        ("frechet", {5: {"frechet": 2.0}}, [4, 5]),  # of equal ones the newest
        ("frechet", {5: {"frechet": 1.0}, 6: {}, 7: {}}, [5, 6, 7]),
        ("recall", {5: {"recall": 0.3}}, [2, 4, 5]),
        ("recall", {5: {"recall": 0.5}}, [4, 5]),
        ("coverage", {5: {}}, [4, 5]),  # which none has
        ("", {5: {"frechet": 9.0}}, [4, 5]),
    ],
)
def test_the_best_is_kept_beside_the_newest(tmp_path, best, later, kept):
    assert write(tmp_path, SCORES | later, best) == kept


def find_best(folder, best="frechet"):
    """The step of the best checkpoint, or the sentence why there is none."""
    like = jax.eval_shape(lambda: damage.small_state(0))
    with checkpoints.open_checkpoints(folder, read_only=True, best=best) as manager:
        try:
            restored = checkpoints.restore_named(manager, like, damage.device(), "best")
        except UserError as error:
            return str(error)
    assert damage.same(restored.state, damage.small_state(int(restored.state.step)))
    return int(restored.state.step)


def test_the_best_checkpoint_is_read(copy, tmp_path):
    assert find_best(copy) == OLD and find_best(copy, "recall") == NEW
    assert "has scores, so none is the best" in find_best(tmp_path / "nothing")
    (copy / str(OLD) / "state" / "_METADATA").unlink()
    assert find_best(copy).startswith(f"checkpoint {OLD} in {copy} cannot be read: state/_METADATA")


DAMAGES = {
    "number": lambda path: path.write_bytes(path.read_bytes().replace(b"1", b"0")),
    "not JSON": lambda path: path.write_bytes(b"{"),
    "not text": lambda path: path.write_bytes(b"\xff"),
    "a list": lambda path: path.write_bytes(b"[1]"),
    "no file": lambda path: path.unlink(),
    "not a folder": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_scores_are_none(copy, name):
    """Neither does the run end, nor is a checkpoint taken for the best that is not."""
    DAMAGES[name](copy / str(OLD) / "metrics" / "metrics")
    assert find_best(copy) == NEW
    assert restore(copy)[0].state.step == NEW
    assert write(copy, {12: {}}, keep=1) == [NEW, 12]


WATCHED = """
import json, pickle, sys
from fish_jax.runs import sampling

folder, seen = sys.argv[1], []
sys.path[1:1] = [folder, f"{folder}/checkpoints"]  # where a planted module would be found

def watch(event, arguments):
    what = str(arguments[:2])
    if event in ("pickle.find_class", "marshal.loads", "compile", "os.system", "subprocess.Popen"):
        seen.append(event)
    elif event in ("exec", "import") and (folder in what or "evil" in what):
        seen.append(f"{event} {what}")
    elif event == "open" and what.endswith((".py'", ".pkl'", ".npy'")):
        seen.append(f"{event} {what}")

sampling.load(folder)  # what libraries import when they are first used
sys.addaudithook(watch)
step = int(sampling.load(folder)[1].step)
found = list(seen)
pickle.loads(pickle.dumps(print))  # the watch works
print(json.dumps([step, found, seen[len(found):]]))
"""


@pytest.mark.slow
def test_no_code_of_a_checkpoint_runs(tmp_path):
    config = tiny_config("lsgan_dense")
    state = tiny_state(make_gan(config))
    config_file.write_config(tmp_path, config_file.plain(config))
    with checkpoints.open_checkpoints(tmp_path / "checkpoints") as manager:
        checkpoints.save(manager, state.replace(step=jnp.int32(NEW)), {})
    program = b"raise SystemExit('planted code ran')"
    pickled = b"cos\nsystem\n(S'echo planted'\ntR."
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        for name in ("evil.py", "__init__.py", "conftest.py", "sitecustomize.py"):
            (folder / name).write_bytes(program)
        for name in ("evil.pkl", "evil.npy", "metadata.pkl"):
            (folder / name).write_bytes(pickled)
    path = tmp_path / "checkpoints" / str(NEW) / "_CHECKPOINT_METADATA"
    handlers = {"state": "evil.Handler", "progress": "os.system"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"item_handlers": handlers}))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [NEW, [], ["pickle.find_class"]]


def test_checkpoints_of_before_there_was_an_average_are_read(tmp_path):
    """They were a state's other fields, as a class of its own has them."""
    state = damage.small_state(NEW).replace(generator_average={})
    names = [f.name for f in dataclasses.fields(state) if f.name != "generator_average"]
    older = flax.struct.dataclass(type("Older", (), {"__annotations__": dict.fromkeys(names, Any)}))
    of_before = older(**{name: getattr(state, name) for name in names})
    with checkpoints.open_checkpoints(tmp_path / "checkpoints") as manager:
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(of_before),
            progress=ocp.args.JsonSave(damage.small_progress(NEW)),
        )
        manager.save(NEW, args=arguments)
        manager.wait_until_finished()
        like = jax.eval_shape(lambda: state)
        restored = checkpoints.restore_newest(manager, like, damage.device(), pytest.fail)
    assert restored.state.generator_average == {}
    assert damage.same(restored.state, state)


def test_saves_of_several_runs_begin_one_after_another():
    """Orbax would mix the folders of two that begin at once."""
    alone, overlaps = threading.Lock(), []

    class Manager:
        directory = "nowhere"

        def save(self, step, args, metrics):
            if not alone.acquire(blocking=False):
                overlaps.append(step)
                return True
            time.sleep(0.01)
            alone.release()
            return True

    state = tiny_state(make_gan(tiny_config("lsgan_dense")))
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: checkpoints.save(Manager(), state, {}), range(8)):
            pass
    assert not overlaps
