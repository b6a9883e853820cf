"""Tiny sets, the archives that hosts would serve of them, and what tests of cnnlib.data do with them."""

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
from PIL import Image

from cnnlib import data


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
    files = {}
    for key, file in data.MNIST_FILES.items():
        files[f"/mnist/{file}"] = files[f"/mirror/{file}"] = idx(sets["mnist"][key])
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


def origins(host):
    """Every origin of each set, all on one host."""
    return {
        "mnist": ((data._mnist_files, f"{host.url}/mnist/"), (data._mnist_files, f"{host.url}/mirror/")),
        "cifar10": (
            (data._cifar10_records, f"{host.url}/cifar-10-binary.tar.gz"),
            (data._cifar10_pngs, f"{host.url}/cifar10.tgz"),
        ),
    }


def md5(files):
    """The MD5 of each archive, by its name."""
    return {path.rpartition("/")[2]: hashlib.md5(content).hexdigest() for path, content in files.items()}


def powerless():
    """What to put before a command so that permissions hold for it: root obeys them only without its powers."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if root else []


def elsewhere(*arguments, **environment):
    """Run Python in another process, for which permissions hold. Warnings are errors."""
    command = [*powerless(), sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def load_elsewhere(**environment):
    """What `load` gives and says in another process: (standard output, standard error)."""
    code = "from cnnlib.data import load; print(load('mnist', 'test').source)"
    done = elsewhere("-c", code, CNNLIB_OFFLINE="1", **environment)
    return done.stdout, done.stderr


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
