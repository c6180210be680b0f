"""What the peers need set before TensorFlow is imported, and the table of all differences."""

import os

# On x86 oneDNN's path crashes on a transposed convolution with kernel 1 and stride 2.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

from collections.abc import Callable

import pytest

TABLE = pytest.StashKey[dict[str, dict[str, float]]]()


@pytest.fixture
def record(request) -> Callable[[str, str, float], None]:
    """Keeps the largest difference of a row and a column for the table at the end."""

    def keep(row: str, column: str, difference: float) -> None:
        cells = request.config.stash.setdefault(TABLE, {}).setdefault(row, {})
        cells[column] = max(cells.get(column, 0.0), difference)

    return keep


def pytest_terminal_summary(terminalreporter, config) -> None:
    table = config.stash.get(TABLE, {})
    if not table:
        return
    terminalreporter.section("largest differences")
    for row, cells in table.items():
        terminalreporter.write_line(row)
        for column, difference in cells.items():
            terminalreporter.write_line(f"    {column:<58}{difference:9.1e}")
