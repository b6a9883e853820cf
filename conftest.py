"""What holds for every test: how threads wait, how long a notebook's cell may take, and which tests may be skipped."""

import os
import re

import pytest
from nbval.plugin import IPyNbCell

from cnnlib.notebooks import cell_limit
from cnnlib.threads import wait_asleep

wait_asleep(os.environ)  # before torch is imported; the notebooks' kernels inherit it

MAY_BE_SKIPPED = {
    r"root and Windows write into read-only folders": "CI runs as root, and the same code is tested in two other ways",
    r"Windows has no|this system has no /proc": "what is tested does not exist on that system",
}
if "CNNLIB_DATA" not in os.environ:
    MAY_BE_SKIPPED[r"the real \S+ is not here|needs the real \S+, and only a"] = "not every machine has the real sets"


def pytest_runtest_setup(item):
    """A notebook's cells get the time that their notebook took when it was stored, many times over."""
    if isinstance(item, IPyNbCell):
        item.config.option.nbval_cell_timeout = cell_limit(item.parent.nb)
        item.output_timeout = 60


def unexpected_skips(config):
    """The places and reasons of tests that were skipped though CI demands them; none outside CI."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter and os.environ.get("CI") == "true" else []
    found = [f"{report.nodeid}: {report.longrepr[2]}" for report in reports]
    return [line for line in found if not any(re.search(reason, line) for reason in MAY_BE_SKIPPED)]


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    """In CI a run that skipped a test which is not in MAY_BE_SKIPPED has failed."""
    if session.exitstatus == pytest.ExitCode.OK and unexpected_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


def pytest_terminal_summary(terminalreporter):
    """Say which skipped tests failed the run."""
    if found := unexpected_skips(terminalreporter.config):
        terminalreporter.section("skipped, and CI=true allows that only for MAY_BE_SKIPPED in conftest.py", red=True)
        for line in found:
            terminalreporter.line(line)
