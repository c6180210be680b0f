"""Images and a home for the runs that are disturbed, and the table of faults at the end."""

from collections import Counter
from collections.abc import Callable

import pytest

pytest.register_assert_rewrite("drive")
import drive  # noqa: E402


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of images, and a home whose compiled programs and fonts all runs share."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(home / "compiled"))
        patch.setenv("MPLCONFIGDIR", str(home / "matplotlib"))
        yield drive.make_images(home / "photographs")


@pytest.fixture
def suffer(record_property) -> Callable[..., None]:
    """Notes what a run suffered, and how often, for the table: survived if the test passes."""
    return lambda fault, times=1: record_property("suffered", [fault, times])


def pytest_terminal_summary(terminalreporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    count, survived = Counter(), Counter()
    for report in reports:
        for name, value in report.user_properties:
            if name == "suffered" and report.when == "call":
                count[value[0]] += value[1]
                survived[value[0]] += value[1] * report.passed
    if count:
        terminalreporter.section("fault, how often, how often survived")
    for fault in sorted(count):
        terminalreporter.write_line(f"{fault:<60}{count[fault]:6}{survived[fault]:6}")
