"""Programs that may not take more than their share."""

import pytest

from fish_jax.utils import limited

PROGRAM = """
import os, sys
if sys.argv[1] == "prints":
    os.write(1, b"a" * 1000)
if sys.argv[1] == "crashes":
    os._exit(3)
if sys.argv[1] == "grows":
    kept = b"a" * 500_000_000
while sys.argv[1] != "prints":
    pass
"""


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("prints", ""),
        ("prints", "it has more than 999 bytes"),
        ("crashes", "its reader crashed with exit status 3"),
        ("grows", "reading it takes more than 300,000,000 bytes of memory"),
        ("hangs", "reading it takes more than 0.5 seconds"),
    ],
)
def test_a_program_is_ended(tmp_path, monkeypatch, does, message):
    (tmp_path / "greedy.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    seconds = 0.5 if does == "hangs" else 60.0
    most = 999 if message.endswith("999 bytes") else 1000
    run = lambda: limited.run_module("greedy", [does], 300_000_000, seconds, most)
    if not message:
        assert run() == b"a" * 1000
        return
    with pytest.raises(ValueError) as caught:
        run()
    assert str(caught.value) == message
