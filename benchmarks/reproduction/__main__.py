"""The report's nine experiments trained again, and our recipe beside them.

    python -m benchmarks.reproduction run --data photos/    trains and judges
    python -m benchmarks.reproduction page                  reproduction/index.html, and tables

`run` times two epochs of each experiment first; where all do not fit into the minutes, the longest
have fewer epochs. The same command resumes, and checkpoints of what was
judged are removed: what is left is small. `--demo` takes the small networks, on 28 x 64 pixels.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import arguments
from benchmarks.reproduction import found, page, runs, table
from benchmarks.reproduction.experiments import EXPERIMENTS
from fish_jax.errors import Stopped, UserError
from fish_jax.utils import compilation_cache, malloc
from fish_jax.utils.files import replacing


def chosen(text: str) -> list[str]:
    """Names of experiments, in their order."""
    names = text.split(",")
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    return [name for name in EXPERIMENTS if name in names]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "page"))
    parser.add_argument("--data", default="", help="a folder of photographs; drawn fish without")
    parser.add_argument(
        "--clean", default="", help="names of the photographs that all but ...-all are trained on"
    )
    parser.add_argument("--out", default="runs/reproduction", help="a folder, for the runs")
    parser.add_argument("--page", default="reproduction", help="a folder, for the page")
    parser.add_argument("--only", type=chosen, help=f"of {', '.join(EXPERIMENTS)}; or some")
    parser.add_argument("--minutes", type=arguments.count, default=600, help="for all of them")
    parser.add_argument("--demo", action="store_true", help="small networks and images")
    parser.add_argument("--keep", action="store_true", help="checkpoints, too")
    parser.add_argument("--precision", default="float32", help="of the networks; or tf32, bfloat16")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    compilation_cache.keep_compiled()
    fields = {name: getattr(options, name) for name in runs.Options._fields}
    settings = runs.Options(**fields)
    names = runs.offered(settings)
    for name in options.only or ():
        if name not in names:
            raise UserError(f"{name} needs --clean, the names of photographs that others leave out")
    left = runs.run(Path(options.out), options.only or names, settings, 60.0 * options.minutes)
    if left:
        print(f"not at their end: {', '.join(left)}; the same command resumes")


def write_page(options: argparse.Namespace) -> None:
    experiments = found.read(Path(options.out))
    folder = Path(options.page)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "index.html") as file:
        file.write(page.render(experiments).encode())
    print(f"{table.machine(experiments)}\n\n{table.speeds(experiments)}\n")
    print(f"{table.results(experiments)}\n\nopen {folder / 'index.html'}")


def main() -> None:
    options = parse()
    try:
        {"run": run, "page": write_page}[options.command](options)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    except Stopped as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.exit_code)


if __name__ == "__main__":
    malloc.keep_pages()
    main()
