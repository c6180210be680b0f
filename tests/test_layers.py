"""The packages are layers: each imports only from packages of lower layers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fish_jax"
LAYERS = (  # the lowest first; packages of one layer do not import each other
    {"errors"},
    {"utils"},
    {"losses", "networks", "data"},
    {"gan"},
    {"runs"},
    {"evaluation", "training"},
    {"comparison", "serving"},
    {"cli"},
)
FLOOR = {package: floor for floor, packages in enumerate(LAYERS) for package in packages}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & MODULES.keys() - {"fish_jax"}


def upward(path: Path) -> set[str]:
    """The imports of a file that do not run downward."""
    own = path.relative_to(PACKAGE).parts[0]
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
