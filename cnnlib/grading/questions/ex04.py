"""The questions of exercise 04, Pooling and the receptive field."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.ops", "cnnlib.ledger", "scipy", "torch", "skimage", "cv2")


def windows(x, kernel_size, stride, padding, value=0.0):
    """All windows of a padded batch, (N, C, H', W', K, K). Provided."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=value)
    return sliding_window_view(x, (kernel_size, kernel_size), axis=(2, 3))[:, :, ::stride, ::stride]


def max_pool(x, kernel_size, stride, padding, value=-np.inf):
    """Max pooling; `value` stands in the padding. Provided."""
    return windows(x, kernel_size, stride, padding, value).max(axis=(4, 5))


def mean_pool(x, kernel_size, stride, padding):
    """Average pooling that counts the zeros of the padding. Provided."""
    return windows(x, kernel_size, stride, padding).mean(axis=(4, 5))


def mean_of_real(x, kernel_size, stride, padding):
    """Average pooling of the real pixels alone. Provided."""
    ones = np.ones_like(x)
    return mean_pool(x, kernel_size, stride, padding) / mean_pool(ones, kernel_size, stride, padding)


def draw_predictions(rng):
    """The two numbers of 04.1; nothing is drawn. Provided."""
    return [Case("average", call="corner_average"), Case("field", call="field")]


def pool_cases(rng, sizes, below=0.0):
    """Cases for (part, batch shape, kernel, stride, padding), signed, most numbers below zero. Provided."""
    return [
        Case(part, {"x": rng.standard_normal(shape) - below, "kernel_size": k, "stride": s, "padding": p})
        for part, shape, k, s, p in sizes
    ]


def draw_max(rng):
    """Windows side by side with rest; then overlaps, gaps and padding, on images of both signs, on dark ones, after
    ReLU, and on numbers below any that a padding might be given. Provided."""
    sizes = [
        ("side by side", (2, 3, 8, 8), 2, 2, 0),
        ("side by side", (2, 3, 10, 14), 3, 3, 0),
        ("overlap and padding", (2, 3, 9, 12), 3, 2, 0),
        ("overlap and padding", (2, 3, 10, 14), 3, 2, 1),
        ("overlap and padding", (1, 2, 11, 7), 2, 3, 1),
    ]
    cases = pool_cases(rng, sizes[:1], below=0.5) + pool_cases(rng, sizes[1:2], below=2.0)
    cases += pool_cases(rng, sizes[2:3], below=0.5) + pool_cases(rng, sizes[3:], below=2.0)
    after_relu = np.maximum(rng.standard_normal((2, 2, 7, 10)), 0)
    below_all = 1e30 * (rng.standard_normal((1, 2, 5, 8)) - 9)
    options = {"kernel_size": 3, "stride": 2, "padding": 1}
    return [*cases, *(Case("overlap and padding", {"x": x, **options}) for x in (after_relu, below_all))]


def draw_average(rng):
    """Averages without and with padding, on odd sizes; then of an image that has zeros of its own. Provided."""
    sizes = [
        ("no padding", (2, 3, 10, 14), 3, 2, 0),
        ("no padding", (1, 2, 7, 9), 2, 2, 0),
        ("padding", (2, 3, 10, 14), 3, 2, 1),
        ("padding", (2, 1, 9, 6), 4, 3, 2),
    ]
    dark = np.maximum(rng.standard_normal((2, 2, 7, 10)), 0)
    return [*pool_cases(rng, sizes), Case("padding", {"x": dark, "kernel_size": 3, "stride": 2, "padding": 1})]


def draw_stacks(rng):
    """Stacks of three or four layers, all with some stride, and an index; the first number may lie before the image.
    Provided."""

    def stack(n, plain):
        kernels, strides = rng.integers(2, 6, n), rng.integers(2, 4, n)
        paddings = np.zeros(n, int) if plain else rng.integers(1, 3, n)
        dilations = np.ones(n, int) if plain else rng.integers(2, 5, n)
        return [tuple(layer) for layer in np.stack([kernels, strides, paddings, dilations], axis=1).tolist()]

    cases = [("no padding or dilation", 3, True), ("no padding or dilation", 4, True)]
    cases += [("padding and dilation", 3, False), ("padding and dilation", 4, False)]
    drawn = [Case(part, {"layers": stack(n, plain), "i": int(rng.integers(2, 9))}) for part, n, plain in cases]
    return [*drawn, *(Case(cases[k][0], {"layers": stack(3, k == 0), "i": 0}) for k in (0, 2))]


def draw_orders(rng):
    """Two maps each, the average below the largest number, all signs. Provided."""
    cases = []
    for shape in [(4, 4), (3, 5), (1, 2)]:
        blocks = rng.standard_normal((*shape, 4))
        cases.append(Case("both maps", {"largest": blocks.max(-1), "average": blocks.mean(-1)}))
    return cases


def judge_order(got, case, want):
    """Pool the image both ways. Provided."""
    largest, average = case.inputs["largest"], case.inputs["average"]
    got = np.asarray(got)
    if got.dtype.kind not in "fi":
        return "Want an array of numbers."
    if got.shape != want.shape:
        return f"got shape {got.shape}, want {want.shape}: twice as many rows and columns as the maps."
    blocks = got.reshape(len(largest), 2, -1, 2)
    for name, pooled, asked in [
        ("max pooling", blocks.max(axis=(1, 3)), largest),
        ("average pooling", blocks.mean(axis=(1, 3)), average),
    ]:
        wrong = np.argwhere(~np.isclose(pooled, asked, rtol=1e-7, atol=1e-9))
        if len(wrong):
            i, j = map(int, wrong[0])
            return f"{name} of your image gives {pooled[i, j]:.4g} at [{i}, {j}], want {asked[i, j]:.4g}."
    return None


def follow(layers, i, *, late=True, dilate=True, pad="jump", add=False):
    """Field, jump and start of a stack, with the usual slips built in. Provided."""
    jump, field, start = 1, 1, 0
    for kernel, stride, padding, dilation in layers:
        following = jump + stride if add else jump * stride
        now = jump if late else following
        field += (dilation if dilate else 1) * (kernel - 1) * now
        start -= padding * {"jump": jump, "plain": 1, "none": 0}[pad]
        jump = following
    first = start + i * jump
    return first, first + field - 1


def no_jump(layers, i):
    """Every step counted as one pixel. Provided."""
    field = 1 + sum(dilation * (kernel - 1) for kernel, _, _, dilation in layers)
    first = i - sum(padding for _, _, padding, _ in layers)
    return first, first + field - 1


def first_window(x, kernel_size, stride, padding, reduce):
    """Stops taken for pixels: the right number of windows, all close together. Provided."""
    shape = windows(x, kernel_size, stride, padding).shape
    return reduce(windows(x, kernel_size, 1, padding, -np.inf)[:, :, : shape[2], : shape[3]], axis=(4, 5))


def one_sided(pool, twice):
    """A cause's function: all padding in front, once or twice as much. Provided."""

    def wrong(x, kernel_size, stride, padding):
        p, value = padding * (2 if twice else 1), -np.inf if pool is max_pool else 0
        x = np.pad(x, ((0, 0), (0, 0), (p, 0), (p, 0)), constant_values=value)
        if pool is max_pool:
            return pool(x, kernel_size, stride, 0)
        ones = np.pad(np.ones(x[:, :, p:, p:].shape), ((0, 0), (0, 0), (p, 0), (p, 0)))
        return mean_pool(x, kernel_size, stride, 0) / mean_pool(ones, kernel_size, stride, 0)

    return wrong


def zeros_left_out(x, kernel_size, stride, padding):
    """The average of what is not 0. Provided."""
    seen = windows(x, kernel_size, stride, padding)
    return seen.sum((4, 5)) / np.maximum((seen != 0).sum((4, 5)), 1)


def by_size(x, kernel_size, stride, padding):
    """The number of each window that is farthest from zero, sign and all. Provided."""
    seen = windows(x, kernel_size, stride, padding)
    seen = seen.reshape(*seen.shape[:4], -1)
    return np.take_along_axis(seen, np.abs(seen).argmax(-1)[..., None], -1)[..., 0]


def fixed_padding(x, kernel_size, stride, padding, got):
    """Max pooling with the padding that would give the largest of these results. Provided."""
    return max_pool(x, kernel_size, stride, padding, got.max())


def every_pixel(x, kernel_size, stride, padding):
    """Stride 1 whatever is asked. Provided."""
    return max_pool(x, kernel_size, 1, padding)


def rounded_up(x, kernel_size, stride, padding):
    """A last window that hangs over the edge is kept: ceil for floor. Provided."""
    stops = [-(-(n + 2 * padding - kernel_size) // stride) + 1 for n in x.shape[2:]]
    return np.full((*x.shape[:2], *stops), np.nan)


QUESTIONS = [
    Question(
        id="04.1",
        kind="predict",
        call="corner_average",
        parts={"average": 1, "field": 1},
        draw=draw_predictions,
        causes=(
            Cause("other corner", "That is the upper right corner. Rows run downwards.", 11, "average"),
            Cause("upper left", "That is the upper left corner.", 8, "average"),
            Cause("lower right", "That is the lower right corner.", 29, "average"),
            Cause("largest", "That is the window's largest number. Average pooling was asked for.", 33, "average"),
            Cause("sum", "That is the sum. Divide by the number of pixels in the window.", 234, "average"),
            Cause("no jump", "Behind the pooling, one step is worth more than one pixel.", 9, "field"),
            Cause(
                "added up", "Kernels do not add up: a window of K reaches K - 1 steps beyond its first.", 11, "field"
            ),
            Cause("stride too early", "A layer's own stride counts only for the layers after it.", 21, "field"),
            Cause("jump", "That is the jump, how far neighbors are apart. How far does one number see?", 3, "field"),
        ),
    ),
    Question(
        id="04.2",
        kind="complete",
        call="max_pool2d(x, kernel_size, stride, padding)",
        parts={"side by side": 1, "overlap and padding": 2},
        draw=draw_max,
        forbid=OURS,
        causes=(
            Cause(
                "zero padding",
                "Your padding wins: zeros are larger than negative pixels. Which number never wins?",
                lambda x, kernel_size, stride, padding: max_pool(x, kernel_size, stride, padding, 0.0),
            ),
            Cause(
                "starts from zero",
                "Nothing of yours is below 0: does your maximum start from zeros? Every number here may be negative.",
                lambda want, **_: np.maximum(want, 0),
            ),
            Cause(
                "mean for maximum",
                "These are averages. Take the largest number of each window.",
                mean_pool,
            ),
            Cause(
                "farthest from zero",
                "You take the number that is farthest from zero. The largest is the one farthest up: -1 beats -5.",
                by_size,
            ),
            Cause(
                "smallest",
                "These are the smallest numbers of the windows.",
                lambda x, kernel_size, stride, padding: windows(x, kernel_size, stride, padding, np.inf).min((4, 5)),
            ),
            Cause(
                "largest size",
                "You compare without the sign: -5 is smaller than -1.",
                lambda x, kernel_size, stride, padding: max_pool(np.abs(x), kernel_size, stride, padding),
            ),
            Cause("stride ignored", "Your window moves by one pixel. It should move by `stride`.", every_pixel),
            Cause(
                "stops taken for pixels",
                "The shape is right, but your windows stand too close together: window i starts at i * stride.",
                lambda x, kernel_size, stride, padding: first_window(x, kernel_size, stride, padding, np.max),
            ),
            Cause(
                "always side by side",
                "Your windows lie side by side whatever `stride` says.",
                lambda x, kernel_size, stride, padding: max_pool(x, kernel_size, kernel_size, padding),
            ),
            Cause(
                "padding ignored",
                "The padding is left out.",
                lambda x, kernel_size, stride, padding: max_pool(x, kernel_size, stride, 0),
            ),
            Cause(
                "fixed number in the padding",
                "Your padding wins where all pixels are smaller still. Which number is below every other?",
                fixed_padding,
            ),
            Cause("padding in front", "The padding goes on all four sides.", one_sided(max_pool, False)),
            Cause("all in front", "The padding goes on all four sides, the same on each.", one_sided(max_pool, True)),
            Cause(
                "last window kept",
                "A window that hangs over the edge is dropped: the floor, //, does it.",
                rounded_up,
            ),
            Cause(
                "channels pooled",
                "The maximum ran over the channels too. Each channel is pooled by itself.",
                lambda want, **_: np.broadcast_to(want.max(axis=1, keepdims=True), want.shape),
            ),
        ),
    ),
    Question(
        id="04.3",
        kind="complete",
        call="avg_pool2d(x, kernel_size, stride, padding)",
        parts={"no padding": 1, "padding": 1},
        draw=draw_average,
        forbid=OURS,
        causes=(
            Cause("padding counted", "You divide by the window's size. How many of its numbers are pixels?", mean_pool),
            Cause(
                "sum",
                "These are sums. Divide by the number of pixels.",
                lambda x, kernel_size, stride, padding: windows(x, kernel_size, stride, padding).sum((4, 5)),
            ),
            Cause("maximum", "These are the largest numbers, not the averages.", max_pool),
            Cause(
                "divided by K",
                "A window has K * K pixels, not K.",
                lambda x, kernel_size, stride, padding: kernel_size * mean_pool(x, kernel_size, stride, padding),
            ),
            Cause(
                "padding ignored",
                "The padding is left out: the windows stand elsewhere then.",
                lambda x, kernel_size, stride, padding: mean_pool(x, kernel_size, stride, 0),
            ),
            Cause(
                "stride ignored",
                "Your window moves by one pixel. It should move by `stride`.",
                lambda x, kernel_size, stride, padding: mean_of_real(x, kernel_size, 1, padding),
            ),
            Cause(
                "zeros left out",
                "A pixel that is 0 is a pixel, too. Count places, not numbers that differ from 0.",
                zeros_left_out,
            ),
            Cause("padding in front", "The padding goes on all four sides.", one_sided(mean_of_real, False)),
            Cause(
                "all in front", "The padding goes on all four sides, the same on each.", one_sided(mean_of_real, True)
            ),
            Cause("last window kept", "A window that hangs over the padded edge is dropped.", rounded_up),
        ),
    ),
    Question(
        id="04.4",
        kind="complete",
        call="pixels_seen(layers, i)",
        parts={"no padding or dilation": 1, "padding and dilation": 1},
        draw=draw_stacks,
        forbid=OURS,
        causes=(
            Cause(
                "stride too early",
                "A layer's own stride counts only for the layers after it.",
                lambda layers, i: follow(layers, i, late=False),
            ),
            Cause("no jump", "You count every step as one pixel. Behind a stride it is worth more.", no_jump),
            Cause(
                "strides added", "Strides multiply, they do not add up.", lambda layers, i: follow(layers, i, add=True)
            ),
            Cause("always number 0", "That is number 0. Where does `i` come in?", lambda layers, i: follow(layers, 0)),
            Cause(
                "cut off at the image",
                "The first number may lie in the padding, before pixel 0: leave it negative.",
                lambda want, **_: (max(want[0], 0), max(want[1], 0)),
            ),
            Cause(
                "end excluded",
                "Your last pixel is one too far: both ends are included.",
                lambda want, **_: (want[0], want[1] + 1),
            ),
            Cause(
                "first and field",
                "The second number should be the last pixel, not how many there are.",
                lambda want, **_: (want[0], want[1] - want[0] + 1),
            ),
            Cause(
                "dilation ignored",
                "A dilated window reaches further: its numbers are `dilation` apart.",
                lambda layers, i: follow(layers, i, dilate=False),
            ),
            Cause(
                "padding ignored",
                "The padding is left out. It moves the first pixel to the left.",
                lambda layers, i: follow(layers, i, pad="none"),
            ),
            Cause(
                "padding in pixels",
                "Padding of a later layer is in steps of its own map: each is worth a jump.",
                lambda layers, i: follow(layers, i, pad="plain"),
            ),
            Cause(
                "layers in the wrong order",
                "Is the first layer of the list the one next to the image? Walk back from the last.",
                lambda layers, i: follow(layers[::-1], i),
            ),
        ),
    ),
    Question(
        id="04.5",
        kind="explore",
        call="image_for(largest, average)",
        parts={"both maps": 1},
        draw=draw_orders,
        forbid=OURS,
        judge=judge_order,
    ),
]
