"""Look at this machine and say what is missing for the course, and what to do: python -m cnnlib doctor."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from cnnlib import data

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MEMORY = 4e9  # bytes with which every chapter and every grading of an exercise runs


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is as it should be, and what to do if not. `needed`: nothing works without it."""

    name: str
    good: bool
    says: str
    needed: bool = False


def python():
    """Whether this Python is one that the course supports. Provided."""
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    says = platform.python_version() if good else f"{platform.python_version()}: install 3.11, 3.12 or 3.13"
    return Finding("Python", good, says, needed=True)


def packages():
    """Whether the packages of requirements.txt are here, in the versions of the lock. Provided."""
    lock, missing, other = ROOT / "requirements.txt", [], []
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    for line in lines:
        name, _, version = line.partition(" ")[0].partition(";")[0].strip().partition("==")
        if version and not line.startswith("#"):
            here = version_of(name)
            if here is None:
                missing.append(name)
            elif here.partition("+")[0] != version:
                other.append(f"{name} {here} in place of {version}")
    if missing:
        says = f"missing: {', '.join(missing[:5])}: pip install -r requirements.txt"
        return Finding("packages", False, says, needed=True)
    return Finding("packages", not other, "; ".join(other[:3]) or f"{len(lines)} lines of the lock, all as locked")


def version_of(package):
    """The version of an installed package, or None. Provided."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def torch():
    """Whether torch and torchvision are here. Provided."""
    lacking = [name for name in ("torch", "torchvision") if importlib.util.find_spec(name) is None]
    if lacking:
        return Finding(
            "torch",
            False,
            f"no {' and no '.join(lacking)}: chapters from 07 on need them: pip install torch torchvision",
        )
    return Finding("torch", True, f"torch {version_of('torch')}, torchvision {version_of('torchvision')}")


def sets():
    """Whether the real data is here. Provided."""
    lacking = [name for name in data.TITLES if data.status(name)[0] is None]
    says = (
        "all here"
        if not lacking
        else f"no {', '.join(lacking)}: python -m cnnlib data --fetch; until then there are stand-ins"
    )
    return Finding("data", not lacking, says)


def memory():
    """Whether there is enough memory. Provided."""
    free = psutil.virtual_memory().available
    more = "" if free >= MEMORY else f": chapters that train want {MEMORY / 1e9:g}; close other programs"
    return Finding("memory", free >= MEMORY, f"{free / 1e9:.1f} GB free{more}")


def bfloat16():
    """Whether bfloat16 pays here; training takes longer without it, and no more. Provided."""
    if importlib.util.find_spec("torch") is None:
        return Finding("bfloat16", False, "cannot be told without torch")
    from cnnlib.machine import bfloat16_pays

    pays = bfloat16_pays()
    return Finding(
        "bfloat16", pays, "quicker than float32 here" if pays else "no fast instructions for it: training takes longer"
    )


def chromium():
    """Whether the tests of the book have a browser. Provided."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Finding(
        "Chromium", found is not None, found or "not here: only the tests of the book want it (apt install chromium)"
    )


def bwrap():
    """Whether learners' code can be shut in. Provided."""
    from cnnlib.grading import shut_in

    if shut_in.available():
        return Finding("bubblewrap", True, "graded code is shut in")
    return Finding(
        "bubblewrap", False, "does not run here: graded code runs under limits only (Linux: apt install bubblewrap)"
    )


def writing():
    """Whether the folders that the course writes to can be written. Provided."""
    try:
        places = [data.cache_dir(), ROOT / "exercises"]
    except RuntimeError as error:
        return Finding("write access", False, str(error), needed=True)
    wrong = [str(place) for place in places if not writable(place)]
    return Finding(
        "write access",
        not wrong,
        f"cannot write to {', '.join(wrong)}" if wrong else "cache and exercises",
        needed=True,
    )


def writable(place):
    """Whether a folder, or the nearest above it that there is, can be written. Provided."""
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return os.access(place, os.W_OK)
    except OSError:
        return False


LOOKED_AT = (python, packages, torch, sets, memory, bfloat16, chromium, bwrap, writing)


def examine():
    """The findings on this machine, a list of `Finding`; a look that fails is a finding too. Provided."""
    found = []
    for look in LOOKED_AT:
        try:
            found.append(look())
        except Exception as error:
            found.append(Finding(look.__name__, False, f"could not be looked at ({type(error).__name__}: {error})"))
    return found


def lines(found):
    """The findings as lines of text. Provided."""
    mark = {True: "ok  ", False: "    "}
    return [f"{'!!  ' if one.needed and not one.good else mark[one.good]}{one.name:14}{one.says}" for one in found]
