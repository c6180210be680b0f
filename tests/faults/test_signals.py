"""SIGTERM with thirty seconds to live, as schedulers give them, in every phase of a run."""

import signal

import drive

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
