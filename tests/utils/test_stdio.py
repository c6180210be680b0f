"""Programs whose output nobody takes go on, and leave their files alone."""

import os
import subprocess
import sys

import pytest

from fish_jax.utils import stdio

PROGRAM = """
import os, sys
from fish_jax.utils import stdio
stdio.open_closed()
file = open(sys.argv[1], "w")
stdio.make_expendable()
from tqdm import tqdm
for _ in tqdm(range(3), mininterval=0):
    print("a name that is no UTF-8: \\udcff", flush=True)
    print("progress", file=sys.stderr)
    os.system("echo what is not Python >&2")
file.write("done")
file.close()
sys.exit("an error" if len(sys.argv) > 2 else 0)
"""


def run(tmp_path, redirection, *arguments):
    path = tmp_path / "file"
    command = ["sh", "-c", f'"$0" "$@" {redirection}', sys.executable, "-c", PROGRAM, path]
    finished = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    return finished, path.read_text()


@pytest.mark.parametrize(
    "redirection",
    ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"],
)
def test_streams_that_take_nothing(tmp_path, redirection):
    finished, written = run(tmp_path, redirection)
    assert finished.returncode == 0 and written == "done"
    assert "Traceback" not in finished.stderr and "Exception" not in finished.stderr
    assert run(tmp_path, redirection, "fails")[0].returncode == 1


def test_a_reader_that_goes_away(tmp_path):
    """As `| head -1` does."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path / "file"], stdout=writer, stderr=writer
    )
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    assert process.wait(60) == 0
    assert (tmp_path / "file").read_text() == "done"


def test_output_is_as_before(tmp_path):
    finished, _ = run(tmp_path, "")
    assert finished.stdout == "a name that is no UTF-8: \\udcff\n" * 3
    assert finished.stderr.count("progress\n") == finished.stderr.count("what is not Python\n") == 3
    assert "3/3" in finished.stderr


@pytest.mark.parametrize("given", [None, "0"])
def test_the_alarm_of_slow_compilations_is_hidden_unless_a_level_was_given(monkeypatch, given):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "to be restored")
    if given is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    else:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given)
    stdio.hide_compile_alarm()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == (given or "3")
