"""Batches and augmentation on whole tensors: what torchvision's transforms do to one image, done to all at once."""

import pytest
import torch

from cnnlib.data import batches, crop, cutout, flip
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
