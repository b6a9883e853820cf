"""MNIST and CIFAR-10 as arrays, verified, from the nearest place that has them.

    train = load("mnist", "train")
    train.images.shape, train.labels.shape, train.source  # (60000, 28, 28), (60000,), "mnist"

A set is one file, mnist.npz or cifar10.npz, uncompressed, with the arrays train_images, train_labels, test_images
and test_labels. `load` looks for it in three places, in this order:

1. The folder that the environment variable CNNLIB_DATA names. A file found there decides: if it is damaged, or lacks
   the split that is asked for, that is an error, and no other place is tried. (A grader relies on this: it gives a
   learner's program a folder with the training split alone.)
2. The user's cache, `cache_dir()`. A damaged file there is fetched again.
3. The network, one mirror after the other. What comes is verified, brought into one order, verified again, and put
   into the cache.

Where all three fail, `load` says so, loudly, and gives a stand-in: other images, of the same kind and size.
CNNLIB_DATA_STRICT=1 makes that an error; CNNLIB_OFFLINE=1 keeps `load` off the network.
`python -m cnnlib data` shows what is here, and fetches what is not.
"""

import errno
import gzip
import hashlib
import math
import os
import shutil
import socket
import ssl
import sys
import tarfile
import tempfile
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from textwrap import shorten
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, getproxies, proxy_bypass, urlopen

import numpy as np

SPLITS = ("train", "test")
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
SHAPES = {"mnist": (28, 28), "cifar10": (32, 32, 3)}  # of one image
CLASSES = {
    "mnist": ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
SHA256 = {  # of each array's bytes
    "mnist/train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "mnist/train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "mnist/test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "mnist/test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    "cifar10/train_images": "32b25bb65187cdb40e66b2bd4dbb2de04f62e2d521f74c46a56f39f2afb56e96",
    "cifar10/train_labels": "f5f0254261d4b815631fb00355e0b4b53f8ee0ec2cdfdef4b12290a12aa2ddf8",
    "cifar10/test_images": "27f7d008727f5b9a8f5b01f61503d2f52d3ba7f5ffb2c331b5b82775de2e2d72",
    "cifar10/test_labels": "24020a57eb5141b27aa0417447162290a6f6c5c1549a112edbed2c09fdbbf307",
}


# What a chapter uses


@dataclass(frozen=True, eq=False)
class Images:
    """One split of a set: images and their labels, in step. The arrays are the caller's own, to keep or to change.

    Provided.
    """

    images: np.ndarray  # uint8, (N, 28, 28) gray or (N, 32, 32, 3) RGB
    labels: np.ndarray  # uint8, (N,): indices into classes
    classes: tuple  # the ten names
    source: str  # "mnist", "cifar10" or "stand-in: ..."

    def __repr__(self):
        size = " x ".join(str(n) for n in self.images.shape[1:])
        return f"Images({len(self.images):,} images of {size}, {len(self.classes)} classes, source {self.source!r})"


def load(name, split):
    """Load one split of a set: from $CNNLIB_DATA, the user's cache or the network, or else a stand-in with a notice.

    name: "mnist" or "cifar10"    split: "train" or "test"
    Returns Images. Only the arrays of that split are read and verified. MNIST is in its original order, CIFAR-10 in
    ascending order of the SHA-256 of each image's 3,072 bytes, (H, W, C), so that every origin yields the same arrays.
    Raises ValueError for another name or split; RuntimeError if the file in $CNNLIB_DATA is damaged or lacks the split,
    or if only a stand-in is left and CNNLIB_DATA_STRICT=1.
    Sources: LeCun, Cortes and Burges, the MNIST database; Krizhevsky 2009, Learning Multiple Layers of Features from
    Tiny Images.
    Provided.
    """
    _check_request(name, split)
    given = _given_file(name)
    found = _read_given(given, name, split) if given else _read_cached(name, split)
    if found.source != name and _switched_on("CNNLIB_DATA_STRICT"):
        raise RuntimeError(
            f"the file of {TITLES[name]} holds a {found.source}; CNNLIB_DATA_STRICT asks for the real one."
        )
    return found


def to_float(images, mean=0.0, std=1.0):
    """Turn pixels into the floats a network reads: (images / 255 - mean) / std, channels first.

    images: (N, H, W) or (N, H, W, C) uint8, 0 to 255
    mean, std: one number, or one for each channel, of pixels on the scale 0 to 1
    Returns (N, C, H, W) float32; gray images get C = 1.
    Raises ValueError if the images are not uint8 of 3 or 4 axes, if mean or std do not fit the channels or are not
    finite, or if std is not above 0.
    Provided.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim not in (3, 4):
        came = f"{getattr(images, 'dtype', type(images).__name__)} {getattr(images, 'shape', '')}".rstrip()
        raise ValueError(
            f"to_float expects uint8 images of shape (N, H, W) or (N, H, W, C), got {came}. Were they scaled already, "
            "is it what `load` gives (its .images), or does a single image lack its first axis (images[None])?"
        )
    x = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)  # (N, C, H, W)
    mean, std = _per_channel(mean, x.shape[1], "mean"), _per_channel(std, x.shape[1], "std")
    if not (std > 0).all():
        raise ValueError(f"std is {std.ravel().tolist()}: give numbers above 0, the images are divided by them.")
    x = np.ascontiguousarray(x, dtype=np.float32)
    x /= 255  # in place: the floats of CIFAR-10's training images are 614 MB, enough to hold once
    x -= mean
    x /= std
    return x


def _per_channel(value, channels, name):
    """One number, or one for each channel, as (1 or C, 1, 1) float32."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.asarray(value, dtype=np.float32).reshape(-1, 1, 1)
    except (TypeError, ValueError):
        numbers = np.full((1, 1, 1), np.nan)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} is {value!r}: give one finite number, or one for each channel.")
    if len(numbers) not in (1, channels):
        raise ValueError(
            f"{name} has {len(numbers)} values, the images have {channels} channels: give 1 or {channels}."
        )
    return numbers


# The places: $CNNLIB_DATA and the cache


def cache_dir():
    """Name the folder where downloads are kept: cnnlib in the user's cache folder. It need not exist yet.

    XDG_CACHE_HOME names the cache folder on every system, LOCALAPPDATA on Windows. A ~ there is the home folder; a
    relative path is ignored, as the XDG specification wants it.
    Raises RuntimeError, in one sentence, if none is named and the user has no home folder.
    Provided.
    """
    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    local = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    for folder in (os.environ.get("XDG_CACHE_HOME"), local, usual):
        with suppress(RuntimeError):  # there is no home folder for ~
            if folder and (path := Path(folder).expanduser()).is_absolute():
                return path / "cnnlib"
    raise RuntimeError(
        "there is no home folder, so no place for a cache. Set XDG_CACHE_HOME to a folder that can be written, "
        "or CNNLIB_DATA to one that holds the data."
    )


def status(name):
    """Look where a set is, and verify both splits.

    name: "mnist" or "cifar10"
    Returns its path, or None if it is nowhere, and a dictionary: split -> the number of images, or the sentence that
    says what is wrong. Without a path the dictionary is empty, or says why the cache cannot be looked into.
    Provided.
    """
    _check_request(name)
    try:
        path = _given_file(name) or _cached_file(name)
    except RuntimeError as error:
        return None, dict.fromkeys(SPLITS, str(error))
    return path, {split: _verified(path, name, split) for split in SPLITS} if path else {}


def _verified(path, name, split):
    """The number of images of a split of the real set in a file, or the sentence that says what is wrong."""
    try:
        found = _read(path, name, split)
    except RuntimeError as error:
        return str(error)
    return len(found.images) if found.source == name else f"{_shown(path)} holds a {found.source}."


def save_split(images, folder, name, split):
    """Write one split as folder/NAME.npz: with CNNLIB_DATA=folder, `load` gives that split and refuses the other.

    images: Images, of the real set or of a stand-in, which `load` then gives without a notice
    Returns the path. Raises RuntimeError, in one sentence, if it cannot be written.
    Provided.
    """
    _check_request(name, split)
    arrays = {f"{split}_images": images.images, f"{split}_labels": images.labels}
    if images.source != name:
        arrays["source"] = np.array(images.source)
    path = Path(folder, f"{name}.npz")
    try:
        np.savez(path, **arrays)
    except OSError as error:
        raise RuntimeError(f"{_shown(path)} cannot be written ({error.strerror or error}).") from error
    return path


def _check_request(name, split="train"):
    if name not in TITLES:
        raise ValueError(f"there is no set {name!r}; the names are {', '.join(map(repr, TITLES))}.")
    if split not in SPLITS:
        raise ValueError(f"{name} has no split {split!r}; the splits are {', '.join(map(repr, SPLITS))}.")


def _switched_on(variable):
    """Whether an environment variable is set, and not to 0."""
    return os.environ.get(variable, "") not in ("", "0")


def _say(text):
    """Print to standard error, at once: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def _shown(path):
    """A path that can be printed, even if its name is not UTF-8."""
    return str(path).encode(errors="backslashreplace").decode()


def _exists(path):
    """Whether a path leads somewhere. Raises OSError if one may not look there: Path.exists does so on some Pythons."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _given_file(name):
    """NAME.npz in the folder that CNNLIB_DATA names; None if there is none, with a line if that folder is no use."""
    folder = os.environ.get("CNNLIB_DATA")
    if not folder:
        return None
    try:
        folder = Path(folder).expanduser().absolute()
        path = folder / f"{name}.npz"
        if _exists(path):
            return path
        if not _exists(folder) or not folder.is_dir():
            problem = "which is not a folder"
        elif path.is_symlink():
            problem = f"where {path.name} is a link that leads nowhere"
        else:
            return None
    except OSError as error:
        problem = f"which cannot be looked into ({error.strerror or error})"
    except RuntimeError:
        problem = "but there is no such home folder"
    _say(f"CNNLIB_DATA is {_shown(folder)}, {problem}: looking elsewhere for {TITLES[name]}.")
    return None


def _cache_path(name):
    return cache_dir() / f"{name}.npz"


def _cached_file(name):
    """NAME.npz in the cache; None if it is not there. Raises RuntimeError, in one sentence, if one may not look."""
    path = _cache_path(name)
    try:
        return path if _exists(path) else None
    except OSError as error:
        raise _trouble(path.parent, error, "looked into") from error


def _trouble(folder, error, action="written"):
    """What an OSError in the cache folder means, as a RuntimeError that says what to try."""
    reason = error.strerror or str(error)
    if error.errno in DISK_FULL:
        return RuntimeError(
            f"the cache folder {_shown(folder)} takes no more data ({reason}). "
            "Make room, or set XDG_CACHE_HOME to a folder on another disk."
        )
    if isinstance(error, FileExistsError):
        reason = "a file or a dead link is in its place"
    elif action == "written" and Path(error.filename or "").stem in TITLES:
        reason += f": {Path(error.filename).name}"
    return RuntimeError(
        f"the cache folder {_shown(folder)} cannot be {action} ({reason}). Set XDG_CACHE_HOME to a folder of your own."
    )


def _read_given(path, name, split):
    """Read a split from the file in $CNNLIB_DATA: this file or none."""
    try:
        return _read(path, name, split)
    except RuntimeError as error:
        raise RuntimeError(
            f"{error} CNNLIB_DATA points there, so no other place is tried: replace the file, or unset CNNLIB_DATA."
        ) from error


def _read_cached(name, split):
    """Read a split from the cache, downloaded first if need be; failing that, a stand-in, or RuntimeError if strict."""
    try:
        if path := _cached_file(name):
            try:
                return _read(path, name, split)
            except RuntimeError as error:
                _say(f"{error} A new copy is needed.")
        return _read(download(name), name, split)
    except RuntimeError as error:
        if not _switched_on("CNNLIB_DATA_STRICT"):
            return _stand_in(name, split, why=error)
        raise RuntimeError(
            f"{TITLES[name]} cannot be had: {error} CNNLIB_DATA_STRICT allows no stand-in. "
            f"Try `python -m cnnlib data --fetch`, or set CNNLIB_DATA to a folder with {name}.npz."
        ) from error


def _read(path, name, split):
    """Read the arrays of one split from an npz file and verify them. An array `source` there marks a stand-in.

    Raises RuntimeError, in one sentence that names the file, if they are not there or not what they should be.
    """
    try:
        with open(path, "rb") as raw, _npz(raw) as file:
            there = file.files  # the names: nothing is read yet
            arrays = {key: file[key] for key in (f"{split}_images", f"{split}_labels") if key in there}
            source = str(file["source"]) if "source" in there else name
        if not source.startswith("stand-in"):
            _verify(name, arrays)
    except OSError as error:
        raise RuntimeError(f"{_shown(path)} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # a damaged zip file fails in a dozen ways, and all mean the same
        raise RuntimeError(f"{_shown(path)} is damaged: {error}.") from error
    if len(arrays) < 2:
        raise RuntimeError(f"{_shown(path)} has no {split} split: it holds {', '.join(there) or 'nothing'}.")
    return Images(*arrays.values(), CLASSES[name] if source == name else _stand_in_classes(name), source)


def _npz(raw):
    """Open an npz file, which is a zip file: np.load takes any other for a pickle, and would say so."""
    if not zipfile.is_zipfile(raw):
        raise ValueError("it is no npz file, or its end is missing")
    raw.seek(0)
    return np.load(raw, allow_pickle=False)


def _verify(name, arrays):
    """Raise ValueError at the first array, by KEY, that has not the type, the shape or the SHA-256 it should have."""
    for key, array in arrays.items():
        shape = SHAPES[name] if key.endswith("images") else ()
        if array.dtype != np.uint8 or array.shape[1:] != shape:
            raise ValueError(f"{key} is {array.dtype} {array.shape}, expected uint8 {('N', *shape)}")
        got, want = hashlib.sha256(np.ascontiguousarray(array)).hexdigest(), SHA256[f"{name}/{key}"]
        if got != want:
            raise ValueError(f"the SHA-256 of {key} is {got[:12]}..., expected {want[:12]}...")


# The network: one process at a time, one origin after the other

SPACE = {"mnist": 150e6, "cifar10": 400e6}  # bytes on disk at the fullest moment of a download
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SILENCE = 15  # seconds without a byte after which a host counts as gone
GRACE = 20  # seconds before a host's speed is judged
PATIENCE = 600  # seconds that the rest of a file may take, while there are other hosts to try
PAUSE = 300  # seconds before a process tries a download again that failed: a chapter should wait once, not per split
SETTINGS = ("XDG_CACHE_HOME", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_failures = {}  # name -> when its download failed, under which settings, and the sentence that says why


def download(name):
    """Fetch a set, verify it and put it into the user's cache, unless it is there. Processes take turns.

    name: "mnist" or "cifar10"
    Returns the path of the file. Raises RuntimeError, with what to try, if that fails or CNNLIB_OFFLINE forbids it;
    for some minutes after a failure at once, without another try, unless a setting of cache, proxy or certificates
    has changed.
    Provided.
    """
    _check_request(name)
    if _switched_on("CNNLIB_OFFLINE"):
        raise RuntimeError("CNNLIB_OFFLINE forbids to download it.")
    settings = [os.environ.get(variable) for setting in SETTINGS for variable in (setting, setting.lower())]
    when, under, why = _failures.get(name, (-math.inf, settings, ""))
    if under == settings and time.monotonic() - when < PAUSE:
        raise RuntimeError(why)
    try:
        return _download_in_turn(name)
    except RuntimeError as error:
        _failures[name] = (time.monotonic(), settings, str(error))
        raise


def _download_in_turn(name):
    """Fetch a set under its lock, unless another process has done so meanwhile."""
    path = _cache_path(name)
    _make_room(name, path.parent)
    if path.is_dir():
        raise RuntimeError(f"{_shown(path)} is a folder: remove it, the data should lie there.")
    if not _online(name):
        raise RuntimeError(f"none of its hosts can be found: is this machine online? {PROXY}")
    with _locked(name, path.with_suffix(".lock")):
        if not all(isinstance(_verified(path, name, split), int) for split in SPLITS):
            _store(name, path)
    return path


def _make_room(name, folder):
    """Make the cache folder, and raise RuntimeError if it cannot be written or is too full: now, not 160 MB later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _trouble(folder, error) from error
    if free < SPACE[name]:
        raise RuntimeError(
            f"the cache folder {_shown(folder)} has {free / 1e6:.0f} MB free; the download needs "
            f"{SPACE[name] / 1e6:.0f} MB. Make room, or set XDG_CACHE_HOME to a folder on another disk."
        )


def _online(name):
    """Whether a host of a set has an address: quickly asked, it spares a machine without a network the rest."""
    hosts = [urlsplit(url).hostname for _, url in ORIGINS[name]]
    proxied = {"http", "https", "all"} & getproxies().keys()  # a proxy looks up names itself
    return bool(proxied) or any(_has_address(host) for host in hosts)


def _has_address(host):
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


@contextmanager
def _locked(name, path):
    """Hold a lock file. It stays in the folder, empty; the lock itself ends with its process, even a killed one.

    Everybody may open it, for a cache folder that people share.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o666)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            _say(f"Another process is fetching {TITLES[name]}: waiting for it.")
            lock.acquire()
    except PermissionError as error:
        raise RuntimeError(
            f"{_shown(path)} is another user's, and keeps others out of this cache. Let its owner remove it, "
            "or set XDG_CACHE_HOME to a folder of your own."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise RuntimeError(
            f"{_shown(path)} cannot be locked ({getattr(error, 'strerror', None) or error}). "
            "Set XDG_CACHE_HOME to a folder on a disk of this machine."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _store(name, path):
    """Fetch a set and write its file whole or not at all: under another name first, then renamed.

    All that is unfinished lies in NAME.part beside it, and what a killed process left there is removed.
    """
    part = path.with_suffix(".part")
    try:
        arrays = _fetch_arrays(name, part)
        np.savez(part / path.name, **arrays)
        os.replace(part / path.name, path)
    except OSError as error:
        raise _trouble(path.parent, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fetch_arrays(name, part):
    """Try the origins of a set in turn, each in an empty folder. A slow one is tried again when no other will do.

    Returns the four arrays, verified. Raises RuntimeError with each origin's problem and what to try; OSError if the
    disk is full.
    """
    attempts = [(origin, url, PATIENCE) for origin, url in ORIGINS[name]]
    problems, advice = [], {}
    for origin, url, patience in attempts:  # the list grows while it is read
        _say(f"Fetching {TITLES[name]} from {url}")
        _empty_folder(part)
        try:
            arrays = origin(url, part, patience)
            _verify(name, arrays)
            return arrays
        except TooSlow as error:
            attempts.append((origin, url, math.inf))
            problem = str(error)
        except Exception as error:  # whatever it is, another host may do better
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            problem, try_this = _explain(error, url)
            advice[try_this] = None
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection
        problems.append(f"{url}: {problem}")
        _say(f"  not from there: {problem}")
    raise RuntimeError(" ".join([f"no host gave it ({'; '.join(problems)}).", *filter(None, advice)]))


def _empty_folder(path):
    if path.exists():
        shutil.rmtree(path)
    path.mkdir()


class TooSlow(Exception):
    """A host answers, but the rest of the file would take too long.

    Provided.
    """


class Progress:
    """How far a download is: a bar on a terminal, elsewhere a line every five seconds.

    total: bytes, or None where the host does not say    patience: seconds that the rest may take
    Provided.
    """

    def __init__(self, total=None, *, patience=math.inf, **options):
        from tqdm import tqdm

        self.total, self.patience, self.done = total, patience, 0
        self.start = self.spoken = time.monotonic()
        self.bar = tqdm(total=total, disable=not sys.stderr.isatty(), **options)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()

    def update(self, count):
        """Count bytes that have come. Raises TooSlow if at this speed the rest takes longer than the patience lasts."""
        self.done += count
        self.bar.update(count)
        now = time.monotonic()
        if self.bar.disable and now - self.spoken > 5:
            self.spoken = now
            _say(f"  {self.done / 1e6:.1f} MB" + (f" of {self.total / 1e6:.1f} MB" if self.total else ""))
        if self.total and now - self.start > GRACE:
            rest = (now - self.start) * (self.total - self.done) / self.done  # seconds
            if rest > self.patience:
                raise TooSlow(f"too slow, the rest would take {rest / 60:.0f} minutes")


class OtherContent(Exception):
    """A host answers, but not with the file: with a login page, with a notice of a filter, with nothing.

    Provided.
    """


def _fetch(url, folder, digest, patience):
    """Have pooch fetch a file and verify its digest, if one is known. Returns its path.

    Raises ValueError if another digest comes out, and what _stream raises.
    """
    import pooch

    logger = pooch.get_logger()
    before, logger.disabled = logger.disabled, True  # it would print; what is to be said is said here
    try:
        file = PurePosixPath(urlsplit(url).path).name
        return Path(pooch.retrieve(url, digest, file, folder, downloader=partial(_stream, patience=patience)))
    finally:
        logger.disabled = before


def _stream(url, path, _, patience):
    """Download a file, for pooch. Its own downloader hears nothing of a host that trickles, and trusts only certifi.

    Raises OSError if the host does not answer, falls silent or stops early; TooSlow; OtherContent.
    """
    request = Request(url, headers={"User-Agent": "cnnlib"})
    with urlopen(request, timeout=SILENCE, context=_trusted()) as response, open(path, "wb") as file:
        total = response.length
        with Progress(total, patience=patience, unit="B", unit_scale=True) as progress:
            while chunk := response.read1(1 << 16):
                if not progress.done:
                    _check_start(chunk, urlsplit(response.url).hostname)
                file.write(chunk)
                progress.update(len(chunk))
    name = PurePosixPath(urlsplit(url).path).name
    if not progress.done:
        raise OtherContent("its answer is empty")
    if total is not None and progress.done < total:
        raise OSError(f"{name} ended after {progress.done:,} of {total:,} bytes")


def _check_start(chunk, host):
    """Raise OtherContent unless what comes begins as a gzip file does, as all our archives are."""
    if b"\x1f\x8b".startswith(chunk[:2]):
        return
    if chunk.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise OtherContent(f"a web page of {host} came in place of the file")
    raise OtherContent(f"something else came in place of the file, which begins with {chunk[:40]!r}")


CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # variables that name a file of certificates, in PEM form


def _trusted():
    """Whom to trust: those whom this machine trusts, those whom certifi trusts, and those of the user's own files."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for variable in CERTIFICATES:
        if file := os.environ.get(variable):
            with suppress(OSError):  # _certificate_advice tells if that mattered
                context.load_verify_locations(file)
    return context


FORBIDDEN = (
    "This network may want a login, or may forbid the host: open a web page in a browser, log in if asked, and try "
    "again; or ask those who run the network."
)
PROXY = "If this network has a proxy, set HTTPS_PROXY to http://HOST:PORT."
PROXY_SET = "Check HTTPS_PROXY: http://HOST:PORT, or http://NAME:PASSWORD@HOST:PORT if the proxy asks who you are."


def _explain(error, url):
    """What went wrong at a host, in words, and what to try, which may be nothing."""
    reason = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    text = shorten(str(reason) or type(reason).__name__, 200)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message})", _certificate_advice(reason.verify_message)
    if isinstance(reason, OtherContent | ssl.SSLError) or getattr(reason, "code", 0) in (403, 407, 451, 511):
        return text, FORBIDDEN
    if isinstance(reason, OSError | HTTPException) and not isinstance(reason, HTTPError) and (proxy := _proxy(url)):
        return f"{text}, by way of the proxy {proxy}", PROXY_SET
    if isinstance(reason, ConnectionResetError):  # many a filter does so
        return text, FORBIDDEN
    return text, PROXY if isinstance(reason, TimeoutError | ConnectionError | socket.gaierror) else ""


def _certificate_advice(message):
    """What to try if a certificate is not trusted."""
    if "expired" in message or "not yet valid" in message:
        return "Is this computer's clock right?"
    for variable in CERTIFICATES:
        if file := os.environ.get(variable):
            try:
                ssl.create_default_context().load_verify_locations(file)
            except OSError as error:
                reason = "in PEM form" if isinstance(error, ssl.SSLError) else "there"
                return f"{variable} is {_shown(file)}, and no certificate is {reason}: correct that."
    return (
        "A school's filter or a virus scanner may have put its own certificate in: get that as a .pem file from those "
        "who run the network, and set SSL_CERT_FILE to it."
    )


def _proxy(url):
    """Host and port of the proxy on the way to an address, without a password; None if there is no proxy."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    return None if not proxy or proxy_bypass(parts.hostname) else proxy.rpartition("@")[2].rpartition("//")[2]


# The origins: each a function of an address, an empty folder and the patience, which returns the four arrays

MNIST_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
MD5 = {  # of archives, as torchvision states it for MNIST, and the home page of CIFAR-10 for its binary version
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}


def _mnist_files(url, folder, patience):
    """MNIST's four files from a folder on the web."""
    paths = {key: _fetch(url + file, folder, f"md5:{MD5[file]}", patience) for key, file in MNIST_FILES.items()}
    return {key: _read_idx(path) for key, path in paths.items()}


def _read_idx(path):
    """An idx file, gzipped: two zeros, a type (uint8 here), the number of axes, each size as four bytes, the numbers.

    Source: the home page of the MNIST database.
    """
    raw = gzip.decompress(path.read_bytes())
    start = 4 + 4 * raw[3]
    shape = np.frombuffer(raw[4:start], dtype=">u4")
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _cifar10_records(url, folder, patience):
    """CIFAR-10's binary version: the Python version is a set of pickles, and a pickle is a program."""
    return _canonical(_read_records(_fetch(url, folder, f"md5:{MD5[PurePosixPath(url).name]}", patience)))


def _read_records(path):
    """A tar of .bin files: records of a label and 3,072 bytes in (C, H, W) order. Returns {split: (images, labels)}.

    Source: the home page of CIFAR-10.
    """
    batches = {"train": [], "test": []}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".bin"):
                records = np.frombuffer(tar.extractfile(member).read(), np.uint8).reshape(-1, 1 + 3072)
                batches["test" if "test" in member.name else "train"].append(records)
    records = {split: np.concatenate(batches[split]) for split in SPLITS}  # (N, 3073)
    return {split: (r[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), r[:, 0]) for split, r in records.items()}


def _cifar10_pngs(url, folder, patience):
    """CIFAR-10 as fast.ai keeps it: a tar of PNG files, of which nobody states a digest."""
    path = _fetch(url, folder, None, patience)
    try:
        return _canonical(_read_pngs(path))
    except Exception as error:  # without a digest, damage shows in a dozen ways
        raise ValueError(f"what came is damaged ({error})") from error


def _read_pngs(path):
    """A tar of files named .../SPLIT/CLASS/FILE.png, never unpacked to disk. Returns {split: (images, labels)}."""
    from PIL import Image

    found = {"train": [], "test": []}
    with tarfile.open(path) as tar:
        for member in tar:
            split, label, file = ("", "", "", *PurePosixPath(member.name).parts)[-3:]
            if split in SPLITS and label in CLASSES["cifar10"] and file.endswith(".png") and not file.startswith("."):
                image = np.asarray(Image.open(tar.extractfile(member), formats=["PNG"]).convert("RGB"))
                found[split].append((image, CLASSES["cifar10"].index(label)))
    return {split: [np.array(column, dtype=np.uint8) for column in zip(*found[split], strict=True)] for split in SPLITS}


def _canonical(splits):
    """Sort {split: (images, labels)} by the SHA-256 of each image's (H, W, C) bytes. Returns the four arrays."""
    arrays = {}
    for split, (images, labels) in splits.items():
        digests = [hashlib.sha256(np.ascontiguousarray(image)).digest() for image in images]
        order = sorted(range(len(digests)), key=digests.__getitem__)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images[order], labels[order]
    return arrays


ORIGINS = {  # in the order in which they are tried
    "mnist": (
        (_mnist_files, "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        (_mnist_files, "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ),
    "cifar10": (
        (_cifar10_records, "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
        (_cifar10_pngs, "https://s3.amazonaws.com/fast-ai-imageclas/cifar10.tgz"),
        (_cifar10_pngs, "https://s3.amazonaws.com/fast-ai-sample/cifar10.tgz"),
    ),
}


# The stand-ins


def _stand_in(name, split, why):
    """Make the stand-in of a set, the same images every time, and say loudly that it is one."""
    if name == "mnist":
        images, labels, source = *_scaled_digits(split), "stand-in: handwritten digits from scikit-learn"
    else:
        images, labels, source = *_generated_images(split), "stand-in: generated shapes and textures"
    _say(
        f"*** THIS IS NOT {TITLES[name]}: {why}\n"
        f"*** In its place, for {split!r}: {len(images):,} {source.removeprefix('stand-in: ')}.\n"
        "*** Everything runs on them, but the accuracies that the text states are those of the real images.\n"
        f"*** For those: `python -m cnnlib data --fetch`, or set CNNLIB_DATA to a folder with {name}.npz."
    )
    return Images(images, labels, _stand_in_classes(name), source)


def _stand_in_classes(name):
    return CLASSES["mnist"] if name == "mnist" else tuple(PATTERNS)


def _scaled_digits(split):
    """scikit-learn's handwritten digits, 8x8, scaled to 20x20 in a frame of 28x28, as in MNIST.

    Returns images (1500 or 297, 28, 28) and labels, uint8, in the original order: the last 297 are the test split.
    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    part = slice(0, 1500) if split == "train" else slice(1500, None)
    small = digits.images[part].astype(np.int64)  # (N, 8, 8), 0 to 16
    weights = _interpolation(8, 20)
    large = weights @ small @ weights.T  # (N, 20, 20), 0 to 16 * 1600; whole numbers, the same on every machine
    ink = np.clip((large - 4 * 1600) * 255 // (9 * 1600), 0, 255)  # 4 and less is paper, 13 and more is ink
    return np.pad(ink.astype(np.uint8), ((0, 0), (4, 4), (4, 4))), digits.target[part].astype(np.uint8)


def _interpolation(n, m):
    """The weights that stretch n pixels to m by linear interpolation, times 2m: (m, n) whole numbers."""
    centers, positions = 2 * m * np.arange(n), (2 * np.arange(m) + 1) * n - m  # both in units of 1 / 2m pixel
    return np.maximum(2 * m - abs(positions[:, None] - centers), 0)


def _generated_images(split):
    """Shapes and textures of ten classes, each in its own place, size, direction, colors and light.

    Returns images (2000 or 500, 32, 32, 3) and labels, uint8; every class is equally frequent.
    """
    rng = np.random.default_rng(SPLITS.index(split))
    labels = rng.permutation(2000 if split == "train" else 500) % len(PATTERNS)
    patterns = list(PATTERNS.values())
    return np.stack([_draw(*patterns[label], rng) for label in labels]), labels.astype(np.uint8)


def _draw(inside, smallest, largest, rng):
    """One image of a pattern, with an edge one pixel wide between its two colors. Returns (32, 32, 3) uint8."""
    y, x = np.mgrid[-15.5:16, -15.5:16]  # (H, W) each: pixels from the center
    down, right = rng.uniform(-4, 4, size=2)
    radius, turn = rng.uniform(smallest, largest), rng.uniform(0, 2 * np.pi)
    u, v = _turned(x - right, y - down, turn)
    cover = np.clip(0.5 + radius * inside(u / radius, v / radius), 0, 1)[..., None]  # (H, W, 1)
    front, back = _two_colors(rng)
    light = 1 + _turned(x, y, rng.uniform(0, 2 * np.pi))[0][..., None] / 80  # brighter toward one side
    image = (cover * front + (1 - cover) * back) * light + rng.normal(0, 0.03, size=(32, 32, 3))
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _turned(x, y, angle):
    """Coordinates, turned about the origin."""
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _two_colors(rng):
    """A light and a dark color of different hues, in either order. Returns (2, 3), 0 to 1."""
    hues = rng.uniform() + np.array([0, rng.uniform(0.25, 0.75)])  # turns of the color circle
    colors = 0.5 + 0.5 * np.cos(2 * np.pi * (hues[:, None] + np.array([0, 1, 2]) / 3))  # (2, 3)
    return rng.permutation([0.45 + 0.45 * colors[0], 0.08 + 0.4 * colors[1]])


def _wave(t):
    """A triangle wave of period 2, from -0.5 at even numbers to 0.5 at odd ones."""
    return 0.5 - abs(t % 2 - 1)


# Class -> a function of two coordinates, positive inside the pattern, that changes by about 1 over a distance of 1, the
# radius; and the smallest and the largest radius in pixels. Five are shapes, five are textures that fill the image.
PATTERNS = {
    "disk": (lambda u, v: 1 - np.hypot(u, v), 6, 12),
    "ring": (lambda u, v: 0.22 - abs(np.hypot(u, v) - 0.78), 7, 13),
    "square": (lambda u, v: 0.85 - np.maximum(abs(u), abs(v)), 6, 12),
    "triangle": (lambda u, v: 0.5 - np.maximum(v, 0.866 * abs(u) - 0.5 * v), 8, 14),
    "cross": (lambda u, v: np.minimum(0.27 - np.minimum(abs(u), abs(v)), 1 - np.maximum(abs(u), abs(v))), 7, 13),
    "stripes": (lambda u, v: _wave(u), 2.5, 5),
    "checks": (lambda u, v: 2 * _wave(u) * _wave(v), 3, 6),
    "dots": (lambda u, v: 0.6 - np.hypot(u % 2 - 1, v % 2 - 1), 3, 6),
    "ripples": (lambda u, v: _wave(np.hypot(u, v)), 2.5, 5),
    "zigzag": (lambda u, v: 0.7 * _wave(v + abs(u % 4 - 2)), 2.5, 4),
}
