"""The questions of exercise 03, Convolution in full."""

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.ops", "scipy", "torch", "skimage", "cv2")
OPTIONS = list(itertools.product(range(1, 4), range(4), range(1, 4)))  # stride, padding, dilation of 03.5


def stops(size, kernel, stride=1, padding=0, dilation=1):
    """How often a window fits along one axis. Provided."""
    return 1 + (size + 2 * padding - dilation * (kernel - 1) - 1) // stride


def framed(x, before, after, rows="constant", columns="wrap"):
    """Images with a frame: zeros above and below, columns that go round; other modes of np.pad are slips. Provided."""
    x = np.pad(x, ((0, 0), (0, 0), (0, 0), (before, after)), mode=columns)
    return np.pad(x, ((0, 0), (0, 0), (before, after), (0, 0)), mode=rows)


def layer(x, w, b, stride=1, padding=0, dilation=1, **modes):
    """A convolution of panoramas with all its options, by windows. Provided."""
    x = framed(x, padding, padding, **modes)
    spans = [dilation * (k - 1) + 1 for k in w.shape[2:]]
    windows = sliding_window_view(x, spans, axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return np.einsum("ncijkl,fckl->nfij", windows, w) + b[:, None, None]


def marks(size, kernel_size, stride=1, padding=0):
    """How often each pixel of the padded image is used. Provided."""
    count = np.zeros([n + 2 * padding for n in size], dtype=int)
    for top in range(0, count.shape[0] - kernel_size[0] + 1, stride):
        for left in range(0, count.shape[1] - kernel_size[1] + 1, stride):
            count[top : top + kernel_size[0], left : left + kernel_size[1]] += 1
    return count


def visits(size, kernel_size, stride=1, padding=0):
    """How often each pixel is used. Provided."""
    count = marks(size, kernel_size, stride, padding)
    return count[padding : padding + size[0], padding : padding + size[1]]


def draw_predictions(rng):
    """The three numbers of 03.1; nothing is drawn. Provided."""
    return [Case("size", call="rows"), Case("size", call="columns"), Case("learned", call="learned")]


def uneven(size, kernel, stride, padding, dilation):
    """How often a window fits, with a padding for each end. Provided."""
    return stops(size + sum(padding), kernel, stride, 0, dilation)


MISTAKES = {  # wrong ways to count stops, for 03.2
    "Rounded up: the last window hangs over the edge, and does not count.": lambda n, k, s, p, d: uneven(
        n + s - 1, k, s, p, d
    ),
    "The padding is added at both ends.": lambda n, k, s, p, d: stops(n + p[0], k, s, 0, d),
    "That is the padding before the first pixel, twice: each end has its own.": lambda n, k, s, p, d: stops(
        n, k, s, p[0], d
    ),
    "That is the padding after the last pixel, twice: each end has its own.": lambda n, k, s, p, d: stops(
        n, k, s, p[1], d
    ),
    "Where is the padding?": lambda n, k, s, p, d: stops(n, k, s, 0, d),
    "The window is wider than its number of weights: they are dilation apart.": lambda n, k, s, p, d: uneven(
        n, k, s, p, 1
    ),
    "The window spans less than dilation times kernel: between 3 weights there are 2 gaps.": lambda n, k, s, p, d: (
        uneven(n, d * k, s, p, 1)
    ),
    "One stop is missing: the first, at 0. The strides are counted from there.": lambda n, k, s, p, d: (
        uneven(n, k, s, p, d) - 1
    ),
    "Rounded to the nearest: the last window hangs over the edge, and does not count.": lambda n, k, s, p, d: (
        1 + round((n + sum(p) - d * (k - 1) - 1) / s)
    ),
    "These are the stops with stride 1.": lambda n, k, s, p, d: uneven(n, k, 1, p, d),
    "Do not divide the stops of stride 1: the first stop is free, whole strides follow it.": lambda n, k, s, p, d: (
        uneven(n, k, 1, p, d) // s
    ),
}


def draw_stops(rng):
    """Calls with all options, drawn until no known mistake gives the right answers or those of another. Provided."""
    while True:
        calls = [(int(rng.integers(20, 40)), int(rng.integers(2, 6)), 1, (0, 0), 1)]
        for left_over in (0, -1, 0, -1, 1):  # pixels beyond the last stop, as an index into 0 .. stride - 1
            kernel, stride = (int(rng.integers(low, high)) for low, high in [(3, 6), (3, 5)])
            padding, dilation = tuple(int(n) for n in rng.integers(0, 5, 2)), int(rng.integers(2, 4))
            room = int(rng.integers(3, 8)) * stride + range(stride)[left_over]
            calls.append((room + dilation * (kernel - 1) + 1 - sum(padding), kernel, stride, padding, dilation))
        answers = {tuple(count(*call) for call in calls) for count in (uneven, *MISTAKES.values())}
        if len(answers) == 1 + len(MISTAKES):
            return [Case("stops", {"calls": calls})]


def each(count):
    """A cause of 03.2: what a mistaken count makes of every call. Provided."""
    return lambda calls: {f"for output_size{tuple(call)}": count(*call) for call in calls}


def draw_layers(rng):
    """Odd and unequal sizes; in one case `y + b` fits: as many filters as output columns. Then races, on fresh arrays.
    Provided."""
    sizes = [
        ("padding", (2, 3, 7, 9), (4, 3, 3, 2), (1, 1, 1)),
        ("padding", (1, 2, 4, 5), (2, 2, 4, 5), (1, 2, 1)),
        ("stride and dilation", (2, 3, 10, 14), (5, 3, 2, 3), (3, 1, 1)),
        ("stride and dilation", (2, 1, 9, 6), (3, 1, 3, 2), (2, 2, 1)),
        ("stride and dilation", (2, 3, 11, 13), (4, 3, 2, 3), (1, 2, 3)),
        ("stride and dilation", (1, 2, 10, 14), (3, 2, 3, 2), (2, 1, 2)),
        *[("speed", (8, 2, 12, 15), (8, 2, 2, 3), (1, 1, 1))] * 3,
    ]
    cases = []
    for part, shape, filters, (stride, padding, dilation) in sizes:
        arrays = {"x": rng.standard_normal(shape), "w": rng.standard_normal(filters)}
        arrays["b"] = rng.standard_normal(filters[0])
        against = "by_loops(x, w, b)" if part == "speed" else None
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        cases.append(Case(part, arrays | options, against=against))
    return cases


def draw_visits(rng):
    """Sizes that the windows tile exactly, and sizes that leave a rest. Provided."""
    fixed = [
        ("no padding", (7, 9), (3, 2), 1, 0),
        ("no padding", (10, 14), (2, 3), 3, 0),
        ("padding", (10, 14), (2, 3), 3, 1),
        ("padding", (6, 9), (3, 5), 2, 2),
    ]
    names = ("size", "kernel_size", "stride", "padding")
    cases = [Case(part, dict(zip(names, options, strict=True))) for part, *options in fixed]
    for part, padding in [("no padding", 0), ("padding", int(rng.integers(1, 3)))]:
        height, width = (int(n) for n in rng.integers(8, 14, 2))
        options = (height, width + (width == height)), (int(rng.integers(3, 5)), 2), int(rng.integers(2, 4)), padding
        cases.append(Case(part, dict(zip(names, options, strict=True))))
    return cases


def shapes(x, w):
    """Output size of each set of options under which a window fits. Provided."""
    found = {}
    for stride, padding, dilation in OPTIONS:
        sizes = [stops(n, k, stride, padding, dilation) for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
        if min(sizes) >= 1:
            found[stride, padding, dilation] = tuple(sizes)
    return found


def draw_lost_options(rng):
    """Layers whose options their output size tells, and layers where several sets fit. Provided."""
    cases = {"size decides": [], "numbers decide": []}
    while min(map(len, cases.values())) < 3:
        height, width = (int(n) for n in rng.integers(9, 15, 2))
        x = rng.standard_normal((1, 2, height, width))
        w = rng.standard_normal((2, 2, int(rng.integers(2, 4)), int(rng.integers(2, 4))))
        found = shapes(x, w)
        options = list(found)[rng.integers(len(found))]
        fitting = [one for one in found if found[one] == found[options]]
        part = "size decides" if len(fitting) == 1 else "numbers decide"
        first_or_last = len(fitting) > 1 and options in (fitting[0], fitting[-1])
        if not cases[part] and len(set(options)) < 3:  # in one case no two options are equal
            continue
        if min(found[options]) >= 3 and not first_or_last and len(cases[part]) < 3:
            y = layer(x, w, np.zeros(len(w)), *options)
            cases[part].append(Case(part, {"x": x, "w": w, "y": y}))
    return [case for drawn in cases.values() for case in drawn]


def only_shape(*sizes):
    """An array that stands for its shape alone. Provided."""
    return np.full(sizes, np.nan)


def rounded_up(x, w, b, stride, padding, dilation):
    """The shape with a ceiling for the floor. Provided."""
    more = [n + stride - 1 for n in x.shape[2:]]
    sizes = [stops(n, k, stride, padding, dilation) for n, k in zip(more, w.shape[2:], strict=True)]
    return only_shape(len(x), len(w), *sizes)


def stride_not_in_index(x, w, b, stride, padding, dilation, want):
    """The published mistake: the right shape, windows one pixel apart. Provided."""
    return layer(x, w, b, 1, padding, dilation)[:, :, : want.shape[2], : want.shape[3]]


def kernel_sizes_swapped(x, w, b, stride, padding, dilation):
    """The shape with K and L mixed up. Provided."""
    sizes = [stops(n, k, stride, padding, dilation) for n, k in zip(x.shape[2:], w.shape[:1:-1], strict=True)]
    return only_shape(len(x), len(w), *(max(n, 0) for n in sizes))


def one_image(x, w, b, stride, padding, dilation, want):
    """The first image only, the rest left at zero. Provided."""
    return np.concatenate([want[:1], np.zeros_like(want[1:])])


def one_sided(x, w, b, stride, padding, dilation):
    """Padding in front only. Provided."""
    return layer(framed(x, padding, 0), w, b, stride, 0, dilation)


def both_in_front(x, w, b, stride, padding, dilation):
    """All the padding in front. Provided."""
    return layer(framed(x, 2 * padding, 0), w, b, stride, 0, dilation)


def padding_at_one_end(x, w, b, stride, padding, dilation):
    """The shape with padding counted once. Provided."""
    sizes = [stops(n - padding, k, stride, padding, dilation) for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    return only_shape(len(x), len(w), *(max(n, 0) for n in sizes))


def last_missing(size, kernel_size, stride, padding):
    """The walk ends one pixel early: a window that ends exactly at the edge is lost. Provided."""
    H, W = (n + 2 * padding for n in size)
    count = np.zeros((H, W), dtype=int)
    for top in range(0, H - kernel_size[0], stride):
        for left in range(0, W - kernel_size[1], stride):
            count[top : top + kernel_size[0], left : left + kernel_size[1]] += 1
    return count[padding : padding + size[0], padding : padding + size[1]]


def hanging(size, kernel_size, stride, padding):
    """Every window that starts on the padded image, even if it hangs over the edge. Provided."""
    H, W = (n + 2 * padding for n in size)
    count = np.zeros((H, W), dtype=int)
    for top in range(0, H, stride):
        for left in range(0, W, stride):
            count[top : top + kernel_size[0], left : left + kernel_size[1]] += 1
    return count[padding : padding + size[0], padding : padding + size[1]]


QUESTIONS = [
    Question(
        id="03.1",
        kind="predict",
        call="rows",
        parts={"size": 1, "learned": 1},
        draw=draw_predictions,
        causes=(
            Cause("rounded up", "Rounded up: is there room for that last window, to its end?", 6, "size"),
            Cause(
                "columns for rows",
                "That is right for the columns. Rows: 10 pixels, 2 weights; and no window may hang over.",
                5,
                "size",
            ),
            Cause(
                "rows for columns",
                "That is right for the rows. Columns: 14 pixels and 3 weights; and there is padding at both ends.",
                4,
                "size",
            ),
            Cause("padding left out", "One stop is missing. Did you count the padding, and the first stop?", 3, "size"),
            Cause("stride left out", "That is with stride 1, pixel by pixel.", 11, "size"),
            Cause("stride left out", "That is with stride 1, pixel by pixel.", 14, "size"),
            Cause(
                "groups left out",
                "That is the layer without groups. How many of the 24 channels does a filter see?",
                12996,
                "learned",
            ),
            Cause("biases left out", "The weights are right. Is anything else learned?", 3240, "learned"),
            Cause("both left out", "That is the layer without groups, and without its biases.", 12960, "learned"),
            Cause("one group", "That is one of the four groups. The layer has all of them.", 819, "learned"),
            Cause(
                "a bias for each kernel",
                "There is one bias for a filter, not for each of its kernels.",
                3456,
                "learned",
            ),
            Cause("one channel", "That is with one channel for each filter. Six belong to a group.", 576, "learned"),
        ),
    ),
    Question(
        id="03.2",
        kind="complete",
        call="{f'for output_size{tuple(call)}': output_size(*call) for call in calls}",
        parts={"stops": 1},
        draw=draw_stops,
        forbid=OURS,
        causes=tuple(Cause(says, says, each(count)) for says, count in MISTAKES.items()),
    ),
    Question(
        id="03.3",
        kind="complete",
        call="conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation)",
        parts={"padding": 1, "stride and dilation": 1, "speed": 1},
        draw=draw_layers,
        uses=("03.2",),
        forbid=OURS,
        causes=(
            Cause(
                "stride not in the index",
                "The shape is right, but the windows stand one pixel apart: i counts stops, not pixels.",
                stride_not_in_index,
            ),
            Cause("rounded up", "The last window hangs over the edge: floor, not ceiling.", rounded_up),
            Cause(
                "zeros at the sides",
                "You pad with zeros on all sides. The columns of a panorama go round.",
                lambda x, w, b, **options: layer(x, w, b, **options, columns="constant"),
            ),
            Cause(
                "rows go round",
                "Your rows go round as well. Above and below a panorama there are zeros.",
                lambda x, w, b, **options: layer(x, w, b, **options, rows="wrap"),
            ),
            Cause(
                "the wrong axis goes round",
                "Your rows go round, your columns do not: it should be the other way about.",
                lambda x, w, b, **options: layer(x, w, b, **options, rows="wrap", columns="constant"),
            ),
            Cause(
                "columns repeated",
                "You repeat the column at the edge. The column beyond the left edge is the last one.",
                lambda x, w, b, **options: layer(x, w, b, **options, columns="edge"),
            ),
            Cause(
                "columns mirrored",
                "You mirror the image at its sides. The column beyond the left edge is the last one.",
                lambda x, w, b, **options: layer(x, w, b, **options, columns="reflect"),
            ),
            Cause(
                "kernel flipped",
                "Your kernel runs backwards along both axes: w[f, c, 0, 0] meets the top left pixel of the window.",
                lambda x, w, b, **options: layer(x, w[:, :, ::-1, ::-1], b, **options),
            ),
            Cause(
                "channels flipped",
                "The channels meet in reverse order.",
                lambda x, w, b, **options: layer(x, w[:, ::-1], b, **options),
            ),
            Cause(
                "bias missing",
                "Each filter's bias is missing.",
                lambda x, w, b, **options: layer(x, w, 0 * b, **options),
            ),
            Cause(
                "bias on the columns",
                "The bias went to the columns: NumPy lines up axes from the right, and b belongs to axis 1.",
                lambda x, w, b, want, **options: want - b[:, None, None] + b if len(b) == want.shape[3] else None,
            ),
            Cause(
                "bias many times",
                "The bias is added once for every channel: once for each stop is enough.",
                lambda x, w, b, **options: layer(x, w, x.shape[1] * b, **options),
            ),
            Cause(
                "first channel only",
                "Only the first channel is used: the window is a box (C, K, L).",
                lambda x, w, b, **options: layer(x[:, :1], w[:, :1], b, **options),
            ),
            Cause(
                "last channel only",
                "Only the last channel is left: add the channels, do not assign them.",
                lambda x, w, b, **options: layer(x[:, -1:], w[:, -1:], b, **options),
            ),
            Cause(
                "mean of the products",
                "These are means over the window. Add the products, and do not divide.",
                lambda x, w, b, **options: layer(x, w / w[0].size, b, **options),
            ),
            Cause(
                "mean of the channels",
                "The partial sums of the channels are averaged. They must be added.",
                lambda x, w, b, **options: layer(x, w / w.shape[1], b, **options),
            ),
            Cause("one image", "Only the first image of the batch is done.", one_image),
            Cause(
                "padding forgotten",
                "There is room for fewer stops than there should be: the padding is missing.",
                lambda x, w, b, stride, padding, dilation: only_shape(
                    len(x), len(w), *layer(x, w, b, stride, 0, dilation).shape[2:]
                ),
            ),
            Cause("padding in front", "Padding goes on all four sides of the image.", one_sided),
            Cause(
                "all padding in front", "Padding goes on all four sides of the image, the same on each.", both_in_front
            ),
            Cause("padding at one end", "Padding goes on all four sides of the image.", padding_at_one_end),
            Cause(
                "dilation forgotten",
                "This is dilation 1: neighboring weights must meet pixels that are dilation apart.",
                lambda x, w, b, stride, padding, dilation, want: layer(x, w, b, stride, padding)[
                    :, :, : want.shape[2], : want.shape[3]
                ],
            ),
            Cause(
                "dilation forgotten",
                "There are as many stops as with dilation 1, but the window is wider.",
                lambda x, w, b, stride, padding, dilation: only_shape(*layer(x, w, b, stride, padding).shape),
            ),
            Cause(
                "K and L swapped",
                "Rows are counted by H and K, columns by W and L: look where you use which.",
                kernel_sizes_swapped,
            ),
        ),
    ),
    Question(
        id="03.4",
        kind="complete",
        call="usage(size, kernel_size, stride=stride, padding=padding)",
        parts={"no padding": 1, "padding": 1},
        draw=draw_visits,
        forbid=OURS,
        causes=(
            Cause(
                "assigned",
                "Used or not used is known, but not how often: add 1, do not assign it.",
                lambda want, **_: (want > 0).astype(int),
            ),
            Cause(
                "frame left on",
                "The padding is still there: report the pixels of the image only.",
                lambda size, padding, **_: only_shape(*(n + 2 * padding for n in size)),
                "padding",
            ),
            Cause(
                "padding forgotten",
                "These are the counts without padding: windows can start outside the image.",
                lambda size, kernel_size, stride, padding: visits(size, kernel_size, stride),
                "padding",
            ),
            Cause(
                "cut from the corner",
                "The frame was cut off on one side only: the image begins after the padding.",
                lambda size, kernel_size, stride, padding: marks(size, kernel_size, stride, padding)[
                    : size[0], : size[1]
                ],
                "padding",
            ),
            Cause(
                "stride left out",
                "These are the counts with stride 1.",
                lambda size, kernel_size, stride, padding: visits(size, kernel_size, 1, padding),
            ),
            Cause(
                "K and L swapped",
                "The kernel has K rows and L columns; here they are mixed up.",
                lambda size, kernel_size, stride, padding: visits(size, kernel_size[::-1], stride, padding),
            ),
            Cause(
                "one window too few",
                "The last window is missing: it starts at size minus kernel, included.",
                last_missing,
            ),
            Cause(
                "hanging windows counted",
                "Windows that hang over the edge are counted. They do not exist.",
                hanging,
            ),
        ),
    ),
    Question(
        id="03.5",
        kind="explore",
        call="find_options(x, w, y)",
        parts={"size decides": 1, "numbers decide": 1},
        draw=draw_lost_options,
        uses=("03.3",),
        forbid=OURS,
        causes=(
            Cause(
                "order",
                "The three numbers are right, their order is not: stride, padding, dilation.",
                lambda want, **_: (want[1], want[0], want[2]),
            ),
            Cause(
                "order",
                "The three numbers are right, their order is not: stride, padding, dilation.",
                lambda want, **_: (want[0], want[2], want[1]),
            ),
            Cause(
                "first that fits",
                "These options give an output of the right size, but with other numbers. Compare the numbers as well.",
                lambda x, w, y: next(one for one, size in shapes(x, w).items() if size == y.shape[2:]),
                "numbers decide",
            ),
            Cause(
                "last that fits",
                "These options give an output of the right size, but with other numbers. Compare the numbers as well.",
                lambda x, w, y: [one for one, size in shapes(x, w).items() if size == y.shape[2:]][-1],
                "numbers decide",
            ),
        ),
    ),
]
