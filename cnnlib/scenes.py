"""Generated scenes in which every pixel has a class, and the scores of labels: IoU and Dice, near borders too."""

import numpy as np

CLASSES = ("ground", "disk", "square", "triangle")


def load(split):
    """The scenes of the course, always the same: 600 to learn from ("train"), 400 to be tested on ("test").

    Returns images (N, 64, 64) uint8 and labels (N, 64, 64) uint8, indices of CLASSES.
    Raises ValueError on another split.
    Provided.
    """
    sizes = {"train": (600, 15), "test": (400, 16)}
    if split not in sizes:
        raise ValueError(f'there is no split {split!r} of the scenes: choose "train" or "test".')
    count, seed = sizes[split]
    return draw(count, np.random.default_rng(seed))


def draw(count, rng, *, size=64):
    """Gray scenes of four to eight disks, squares and triangles that hide each other, in uneven light, with noise.

    Brightness, place, size and angle of a shape are drawn, whatever its class; the three shapes are equally large.
    rng: a NumPy generator    Returns images (N, size, size) uint8 and labels (N, size, size) uint8, indices of CLASSES.
    Raises ValueError if count is below 1 or size below 16.
    Provided.
    """
    if count < 1 or size < 16:
        raise ValueError(f"{count} scenes of {size} pixels a side: at least one, of 16 pixels or more, can be drawn.")
    scenes = [one_scene(rng, size) for _ in range(count)]
    images, labels = (np.stack(part) for part in zip(*scenes, strict=True))
    noisy = images + rng.normal(0, 0.05, images.shape)
    return np.rint(255 * noisy.clip(0, 1)).astype(np.uint8), labels


def one_scene(rng, size):
    """A scene without its noise, (size, size) float from 0 to 1, and its labels, (size, size) uint8.

    Provided.
    """
    rows, columns = np.mgrid[:size, :size] / size  # 0 to 1
    ground = rng.uniform(0.25, 0.75)
    image, labels = np.full((size, size), ground), np.zeros((size, size), np.uint8)
    for kind in rng.integers(1, len(CLASSES), rng.integers(4, 9)):
        (y, x), radius, angle = rng.uniform(0.05, 0.95, 2), rng.uniform(0.09, 0.15), rng.uniform(-0.3, 0.3)
        inside = shape(kind, rows - y, columns - x, radius, angle)
        contrast = rng.uniform(0.2, 0.4) * rng.choice([-1, 1])
        image[inside], labels[inside] = ground + contrast, kind
    angle, strength = rng.uniform(0, 7), rng.uniform(0, 0.6)  # the light falls off along one direction
    return image * (1 + strength * ((rows - 0.5) * np.sin(angle) + (columns - 0.5) * np.cos(angle))), labels


def shape(kind, y, x, radius, angle):
    """Which points lie in a shape around 0, as large as a disk of that radius and turned by an angle.

    kind: an index of CLASSES from 1 on    y, x: arrays of one shape    Returns an array of bool of that shape.
    Provided.
    """
    if CLASSES[kind] == "disk":
        return y**2 + x**2 < radius**2
    corners, inner = (4, np.sqrt(np.pi) / 2) if CLASSES[kind] == "square" else (3, np.sqrt(np.pi / np.sqrt(27)))
    angles = angle + 2 * np.pi * np.arange(corners) / corners  # of the sides: inside, no side is farther than inner
    return np.max([y * np.sin(a) + x * np.cos(a) for a in angles], axis=0) < inner * radius


def count_pairs(got, want, classes, where=None):
    """How often each true class was given each label: pairs[i, j] pixels of class i were labeled j.

    got, want: integers from 0 to classes - 1, of one shape    where: bool, the pixels that count; None for all
    Returns (classes, classes) int64.
    Raises ValueError if the shapes differ.
    Built in chapter 15.
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        raise ValueError(f"got labels {got.shape} for true labels {want.shape}: take argmax over the classes first.")
    where = np.ones(want.shape, bool) if where is None else where
    codes = classes * want[where].astype(np.int64) + got[where]
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)


def iou(pairs):
    """Intersection over union of each class; nan for a class that is neither there nor claimed.

    pairs: (classes, classes), from count_pairs    Returns (classes,) from 0 to 1.
    Built in chapter 15.
    """
    hits, both = pairs.diagonal(), pairs.sum(0) + pairs.sum(1)
    return np.divide(hits, both - hits, out=np.full(len(pairs), np.nan), where=both > 0)


def dice(pairs):
    """Twice the intersection over the sum of both areas, for each class; nan for one neither there nor claimed.

    pairs: (classes, classes), from count_pairs    Returns (classes,) from 0 to 1.
    Built in chapter 15.
    """
    hits, both = pairs.diagonal(), pairs.sum(0) + pairs.sum(1)
    return np.divide(2 * hits, both, out=np.full(len(pairs), np.nan), where=both > 0)


def near_borders(labels, within=2):
    """Which pixels have another class within so many rows and columns.

    labels: (N, H, W) integers    within: pixels    Returns (N, H, W) bool.
    Built in chapter 15.
    """
    padded = np.pad(labels, [(0, 0), (within, within), (within, within)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * within + 1,) * 2, axis=(1, 2))
    return (windows != labels[..., None, None]).any((3, 4))  # at the edge of an image, its own pixels are repeated
