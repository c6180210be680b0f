"""Which checkpoint a server shows after a failure that passes."""

import errno
from types import SimpleNamespace

import pytest

from fish_jax.serving import generator, live_runs
from fish_jax.serving.live_runs import LiveRun, refresh


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(live_runs.time, "monotonic", lambda: now.seconds)
    return now


@pytest.fixture
def disk(monkeypatch):
    """What is on disk, and what an attempt to read it gives: a step, or an error."""
    disk = SimpleNamespace(signature=(7, 1, 1, 0), gives=7, reads=0)

    def load(folder, checkpoint):
        disk.reads += 1
        if isinstance(disk.gives, Exception):
            raise disk.gives
        return SimpleNamespace(facts={"step": disk.gives})

    monkeypatch.setattr(generator, "signature", lambda folder: disk.signature)
    monkeypatch.setattr(generator, "load", load)
    monkeypatch.setattr(generator, "warm", lambda served: None)
    monkeypatch.setattr(live_runs.gc, "freeze", lambda: None)
    return disk


NO_FILES = OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("fails", [NO_FILES, MemoryError(), 7], ids=["files", "memory", "older"])
def test_newer_weights_are_taken_after_a_passing_failure(tmp_path, clock, disk, fails):
    run = LiveRun(tmp_path, "mine")
    refresh(run)
    assert run.generator.facts["step"] == 7
    disk.signature, disk.gives = (8, 1, 2, 0), fails
    refresh(run)
    disk.gives = 8
    clock.seconds += live_runs.SECONDS
    refresh(run)
    assert run.generator.facts["step"] == 8
    reads = disk.reads
    for _ in range(3):
        clock.seconds += 1e6
        refresh(run)
    assert disk.reads == reads  # of what is shown nothing is read again


def test_what_stays_damaged_is_read_ever_less_often(tmp_path, clock, disk, capsys):
    run = LiveRun(tmp_path, "mine")
    disk.gives = ValueError("damaged")
    begun = clock.seconds
    while clock.seconds < begun + 3600:
        refresh(run)
        clock.seconds += live_runs.SECONDS
    assert 10 < disk.reads < 20
    assert capsys.readouterr().err == "mine has no checkpoint to show: damaged\n"  # once


def test_a_folder_that_cannot_be_listed_is_listed_again(tmp_path, clock, disk, monkeypatch):
    run = LiveRun(tmp_path, "mine")
    with pytest.MonkeyPatch.context() as patch:

        def fail(folder):
            raise NO_FILES

        patch.setattr(generator, "signature", fail)
        refresh(run)
    refresh(run)
    assert run.generator.facts["step"] == 7


def test_the_best_checkpoint_may_be_shown(tmp_path, clock, disk):
    """It is read anew where there is a newer one, which may be no better."""
    run = LiveRun(tmp_path, "mine", "best")
    refresh(run)
    disk.signature = (9, 1, 2, 0)
    for _ in range(3):
        clock.seconds += 1e6
        refresh(run)
    assert run.generator.facts["step"] == 7 and disk.reads == 2
