"""Measures the recipe, `configs/best.py`, at full size, and what it was before it grew, `flat`.

    python -m benchmarks.recipe hour --data photos/         scores of `best` and others by minutes

    python -m benchmarks.recipe parts --data photos/        `flat`, a part left out or added
    python -m benchmarks.recipe images --data photos/       beside the report's, as many images
    python -m benchmarks.recipe minutes --data photos/      beside the report's, as long trained
    python -m benchmarks.recipe sets --data photos/         other and fewer images: a collapse?

`flat` is measured at 28 x 64 pixels. The same command resumes; a contestant of
`hour` whose time was not over begins again. Each leaves a page or a chart in a folder of its own.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import arguments
from benchmarks.recipe import hour, small
from fish_jax.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("hour", *small.SEEDS))
    parser.add_argument("--data", default="", help="a folder of images; drawn fish without")
    parser.add_argument("--out", default="runs/recipe", help="a folder, for runs and pages")
    parser.add_argument(
        "--epochs", type=arguments.count, default=small.EPOCHS, help=f"by default {small.EPOCHS}"
    )
    counts = ", ".join(f"{count} for {command}" for command, count in small.SEEDS.items())
    parser.add_argument("--seeds", type=arguments.count, help=f"by default 3 for hour, {counts}")
    parser.add_argument("--minutes", type=float, default=60.0, help="of a run of hour")
    options = parser.parse_args()
    folder = Path(options.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.command == "hour":
            hour.run(options.data, folder / "hour", options.minutes, options.seeds or 3)
            return
        seeds = options.seeds or small.SEEDS[options.command]
        small.run(options.command, options.data, folder, options.epochs, seeds)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
