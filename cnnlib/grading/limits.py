"""Limits of a graded run: memory, size of files, and the end of every process it started."""

import contextlib
import ctypes
import sys
import time

import psutil

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h


def set_limits(memory, file_size):
    """Limit this process and all that it will start, in bytes. Does nothing on Windows, which has no `resource`.

    Provided.
    """
    try:
        import resource
    except ImportError:
        return
    for name, value in (("RLIMIT_DATA", memory), ("RLIMIT_FSIZE", file_size), ("RLIMIT_CORE", 0)):
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))
    if sys.platform == "linux":  # orphans come to this process instead of leaving the tree
        ctypes.CDLL(None).prctl(SUBREAPER, 1)


class Tree:
    """The processes that a run started, children of children included, also those that have left their parents."""

    def __init__(self, pid):
        self.root = psutil.Process(pid)
        self.seen, self.begin = {}, time.time() - 5

    def look(self):
        """Note every process that is there now; returns (number of processes, bytes of memory). Provided."""
        with contextlib.suppress(psutil.Error):
            self.seen |= {process.pid: process for process in self.root.children(recursive=True)}
        alive, memory = 1, 0
        for process in [self.root, *self.seen.values()]:
            with contextlib.suppress(psutil.Error):
                memory += process.memory_info().rss
                alive += process is not self.root and process.is_running()
        return alive, memory

    def end(self, mark):
        """End them all, the first one last; `mark` is a value in the environment of every one of them. Provided."""
        for _ in range(20):
            self.look()
            left = [process for process in self.seen.values() if alive(process)]
            left += [p for p in marked(mark, self.begin) if p.pid != self.root.pid]
            if not left:
                break
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=0.5)
        with contextlib.suppress(psutil.Error):
            self.root.kill()


def alive(process):
    """Whether a process still does something. Provided."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def marked(mark, begin):
    """The processes started since `begin` whose environment holds `mark`: those that slipped out of the tree.

    Provided.
    """
    found = []
    for process in psutil.process_iter(["create_time"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.info["create_time"] > begin and mark in process.environ().values():
                found.append(process)
    return found
