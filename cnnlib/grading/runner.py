"""Run a merged notebook under pytest and nbval, apart from everything else, and bring back the payloads."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from cnnlib.grading import shut_in
from cnnlib.grading.limits import Tree
from cnnlib.grading.sources import ROOT
from cnnlib.threads import OWN, wait_asleep

KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SYSTEMROOT",
    "WINDIR",
    "COMSPEC",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    *OWN,
)
MB = 1_000_000
START = """
import sys
sys.modules["rfc3987_syntax"] = None  # jsonschema's check of web addresses: a second to import, and no use here
import pytest
sys.exit(pytest.main())
"""


@dataclass(frozen=True)
class Limits:
    """What a graded run may use."""

    seconds: float = 60  # for all cells together
    memory: int = 3_000 * MB
    processes: int = 24
    file_size: int = 50 * MB
    payload: int = 8 * MB
    printed: int = MB  # characters that a cell may print


@dataclass
class Run:
    """What came out of one run."""

    ends: dict = field(default_factory=dict)  # cell id -> the plugin's line
    guilty: str | None = None  # the cell that the run died in
    reason: str = ""
    log: str = ""
    seconds: float = 0


def run(cells, limits, data):
    """Run cells in a fresh kernel; returns a `Run`.

    cells: [(id, text, seconds, sealed)]    data: the folder for CNNLIB_DATA
    Provided.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cnnlib-", ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        for name in ("home", "work", "control"):
            (folder / name).mkdir()
        notebook, record = folder / "work" / "merged.ipynb", folder / "control" / "record"
        nbformat.write(as_notebook(cells), notebook)
        record.touch()
        mark = uuid.uuid4().hex
        settings = {"notebook": str(notebook), "record": str(record), "memory": limits.memory}
        settings |= {"file_size": limits.file_size, "payload": limits.payload}
        env = environment(folder / "home", data, mark)
        if shut_in.available():
            more, runtime = shut_in.write_kernel(folder / "control", folder / "work", folder / "home", data)
            env, settings = env | more, settings | {"runtime": str(runtime)}
        with open(folder / "control" / "log", "w+b") as log:
            process = subprocess.Popen(
                command(notebook, folder / "control"),
                cwd=folder / "control",
                env=env | {"CNNLIB_GRADING": json.dumps(settings)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
            reason = watch(process, limits, mark)
            log.seek(0)
            result = read_record(record, reason, log.read(20_000).decode(errors="replace"))
            result.seconds = time.monotonic() - begin
            return result


def as_notebook(cells):
    """The cells as a notebook for nbval. Provided."""
    nb = nbformat.v4.new_notebook()
    for cell, text, seconds, sealed in cells:
        metadata = {"seconds": seconds, "sealed": sealed}
        nb.cells.append(nbformat.v4.new_code_cell(text, id=cell, metadata=metadata))
    return nb


def command(notebook, control):
    """The command that runs a notebook under nbval, with our plugin and no other. Provided."""
    (control / "pytest.ini").write_text("[pytest]\n")
    options = ["-c", str(control / "pytest.ini"), "--rootdir", str(control), "-p", "no:cacheprovider", "--assert=plain"]
    options += [
        "-p",
        "nbval.plugin",
        "-p",
        "cnnlib.grading.plugin",
        "--nbval-lax",
        f"--nbval-kernel-name={shut_in.NAME}" if shut_in.available() else "--nbval-current-env",
        "-q",
        "-s",
        "--tb=no",
    ]
    return [sys.executable, "-c", START, *options, "--color=no", str(notebook)]


def environment(home, data, mark):
    """The environment of a graded run: nothing of the learner's or the teacher's but what a program needs to start.

    Provided.
    """
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {"HOME": str(home), "USERPROFILE": str(home), "TMPDIR": str(home), "TEMP": str(home), "TMP": str(home)}
    env |= {"CNNLIB_DATA": str(data), "CNNLIB_OFFLINE": "1", "CNNLIB_RUN": mark, "MPLBACKEND": "agg"}
    env |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    wait_asleep(env)
    return env


def watch(process, limits, mark):
    """Wait for a run and hold it to its limits; end everything that it started. Returns why it was ended, or "".

    Provided.
    """
    tree, deadline, reason = Tree(process.pid), time.monotonic() + limits.seconds, ""
    try:
        while process.poll() is None and not reason:
            alive, memory = tree.look()
            if memory > limits.memory:
                reason = f"it took more than {limits.memory / 1e9:g} GB of memory."
            elif alive > limits.processes:
                reason = f"it started more than {limits.processes} processes."
            elif time.monotonic() > deadline:
                reason = f"the notebook took more than {limits.seconds:g} seconds in all."
            else:
                time.sleep(0.1)
    finally:
        tree.end(mark)
        process.wait()
    return reason


def read_record(record, reason, log):
    """The plugin's record as a Run: how each cell ended, and which one the run died in. Provided."""
    result, started = Run(log=log), None
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if "start" in entry:
            started = entry["start"]
        elif isinstance(entry.get("end"), str) and entry["end"] == started:
            result.ends[started] = entry
            if entry.get("stopped"):
                result.guilty, result.reason = started, reason or entry["stopped"]
                return result
            started = None
    if started:
        result.guilty, result.reason = started, reason or "gone"
    elif reason:
        result.reason = reason
    return result
