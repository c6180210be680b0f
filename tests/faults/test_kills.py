"""kill -9 in every phase of a run, which the same command resumes each time."""

import os
import random
import signal
import subprocess
from collections import Counter

import drive
import pytest

KILLS = int(os.environ.get("KILLS") or 50)
# By the words of the log: the latest, in seconds after such a line, that the kill may come.
PHASES = {
    "steps": 0.02,
    "writing the checkpoint": 0.05,
    "plotting": 0.2,
    "start-up": 1.5,  # that finds the images in the cache
    "decoding": 0.8,
    "writing the cache": 0.003,
}
PARTS = {"compiling": "start-up", "pictures": "steps"}


def command(photographs):
    # Small enough to be finished soon, long enough for the kills to find it at work.
    return [
        *drive.CONFIG,
        f"--config.epochs={20 + 2 * KILLS}",
        "--config.checkpoint_minutes=0.005",
        f"--config.data.path={photographs}",
    ]


@pytest.fixture(scope="module")
def whole(photographs, tmp_path_factory):
    """A run that nobody disturbed."""
    place = tmp_path_factory.mktemp("whole")
    code, err = drive.finish(place, *command(photographs))
    assert code == 0, err
    return place


def phase_of(begun):
    """The phase that what the log says was begun belongs to."""
    words = next(words for words in (*PHASES, *PARTS) if begun.startswith(words))
    return PARTS.get(words, words)


def kill(process, place, wanted, chance):
    """Kills a process soon after it began a phase; gives the phase it was in, None if it ended."""
    again = wanted in ("steps", "writing the checkpoint", "plotting")
    begins = lambda line: line.startswith(f"begin: {wanted}") or wanted == line.split()[0] + "s"
    if not drive.await_line(process, place / "run", begins, chance.randint(1, 3) if again else 1):
        return None
    try:
        process.wait(chance.uniform(0, PHASES[wanted]))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        return None
    begun = drive.under_way(drive.log(place / "run", process.pid))
    if begun and (place / "run" / "checkpoints" / begun[-1].split()[-1]).exists():
        begun.pop()  # a checkpoint that was complete, which the run had not noted yet
    return phase_of(begun[-1]) if begun else "between phases"


def newest_written(lines):
    """The step of the newest checkpoint that the log says is complete."""
    words = "end: writing the checkpoint of step "
    return max((int(line[len(words) :]) for line in lines if line.startswith(words)), default=0)


def assert_nothing_lost(place, pid, before):
    """A start resumes from a checkpoint not older than what was complete before it."""
    begun = [line for line in drive.log(place / "run", pid) if line.startswith("begin: steps from")]
    assert not begun or int(begun[0].split()[3]) >= newest_written(before)
    err = (place / "err").read_text()
    assert "Traceback" not in err and "cannot be read" not in err, err


def test_kills(photographs, whole, tmp_path, suffer):
    chance, killed, starts = random.Random(0), Counter(), 0
    place = tmp_path / "0"
    while killed.total() < KILLS or min(killed[phase] for phase in PHASES) < KILLS // 10:
        starts += 1
        assert starts < 5 * KILLS, f"the kills miss their phases: {killed}"
        wanted = min(PHASES, key=lambda phase: killed[phase])
        if wanted in ("decoding", "writing the cache"):
            for path in (place / "cache" / "fish_jax").glob("*.npy"):
                path.unlink()
        before = drive.log(place / "run")
        process = drive.start(place, *command(photographs))
        phase = kill(process, place, wanted, chance)
        assert_nothing_lost(place, process.pid, before)
        if phase is None:  # it came to its end: the next kills are for another run
            assert process.returncode == 0
            drive.assert_same_run(place, whole)
            place = tmp_path / str(starts)
            continue
        killed[phase] += 1
    code, err = drive.finish(place, *command(photographs))
    assert code == 0, err
    drive.assert_same_run(place, whole)
    for phase, count in killed.items():
        suffer(f"kill -9: {phase}", count)
