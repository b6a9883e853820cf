"""Batches and augmentation on whole tensors: what torchvision's transforms do to one image, done to all at once."""

import numpy as np
import pytest
import torch

from cnnlib import augment
from cnnlib.augment import batches, crop, cutout, flip
from cnnlib.torchvision import v2


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count, height=10, width=14):
    """Images of which no two pixels are alike: (count, 3, height, width)."""
    return torch.arange(count * 3 * height * width, dtype=torch.float32).reshape(count, 3, height, width) + 1


def outcomes(x):
    """How often each different image occurs among x: {pixels as bytes: count}."""
    counts = {}
    for image in x:
        key = image.contiguous().numpy().tobytes()
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_batches_take_each_example_once_with_its_label():
    x = images(23)
    got = list(batches(x, torch.arange(23), 8, generator=drawn()))
    assert [len(labels) for _, labels in got] == [8, 8, 7]
    order = torch.cat([labels for _, labels in got])
    assert torch.equal(order.sort().values, torch.arange(23))
    assert not torch.equal(order, torch.arange(23))
    assert torch.equal(torch.cat([part for part, _ in got]), x[order])


def test_flip_is_torchvisions_flip_of_some_images():
    x = images(64)
    turned = torch.rand(64, generator=drawn()) < 0.5
    for ours, image, turn in zip(flip(x, generator=drawn()), x, turned, strict=True):
        assert torch.equal(ours, v2.functional.horizontal_flip(image) if turn else image)
    assert turned.any()
    assert not turned.all()


@pytest.mark.parametrize("padding", [1, 4, 9])
def test_crop_is_torchvisions_reflect_padding_and_crop(padding):
    x = images(64)
    place = drawn()
    tops, lefts = (padding + torch.randint(-padding, padding + 1, (64, 1), generator=place) for _ in range(2))
    padded = v2.functional.pad(x, padding, padding_mode="reflect")
    for ours, image, top, left in zip(crop(x, padding, generator=drawn()), padded, tops, lefts, strict=True):
        assert torch.equal(ours, v2.functional.crop(image, int(top), int(left), 10, 14))


@pytest.mark.parametrize("size", [1, 4, 5, 20])
def test_cutout_is_torchvisions_erase_around_a_center_anywhere(size):
    x = images(64)
    place = drawn()
    rows, columns = (torch.randint(0, pixels, (64, 1), generator=place) for pixels in (10, 14))
    for ours, image, row, column in zip(cutout(x, size, generator=drawn()), x, rows, columns, strict=True):
        top, left = int(row) - size // 2, int(column) - size // 2
        height, width = min(top + size, 10) - max(top, 0), min(left + size, 14) - max(left, 0)
        assert torch.equal(
            ours, v2.functional.erase(image, max(top, 0), max(left, 0), height, width, v=torch.tensor(0.0))
        )


@pytest.mark.parametrize(
    ("ours", "theirs", "different"),
    [
        (lambda x: crop(x, 1, generator=drawn()), v2.RandomCrop(4, padding=1, padding_mode="reflect"), 9),
        (lambda x: flip(x, generator=drawn()), v2.RandomHorizontalFlip(), 2),
    ],
)
def test_the_outcomes_are_torchvisions_and_as_frequent(ours, theirs, different):
    many = images(1, 4, 4).expand(450, 3, 4, 4)
    got = outcomes(ours(many))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        want = outcomes(torch.stack([theirs(image) for image in many]))
    assert len(got) == different
    assert set(got) == set(want)
    for counts in (got, want):
        assert min(counts.values()) > 0.6 * 450 / different


@pytest.mark.parametrize("change", [flip, lambda x, **g: crop(x, 2, **g), lambda x, **g: cutout(x, 3, **g)])
def test_augmentation_draws_anew_and_leaves_its_input_alone(change):
    x = images(32)
    before, place = x.clone(), drawn()
    first, second = (change(x, generator=place) for _ in range(2))
    assert first.shape == second.shape == x.shape
    assert first.dtype == x.dtype
    assert torch.equal(x, before)
    assert not torch.equal(first, second)
    assert torch.equal(change(x, generator=drawn()), first)


def test_a_padding_of_nothing_moves_nothing():
    assert torch.equal(crop(images(5), 0), images(5))


@pytest.mark.parametrize("padding", [-1, 10])
def test_a_padding_that_cannot_be_reflected_is_refused(padding):
    with pytest.raises(ValueError, match=f"padding is {padding}: images of 10x14 reflect 0 to 9 pixels"):
        crop(images(2), padding)


CHANGES = {
    "flip": flip,
    "crop": lambda x, **options: crop(x, 2, **options),
    "cutout": lambda x, **options: cutout(x, 3, **options),
}
changes = pytest.mark.parametrize("name", CHANGES)


@changes
@pytest.mark.parametrize("dtype", augment.DTYPES, ids=str)
def test_images_of_every_dtype_are_moved_as_they_are(name, dtype):
    x = (images(6) % 120).to(dtype)
    got = CHANGES[name](x, generator=drawn())
    assert got.dtype == dtype
    assert torch.equal(got, CHANGES[name](images(6) % 120, generator=drawn()).to(dtype))


@changes
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_moved_like_any_number(name, value):
    x = images(6)
    x[:, 1, 4] = value
    want = CHANGES[name](torch.where(x.isfinite(), x, -1.0), generator=drawn())
    got = CHANGES[name](x, generator=drawn())
    assert torch.equal(got.nan_to_num(-1, -1, -1), want)


@changes
def test_the_order_in_memory_does_not_matter(name):
    x = images(6)
    turned = x.to(memory_format=torch.channels_last)
    assert torch.equal(CHANGES[name](turned, generator=drawn()), CHANGES[name](x, generator=drawn()))


@changes
def test_gradients_reach_the_pixels_that_are_left(name):
    x = images(6).requires_grad_()
    CHANGES[name](x, generator=drawn()).sum().backward()
    assert x.grad.sum() == (CHANGES[name](torch.ones_like(x), generator=drawn())).sum()


@changes
@pytest.mark.parametrize("shape", [(0, 3, 10, 14), (2, 0, 10, 14)])
def test_a_batch_without_images_or_channels_goes_through(name, shape):
    assert CHANGES[name](torch.zeros(shape)).shape == shape


@changes
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(3, 10, 14), r"expects images as a tensor \(N, C, H, W\), got Tensor \(3, 10, 14\)\. .*x\[None\]"),
        (np.zeros((2, 3, 10, 14), np.uint8), r"got ndarray \(2, 3, 10, 14\)\. .*torch\.from_numpy"),
        ([1, 2], "got list"),
        (torch.zeros(2, 3, 0, 14), "expects images with pixels, got 0x14"),
        (torch.zeros(2, 3, 10, 14).to(torch.uint16), r"no way to move torch\.uint16: convert the images first"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(name, x, words):
    with pytest.raises(ValueError, match=f"{name} .*{words}"):
        CHANGES[name](x)


@changes
def test_a_generator_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=r"generator is int: give torch\.Generator"):
        CHANGES[name](images(2), generator=7)


@pytest.mark.parametrize("amount", [2.0, "2", None, 1.5])
def test_a_size_that_is_no_whole_number_is_refused_before_anything_is_drawn(amount):
    place = drawn()
    for name, change in {"padding": crop, "size": cutout}.items():
        with pytest.raises(ValueError, match=f"{name} is .*: give a whole number"):
            change(images(2), amount, generator=place)
    assert torch.equal(place.get_state(), drawn().get_state())


def test_whole_numbers_of_numpy_and_torch_are_taken():
    for change in (crop, cutout):
        for amount in (np.int64(3), torch.tensor(3)):
            assert torch.equal(change(images(4), amount, generator=drawn()), change(images(4), 3, generator=drawn()))


@pytest.mark.parametrize("size", [0, -3])
def test_a_cutout_of_nothing_is_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}: give a whole number from 1 up"):
        cutout(images(2), size)


@pytest.mark.parametrize(
    ("x", "y", "size", "words"),
    [
        (images(3), torch.arange(4), 2, "x has 3 examples, y has 4: one label for each image"),
        (images(3), torch.arange(3), 0, "batch_size is 0: give a whole number from 1 up"),
        (images(3), torch.arange(3), 2.5, r"batch_size is 2\.5: give a whole number"),
        (images(3), [0, 1, 2], 2, r"expects y as a tensor \(N, \.\.\.\), got list"),
        (images(3), torch.tensor(3), 2, r"expects y as a tensor \(N, \.\.\.\), got Tensor \(\)"),
    ],
)
def test_batches_refuse_what_does_not_fit_at_the_call(x, y, size, words):
    with pytest.raises(ValueError, match=words):
        batches(x, y, size)


def test_of_no_examples_there_is_no_batch():
    assert list(batches(images(0), torch.arange(0), 4)) == []
