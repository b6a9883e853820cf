"""cnnlib.data on tiny sets: what load gives from files, the stand-ins, floats, and what the command says.

No test here needs the network or the real sets; those at the end look at the real ones where they are.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from tinysets import DAMAGES, assert_is, elsewhere, fill_cache, left_in_cache, load_elsewhere

from cnnlib import data
from cnnlib.__main__ import main

REAL_SHA256 = dict(data.SHA256)


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("{folder}/file", "which is not a folder"),
        ("{folder}/dead", "which is not a folder"),
        ("{folder}/loop", "which cannot be looked into"),
        ("{folder}/links", "where mnist.npz is a link that leads nowhere"),
        ("~nobody-of-this-name/data", "but there is no such home folder"),
        ("{folder}/" + "long" * 100, "which cannot be looked into"),
    ],
)
def test_a_given_folder_that_is_no_use_is_named_and_the_stand_in_comes(
    offline, tmp_path, capfd, monkeypatch, variable, problem
):
    (tmp_path / "file").touch()
    (tmp_path / "links").mkdir()
    for link in ("dead", "links/mnist.npz"):
        (tmp_path / link).symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setenv("CNNLIB_DATA", variable.format(folder=tmp_path))
    assert data.load("mnist", "test").source.startswith("stand-in: ")
    err = capfd.readouterr().err
    assert err.startswith(f"CNNLIB_DATA is {variable.format(folder=tmp_path)}, {problem}")
    assert ": looking elsewhere for MNIST.\n*** THIS IS NOT MNIST" in err
    assert data.status("mnist") == (None, {})


def test_a_given_folder_may_be_relative_and_is_named_in_full(given, tiny, monkeypatch, capfd):
    monkeypatch.chdir(given.parent)
    monkeypatch.setenv("CNNLIB_DATA", "given")
    assert data.status("mnist")[0] == given / "mnist.npz"
    monkeypatch.setenv("CNNLIB_DATA", "gone")
    assert data.status("mnist")[0] is None
    assert f"CNNLIB_DATA is {given.parent / 'gone'}, which is not a folder" in capfd.readouterr().err


def test_a_tilde_in_the_given_folder_is_the_home_folder(given, monkeypatch):
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(given.parent))
    monkeypatch.setenv("CNNLIB_DATA", "~/given")
    assert data.status("mnist")[0] == given / "mnist.npz"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_a_given_folder_that_one_may_not_enter_is_named_and_the_stand_in_comes(tiny, tmp_path, mode):
    (tmp_path / "teacher").mkdir(mode=mode)
    out, err = load_elsewhere(CNNLIB_DATA=str(tmp_path / "teacher"))
    assert out.startswith("stand-in: ")
    assert f"CNNLIB_DATA is {tmp_path / 'teacher'}, which cannot be looked into (Permission denied)" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
def test_a_given_file_that_one_may_not_read_is_an_error_and_not_a_stand_in(given):
    (given / "mnist.npz").chmod(0o000)
    out, err = load_elsewhere(CNNLIB_DATA=str(given))
    assert out == ""
    assert err.splitlines()[-1].startswith(f"RuntimeError: {given / 'mnist.npz'} cannot be read (Permission denied).")


def test_a_split_that_cannot_be_saved_is_an_error_with_the_reason(given, tmp_path):
    with pytest.raises(RuntimeError, match=r"mnist\.npz cannot be written \(No such file or directory\)"):
        data.save_split(data.load("mnist", "train"), tmp_path / "gone", "mnist", "train")


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
        ("darwin", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/cnnlib"),
        ("win32", {"XDG_CACHE_HOME": "/elsewhere", "LOCALAPPDATA": "/local"}, "/elsewhere/cnnlib"),
        ("linux", {"XDG_CACHE_HOME": "~/elsewhere"}, "~/elsewhere/cnnlib"),
        ("win32", {"LOCALAPPDATA": "~/local"}, "~/local/cnnlib"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/cnnlib"),
        ("darwin", {"XDG_CACHE_HOME": "./relative"}, "~/Library/Caches/cnnlib"),
        ("win32", {"LOCALAPPDATA": "relative"}, "~/.cache/cnnlib"),
        ("linux", {"XDG_CACHE_HOME": "~nobody-of-this-name/x"}, "~/.cache/cnnlib"),
        ("linux", {"XDG_CACHE_HOME": ""}, "~/.cache/cnnlib"),
    ],
)
def test_the_cache_is_where_each_system_keeps_caches(monkeypatch, platform, variables, want):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data.cache_dir() == Path(want).expanduser()


@pytest.fixture
def homeless(monkeypatch, tiny):
    """A user without a home folder: a number without a name, as in a container."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


def test_without_a_home_folder_the_stand_in_comes_and_its_notice_says_what_to_set(homeless, capfd):
    assert data.load("mnist", "test").source.startswith("stand-in: ")
    err = capfd.readouterr().err
    assert "THIS IS NOT MNIST: there is no home folder, so no place for a cache. Set XDG_CACHE_HOME to a folder" in err


def test_without_a_home_folder_cache_and_download_are_an_error_that_says_what_to_set(homeless):
    for ask in (data.cache_dir, lambda: data.download("mnist")):
        with pytest.raises(RuntimeError, match=r"no home folder.*Set XDG_CACHE_HOME to .*, or CNNLIB_DATA to one"):
            ask()


def test_without_a_home_folder_the_given_file_serves(homeless, given, tiny):
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    assert data.status("mnist") == (given / "mnist.npz", {"train": 7, "test": 4})


def test_a_set_in_the_cache_is_not_fetched(tiny, host):
    fill_cache(tiny)
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    assert host.requests == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_in_the_cache_is_fetched_again_with_one_line(tiny, capfd, damage):
    path = fill_cache(tiny)
    DAMAGES[damage](path, tiny["mnist"])
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    assert capfd.readouterr().err.count("mnist.npz") == 1
    assert data.status("mnist") == (path, {"train": 7, "test": 4})


# The stand-ins


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
    [
        *(np.zeros((2, 4, 5)), np.zeros((4, 5), np.uint8), np.zeros((1, 2, 4, 5, 3), np.uint8)),
        *(np.zeros((2, 4, 5), int), [[[1, 2]]], None, data.Images(None, None, (), "mnist")),
    ],
)
def test_to_float_refuses_what_are_no_images_of_bytes(images):
    with pytest.raises(ValueError, match=r"expects uint8 images of shape \(N, H, W\) or \(N, H, W, C\), got"):
        data.to_float(images)


def test_to_float_refuses_a_mean_for_other_channels():
    with pytest.raises(ValueError, match="mean has 3 values, the images have 1 channels: give 1 or 1"):
        data.to_float(np.zeros((2, 4, 5), np.uint8), mean=(0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"std": 0}, "std is .*0.*: give numbers above 0"),
        ({"std": (1, 1, 0)}, "std is .*: give numbers above 0"),
        ({"std": -1.0}, "std is .*: give numbers above 0"),
        ({"mean": float("nan")}, "mean is nan: give one finite number, or one for each channel"),
        ({"mean": None}, "mean is None: give one finite number, or one for each channel"),
        ({"std": "wide"}, "std is 'wide': give one finite number, or one for each channel"),
        ({"std": 1e300}, "std is 1e.300: give one finite number, or one for each channel"),
    ],
)
def test_to_float_refuses_a_mean_or_std_that_would_spoil_the_images(options, words):
    with pytest.raises(ValueError, match=words):
        data.to_float(np.zeros((2, 4, 5, 3), np.uint8), **options)


def test_to_float_takes_no_images_at_all():
    assert data.to_float(np.zeros((0, 4, 5, 3), np.uint8), (0.1, 0.2, 0.3), 0.5).shape == (0, 3, 4, 5)


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
def test_the_command_fetches_what_is_missing(tiny, capsys, words):
    assert main(["data", *words]) == 0
    assert capsys.readouterr().out.count("(from the cache), 0 MB, verified: train 7, test 4") == 2


def test_the_command_says_why_there_is_no_cache_and_exits_with_1(homeless, capsys):
    assert main(["data", "--fetch"]) == 1
    out, err = capsys.readouterr()
    for text in (out, err):
        assert text.count("there is no home folder, so no place for a cache. Set XDG_CACHE_HOME") == 2


def test_the_command_needs_no_cache_if_the_sets_are_given(homeless, given, capsys):
    assert main(["data", "--fetch"]) == 0
    assert capsys.readouterr().out.count("(from CNNLIB_DATA), 0 MB, verified: train 7, test 4") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions in another way")
@pytest.mark.parametrize("words", [["data"], ["data", "--fetch"]])
@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "CNNLIB_DATA"])
def test_the_command_ends_without_a_traceback_where_one_may_not_look(tiny, tmp_path, words, variable):
    (tmp_path / "cnnlib").mkdir(mode=0o000)
    folder = {"XDG_CACHE_HOME": tmp_path, "CNNLIB_DATA": tmp_path / "cnnlib"}[variable]
    done = elsewhere("-m", "cnnlib", *words, CNNLIB_OFFLINE="1", **{variable: str(folder)})
    assert done.returncode == 1
    assert "cannot be looked into (Permission denied)" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_the_command_copes_with_a_folder_whose_name_is_no_text(given, encoding):
    folder = given.rename(given.parent / os.fsdecode("Schüler".encode("latin-1")))
    done = elsewhere("-m", "cnnlib", "data", CNNLIB_DATA=str(folder), PYTHONIOENCODING=encoding)
    assert done.returncode == 1  # these are not the real sets
    assert done.stderr == ""
    assert r"Sch\udcfcler/mnist.npz (from CNNLIB_DATA), 0 MB, verified: nothing" in done.stdout


def test_load_copes_with_a_folder_whose_name_is_no_text(given, tiny, monkeypatch, capfd):
    if sys.platform in ("win32", "darwin"):
        monkeypatch.setenv("CNNLIB_DATA", str(given / "gone"))
    else:
        folder = given.rename(given.parent / os.fsdecode(b"\xff"))
        monkeypatch.setenv("CNNLIB_DATA", str(folder))
        assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
        monkeypatch.setenv("CNNLIB_DATA", str(folder / "gone"))
    fill_cache(tiny)
    assert_is(data.load("mnist", "train"), tiny["mnist"], "train")
    capfd.readouterr().err.encode()


def test_the_command_fetches_the_named_set_only(tiny, capsys):
    assert main(["data", "mnist"]) == 0
    assert left_in_cache() == ["mnist.lock", "mnist.npz"]


def test_the_command_replaces_a_damaged_file_in_the_cache(tiny, capsys):
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
    folders = [Path(folder) for folder in (os.environ.get("CNNLIB_DATA"), data.cache_dir()) if folder]
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
