"""Whatever a user mistypes, on the command line or in a config, is reported in one sentence.

Seeded mistakes of flags, of fields' names and values, in files and from Python, go the whole way of
main.py up to the first array. Each is refused in a sentence that names what is wrong, or taken as
it reads: the field has that value, networks can compute with it, and no other has changed.
"""

import ast
import copy
import functools
import importlib
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.in_process import SMALL, Reached, demo, run, runs_that_stop
from helpers.marks import slow

from fish_jax.configs import default
from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step
from fish_jax.networks.spec import Row
from fish_jax.runs.config_file import plain
from fish_jax.training import train

CASES = 1500  # of each kind
EXPERIMENTS = ("lsgan_dense", "ralsgan", "began")  # dense, convolutions, pooling and a decoder
TEXTS = (  # for any field or flag
    *"0 -1 1 2 7 -0.0 0.5 0.99999999 1e30 1e39 1e-50 1e400 1e3 16.0 -1e-3 +3 010 0x10".split(),
    *"1_000 2147483647 2147483648 4294967296 nan inf -inf NaN true True FALSE yes None".split(),
    *"() (1,) (1,2) (1,2,3) (2,1) [1,2] ((1,2),(3,4)) 1,2 ('a','b') (nan,1) (1e400,1)".split(),
    *"(True,False) (0,-1) {'a':1} {} [{'op':'dense'}] ({'op':'conv'},) ({'a':1},) ((((".split(),
    *"({'op':'flatten'},{'op':'dense','filters':1}) 2+2 1;2 __import__('os') --dry_run".split(),
    *"abc ä 魚 １６ ² a'b a\"b '16' %s%d {x} $a$ $\\frac$ \\ \udcff a\0b ../x . ..".split(),
    *"dense flatten conv relu batch normal_0.1 normal_nan normal_1e-60 sgd uniform began".split(),
    *"/proc/version none null sum bfloat16 crop nearest valid lsgan".split(),
    *("", " ", " 16 ", "a\nb", "a" * 300, "x" * 5000, "(" * 3000, "9" * 5000, "1" + "0" * 400),
)
FLAGS = {
    "mode": "train sample describe data Train trian 0".split(),
    "workdir": "main.py main.py/run /proc/run new/one /proc/self/mem/x".split(),
    "dry_run": "true maybe 2".split(),
    "seeds": "0-15 1,,2 4- -4 5-4 0-99999 0-100000 , 1.5 0x3 1-2-3".split(),
    "out": "a.jpg main.py main.py/a.png /proc/a.png /proc/a".split(),
    "config": "configs configs/lsgan.py: configs/lsgan.py:a:b README.md configs/x.py".split(),
}
VALUES = (  # of Python
    *"None True False 0 -1 1 3 1.0 2.5 -0.0 1e30 1e39 1e-50 math.nan math.inf -math.inf".split(),
    *"10**30 10**400 10**5000 1j range(2) '' 'x' '16' 'a\\0b' '\\ud800' b'x' 'dense'".split(),
    *"() [] (1,) (1,2) [1,2] (2,1) (1,2,3) ((1,2),(3,4)) ('a','b') (None,1) (math.nan,1)".split(),
    *"{} {'a':1} set() object() len [{}] [None] [3] ({1:2},) ({'op':'dense'},)".split(),
    *"({'op':[]},) ({'op':'dense','filters':'8'},) np.int64(3) np.float32(1)".split(),
    *"np.float64(0.5) np.array([1,2]) np.array(1)".split(),
)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Fields by their names on the command line; sections and rows are followed."""
    if isinstance(value, dict) and value:
        parts = {f"{name}.{key}" if name else str(key): item for key, item in value.items()}
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        parts = {f"{name}[{index}]": item for index, item in enumerate(value)}
    else:
        return {name: value}
    return {name: leaf for key, item in parts.items() for name, leaf in flat(item, key).items()}


@functools.cache
def small(name: str) -> dict[str, Any]:
    """The config of `demo`, of JSON's types alone."""
    config = importlib.import_module(f"fish_jax.configs.{name}").get_config("demo")
    config.update_from_flattened_dict(SMALL)
    return plain(config)


@functools.cache
def settable(name: str) -> dict[str, Any]:
    """The fields of that config with their values, and those that rows leave to their tables."""
    fields = flat(small(name))
    rows = {field.rpartition(".")[0] for field in fields if "[" in field}
    left = {f"{row}.{n}": f.default for row in rows for n, f in Row.__dataclass_fields__.items()}
    tables = {"generator.layers": (), "discriminator.layers": (), "discriminator.decoder": ()}
    return left | tables | fields


def pick(rng: random.Random) -> tuple[str, str]:
    """An experiment, and a field of its config."""
    name = rng.choice(EXPERIMENTS)
    return name, rng.choice(sorted(settable(name)))


def misspell(name: str, rng: random.Random) -> str:
    at = rng.randrange(len(name))
    head, letter, tail = name[:at], name[at], name[at + 1 :]
    return rng.choice(
        [
            head + tail,
            head + letter * 2 + tail,
            head + letter.swapcase() + tail,
            head + rng.choice("abz09_-.[] é") + tail,
            head + tail[:1] + letter + tail[1:],
            name.upper(),
            name.replace(rng.choice("._[]"), rng.choice(["-", "_", "", "/", " "])),
            re.sub(r"\d", rng.choice(["9", "-1", "x", "", "0]["]), name),
        ]
    )


def words(*names: str) -> tuple[str, ...]:
    """Parts of names, one of which a sentence about them has."""
    return tuple(part for name in names for part in re.split(r"[^a-z]+", name) if len(part) > 2)


def check_sentence(sentence: str, subjects: tuple[str, ...], longest: int = 0) -> None:
    assert "\n" not in sentence and len(sentence) < 900 + longest
    assert any(subject.lower() in sentence.lower() for subject in subjects), subjects
    assert not re.search(r"Traceback|\b(Type|Key|Attribute|Index|Assertion)Error", sentence)


@functools.cache
def traced(text: str) -> None:
    """A step is traced, so that JAX sees every shape and type."""
    config = json.loads(text)
    gan = make_gan(config)
    images = jax.ShapeDtypeStruct((config["batch_size"], *gan.image_size, 3), np.uint8)
    state = jax.eval_shape(functools.partial(create_state, gan), np.uint32(config["seed"]))
    jax.eval_shape(functools.partial(train_step, gan=gan), state, images)


def check_accepted(config: Any, trace: bool) -> None:
    """All fields have the types of configs/default.py, numbers are finite, and JAX can go on."""
    config = plain(config)
    kinds = flat(plain(default.get_config()))
    for name, value in flat(config).items():
        kind = type(kinds.get(name, getattr(Row, name.rpartition(".")[2], "")))
        right = {float: (int, float), tuple: list}.get(kind, kind)  # as JSON has them
        assert isinstance(value, right), name
        assert isinstance(value, bool) == (kind is bool), name
        if isinstance(value, float) and name not in ("data.device_gigabytes", "checkpoint_minutes"):
            assert math.isfinite(value), name
    if trace:
        alike = {n: small("lsgan_dense")[n] for n in ("name", "data", "epochs")}
        traced(json.dumps(config | alike))


def reading(before: Any, text: str) -> Any:
    """What a text means for a field."""
    if isinstance(before, bool):
        return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
    if isinstance(before, (int, float)):
        return type(before)(text)
    return text if isinstance(before, str) else ast.literal_eval(text)


def check_meaning(config: Any, name: str, field: str, text: str) -> None:
    """The field is what its text says, and all others are as they were."""
    before = flat(small(name))
    value = reading(settable(name)[field], text)
    others = {n: v for n, v in before.items() if not n.startswith(f"{field}[")}
    assert flat(plain(config)) == others | flat(plain({field: value}))


def try_flags(rng: random.Random, folder: Path, given: dict[str, Any], trace: bool) -> str:
    """A field or a flag with a random value, or with a wrong name."""
    experiment, field = pick(rng)
    start = [*demo(experiment), f"--workdir={folder}/run"]
    start += rng.choices([[], ["--dry_run"], ["--mode=describe"], ["--mode=data"]], [6, 2, 1, 1])[0]
    flag = rng.choice([*["config.field"] * 5, *FLAGS])
    text = rng.choice([*rng.choices(TEXTS, k=3), *FLAGS.get(flag, ())])
    name = f"config.{field}" if flag == "config.field" else flag
    if rng.random() < 0.6 and flag in ("seeds", "out", "workdir"):
        start = ["--mode=sample", "--workdir=x", "--out=/proc/x"]
    if rng.random() < 0.25:
        name, text = misspell(name, rng), str(settable(experiment)[field])
    words_given = [f"--{name}", text] if rng.random() < 0.3 else [f"-{name}={text}"]
    given.pop("config", None)
    sentence = run(*start, *words_given)
    if sentence:
        known = (
            "argument",
            "NUL",
            "control character",
            "flag",
            "config file",
            "--out",
            "image",
            name.removeprefix("config."),
        )
        subjects = (*known, *words(name, flag), *([text] if len(text) > 2 else []))
        check_sentence(sentence, subjects, 2 * len(text))
    elif "config" in given:
        check_accepted(given["config"], trace)
        if name.startswith("config."):
            check_meaning(given["config"], experiment, name.removeprefix("config."), text)
    return sentence


def try_file(rng: random.Random, folder: Path, given: dict[str, Any], trace: bool) -> str:
    """A config file that sets a field to something."""
    experiment, field = pick(rng)
    *path, last = [int(p) if p.isdigit() else p for p in re.findall(r"\w+", field)]
    last = misspell(last, rng) if rng.random() < 0.2 else last
    holder = "".join(f"[{part!r}]" for part in path)
    lines = [
        "import math",
        "import numpy as np",
        f"from fish_jax.configs import {experiment}",
        "def get_config():",
        f"    config = {experiment}.get_config('demo')",
        "    config.data.count = 20",
        rng.choice(["", "    config.unlock()", "    config = config.to_dict()"]),
        f"    config{holder}[{last!r}] = {rng.choice(VALUES)}",
        "    return config",
    ]
    (folder / "mine.py").write_text("\n".join(lines) + "\n")
    given.pop("config", None)
    sentence = run(f"--config={folder}/mine.py", f"--workdir={folder}/run")
    if sentence and "mine.py" not in sentence:
        check_sentence(sentence, ("image", last, *words(field)))
    elif not sentence:
        check_accepted(given["config"], trace)
    return sentence


def try_python(rng: random.Random, folder: Path, given: dict[str, Any], trace: bool) -> str:
    """A dict from Python with one field of another value, another name, none, or one too many."""
    experiment, field = pick(rng)
    config: Any = copy.deepcopy(small(experiment))
    field = rng.choice([field] * 3 + list(config))
    value = eval(rng.choice(VALUES), {"math": math, "np": np})
    *path, last = [int(p) if p.isdigit() else p for p in re.findall(r"\w+", field)]
    holder = functools.reduce(lambda section, key: section[key], path, config)
    change = rng.choices(["value", "missing", "renamed", "extra", "whole"], [12, 2, 2, 1, 0.3])[0]
    old = holder.pop(last, None)
    if change == "value":
        holder[last] = value
    elif change == "renamed":
        holder[misspell(last, rng)] = old
    elif change == "extra":
        holder |= {last: old, rng.choice(["x", 1, None, "lr", ("a",)]): value}
    try:
        train.train(value if change == "whole" else config, folder / "python")
    except Reached:
        check_accepted(config, trace)
        return ""
    except UserError as error:
        check_sentence(str(error), ("the config", "has no field", "image", *words(field)))
        return str(error)
    raise AssertionError("a run that stops always raises")


@pytest.mark.parametrize("attempt", [try_flags, slow(try_file), try_python])
def test_mistakes_are_told_in_a_sentence(attempt, tmp_path):
    told = 0
    with runs_that_stop(tmp_path) as given:
        for number in range(CASES):
            rng = random.Random(f"{attempt.__name__} {number}")
            told += bool(attempt(rng, tmp_path, given, trace=number % 20 == 0))
    assert 0.5 < told / CASES < 0.98  # neither all that is wrong nor all that is right is taken
