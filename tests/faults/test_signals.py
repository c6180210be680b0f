"""SIGTERM with thirty seconds to live, as schedulers give them, in every phase of a run."""

import signal

import drive

from fish_jax.runs import layout

PHASES = ("decoding", "writing the cache", "compiling", "steps", "writing the checkpoint")
SECONDS = 30


def command(photographs, minutes):
    return [
        *drive.CONFIG,
        "--config.epochs=40",
        f"--config.checkpoint_minutes={minutes}",
        f"--config.data.path={photographs}",
    ]


def test_sigterm_in_every_phase(photographs, tmp_path, suffer, monkeypatch):
    whole, place = tmp_path / "whole", tmp_path / "stopped"
    assert drive.finish(whole, *command(photographs, 0.02))[0] == 0
    for phase in (*PHASES, "plotting"):
        with monkeypatch.context() as patch:
            if phase == "compiling":
                patch.setenv("JAX_COMPILATION_CACHE_DIR", str(place / "compiled anew"))
            process = drive.start(place, *command(photographs, 0.02))
            begins = lambda line, phase=phase: line.startswith(f"begin: {phase}")
            assert drive.await_line(process, place / "run", begins), phase
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(SECONDS) == 128 + signal.SIGTERM, phase
        finally:
            process.kill()
        err = (place / "err").read_text()
        assert "Traceback" not in err, err
        in_loop = phase in ("steps", "writing the checkpoint", "plotting")
        last = drive.log(place / "run", process.pid)[-1]
        assert last.startswith("stop: stopped after step" if in_loop else "stop: interrupted by")
        suffer(f"SIGTERM: {phase}")
    code, err = drive.finish(place, *command(photographs, 0.02))
    assert code == 0, err
    drive.assert_same_run(place, whole)


def test_a_place_that_is_gone_is_told_at_once(photographs, tmp_path, suffer):
    """Threads of Orbax that wait for the folder of a checkpoint must not keep the process."""
    process = drive.start(tmp_path, *command(photographs, 100))
    assert drive.await_line(process, tmp_path / "run", lambda line: line.startswith("begin: steps"))
    place = tmp_path / "run" / layout.CHECKPOINTS
    place.rmdir()
    place.touch()
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(SECONDS) == 1
    finally:
        process.kill()
    err = (tmp_path / "err").read_text()
    assert "Traceback" not in err, err
    assert f"Not a directory: '{place}'. Checkpoints are kept" in err
    suffer("a folder of checkpoints that is gone")
