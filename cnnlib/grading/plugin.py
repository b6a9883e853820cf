"""The pytest plugin of the graded run: limits, and one payload from each sealed cell.

It runs in pytest's process, not in the learner's kernel, and hands over payloads, never a verdict. It writes a line of
JSON when a cell starts and one when it ends, so that the grader knows which cell a run died in.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from queue import Empty

import psutil
import pytest
from nbval.kernel import RunningKernel

from cnnlib.grading import shut_in
from cnnlib.grading.limits import set_limits
from cnnlib.grading.sealed import MIME

SETTINGS = json.loads(os.environ.pop("CNNLIB_GRADING", "{}"))  # not for the kernel's eyes
PARTS = 300_000  # of a payload: each becomes an object in the grader's memory


def pytest_configure(config):
    """Set the limits that pytest and the kernel live under."""
    set_limits(SETTINGS["memory"], SETTINGS["file_size"])
    RunningKernel.await_reply = await_reply
    if "runtime" in SETTINGS:
        shut_in.through_files(SETTINGS["runtime"])


def pytest_collection_finish(session):
    """The notebook has been read: leave its directory empty for the kernel."""
    Path(SETTINGS["notebook"]).unlink()


def pytest_runtest_setup(item):
    """Note that a cell starts; give it its own time."""
    item.config.option.nbval_cell_timeout = item.cell.metadata["seconds"]
    item.output_timeout = 10
    note({"start": item.cell.id})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """When a cell has run, hand over its one payload, or how it ended."""
    report = yield
    if call.when == "call":
        outputs = item.test_outputs or []
        payloads = [out["data"][MIME] for out in outputs if MIME in out.get("data", {})]
        errors = [out for out in outputs if out.output_type == "error"]
        line = {"end": item.cell.id, "passed": report.passed, "payloads": len(payloads)}
        line["stopped"] = "late" if item.parent.timed_out else "" if item.parent.kernel.is_alive() else "gone"
        item.session.shouldstop = line["stopped"]
        line["seconds"], line["printed"] = call.duration, sum(len(out.get("text", "")) for out in outputs)
        if errors:
            line["error"] = {"error": errors[0]["ename"][:80], "message": errors[0]["evalue"][:300]}
        if len(payloads) == 1 and item.cell.metadata["sealed"]:
            form = json.dumps(payloads[0])
            small = len(form) <= SETTINGS["payload"] and sum(map(form.count, ",[{")) <= PARTS
            line |= {"payload": payloads[0]} if small else {"too_large": len(form)}
        note(line)
    return report


def pytest_unconfigure(config):
    """End every process that a cell left behind."""
    for _ in range(50):
        children = psutil.Process().children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=1)


def note(line):
    """Append a line of JSON to the grader's record."""
    with open(SETTINGS["record"], "a", encoding="utf-8") as record:
        record.write(json.dumps(line) + "\n")


def await_reply(kernel, msg_id, timeout):
    """nbval's wait for a cell's reply, but a kernel that is gone is noticed at once, not when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            message = kernel.get_message("shell", timeout=min(0.2, timeout))
            if message["parent_header"].get("msg_id") == msg_id:
                return
        except Empty:
            if not kernel.is_alive():
                raise RuntimeError("the kernel is gone") from None
            if time.monotonic() > deadline:
                raise
