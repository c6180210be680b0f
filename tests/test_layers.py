"""The packages are layers: each imports only from packages of lower layers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fish_jax"
LAYERS = (  # the lowest first; packages of one layer do not import each other
    {"errors"},
    {"utils"},
    {"losses", "networks", "data"},
    {"configs", "gan"},
    {"config_loader", "runs"},
    {"evaluation"},
    {"training"},
    {"comparison", "serving"},
    {"cli"},
    {"__main__"},
)
FLOOR = {package: floor for floor, packages in enumerate(LAYERS) for package in packages}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
CORE = [
    path for path in FILES if path.relative_to(PACKAGE).parts[0] in ("losses", "networks", "gan")
]
# What reads, writes or prints: modules, and functions and methods by their last name.
IO_MODULES = {
    *"io logging os pathlib shutil socket subprocess sys tempfile".split(),
    *(f"fish_jax.{name}" for name in ("runs", "utils.files", "utils.log", "utils.terminal")),
    *(f"fish_jax.data.{name}" for name in ("cache", "dataset", "image_files", "images", "sources")),
}
IO_CALLS = {
    *"print input open write writelines write_text write_bytes read_text read_bytes".split(),
    *"load loadtxt fromfile memmap save savez savez_compressed savetxt tofile".split(),
    *"touch mkdir unlink rmdir".split(),
}
WITHOUT_JAX = (
    "fish_jax",
    "fish_jax.data.images",
    "fish_jax.data.dataset",
    "fish_jax.cli.app",
    "fish_jax.cli.config_flags",
    "fish_jax.config_loader",
)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & MODULES.keys() - {"fish_jax"}


def upward(path: Path) -> set[str]:
    """The imports of a file that do not run downward."""
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    packages = {module.split(".")[1] for module in imported(path)}
    return {other for other in packages - {own} if FLOOR[other] >= FLOOR[own]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    assert not upward(path)


def cycle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or none."""
    done, trail = set(), []

    def visit(module: str) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        trail.append(module)
        for other in sorted(imports[module]):
            if found := visit(other):
                return found
        trail.pop()
        done.add(module)
        return []

    return next((found for module in imports if (found := visit(module))), [])


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imported(path) - {module} for module, path in MODULES.items()}
    assert not cycle(graph)


def input_and_output(path: Path) -> list[str]:
    """The calls and imports of a file that read, write or print."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            found += [f"line {node.lineno}: {name}()"] if name in IO_CALLS else []
        for name in names:
            inside = any(f"{name}.".startswith(f"{module}.") for module in IO_MODULES)
            found += [f"line {node.lineno}: import of {name}"] if inside else []
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_opens_no_file_and_prints_nothing(path):
    assert not input_and_output(path)


def test_light_modules_load_no_jax():
    check = (
        "import importlib, sys; importlib.import_module(sys.argv[1]); print('jax' in sys.modules)"
    )
    for module in WITHOUT_JAX:
        command = [sys.executable, "-c", check, module]
        loaded = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert loaded == "False\n", f"{module} loads JAX"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_has_more_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.py")), ids=lambda path: path.name
)
def test_presets_import_only_presets_of_losses(path):
    others = {module for module in imported(path) if not module.startswith("fish_jax.configs")}
    assert others <= {"fish_jax.losses", "fish_jax.losses.presets"}


def test_what_is_planted_is_seen(tmp_path):
    path = tmp_path / "planted.py"
    path.write_text("def late():\n    from fish_jax.cli import app\n    print(app)\n")
    assert imported(path) == {"fish_jax.cli", "fish_jax.cli.app"}
    assert input_and_output(path)
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert len(FILES) > 100
