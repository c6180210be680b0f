"""Types of the command lines' arguments, which answer a mistake before anything is measured."""

import argparse
import os
from pathlib import Path


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)


def batch(text: str) -> int | str:
    """A number of images, or what `common.choose_batch` makes one of."""
    if text in ("small", "report"):
        return text
    try:
        return count(text)
    except argparse.ArgumentTypeError:
        message = f'{text!r} must be a whole number, 1 or more, "small" or "report"'
        raise argparse.ArgumentTypeError(message) from None


def duration(text: str) -> float:
    """Seconds, more than none."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of seconds above 0")
    return seconds


def output(text: str) -> str:
    """A file whose folder can be written to."""
    folder = Path(text).absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{folder} is not a folder that can be written to")
    return text
