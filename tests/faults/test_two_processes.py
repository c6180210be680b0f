"""Two processes on one folder: one trains, others may only look."""

import signal

import drive


def test_two_processes_on_one_folder(photographs, tmp_path, suffer):
    place, other = tmp_path / "one", tmp_path / "other"
    data = f"--config.data.path={photographs}"
    command = [*drive.CONFIG, "--config.epochs=400", "--config.checkpoint_minutes=0.005", data]
    first = drive.start(place, *command)
    written = lambda line: line.startswith("end: writing the checkpoint")
    assert drive.await_line(first, place / "run", written)

    there = f"--workdir={place}/run"  # the last one given counts
    code, err = drive.finish(other, *command, "--config.batch_size=4", there)
    assert code == 1 and err.startswith(f"error: {place}/run is in use: process {first.pid} trains")
    assert len(err.splitlines()) == 1
    code, err = drive.finish(other, "--mode=sample", there, f"--out={tmp_path}/sampled.png")
    assert code == 0 and (tmp_path / "sampled.png").exists(), err
    assert first.poll() is None, (place / "err").read_text()

    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    second = drive.start(place, *command)
    assert drive.await_line(second, place / "run", lambda line: line.startswith("step"))
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 128 + signal.SIGTERM, (place / "err").read_text()
    pids = {line.split()[1] for line in (place / "run" / "log.txt").read_text().splitlines()}
    assert pids == {str(first.pid), str(second.pid)}
    suffer("a second process: refused; free again after kill -9")
