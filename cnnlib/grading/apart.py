"""Call what reads a submission in a process of its own, so that no submission can take the grader's time or memory.

This is so on Linux. Elsewhere the call happens in the grader's own process, without these limits.
"""

import os
import pickle
import select
import signal
import sys
import time
import warnings

import psutil

from cnnlib.grading.limits import set_limits

SECONDS, MEMORY = 60, 1_000_000_000  # the time that passes, on a busy machine too; bytes beyond what is there already
LARGEST = 100_000_000  # bytes of what comes back


class TooMuch(Exception):
    """A call took too long, too much memory, or ended its process. The text says which."""


def apart(function, *args, seconds=SECONDS, memory=MEMORY):
    """What function(*args) returns or raises. Raises TooMuch if it takes more than the limits allow.

    Provided.
    """
    if sys.platform != "linux":
        return function(*args)
    receive, send = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, none of which the child goes on with
        child = os.fork()
    if not child:
        answer(function, args, send, memory)
    os.close(send)
    try:
        data = read(receive, time.monotonic() + seconds)
    finally:
        os.close(receive)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if data is None:
        raise TooMuch(f"it took longer than {seconds:g} seconds")
    if not data or len(data) > LARGEST:
        raise TooMuch("it ended the process that read it" if not data else "what came out of it is too large")
    kind, value = pickle.loads(data)  # written by `answer`, which runs nothing of a submission
    if kind == "returned":
        return value
    raise TooMuch(f"it took more than {memory / 1e9:g} GB of memory") if kind == "memory" else value


def answer(function, args, send, memory):
    """In the child: call the function, write what comes of it, and end. Provided."""
    code = 1
    try:
        set_limits(psutil.Process().memory_info().data + memory, LARGEST)
        try:
            data = pickle.dumps(("returned", function(*args)))
        except MemoryError:
            data = pickle.dumps(("memory", None))
        except Exception as error:
            data = pickle.dumps(("raised", error))
        with open(send, "wb") as file:
            file.write(data)
        code = 0
    finally:
        os._exit(code)


def read(receive, deadline):
    """All bytes that come through a pipe until it is closed, or None if the time is up before. Provided."""
    parts, size = [], 0
    while size <= LARGEST:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([receive], [], [], left)[0]:
            return None
        part = os.read(receive, 1 << 20)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)
