"""How the processes of one run find one another; `make devices` starts real ones."""

import re

import pytest

from fish_jax.errors import UserError
from fish_jax.utils import multihost


@pytest.mark.parametrize(
    "arguments, environment, expected",
    [
        (("", None, None), {}, None),
        (("", None, None), {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        (("a:1", 4, 2), {}, ("a:1", 4, 2)),
        (("", None, None), {"SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "1"}, (None, 3, 1)),
        (
            ("a:1", None, None),
            {"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "7"},
            ("a:1", 8, 7),
        ),
    ],
)
def test_how_processes_find_one_another(monkeypatch, arguments, environment, expected):
    joined = []
    monkeypatch.setattr(multihost.jax.distributed, "initialize", lambda *a, **k: joined.append(a))
    monkeypatch.setattr(multihost.jax.config, "update", lambda *_: None)
    monkeypatch.setenv("NPROC", "8")
    monkeypatch.setattr(multihost.rendezvous, "call", lambda *_: None)
    multihost.join(*arguments, environment)
    assert joined == ([expected] if expected else [])


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_STEP_NUM_TASKS": "x"},
        {"SLURM_STEP_NUM_TASKS": "2"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "-1"},
    ],
)
def test_launchers_that_set_half_of_it(environment):
    with pytest.raises(UserError, match="both must be numbers"):
        multihost.join("", None, None, environment)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("a:1", None, None), "needs --num_processes=N and --process_id=0 to N - 1"),
        (("a:1", 2, 2), "num_processes is 2, process_id 2"),
        (("", 2, None), "num_processes is 2, process_id none"),
        (("a", 2, 1), "--coordinator=a must be HOST:PORT"),
        (("", 2, 1), "give all processes the same --coordinator=HOST:PORT"),
    ],
)
def test_flags_that_find_no_other(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        multihost.join(*arguments, {})
