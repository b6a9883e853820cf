"""cnnlib.data on tiny sets: from files, from a host on 127.0.0.1 that behaves well or badly, and stand-ins.

No test here needs the network or the real sets; two at the end look at the real ones where they are.
"""

import gc
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnnlib import data
from cnnlib.__main__ import main

REAL_SHA256, REAL_CACHE, REAL_FOLDER = dict(data.SHA256), data.cache_dir(), os.environ.get("CNNLIB_DATA")


# Tiny sets, and the archives that hosts would serve of them


def tiny_sets():
    """Both sets with a handful of random images of four shades; CIFAR-10 in canonical order."""
    rng = np.random.default_rng(7)
    mnist, cifar10 = {}, {}
    for split, n in (("train", 7), ("test", 4)):
        mnist[f"{split}_images"] = 80 * rng.integers(0, 4, (n, 28, 28), dtype=np.uint8)
        mnist[f"{split}_labels"] = rng.integers(0, 10, n, dtype=np.uint8)
        images = 80 * rng.integers(0, 4, (n, 32, 32, 3), dtype=np.uint8)
        cifar10[f"{split}_images"] = np.stack(sorted(images, key=lambda i: hashlib.sha256(i.tobytes()).digest()))
        cifar10[f"{split}_labels"] = rng.integers(0, 10, n, dtype=np.uint8)
    return {"mnist": mnist, "cifar10": cifar10}


def idx(array):
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def records(images, labels):
    return np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1).tobytes()


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def archives(sets):
    """What the hosts would serve: path -> bytes. CIFAR-10's images come in another order than the canonical one."""
    files = {f"/mnist/{file}": idx(sets["mnist"][key]) for key, file in data.MNIST_FILES.items()}
    c = {key: array[::-1] for key, array in sets["cifar10"].items()}
    files["/cifar-10-binary.tar.gz"] = tar(
        [("cifar-10-batches-bin/batches.meta.txt", b"airplane\n")]
        + [(f"c/data_batch_{k}.bin", records(c["train_images"][k::5], c["train_labels"][k::5])) for k in range(5)]
        + [("c/test_batch.bin", records(c["test_images"], c["test_labels"]))]
    )
    members = [("cifar10/labels.txt", b"airplane\n"), ("cifar10/train/cat/._1.png", b"no image")]
    for split in data.SPLITS:
        for i, (image, label) in enumerate(zip(c[f"{split}_images"], c[f"{split}_labels"], strict=True)):
            members.append((f"cifar10/{split}/{data.CLASSES['cifar10'][label]}/{i}.png", png(image)))
    files["/cifar10.tgz"] = tar(members)
    return files


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host, content = self.server, self.server.files.get(self.path)
        host.requests.append(self.path)
        behavior = host.behavior if host.behaves_on in self.path else "right"
        if content is None or behavior == "missing":
            self.send_error(404)
            return
        if behavior == "wrong":
            content = (
                content[: len(content) // 2]
                + bytes([content[len(content) // 2] ^ 1])
                + content[len(content) // 2 + 1 :]
            )
        half = len(content) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content[:half])
            if behavior == "truncated":
                return
            if behavior == "hanging":  # says nothing more until the test is over
                host.go_on.wait(60)
            if behavior == "slow":  # a byte every 5 ms, 100 of them, then the rest
                for i in range(half, half + 100):
                    self.wfile.write(content[i : i + 1])
                    host.go_on.wait(0.005)
                half += 100
            self.wfile.write(content[half:])
        except OSError:
            pass  # the client has left

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    """A web server on 127.0.0.1 that serves the tiny archives, behaves as told and counts requests."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.requests = archives(tiny_sets()), []
    server.behavior, server.behaves_on = "right", ""  # on paths that contain this
    server.go_on = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(monkeypatch, tmp_path, host):
    """cnnlib.data as it would be if the tiny sets were the real ones, the host their only host, and the cache empty."""
    sets = tiny_sets()
    digests = {
        f"{n}/{k}": hashlib.sha256(a.tobytes()).hexdigest() for n, arrays in sets.items() for k, a in arrays.items()
    }
    monkeypatch.setattr(data, "SHA256", digests)
    monkeypatch.setattr(data, "CIFAR10_MD5", hashlib.md5(host.files["/cifar-10-binary.tar.gz"]).hexdigest())
    monkeypatch.setattr(data, "ORIGINS", origins(host))
    monkeypatch.setattr(data, "_failures", {})
    monkeypatch.setattr(data, "SPACE", {"mnist": 1, "cifar10": 1})
    for variable in ("CNNLIB_DATA", "CNNLIB_OFFLINE", "CNNLIB_DATA_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return sets


def origins(host):
    """Every origin of each set, all on one host."""
    return {
        "mnist": ((data._mnist_by_torchvision, "torchvision's mirrors"), (data._mnist_files, f"{host.url}/mnist/")),
        "cifar10": (
            (data._cifar10_by_torchvision, f"{host.url}/cifar-10-binary.tar.gz"),
            (data._cifar10_pngs, f"{host.url}/cifar10.tgz"),
        ),
    }


@pytest.fixture
def torchvision_mirror(monkeypatch, host):
    """Let torchvision's MNIST find the tiny files, with their MD5, on the host."""
    from cnnlib.torchvision import datasets

    files = [(file, hashlib.md5(host.files[f"/mnist/{file}"]).hexdigest()) for file in data.MNIST_FILES.values()]
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{host.url}/mnist/"])
    monkeypatch.setattr(datasets.MNIST, "resources", files)
    return datasets


@pytest.fixture
def given(monkeypatch, tmp_path, tiny):
    """A folder that CNNLIB_DATA names, with both tiny sets in it."""
    folder = tmp_path / "given"
    folder.mkdir()
    for name, arrays in tiny.items():
        np.savez(folder / f"{name}.npz", **arrays)
    monkeypatch.setenv("CNNLIB_DATA", str(folder))
    return folder


def fill_cache(sets, name="mnist"):
    path = data.cache_dir() / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **sets[name])
    return path


def only(monkeypatch, name, k):
    """Leave a set one origin."""
    monkeypatch.setitem(data.ORIGINS, name, data.ORIGINS[name][k : k + 1])


def assert_is(images, arrays, split):
    np.testing.assert_array_equal(images.images, arrays[f"{split}_images"])
    np.testing.assert_array_equal(images.labels, arrays[f"{split}_labels"])


def left_in_cache():
    return sorted(path.name for path in data.cache_dir().iterdir())


# What load gives


@pytest.mark.parametrize("name", data.TITLES)
@pytest.mark.parametrize("split", data.SPLITS)
def test_load_gives_the_split_of_the_file_in_the_given_folder(given, tiny, name, split):
    found = data.load(name, split)
    assert_is(found, tiny[name], split)
    assert (found.source, found.classes) == (name, data.CLASSES[name])
    assert found.images.dtype == found.labels.dtype == np.uint8


def test_images_describe_themselves_in_one_line(given):
    assert repr(data.load("cifar10", "train")) == "Images(7 images of 32 x 32 x 3, 10 classes, source 'cifar10')"


def test_arrays_belong_to_the_caller(given, tiny):
    first = data.load("mnist", "train")
    first.images[:] = 0
    first.labels[:] = 0
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")


def test_an_unknown_set_is_refused_with_the_names_there_are(tiny):
    with pytest.raises(ValueError, match="no set 'cifar'; the names are 'mnist', 'cifar10'"):
        data.load("cifar", "train")


def test_an_unknown_split_is_refused_with_the_splits_there_are(tiny):
    with pytest.raises(ValueError, match="no split 'valid'; the splits are 'train', 'test'"):
        data.load("mnist", "valid")


def test_a_split_is_read_without_looking_at_the_other(given, tiny):
    np.savez(given / "mnist.npz", **tiny["mnist"] | {"test_images": np.array([None])})
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    with pytest.raises(RuntimeError, match="damaged"):
        data.load("mnist", "test")


# $CNNLIB_DATA


def test_the_given_folder_comes_before_the_cache(given, tiny):
    fill_cache({"mnist": tiny["mnist"] | {"train_images": tiny["mnist"]["train_images"] + 1}})
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")


def test_a_set_that_the_given_folder_lacks_comes_from_the_cache(given, tiny, host):
    (given / "mnist.npz").unlink()
    fill_cache(tiny)
    assert data.load("mnist", "test").source == "mnist"
    assert host.requests == []


def test_a_given_folder_that_is_none_is_named_and_passed_over(monkeypatch, tiny, capfd):
    monkeypatch.setenv("CNNLIB_DATA", "/nowhere/at/all")
    fill_cache(tiny)
    assert data.load("mnist", "train").source == "mnist"
    assert "CNNLIB_DATA is /nowhere/at/all, which is not a folder" in capfd.readouterr().err


def without_test_split(path, arrays):
    np.savez(path, train_images=arrays["train_images"], train_labels=arrays["train_labels"])


@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_given_file_without_the_split_is_an_error_and_no_other_place_is_tried(given, tiny, host, monkeypatch, strict):
    monkeypatch.setenv("CNNLIB_DATA_STRICT", strict)
    without_test_split(given / "mnist.npz", tiny["mnist"])
    fill_cache(tiny)
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    with pytest.raises(RuntimeError, match=r"mnist\.npz has no test split: it holds train_images, train_labels\."):
        data.load("mnist", "test")
    assert host.requests == []


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def flip_a_byte(path, arrays):
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "text": lambda path, arrays: path.write_text("<html>Please log in</html>"),
    "empty": lambda path, arrays: path.write_bytes(b""),
    "cut off": lambda path, arrays: path.write_bytes(path.read_bytes()[:-100]),
    "one bit": flip_a_byte,
    "pickle": lambda path, arrays: path.write_bytes(pickle.dumps(arrays)),
    "a single array": lambda path, arrays: path.write_bytes(npy(arrays["train_images"])),
    "other pixels": lambda path, arrays: np.savez(path, **arrays | {"train_images": arrays["train_images"] ^ 1}),
    "other labels": lambda path, arrays: np.savez(path, **arrays | {"train_labels": arrays["train_labels"] ^ 1}),
    "other shape": lambda path, arrays: np.savez(
        path, **arrays | {"train_images": arrays["train_images"].reshape(7, -1)}
    ),
    "other type": lambda path, arrays: np.savez(
        path, **arrays | {"train_labels": arrays["train_labels"].view(np.int8)}
    ),
    "objects": lambda path, arrays: np.savez(path, **arrays | {"train_labels": np.array([None])}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_given_file_is_an_error_that_names_it(given, tiny, host, damage):
    DAMAGES[damage](given / "mnist.npz", tiny["mnist"])
    with pytest.raises(RuntimeError, match=r"given.mnist\.npz is damaged: .*replace the file, or unset CNNLIB_DATA"):
        data.load("mnist", "train")
    assert host.requests == []


class Touch:
    """An object whose pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_inside_a_given_file_is_not_loaded(given, tiny):
    np.savez(given / "mnist.npz", **tiny["mnist"] | {"train_labels": np.array([Touch(given / "loaded")], dtype=object)})
    with pytest.raises(RuntimeError, match="damaged"):
        data.load("mnist", "train")
    assert not (given / "loaded").exists()


def test_a_given_file_with_any_byte_changed_gives_the_right_arrays_or_an_error(given, tiny):
    path = given / "mnist.npz"
    content, errors = path.read_bytes(), []
    for position in np.random.default_rng(0).integers(0, len(content), 300):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        try:
            found = data.load("mnist", "train")
        except RuntimeError as error:
            errors.append(str(error))
        else:
            assert_is(found, tiny["mnist"], "train")
    assert 0 < len(errors) < 300
    assert all(str(path) in error for error in errors)


def test_a_given_file_that_cannot_be_opened_is_an_error_with_the_reason(given):
    (given / "mnist.npz").unlink()
    (given / "mnist.npz").mkdir()
    with pytest.raises(RuntimeError, match=r"mnist\.npz cannot be read \((Is a directory|Permission denied)\)"):
        data.load("mnist", "train")


def test_a_saved_split_is_all_that_load_gives(given, tiny, host):
    data.save_split(data.load("cifar10", "train"), given, "cifar10", "train")
    assert_is(data.load("cifar10", "train"), tiny["cifar10"], "train")
    with pytest.raises(RuntimeError, match="no test split"):
        data.load("cifar10", "test")
    assert host.requests == []


def test_a_saved_split_of_a_stand_in_stays_one(monkeypatch, tiny, tmp_path):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    made = data.load("cifar10", "train")
    data.save_split(made, tmp_path, "cifar10", "train")
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    found = data.load("cifar10", "train")
    assert (found.source, found.classes) == (made.source, made.classes)
    np.testing.assert_array_equal(found.images, made.images)
    with pytest.raises(RuntimeError, match="no test split"):
        data.load("cifar10", "test")


def test_strict_mode_refuses_a_saved_stand_in(monkeypatch, tiny, tmp_path):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    data.save_split(data.load("mnist", "train"), tmp_path, "mnist", "train")
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    monkeypatch.setenv("CNNLIB_DATA_STRICT", "1")
    with pytest.raises(RuntimeError, match=r"stand-in.*CNNLIB_DATA_STRICT asks for the real one"):
        data.load("mnist", "train")


# The cache


@pytest.mark.parametrize(
    ("platform", "variables", "want"),
    [
        ("linux", {}, "~/.cache/cnnlib"),
        ("darwin", {}, "~/Library/Caches/cnnlib"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/cnnlib"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/cnnlib"),
    ],
)
def test_the_cache_is_where_each_system_keeps_caches(monkeypatch, platform, variables, want):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data.cache_dir() == Path(want).expanduser()


def test_a_set_in_the_cache_is_not_fetched(tiny, host):
    fill_cache(tiny)
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    assert host.requests == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_in_the_cache_is_fetched_again_with_one_line(tiny, torchvision_mirror, capfd, damage):
    path = fill_cache(tiny)
    DAMAGES[damage](path, tiny["mnist"])
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    assert capfd.readouterr().err.count("mnist.npz") == 1
    assert data.status("mnist") == (path, {"train": 7, "test": 4})


# Downloads from a host that behaves


@pytest.mark.parametrize(("name", "k"), [("mnist", 0), ("mnist", 1), ("cifar10", 0), ("cifar10", 1)])
def test_each_origin_yields_the_same_arrays(monkeypatch, tiny, torchvision_mirror, name, k):
    only(monkeypatch, name, k)
    for split in data.SPLITS:
        assert_is(data.load(name, split), tiny[name], split)
    assert left_in_cache() == [f"{name}.lock", f"{name}.npz"]


def test_a_set_is_fetched_once(monkeypatch, tiny, host):
    only(monkeypatch, "cifar10", 1)
    for _ in range(2):
        data.load("cifar10", "train")
        data.load("cifar10", "test")
    assert host.requests == ["/cifar10.tgz"]


def test_torchvision_comes_first_and_the_mirror_is_left_alone(tiny, host):
    data.download("cifar10")
    assert set(host.requests) == {"/cifar-10-binary.tar.gz"}


def test_without_torchvision_the_mirror_serves(monkeypatch, tiny, host):
    monkeypatch.setitem(sys.modules, "cnnlib.torchvision", None)  # an import of it raises ImportError
    assert data.load("cifar10", "train").source == "cifar10"
    assert host.requests == ["/cifar10.tgz"]


def test_torchvision_is_left_as_it_was(tiny, torchvision_mirror):
    bar = torchvision_mirror.utils.tqdm
    data.download("mnist")
    assert torchvision_mirror.utils.tqdm is bar
    assert socket.getdefaulttimeout() is None


def test_no_pickle_is_loaded_on_the_way(monkeypatch, tiny):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was about to be loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    data.download("cifar10")
    assert data.load("cifar10", "test").source == "cifar10"


def test_an_archive_writes_nothing_outside_the_cache(monkeypatch, tiny, host, tmp_path):
    only(monkeypatch, "cifar10", 1)
    evil = [("../../../evil.png", b"!"), (str(tmp_path / "evil.png"), b"!"), ("../train/../../evil.txt", b"!")]
    with tarfile.open(fileobj=io.BytesIO(host.files["/cifar10.tgz"])) as file:
        members = [(member.name, file.extractfile(member).read()) for member in file]
    host.files["/cifar10.tgz"] = tar(evil + members)
    data.download("cifar10")
    assert not list(tmp_path.rglob("evil*"))


def test_the_offline_switch_keeps_load_off_the_network(monkeypatch, tiny, host):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    assert data.load("mnist", "train").source.startswith("stand-in: ")
    with pytest.raises(RuntimeError, match="CNNLIB_OFFLINE forbids"):
        data.download("mnist")
    assert host.requests == []


def test_the_offline_switch_does_not_matter_to_a_set_in_the_cache(monkeypatch, tiny):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")
    fill_cache(tiny)
    assert data.load("mnist", "train").source == "mnist"


@pytest.fixture
def nameless(monkeypatch, tiny):
    """Hosts whose names nobody here can look up."""

    def look_up(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(data, "ORIGINS", {"mnist": ((data._mnist_files, "https://host.invalid/"),)})


def test_a_machine_without_a_network_says_so(monkeypatch, nameless):
    monkeypatch.setattr(data, "getproxies", lambda: {"no": "localhost"})
    with pytest.raises(RuntimeError, match="none of its hosts can be found: is this machine online"):
        data.download("mnist")


def test_behind_a_proxy_a_name_need_not_be_known_here(monkeypatch, nameless):
    monkeypatch.setattr(data, "getproxies", lambda: {"https": "http://proxy.invalid:3128"})
    assert data._online("mnist")


# Downloads from a host that does not

BAD = ["wrong", "truncated", "missing", "hanging"]


@pytest.mark.parametrize("behavior", BAD)
def test_after_a_bad_origin_the_next_one_serves(monkeypatch, tiny, host, behavior):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    host.behavior, host.behaves_on = behavior, "binary"
    assert_is(data.load("cifar10", "train"), tiny["cifar10"], "train")
    assert host.requests[-1] == "/cifar10.tgz"
    assert left_in_cache() == ["cifar10.lock", "cifar10.npz"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("behavior", BAD)
@pytest.mark.parametrize("name", data.TITLES)
def test_if_every_origin_is_bad_nothing_is_kept_and_load_gives_the_stand_in(
    monkeypatch, tiny, torchvision_mirror, host, capfd, name, behavior
):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    host.behavior = behavior
    assert data.load(name, "test").source.startswith("stand-in: ")
    assert f"THIS IS NOT {data.TITLES[name]}: no host gave it (" in capfd.readouterr().err
    assert left_in_cache() == [f"{name}.lock"]
    gc.collect()  # torchvision leaves the answers of failed requests open: they go here, not in a later test


@pytest.mark.parametrize(
    ("k", "behavior", "words"),
    [
        (0, "wrong", "corrupted"),
        (1, "wrong", ""),
        (0, "truncated", "corrupted"),
        (1, "truncated", r"cifar10\.tgz ended after [\d,]+ of [\d,]+ bytes"),
        (0, "missing", "Not Found"),
        (1, "missing", "Not Found"),
        (0, "hanging", "timed out"),
        (1, "hanging", "timed out"),
    ],
)
def test_the_error_says_what_was_wrong_at_which_host(monkeypatch, tiny, host, k, behavior, words):
    if behavior == "hanging":
        monkeypatch.setattr(data, "SILENCE", 1)
    only(monkeypatch, "cifar10", k)
    host.behavior = behavior
    with pytest.raises(RuntimeError, match=rf"no host gave it \({host.url}/.*: .*{words}"):
        data.download("cifar10")


def test_a_refused_connection_is_named(monkeypatch, tiny):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        monkeypatch.setattr(data, "ORIGINS", {"mnist": ((data._mnist_files, url),)})
        with pytest.raises(RuntimeError, match=r"no host gave it .*refused"):
            data.download("mnist")


def test_an_archive_of_other_images_is_not_kept(monkeypatch, tiny, host):
    only(monkeypatch, "mnist", 1)
    file = data.MNIST_FILES["test_images"]
    host.files[f"/mnist/{file}"] = idx(tiny["mnist"]["test_images"] ^ 1)
    with pytest.raises(RuntimeError, match="the SHA-256 of test_images is"):
        data.download("mnist")
    assert left_in_cache() == ["mnist.lock"]


def test_a_failed_download_is_not_tried_again_at_once(monkeypatch, tiny, host):
    only(monkeypatch, "cifar10", 1)
    host.behavior = "missing"
    data.load("cifar10", "train")
    data.load("cifar10", "test")
    assert len(host.requests) == 1
    monkeypatch.setattr(data, "PAUSE", 0)
    host.behavior = "right"
    assert data.load("cifar10", "train").source == "cifar10"


def test_strict_mode_turns_the_stand_in_into_an_error(monkeypatch, tiny, host):
    monkeypatch.setenv("CNNLIB_DATA_STRICT", "1")
    only(monkeypatch, "cifar10", 1)
    host.behavior = "missing"
    with pytest.raises(
        RuntimeError, match=r"CIFAR-10 cannot be had: no host gave it .*CNNLIB_DATA_STRICT allows no stand-in"
    ):
        data.load("cifar10", "train")


# Slow hosts, and what is seen of a download


@pytest.fixture
def slow(monkeypatch, tiny, host):
    """The host, slow with archives that come in several pieces, and no patience with it while another is left."""
    monkeypatch.setattr(data, "GRACE", 0)
    monkeypatch.setattr(data, "PATIENCE", 0)
    padding = ("cifar10/padding", np.random.default_rng(0).bytes(300_000))
    for path in ("/cifar-10-binary.tar.gz", "/cifar10.tgz"):
        with tarfile.open(fileobj=io.BytesIO(host.files[path])) as file:
            host.files[path] = tar([padding] + [(member.name, file.extractfile(member).read()) for member in file])
    monkeypatch.setattr(data, "CIFAR10_MD5", hashlib.md5(host.files["/cifar-10-binary.tar.gz"]).hexdigest())
    host.behavior = "slow"
    return host


@pytest.mark.parametrize("k", [0, 1])
def test_a_slow_host_is_left_for_the_next(monkeypatch, tiny, slow, capfd, k):
    def patient(url, folder, patience):
        return data._cifar10_pngs(url, folder, float("inf"))

    next_one = (patient, f"{slow.url}/cifar10.tgz?next")
    slow.files["/cifar10.tgz?next"] = slow.files["/cifar10.tgz"]
    monkeypatch.setitem(data.ORIGINS, "cifar10", (data.ORIGINS["cifar10"][k], next_one))
    assert_is(data.load("cifar10", "train"), tiny["cifar10"], "train")
    assert "not from there: too slow, the rest would take" in capfd.readouterr().err
    assert slow.requests[-1] == "/cifar10.tgz?next"


@pytest.mark.parametrize("k", [0, 1])
def test_a_slow_host_serves_patiently_if_there_is_no_other(monkeypatch, tiny, slow, capfd, k):
    only(monkeypatch, "cifar10", k)
    assert_is(data.load("cifar10", "test"), tiny["cifar10"], "test")
    assert capfd.readouterr().err.count("Fetching CIFAR-10 from") == 2


class Clock:
    """Time as a test wants it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(data.time, "monotonic", lambda: self.now)


def test_away_from_a_terminal_progress_is_a_line_every_five_seconds(monkeypatch, capfd):
    clock = Clock(monkeypatch)
    with data.Progress(30_000_000) as progress:
        for clock.now in (1, 2, 6, 7, 12):
            progress.update(3_000_000)
    assert capfd.readouterr().err == "  9.0 MB of 30.0 MB\n  15.0 MB of 30.0 MB\n"


def test_progress_copes_with_a_host_that_does_not_say_the_size(monkeypatch, capfd):
    clock = Clock(monkeypatch)
    with data.Progress(None, patience=1) as progress:
        for clock.now in (10, 100):
            progress.update(1_000_000)
    assert capfd.readouterr().err == "  1.0 MB\n  2.0 MB\n"


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with data.Progress(1000, unit="B", unit_scale=True) as progress:
        progress.update(1000)
    assert "100%" in terminal.getvalue()


def test_a_host_is_too_slow_if_the_rest_would_outlast_the_patience(monkeypatch):
    clock = Clock(monkeypatch)
    progress = data.Progress(1_000_000, patience=600)
    clock.now = data.GRACE + 1.0
    progress.update(100_000)  # 21 s for a tenth: 189 s more
    clock.now = 100.0
    with pytest.raises(data.TooSlow, match="the rest would take 13 minutes"):
        progress.update(10_000)  # 100 s for 11 %: 809 s more
    progress.bar.close()


def test_a_host_is_not_judged_in_its_first_seconds(monkeypatch):
    clock = Clock(monkeypatch)
    with data.Progress(1_000_000, patience=600) as progress:
        clock.now = data.GRACE - 1.0
        progress.update(1)


# Killed, crowded, full

DRIVER = """
import json, signal, sys
from cnnlib import data
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits one that ignores it
settings = json.loads(sys.argv[1])
data.SHA256.update(settings["sha256"])
data.CIFAR10_MD5 = settings["md5"]
data.SPACE = dict.fromkeys(data.SPACE, 1)
data.ORIGINS["cifar10"] = tuple((getattr(data, name), url) for name, url in settings["origins"])
data.SILENCE = 120
if settings["limit"]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings["limit"], settings["limit"]))
print(data.load("cifar10", "train").source, flush=True)
"""


def start(host, *, limit=0, names=("_cifar10_pngs",)):
    """Another process that loads the tiny CIFAR-10 from the host."""
    paths = {"_cifar10_pngs": "/cifar10.tgz", "_cifar10_by_torchvision": "/cifar-10-binary.tar.gz"}
    settings = {"sha256": data.SHA256, "md5": data.CIFAR10_MD5, "limit": limit}
    settings["origins"] = [(name, host.url + paths[name]) for name in names]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", DRIVER, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def half_way():
    """Whether a part of the archive is on disk."""
    path = data.cache_dir() / "cifar10.part" / "cifar10.tgz"
    return path.exists()


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("nothing came of it in a minute")


def test_a_download_killed_half_way_leaves_nothing_in_the_way(tiny, host):
    host.behavior = "hanging"
    first = start(host)
    wait_for(half_way)
    first.kill()
    first.communicate()
    assert half_way()
    assert left_in_cache() == ["cifar10.lock", "cifar10.part"]

    host.behavior = "right"
    assert start(host).communicate(timeout=60)[0] == "cifar10\n"
    assert left_in_cache() == ["cifar10.lock", "cifar10.npz"]
    assert data.status("cifar10")[1] == {"train": 7, "test": 4}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupted_download_cleans_up(tiny, host):
    host.behavior = "hanging"
    process = start(host)
    wait_for(half_way)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert left_in_cache() == ["cifar10.lock"]


def test_two_processes_fetch_a_set_once(tiny, host):
    host.behavior = "hanging"
    first = start(host)
    wait_for(half_way)
    second = start(host)
    assert second.stderr.readline() == "Another process is fetching CIFAR-10: waiting for it.\n"
    host.go_on.set()
    assert [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]] == ["cifar10\n"] * 2
    assert host.requests == ["/cifar10.tgz"]


def blocked_cache(kind, tmp_path):
    """A cache folder in which nothing can be written, even by root."""
    if kind == "a file in its place":
        (tmp_path / "cnnlib").write_text("")
        return tmp_path
    if kind == "below a file":
        (tmp_path / "file").write_text("")
        return tmp_path / "file"
    if kind == "read-only":
        if os.name == "nt" or os.geteuid() == 0:
            pytest.skip("root and Windows write into read-only folders")
        (tmp_path / "cnnlib").mkdir(mode=0o500)
        return tmp_path
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    return Path("/proc")


@pytest.mark.parametrize("kind", ["a file in its place", "below a file", "read-only", "a system folder"])
def test_a_cache_that_cannot_be_written_is_named_before_anything_is_fetched(monkeypatch, tiny, host, tmp_path, kind):
    folder = blocked_cache(kind, tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    with pytest.raises(
        RuntimeError, match=rf"the cache folder {folder}.cnnlib cannot be written \(.*Set XDG_CACHE_HOME"
    ):
        data.download("mnist")
    assert data.load("mnist", "train").source.startswith("stand-in: ")
    assert host.requests == []


def test_too_little_space_is_named_before_anything_is_fetched(monkeypatch, tiny, host):
    monkeypatch.setattr(data, "SPACE", {"mnist": 150e6})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**8))
    with pytest.raises(RuntimeError, match="has 100 MB free; the download needs 150 MB"):
        data.download("mnist")
    assert host.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
@pytest.mark.parametrize("name", ["_cifar10_pngs", "_cifar10_by_torchvision"])
@pytest.mark.parametrize("limit", [4_000, 25_000])  # bytes: too few for the archive; enough for it, not for the arrays
def test_a_disk_that_is_full_half_way_ends_the_download_cleanly(tiny, host, name, limit):
    sizes = [len(host.files[path]) for path in ("/cifar10.tgz", "/cifar-10-binary.tar.gz")]
    assert 4_000 < min(sizes) <= max(sizes) < 25_000 < sum(array.nbytes for array in tiny["cifar10"].values())
    out, err = start(host, limit=limit, names=[name, "_cifar10_pngs"]).communicate(timeout=60)
    assert out == "stand-in: generated shapes and textures\n"
    assert "takes no more data (File too large). Make room" in err
    assert err.count("Fetching") == 1  # another host would not help
    assert left_in_cache() == ["cifar10.lock"]


# The stand-ins


@pytest.fixture
def offline(monkeypatch, tiny):
    monkeypatch.setenv("CNNLIB_OFFLINE", "1")


@pytest.mark.parametrize(
    ("name", "split", "shape"),
    [
        ("mnist", "train", (1500, 28, 28)),
        ("mnist", "test", (297, 28, 28)),
        ("cifar10", "train", (2000, 32, 32, 3)),
        ("cifar10", "test", (500, 32, 32, 3)),
    ],
)
def test_a_stand_in_has_the_kind_and_size_it_should_have(offline, name, split, shape):
    made = data.load(name, split)
    assert made.images.shape == shape
    assert made.labels.shape == shape[:1]
    assert made.images.dtype == made.labels.dtype == np.uint8
    assert made.images.min() < 30
    assert made.images.max() > 225
    assert set(made.labels) == set(range(10))
    assert len(made.classes) == 10


@pytest.mark.parametrize("name", data.TITLES)
def test_a_stand_in_is_the_same_every_time_and_another_for_each_split(offline, name):
    first, again, other = data.load(name, "test"), data.load(name, "test"), data.load(name, "train")
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    seen = {image.tobytes() for image in other.images}
    assert not any(image.tobytes() in seen for image in first.images)


@pytest.mark.parametrize("name", data.TITLES)
def test_a_stand_in_is_announced_on_standard_error_only(offline, capfd, name):
    data.load(name, "train")
    out, err = capfd.readouterr()
    assert out == ""
    for words in (f"THIS IS NOT {data.TITLES[name]}", "CNNLIB_OFFLINE", "images", "python -m cnnlib data --fetch"):
        assert words in err


def test_the_classes_of_the_generated_images_say_what_they_show(offline):
    made = data.load("cifar10", "train")
    assert " ".join(made.classes) == "disk ring square triangle cross stripes checks dots ripples zigzag"
    assert (np.bincount(made.labels) == 200).all()


def test_the_scaled_digits_are_centered_as_in_mnist(offline):
    images = data.load("mnist", "train").images
    frame = images.copy()
    frame[:, 4:24, 4:24] = 0
    assert not frame.any()
    rows = images.sum(axis=(0, 2), dtype=np.int64)
    assert abs(np.average(np.arange(28), weights=rows) - 13.5) < 0.5


def test_stretching_a_constant_keeps_it_away_from_the_border():
    weights = data._interpolation(8, 20)
    assert weights.shape == (20, 8)
    assert set(weights[2:-2].sum(axis=1)) == {2 * 20}


def test_the_scaled_digits_can_be_told_apart(offline):
    train, test = data.load("mnist", "train"), data.load("mnist", "test")
    x, y = data.to_float(train.images).reshape(1500, -1), data.to_float(test.images).reshape(297, -1)
    means = np.stack([x[train.labels == k].mean(axis=0) for k in range(10)])
    guesses = ((y[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert (guesses == test.labels).mean() > 0.8


def test_the_generated_images_are_learned_by_a_small_network_and_not_by_their_mean_color(offline):
    import torch
    from torch import nn

    train, test = data.load("cifar10", "train"), data.load("cifar10", "test")
    x, y = (torch.from_numpy(data.to_float(s.images[:, ::2, ::2], 0.5, 0.25)) for s in (train, test))  # (N, 3, 16, 16)
    labels = torch.from_numpy(train.labels).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            *(nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)),
        )
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for batch in 5 * list(torch.arange(2000).split(100)):
        loss = nn.functional.cross_entropy(net(x[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert (net(y).argmax(dim=1).numpy() == test.labels).mean() > 0.6
    colors, seen = test.images.mean(axis=(1, 2)), train.images.mean(axis=(1, 2))  # (N, 3)
    nearest = ((colors[:, None] - seen) ** 2).sum(axis=-1).argmin(axis=1)
    assert (train.labels[nearest] == test.labels).mean() < 0.3


# to_float


def test_to_float_scales_and_normalizes_by_hand():
    images = np.array([[[0, 51], [102, 255]]], dtype=np.uint8)  # (1, 2, 2)
    want = np.array([[[[-2, 0], [2, 8]]]], dtype=np.float32) / 4 * 4 * 0.2 / 0.2
    np.testing.assert_allclose(data.to_float(images, 0.2, 0.1), want, atol=1e-6)


def test_to_float_puts_channels_first():
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    x = data.to_float(images)
    assert (x.shape, x.dtype, x.flags.c_contiguous) == ((2, 3, 4, 5), np.float32, True)
    for n, c, h, w in np.ndindex(x.shape):
        assert x[n, c, h, w] == np.float32(images[n, h, w, c]) / np.float32(255)


def test_to_float_gives_gray_images_one_channel():
    assert data.to_float(np.zeros((2, 4, 5), dtype=np.uint8)).shape == (2, 1, 4, 5)


def test_to_float_takes_a_mean_and_a_std_for_each_channel():
    images = np.full((2, 4, 5, 3), 255, dtype=np.uint8)
    x = data.to_float(images, mean=(0.0, 0.5, 1.0), std=(1.0, 0.25, 2.0))
    np.testing.assert_array_equal(x[:, :, 0, 0], [[1, 2, 0]] * 2)


def test_to_float_leaves_its_input_alone():
    images = np.full((1, 2, 2), 7, dtype=np.uint8)
    data.to_float(images, 0.5, 0.5)
    assert (images == 7).all()


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 5)), np.zeros((4, 5), np.uint8), np.zeros((1, 2, 4, 5, 3), np.uint8), np.zeros((2, 4, 5), int)],
)
def test_to_float_refuses_what_are_no_images_of_bytes(images):
    with pytest.raises(ValueError, match=r"expects uint8 images of shape \(N, H, W\) or \(N, H, W, C\), got"):
        data.to_float(images)


def test_to_float_refuses_a_mean_for_other_channels():
    with pytest.raises(ValueError, match="mean has 3 values, the images have 1 channels: give 1 or 1"):
        data.to_float(np.zeros((2, 4, 5), np.uint8), mean=(0.1, 0.2, 0.3))


# The command


def test_the_command_shows_what_is_here_and_exits_with_0(given, capsys):
    assert main(["data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"mnist    {given / 'mnist.npz'} (from CNNLIB_DATA), 0 MB, verified: train 7, test 4"
    assert lines[1].startswith("cifar10  ")


def test_the_command_says_what_is_missing_and_exits_with_1(tiny, host, capsys):
    fill_cache(tiny)
    assert main(["data"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "(from the cache)" in lines[0]
    assert lines[1].startswith("cifar10  not here: ")
    assert host.requests == []


@pytest.mark.parametrize("words", [["--fetch"], ["mnist", "cifar10"]])
def test_the_command_fetches_what_is_missing(tiny, torchvision_mirror, capsys, words):
    assert main(["data", *words]) == 0
    assert capsys.readouterr().out.count("(from the cache), 0 MB, verified: train 7, test 4") == 2


def test_the_command_fetches_the_named_set_only(tiny, torchvision_mirror, capsys):
    assert main(["data", "mnist"]) == 0
    assert left_in_cache() == ["mnist.lock", "mnist.npz"]


def test_the_command_replaces_a_damaged_file_in_the_cache(tiny, torchvision_mirror, capsys):
    DAMAGES["one bit"](fill_cache(tiny), tiny["mnist"])
    assert main(["data", "mnist"]) == 0


def test_the_command_leaves_a_damaged_given_file_alone_and_exits_with_1(given, tiny, host, capsys):
    DAMAGES["other pixels"](given / "mnist.npz", tiny["mnist"])
    assert main(["data", "--fetch"]) == 1
    out = capsys.readouterr().out
    assert "verified: test 4" in out
    assert "the SHA-256 of train_images is" in out
    assert host.requests == []


def test_the_command_exits_with_1_if_the_download_fails(tiny, host, capsys):
    host.behavior = "missing"
    assert main(["data", "cifar10"]) == 1
    assert "cifar10: no host gave it" in capsys.readouterr().err


def test_the_command_does_not_take_a_saved_stand_in_for_the_set(monkeypatch, offline, tmp_path, capsys):
    data.save_split(data.load("mnist", "train"), tmp_path, "mnist", "train")
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    assert main(["data"]) == 1
    assert "holds a stand-in" in capsys.readouterr().out


def test_the_command_takes_an_unknown_name_for_a_usage_error(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["data", "imagenet"])
    assert exit_.value.code == 2
    assert "there is no set 'imagenet'; the names are mnist, cifar10" in capsys.readouterr().err


# The real sets, where they are


def real(name, split):
    folders = [Path(folder) for folder in (REAL_FOLDER, REAL_CACHE) if folder]
    path = next((folder / f"{name}.npz" for folder in folders if (folder / f"{name}.npz").exists()), None)
    if path is None:
        pytest.skip(f"the real {data.TITLES[name]} is not here")
    return data._read(path, name, split)


@pytest.mark.parametrize(("name", "split", "n"), [("mnist", "train", 60_000), ("mnist", "test", 10_000)])
def test_the_real_mnist_is_whole(name, split, n):
    assert {k: data.SHA256[k] for k in REAL_SHA256} == REAL_SHA256
    found = real(name, split)
    assert found.images.shape == (n, 28, 28)
    assert found.labels[:5].tolist() == {"train": [5, 0, 4, 1, 9], "test": [7, 2, 1, 0, 4]}[split]


@pytest.mark.parametrize(("split", "n"), [("train", 50_000), ("test", 10_000)])
def test_the_real_cifar10_is_whole_and_in_canonical_order(split, n):
    found = real("cifar10", split)
    assert found.images.shape == (n, 32, 32, 3)
    assert (np.bincount(found.labels) == n // 10).all()
    digests = [hashlib.sha256(image.tobytes()).digest() for image in found.images]
    assert digests == sorted(digests)
