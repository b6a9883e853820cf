"""Batches of images, and random changes that leave their labels true: on whole tensors, without worker processes.

Each image of a batch is changed in its own way. All draws come from a generator on the CPU, so that a seed means the
same changes on every device. Images of every dtype below are moved exactly as they are.
"""

import operator

import torch

DTYPES = (  # what PyTorch can turn and move; its wider unsigned integers and its 8-bit floats are for storing only
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
)


def batches(x, y, batch_size, *, generator=None):
    """The examples in a new order, batch by batch; the last batch may be shorter, and of no examples there is none.

    x, y: (N, ...) tensors    generator: a torch.Generator that draws the order, or None for torch's own
    Yields pairs of (B, ...) and (B, ...). The order is drawn at the call.
    Raises ValueError if x and y differ in length, or batch_size is no whole number from 1 up.
    Provided.
    """
    for name, value in {"x": x, "y": y}.items():
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            raise ValueError(f"batches expects {name} as a tensor (N, ...), got {_described(value)}.")
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} examples, y has {len(y)}: one label for each image, please.")
    size = _whole(batch_size, "batch_size", least=1)
    _check_generator(generator)
    order = torch.randperm(len(y), generator=generator)
    return ((x[indices], y[indices]) for indices in order.split(size) if len(indices))


def flip(x, *, generator=None):
    """Turn each image from left to right with probability one half.

    x: (N, C, H, W) tensor    generator: a torch.Generator to draw from, or None for torch's own
    Returns a tensor like x; x stays as it is.
    Raises ValueError if x is not such a tensor.
    Built in chapter 10.
    """
    _check("flip", x, generator)
    turn = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
    return torch.where(turn[:, None, None, None], x.flip(3), x)


def crop(x, padding, *, generator=None):
    """Move each image by up to `padding` pixels along both axes; what comes in at a border is a reflection.

    The same as reflect padding on all sides and then a random crop of the old size.
    x: (N, C, H, W) tensor    padding: pixels, 0 to min(H, W) - 1    generator: as in flip
    Returns a tensor like x; x stays as it is.
    Raises ValueError if x is not such a tensor, or if padding is no whole number in that range: beyond it there is no
    pixel to reflect.
    Built in chapter 10.
    """
    _check("crop", x, generator)
    count, channels, height, width = x.shape
    padding = _whole(padding, "padding")
    if not 0 <= padding < min(height, width):
        raise ValueError(
            f"padding is {padding}: images of {height}x{width} reflect 0 to {min(height, width) - 1} pixels."
        )

    def positions(size):  # (N, size): for each image, which row (or column) comes where
        shift = torch.randint(-padding, padding + 1, (count, 1), generator=generator)
        inside = (torch.arange(size) + shift).abs()
        return (size - 1 - (size - 1 - inside).abs()).to(x.device)

    rows, columns = positions(height), positions(width)
    places = (width * rows[:, :, None] + columns[:, None, :]).flatten(1)  # (N, H * W): in the flattened maps
    return x.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).reshape(x.shape)


def cutout(x, size, *, generator=None):
    """Blank a square of each image, its center anywhere, cut off at the border (DeVries and Taylor 2017).

    x: (N, C, H, W) tensor, normalized, so that 0 is the mean    size: pixels, from 1 up    generator: as in flip
    Returns a tensor like x; x stays as it is.
    Raises ValueError if x is not such a tensor, or if size is no whole number from 1 up.
    Built in chapter 10.
    """
    _check("cutout", x, generator)
    size = _whole(size, "size", least=1)

    def covered(pixels):  # (N, pixels): is this row (or column) within the square?
        center = torch.randint(0, pixels, (len(x), 1), generator=generator)
        distance = torch.arange(pixels) - (center - size // 2)
        return ((distance >= 0) & (distance < size)).to(x.device)

    rows, columns = covered(x.shape[2]), covered(x.shape[3])
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def _check(function, x, generator):
    """Raise ValueError unless x is a batch of images, and the generator one to draw from."""
    if not isinstance(x, torch.Tensor) or x.ndim != 4:
        raise ValueError(
            f"{function} expects images as a tensor (N, C, H, W), got {_described(x)}. Is it an array still "
            "(torch.from_numpy), or does it lack an axis (x[None] for one image, x[:, None] for gray ones)?"
        )
    if x.dtype not in DTYPES:
        raise ValueError(f"{function} has no way to move {x.dtype}: convert the images first, x.to(torch.float32).")
    if 0 in x.shape[2:]:
        raise ValueError(f"{function} expects images with pixels, got {x.shape[2]}x{x.shape[3]}.")
    _check_generator(generator)


def _check_generator(generator):
    if generator is not None and not (isinstance(generator, torch.Generator) and generator.device.type == "cpu"):
        raise ValueError(
            f"generator is {_described(generator)}: give torch.Generator().manual_seed(k), on the CPU even for images "
            "on a GPU, or None."
        )


def _whole(value, name, least=None):
    """A whole number, checked: whatever operator.index takes, from `least` up."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}: give a whole number.") from None
    if least is not None and number < least:
        raise ValueError(f"{name} is {number}: give a whole number from {least} up.")
    return number


def _described(value):
    """What came, in a few words."""
    if isinstance(value, torch.Generator):
        return f"a generator on {value.device}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} {tuple(shape)}"
