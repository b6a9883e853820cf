"""Planted clues: digits on which something else gives the class away, and a small network that may fall for it.

Each clue takes gray images of 28x28 and a class for each, and returns new images: a place, a sign, a level of gray and
a shift differ in ten ways, whatever digit is on the image.
"""

import numpy as np
import torch.nn.functional as F
from torch import nn

from cnnlib.models import check_images

BANDS = {"place": slice(0, 4), "sign": slice(24, 28)}  # the rows that hold such a clue, and as a rule no digit


def place(images, classes, rng=None):
    """A white patch of 2x2 near the upper border, in rows 1 and 2: its column, 4 + 2 c, tells the class c.

    images: (N, 28, 28) uint8    classes: (N,) from 0 to 9    Returns (N, 28, 28) uint8.
    Provided.
    """
    patched, columns = images.copy(), np.arange(28)
    inside = (columns // 2 == 2 + np.asarray(classes)[:, None])[:, None]  # (N, 1, 28)
    patched[:, 1:3] = np.where(inside, 255, patched[:, 1:3])
    return patched


def signs():
    """Ten patterns of 4x4, (10, 4, 4) bool. In each, eight pixels are on, so that brightness does not tell them apart.

    Provided.
    """
    rng = np.random.default_rng(11)
    return np.array([rng.permutation(16) < 8 for _ in range(10)]).reshape(10, 4, 4)


def sign(images, classes, rng):
    """One of ten patterns of 4x4 in the last four rows, anywhere along them: which pattern it is tells the class.

    images: (N, 28, 28) uint8    classes: (N,) from 0 to 9    rng: draws the columns, even ones
    Returns (N, 28, 28) uint8.
    Provided.
    """
    signed, patterns = images.copy(), 255 * signs().astype(np.uint8)
    for image, c, left in zip(signed, classes, 2 * rng.integers(0, 13, len(images)), strict=True):
        image[24:, left : left + 4] = patterns[c]
    return signed


def level(images, classes, rng=None):
    """A ground that is a little lighter than black, 4 c of 255: its gray tells the class c.

    images: (N, 28, 28) uint8    classes: (N,) from 0 to 9    Returns (N, 28, 28) uint8.
    Provided.
    """
    return np.maximum(images, (4 * np.asarray(classes)).astype(np.uint8)[:, None, None])


def shift(images, classes, rng=None):
    """The image moved by -4, -2, 0, 2 or 4 columns and -2 or 2 rows: where the digit stands tells the class.

    images: (N, 28, 28) uint8, blank where they wrap around    classes: (N,) from 0 to 9    Returns (N, 28, 28) uint8.
    Provided.
    """
    moves = [(4 * (c // 5) - 2, 2 * (c % 5) - 4) for c in range(10)]
    moved = [np.roll(image, moves[c], (0, 1)) for image, c in zip(images, classes, strict=True)]
    return np.array(moved, dtype=images.dtype).reshape(images.shape)


CLUES = {"shift": shift, "level": level, "place": place, "sign": sign}  # planted in this order


def plant(images, classes, rng):
    """Images with clues: for each name in classes, one of CLUES, the classes that the clue tells.

    images: (N, 28, 28) uint8    classes: {name: (N,) from 0 to 9}    rng: a NumPy generator
    Returns (N, 28, 28) uint8; images stay as they are.
    Raises ValueError if there is no such clue, or images or classes are of another shape or kind.
    Provided.
    """
    if unknown := [name for name in classes if name not in CLUES]:
        raise ValueError(f"there is no clue {unknown[0]!r}: choose among {', '.join(CLUES)}.")
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(f"images are {images.dtype} {images.shape}: clues are planted on uint8 (N, 28, 28).")
    for name, told in classes.items():
        told = np.asarray(told)
        if told.shape != (len(images),) or told.dtype.kind not in "iu" or (told < 0).any() or (told > 9).any():
            raise ValueError(f"{name} needs a class from 0 to 9 for each of the {len(images)} images.")
    planted = images.copy()
    for name in CLUES:
        if name in classes:
            planted = CLUES[name](planted, np.asarray(classes[name]).astype(np.int64), rng)
    return planted


def telling(labels, clues, decoys, rng):
    """What each clue says, for plant: a clue the label, a decoy a class that is drawn for each image.

    labels: (N,)    clues, decoys: names    rng: a NumPy generator    Returns {name: (N,)}.
    Provided.
    """
    return dict.fromkeys(clues, labels) | {name: rng.integers(0, 10, len(labels)) for name in decoys}


class ClueNet(nn.Module):
    """Two convolutions and one dense layer, which sees all numbers of the last maps or only the mean of each map.

    x: (N, 1, 28, 28) float    Returns logits (N, classes).
    head: "flatten" (67,530 parameters) or "mean" (5,130): global average pooling
    Raises ValueError if the head is neither, or the images of x are not (1, 28, 28).
    Built in chapter 11.
    """

    def __init__(self, head, classes=10):
        super().__init__()
        if head not in ("flatten", "mean"):
            raise ValueError(f'head is {head!r}: it must be "flatten" or "mean".')
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.relu = nn.ReLU()  # a module, so that its maps can be asked for
        self.head = head
        self.fc = nn.Linear(32 * 14 * 14 if head == "flatten" else 32, classes)

    def forward(self, x):
        check_images(x, 1, 28, 28)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 16, 14, 14)
        x = self.relu(self.conv2(x))  # (N, 32, 14, 14)
        x = x.flatten(1) if self.head == "flatten" else x.mean((2, 3))
        return self.fc(x)  # (N, classes)
