"""The questions of exercise 02, Slide a kernel."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.ops", "scipy", "torch", "numpy.convolve", "numpy.correlate", "skimage", "cv2")


def slide(x, w):
    """Correlate a row or an image with a kernel, in one line. Provided."""
    return (sliding_window_view(x, w.shape) * w).sum(axis=tuple(range(x.ndim, 2 * x.ndim)))


def around(x, w):
    """Correlate a ring with a kernel: behind the last number comes the first. Provided."""
    return slide(np.concatenate([x, x[: len(w) - 1]]), w)


def contrast(x, w):
    """The same on windows without their mean: that is the kernel without its own. Provided."""
    return slide(x, w - w.mean())


def draw_predictions(rng):
    """The two numbers of 02.1; nothing is drawn. Provided."""
    return [Case("ramp", call="ramp_answer"), Case("brighter ramp", call="brighter_answer")]


def draw_rows(rng):
    """Rings and kernels of odd and even lengths, from one number up to the whole ring. Provided."""
    sizes = [
        ("odd kernels", 11, 5),
        ("odd kernels", 6, 1),
        ("even and long kernels", 9, 4),
        ("even and long kernels", 7, 7),
    ]
    return [Case(part, {"x": rng.standard_normal(n), "w": rng.standard_normal(m)}) for part, n, m in sizes]


def images(rng, sizes):
    """Cases with an image and a kernel for each (part, image shape, kernel shape). Provided."""
    return [
        Case(part, {"x": rng.standard_normal(shape), "w": rng.standard_normal(size)}) for part, shape, size in sizes
    ]


def draw_images(rng):
    """Square images and kernels, then images 10x14 with kernels 2x3 and the other way round. Provided."""
    sizes = [
        ("square", (7, 7), (3, 3)),
        ("any size", (10, 14), (2, 3)),
        ("any size", (9, 6), (5, 2)),
        ("any size", (4, 5), (4, 5)),
        ("any size", (6, 8), (1, 3)),
    ]
    return images(rng, sizes)


def draw_flipped(rng):
    """Images and kernels that look different upside down. Provided."""
    return images(rng, [("convolution", (10, 14), (2, 3)), ("convolution", (6, 7), (3, 3))])


def draw_hidden_kernels(rng):
    """Images, and the responses of kernels that are not given away. Provided."""
    sizes = [("3x3 kernels", (12, 12), (3, 3)), ("any kernel", (10, 14), (2, 3)), ("any kernel", (13, 9), (4, 1))]
    cases = images(rng, sizes)
    return [
        Case(c.part, {"x": c.inputs["x"], "y": slide(**c.inputs), "kernel_size": c.inputs["w"].shape}) for c in cases
    ]


def one_short(x, w):
    """One window too few along each axis. Provided."""
    return slide(x, w)[(slice(-1),) * x.ndim]


def padded(x, w):
    """As many answers as pixels, zeros beyond the border. Provided."""
    return slide(np.pad(x, [((size - 1) // 2, size // 2) for size in w.shape]), w)


def means(x, w):
    """The mean of the products where their sum is wanted. Provided."""
    return slide(x, w) / w.size


def stepping(x, w):
    """Windows side by side: moved on by the kernel's length, not by one. Provided."""
    return slide(x, w)[tuple(slice(None, None, size) for size in w.shape)]


def swapped_sizes(x, w):
    """The kernel's rows and columns mixed up when the windows are counted. Provided."""
    H, W, K, L = *x.shape, *w.shape
    return np.full((H - L + 1, W - K + 1), np.nan)


SHORT = Cause(
    "one window too few",
    "One window is missing at the end: the last one starts at size minus kernel, included.",
    one_short,
)
FLIPPED = Cause(
    "kernel flipped",
    "Your kernel runs backwards: that is convolution. Here w[0] meets the first pixel of the window.",
    lambda x, w: slide(x, np.flip(w)),
)
PADDED = Cause("padded", "You let the kernel hang over the border: stop only where it fits.", padded)
MEANS = Cause("mean for sum", "These are means. Add the products up; do not divide by their number.", means)
STEPPING = Cause("kernel-wide steps", "Your window jumps by its own width. Move on by one pixel.", stepping)
FIRST = Cause(
    "first window everywhere",
    "Every entry is the first window's: does the window move?",
    lambda x, w: np.full_like(slide(x, w), slide(x, w).flat[0]),
)


def within(cause):
    """The same mistake made on windows without their mean. Provided."""
    return replace(cause, wrong=lambda x, w: cause.wrong(x, w - w.mean()))


QUESTIONS = [
    Question(
        id="02.1",
        kind="predict",
        call="ramp_answer",
        parts={"ramp": 1, "brighter ramp": 1},
        draw=draw_predictions,
        causes=(
            Cause(
                "sign",
                "The size is right. Which row does the kernel subtract, the darker or the brighter one?",
                30,
                "ramp",
            ),
            Cause(
                "other axis",
                "That is the answer of the kernel turned by 90 degrees. How much does the ramp grow downwards?",
                -6,
                "ramp",
            ),
            Cause("one row", "From the top of the window to its bottom the ramp grows twice.", -15, "ramp"),
            Cause("one column", "That is one column's share. The window has three.", -10, "ramp"),
            Cause("sign", "The size is right. Look at the sign once more.", 60, "brighter ramp"),
            Cause(
                "not scaled", "Brighter by 100 changes nothing here, but twice the contrast does.", -30, "brighter ramp"
            ),
            Cause("offset counted", "Does the 100 reach the sum? Add up the kernel's entries.", 40, "brighter ramp"),
            Cause(
                "offset counted nine times",
                "The 100 is multiplied by the sum of the kernel's entries, signs included.",
                840,
                "brighter ramp",
            ),
        ),
    ),
    Question(
        id="02.2",
        kind="complete",
        call="correlate1d(x, w)",
        parts={"odd kernels": 1, "even and long kernels": 1},
        draw=draw_rows,
        forbid=OURS,
        causes=(
            Cause(
                "no ring",
                "Your window stops at the end of the row. On a ring it goes on: behind the last number is the first.",
                slide,
            ),
            Cause(
                "one window too few",
                "One window is missing: it may start at every number.",
                lambda x, w: around(x, w)[:-1],
            ),
            Cause(
                "one window too many",
                "The first window comes twice: there are as many windows as numbers.",
                lambda x, w: np.append(around(x, w), around(x, w)[0]),
            ),
            replace(FLIPPED, wrong=lambda x, w: around(x, w[::-1])),
            Cause(
                "backwards",
                "You walk backwards from number i: the window goes on to the numbers behind it.",
                lambda x, w: np.roll(around(x, w[::-1]), len(w) - 1),
            ),
            Cause(
                "zeros",
                "Behind the last number comes the first, not zeros.",
                lambda x, w: slide(np.pad(x, (0, len(w) - 1)), w),
            ),
            Cause("padded", "Behind the last number comes the first, not zeros.", padded),
            Cause(
                "repeated",
                "Behind the last number comes the first: yours is repeated.",
                lambda x, w: slide(np.pad(x, (0, len(w) - 1), mode="edge"), w),
            ),
            Cause(
                "centered",
                "Number i is the window that starts at x[i]; yours is centered there.",
                lambda x, w: np.roll(around(x, w), len(w) // 2),
            ),
            Cause(
                "ends there",
                "Number i is the window that starts at x[i]; yours ends there.",
                lambda x, w: np.roll(around(x, w), len(w) - 1),
            ),
            replace(MEANS, wrong=lambda x, w: around(x, w) / len(w)),
            replace(STEPPING, wrong=lambda x, w: around(x, w)[:: len(w)]),
            replace(FIRST, wrong=lambda x, w: np.full_like(x, around(x, w)[0])),
        ),
    ),
    Question(
        id="02.3",
        kind="complete",
        call="correlate2d(x, w)",
        parts={"square": 1, "any size": 2},
        draw=draw_images,
        forbid=OURS,
        causes=(
            Cause(
                "no mean",
                "That is the plain correlation: subtract the window's mean from its pixels first.",
                slide,
            ),
            Cause(
                "mean of the image",
                "You subtract the mean of the whole image. Each window has a mean of its own.",
                lambda x, w: slide(x - x.mean(), w),
            ),
            Cause(
                "mean taken off the answer",
                "You subtract the mean after multiplying. Subtract it from the pixels, before.",
                lambda x, w: slide(x, w) - slide(x, np.full(w.shape, 1 / w.size)),
            ),
            within(SHORT),
            within(FLIPPED),
            Cause(
                "K and L swapped",
                "Rows are counted by H and K, columns by W and L: look where you use which.",
                swapped_sizes,
            ),
            Cause(
                "kernel transposed",
                "Your kernel is transposed: w[k, l] belongs to row k and column l of the window.",
                lambda x, w: contrast(x, w.T),
            ),
            Cause(
                "rows only",
                "Only one axis is summed, or one row of the kernel is used.",
                lambda x, w: slide(x, w[:1])[: len(x) - len(w) + 1],
            ),
            within(PADDED),
            within(MEANS),
            within(STEPPING),
            within(FIRST),
        ),
    ),
    Question(
        id="02.4",
        kind="complete",
        call="convolve2d(x, w)",
        parts={"convolution": 1},
        draw=draw_flipped,
        uses=("02.3",),
        forbid=OURS,
        causes=(
            Cause("not flipped", "That is correlation: the kernel has not been turned yet.", contrast),
            Cause(
                "rows flipped",
                "The kernel's rows run backwards, its columns do not yet.",
                lambda x, w: contrast(x, w[::-1]),
            ),
            Cause(
                "columns flipped",
                "The kernel's columns run backwards, its rows do not yet.",
                lambda x, w: contrast(x, w[:, ::-1]),
            ),
            Cause("image flipped", "Turn the kernel, not the image.", lambda x, w: contrast(np.flip(x), w)),
            Cause(
                "negated",
                "The signs are turned, not the kernel: on other images than ramps that differs.",
                lambda x, w: -contrast(x, w),
            ),
        ),
    ),
    Question(
        id="02.5",
        kind="explore",
        call="find_kernel(x, y, kernel_size)",
        parts={"3x3 kernels": 1, "any kernel": 1},
        draw=draw_hidden_kernels,
        forbid=OURS,
        rtol=1e-3,
        atol=5e-4,
        causes=(
            Cause(
                "always 3x3",
                "`kernel_size` says which shape is asked for.",
                lambda x, y, kernel_size: np.full((3, 3), np.nan),
            ),
            Cause(
                "flipped",
                "That is the kernel turned by half a turn: you solved for a convolution.",
                lambda want, **_: np.flip(want),
            ),
            Cause(
                "zeros",
                "That is where a descent starts. Does the kernel change from step to step?",
                lambda want, **_: np.zeros_like(want),
            ),
        ),
    ),
]
