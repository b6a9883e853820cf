"""Shut the learner's kernel in, where the system allows it: Linux with bubblewrap.

The kernel then sees a read-only system and Python, the course's package without the questions, the train split of the
data, an empty home and an empty work folder, no network, and no process but its own.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cnnlib.grading.sources import ROOT

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys")
APART = ("user", "pid", "net", "ipc", "uts")  # namespaces of its own
NAME = "shut-in"


@functools.cache
def available():
    """Whether a kernel can be shut in here: bwrap is there, and a trial run of Python in it works. Provided."""
    if sys.platform != "linux" or not shutil.which("bwrap"):
        return False
    trial = [*walls(), sys.executable, "-c", "import cnnlib.grading.sealed"]
    env = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    try:
        return subprocess.run(trial, env=env, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def walls(writable=(), readable=()):
    """The command that runs another one behind walls; the paths in `writable` and `readable` are let in.

    Provided.
    """
    python = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *library_folders()]
    seen = [*SYSTEM, *python, ROOT / "cnnlib", ROOT / "runs", *readable]
    command = ["bwrap", *(f"--unshare-{name}" for name in APART), "--die-with-parent", "--tmpfs", "/"]
    for path in dict.fromkeys(str(path) for path in seen):
        command += ["--ro-bind-try", path, path]
    command += ["--tmpfs", str(ROOT / "cnnlib" / "grading" / "questions"), "--dev", "/dev", "--proc", "/proc"]
    for path in writable:
        command += ["--bind", str(path), str(path)]
    return [*command, "--unsetenv", "JPY_PARENT_PID"]  # the kernel's parent has another number in there


def library_folders():
    """Folders beside Python's own that hold libraries: those of sys.path that are installed, and LD_LIBRARY_PATH.

    Provided.
    """
    installed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return [*installed, *(path for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path)]


def write_kernel(folder, work, home, data):
    """Write a kernel that starts behind walls into a folder of Jupyter's kind; returns what nbval needs to find it.

    Returns {"JUPYTER_PATH", ...}: additions to the environment of the run.
    Provided.
    """
    runtime = folder / "runtime"
    runtime.mkdir()
    spec = folder / "jupyter" / "kernels" / NAME
    spec.mkdir(parents=True)
    inside = [*walls(writable=(work, home, runtime), readable=(data,)), "--chdir", str(work)]
    argv = [*inside, sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "shut in", "language": "python"})
    (spec / "kernel.json").write_text(text, encoding="utf-8")
    return {"JUPYTER_PATH": str(folder / "jupyter")}, runtime


def through_files(runtime):
    """Let nbval talk to its kernel through files in a folder, since there is no network behind the walls. Provided."""
    import nbval.kernel

    nbval.kernel.KernelManager = functools.partial(
        nbval.kernel.KernelManager,
        transport="ipc",
        ip=str(Path(runtime) / "socket"),
        connection_file=str(Path(runtime) / "connection.json"),
    )
