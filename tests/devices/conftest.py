"""The table of devices at the end, and no more memory mappings than Linux allows."""

import jax
import pytest


@pytest.fixture(autouse=True)
def forget():
    """Compiled programs for eight devices have thousands of memory mappings each."""
    yield
    jax.clear_caches()


def pytest_terminal_summary(terminalreporter) -> None:
    properties = [
        p for report in terminalreporter.getreports("passed") for p in report.user_properties
    ]
    rows = [value for name, value in properties if name == "apart"]
    if rows:
        terminalreporter.section("largest difference from one device, float64, after five steps")
        for name, loss, count, apart in sorted(rows):
            terminalreporter.write_line(f"{name:24} {loss:8} {count} devices {apart:8.1e}")
