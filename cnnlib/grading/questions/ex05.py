"""The questions of exercise 05, Send the gradient back."""

from dataclasses import replace

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.ops", "cnnlib.ledger", "scipy", "torch", "skimage", "cv2")


def draw_predictions(rng):
    """The three numbers of 05.1; nothing is drawn. Provided."""
    return [Case("dx", call="dx_middle"), Case("dw and db", call="dw_right"), Case("dw and db", call="db")]


def draw_conv(rng):
    """Odd, unequal sizes; some rows and columns that no window reaches. Provided."""
    sizes = [
        ("stride 1", (2, 4, 6, 9), (4, 2, 3), 1, 0),
        ("stride 1", (3, 2, 7, 5), (2, 3, 2), 1, 0),
        ("stride and padding", (2, 3, 8, 11), (3, 3, 2), 2, 1),
        ("stride and padding", (3, 2, 9, 12), (2, 2, 4), 3, 0),
        ("stride and padding", (3, 2, 5, 8), (2, 3, 2), 1, 2),
    ]
    cases = []
    for options, shape, size, s, p in sizes:
        H, W = (1 + (n + 2 * p - k) // s for n, k in zip(shape[2:], size[1:], strict=True))
        x, w, dy = (rng.standard_normal(m) for m in (shape, size, (*shape[:2], H, W)))
        inputs = {"dy": dy, "x": x, "w": w, "stride": s, "padding": p}
        call = "depthwise_backward(dy, x, w, stride=stride, padding=padding)"
        cases += [Case(f"{name}, {options}", inputs, call=f"{call}[{k}]") for k, name in enumerate(("dx", "dw"))]
    return cases


def slipped(which, **slips):
    """A cause's function: dx or dw of `walk_back` with these slips. Provided."""
    return lambda dy, x, w, stride, padding: walk_back(dy, x, w, stride, padding, **slips)[which]


def draw_pool(rng):
    """Windows that overlap or leave gaps, without ties; then images full of them. Provided."""
    sizes = [
        ("overlaps", (2, 3, 8, 11), 3, 2),
        ("overlaps", (2, 2, 5, 7), 2, 1),
        ("overlaps", (1, 2, 9, 13), 2, 3),
        ("ties", (2, 3, 7, 10), 3, 3),
        ("ties", (2, 2, 7, 9), 2, 2),
        ("ties", (2, 2, 6, 9), 3, 2),
    ]
    cases = []
    for part, shape, k, s in sizes:
        x = rng.integers(-2, 1, shape).astype(float) if part == "ties" else rng.standard_normal(shape) - 1
        dy = rng.standard_normal((*shape[:2], *(1 + (n - k) // s for n in shape[2:])))
        cases.append(Case(part, {"dy": dy, "x": x, "kernel_size": k, "stride": s}))
    return cases


def draw_logits(rng):
    """Ordinary logits; logits far from 0 but near each other, and logits far apart. Provided."""
    near = rng.standard_normal((5, 4)) + np.array([1e4, -1e4, 2e4, 0, -3e4])[:, None]
    far = 1e4 * rng.uniform(0.5, 2, (6, 3)) * rng.choice([-1, 1], (6, 3))
    batches = [("ordinary", 2 * rng.standard_normal((5, 7))), ("ordinary", rng.standard_normal((3, 4)))]
    batches += [("large", near), ("large", far)]
    cases = [Case(part, {"logits": z, "labels": rng.integers(0, z.shape[1], len(z))}) for part, z in batches]
    return [replace(case, inputs=case.inputs | {"smoothing": rng.uniform(0.1, 0.5)}) for case in cases]


def walk_back(dy, x, w, stride, padding, *, kernel=None, steps=None, images=None, add=True, crop=None):
    """Depthwise convolution backward over the windows, with the usual slips built in. Provided."""
    (H, W), (K, L), p = x.shape[2:], w.shape[1:], padding
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    stride, kernel, images = steps or stride, w if kernel is None else kernel, images or slice(None)
    for i, j in np.ndindex(dy.shape[2:]):
        spot = np.s_[:, :, i * stride : i * stride + K, j * stride : j * stride + L]
        d = dy[:, :, i, j, None, None]
        dx[spot] = add * dx[spot] + d * kernel
        dw += (d * x[spot])[images].sum(axis=0)
    crop = p if crop is None else crop
    return dx[:, :, crop : crop + H, crop : crop + W], dw


def whole_frame(dy, x, w, stride, padding):
    """The frame of the padding left on dx. Provided."""
    p = padding
    framed = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return walk_back(dy, framed, w, stride, 0)[0]


def pay(dy, x, kernel_size, stride, *, sign=-1, **slips):
    """What the largest pixels get, plus `sign` times what the smallest get, with the usual slips. Provided."""
    return pay_largest(dy, x, kernel_size, stride, **slips) + sign * pay_largest(dy, -x, kernel_size, stride, **slips)


def pay_largest(dy, x, kernel_size, stride, *, share="first", add=True, steps=None):
    """Max pooling backward, with the usual slips built in. Provided."""
    dx, K, steps = np.zeros_like(x), kernel_size, steps or stride
    for n, c, i, j in np.ndindex(dy.shape):
        spot = np.s_[n, c, i * steps : i * steps + K, j * steps : j * steps + K]
        won = x[spot] == x[spot].max()
        first = np.zeros(K * K)
        if share == "first":
            first[x[spot].argmax()] = 1
        elif share == "last":
            first[K * K - 1 - x[spot].ravel()[::-1].argmax()] = 1
        elif share == "column":
            first.reshape(K, K).T.flat[x[spot].T.argmax()] = 1
        else:
            first = {"split": won / won.sum(), "all": won}[share]
        route = np.reshape(first, (K, K))
        dx[spot] = dx[spot] + dy[n, c, i, j] * route if add else np.where(route, dy[n, c, i, j] * route, dx[spot])
    return dx


def softmax(z, axis=1):
    """Probabilities, without overflow. Provided."""
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def truth(z, labels, smoothing):
    """Smoothed labels. Provided."""
    return (1 - smoothing) * np.eye(z.shape[1])[labels] + smoothing / z.shape[1]


def to_others(z, labels, smoothing):
    """Labels whose smoothing went to the other classes only. Provided."""
    ones = truth(z, labels, 0)
    return (1 - smoothing) * ones + smoothing * (1 - ones) / (z.shape[1] - 1)


def both_options(*known):
    """The causes of 05.2, each (dx or dw, what to say, what it gives), for both sets of options. Provided."""
    options = ("stride 1", "stride and padding")
    return tuple(Cause(says, says, wrong, f"{name}, {more}") for name, says, wrong in known for more in options)


QUESTIONS = [
    Question(
        id="05.1",
        kind="predict",
        call="dx_middle",
        parts={"dx": 1, "dw and db": 1},
        draw=draw_predictions,
        causes=(
            Cause(
                "kernel not turned",
                "You laid the kernel on dy as it is. Which weight lay on the middle pixel in the first window?",
                36,
                "dx",
            ),
            Cause("kernel mirrored", "Rows and columns of the kernel are swapped.", 31, "dx"),
            Cause("mean for sum", "That is an average over the windows. A pixel collects the sum.", 7.5, "dx"),
            Cause("first window", "That is the first window alone. In how many is the middle pixel?", 8, "dx"),
            Cause("pixels", "That is dy times pixels. Pixels are what the weights collect.", 58, "dx"),
            Cause("sum of dy", "That is the sum of dy. It reaches a pixel through the weights.", 10, "dx"),
            Cause("dy turned", "You turned dy. A weight meets its pixels in their own order.", 31, "dw and db"),
            Cause("other corner", "That is the lower left weight. Rows run downwards.", 15, "dw and db"),
            Cause("upper left", "That is the upper left weight.", 50, "dw and db"),
            Cause("mean of dw", "That is an average. A weight collects the sum over windows.", 11.75, "dw and db"),
            Cause("mean of db", "That is the mean of dy. The bias collects the sum over positions.", 2.5, "dw and db"),
            Cause("one position", "That is dy at one position. The bias is in every output.", 7, "dw and db"),
            Cause("first position", "That is dy at one position. The bias is in every output.", 2, "dw and db"),
            Cause("counted", "You counted the outputs. Each hands back its dy.", 4, "dw and db"),
            Cause("bias per output", "Sum over positions: one bias, one number.", [[2, 0], [1, 7]], "dw and db"),
        ),
    ),
    Question(
        id="05.2",
        kind="complete",
        call="depthwise_backward(dy, x, w, stride=stride, padding=padding)",
        parts={f"{name}, {options}": 1 for options in ("stride 1", "stride and padding") for name in ("dx", "dw")},
        draw=draw_conv,
        forbid=OURS,
        causes=both_options(
            ("dx", "These are dw and dx. First dx, then dw.", slipped(1)),
            ("dw", "These are dw and dx. First dx, then dw.", slipped(0)),
            (
                "dx",
                "Your dx has the kernel the wrong way round. Which weight lay on which pixel of a window?",
                lambda w, **case: walk_back(w=w, kernel=w[:, ::-1, ::-1], **case)[0],
            ),
            (
                "dx",
                "Your dx adds the channels up: a pixel of channel c is in output channel c only.",
                lambda want, **_: np.repeat(want.sum(axis=1, keepdims=True), want.shape[1], axis=1),
            ),
            (
                "dw",
                "Your dw adds the channels up: each channel has a kernel of its own.",
                lambda want, **_: np.repeat(want.sum(axis=0, keepdims=True), len(want), axis=0),
            ),
            (
                "dw",
                "Your dw still has an axis for the images: a kernel collects from all of them.",
                lambda want, x, **_: np.full((len(x), *want.shape), np.nan),
            ),
            ("dx", "Your windows stand too close together: window i starts at i * stride.", slipped(0, steps=1)),
            ("dw", "Your windows stand too close together: window i starts at i * stride.", slipped(1, steps=1)),
            (
                "dx",
                "The last window overwrites what the others brought: where windows overlap, dx is a sum.",
                slipped(0, add=False),
            ),
            (
                "dw",
                "Your dw comes from the last image alone. A kernel meets every image of the batch.",
                slipped(1, images=slice(-1, None)),
            ),
            (
                "dw",
                "Your dw comes from the first image alone. A kernel meets every image of the batch.",
                slipped(1, images=slice(0, 1)),
            ),
            (
                "dw",
                "Your dw is an average over the images. It is a sum: the 1/N of a loss is in dy already.",
                lambda want, x, **_: want / len(x),
            ),
            ("dx", "Your dx still has the frame of the padding. The frame is no pixel.", whole_frame),
            (
                "dx",
                "Your dx is cropped at the lower right only. The padding is on all four sides.",
                slipped(0, crop=0),
            ),
            ("dx", "Your dx has height and width swapped.", lambda want, **_: want.swapaxes(2, 3)),
            ("dw", "Your dw has the kernel's height and width swapped.", lambda want, **_: want.swapaxes(1, 2)),
        ),
    ),
    Question(
        id="05.3",
        kind="complete",
        call="range_pool2d_backward(dy, x, kernel_size, stride)",
        parts={"overlaps": 1, "ties": 1},
        draw=draw_pool,
        forbid=OURS,
        causes=(
            Cause(
                "max pooling",
                "That is max pooling: the smallest pixel of a window has a slope too.",
                lambda **case: pay_largest(**case),
            ),
            Cause(
                "min pooling",
                "That is for the smallest pixels. The largest pixel of a window has a slope too.",
                lambda dy, x, **case: -pay_largest(dy, -x, **case),
            ),
            Cause(
                "sum for difference",
                "The smallest pixel is subtracted in the layer: its slope is -1.",
                lambda **case: pay(sign=1, **case),
            ),
            Cause("sign turned", "The signs are turned: plus for the largest.", lambda want, **_: -want),
            Cause(
                "= for +=",
                "A pixel that wins several windows collects from all of them: add.",
                lambda **case: pay(add=False, **case),
            ),
            Cause(
                "ties split",
                "You share dy among equal pixels. The first of them takes it all.",
                lambda **case: pay(share="split", **case),
            ),
            Cause(
                "ties paid to all",
                "You pay dy to each of the equal pixels: more goes back than came. Only the first gets it.",
                lambda **case: pay(share="all", **case),
            ),
            Cause(
                "last wins",
                "You pay the last of the equal pixels. It should be the first, row by row.",
                lambda **case: pay(share="last", **case),
            ),
            Cause(
                "first by columns",
                "You pay the first of the equal pixels column by column. Go row by row.",
                lambda **case: pay(share="column", **case),
            ),
            Cause(
                "stride ignored",
                "Your windows stand too close together: window i starts at i * stride.",
                lambda **case: pay(steps=1, **case),
            ),
            Cause("H and W swapped", "Height and width are swapped.", lambda want, **_: want.swapaxes(2, 3)),
        ),
    ),
    Question(
        id="05.4",
        kind="complete",
        call="smoothed_backward(logits, labels, smoothing)",
        parts={"ordinary": 1, "large": 1},
        draw=draw_logits,
        forbid=OURS,
        causes=(
            Cause(
                "no 1/N",
                "N times too large: the loss is an average over the batch.",
                lambda want, **_: want * len(want),
            ),
            Cause(
                "divided by the classes",
                "You divided by the number of classes. The average runs over the batch.",
                lambda want, **_: want * len(want) / want.shape[1],
            ),
            Cause(
                "mean of all entries",
                "You divided by the number of all entries. The average runs over the batch alone.",
                lambda want, **_: want / want.shape[1],
            ),
            Cause("sign turned", "The sign is turned: probability minus truth.", lambda want, **_: -want),
            Cause(
                "truth left out",
                "These are probabilities. Where does the truth come in?",
                lambda logits, labels, smoothing: softmax(logits) / len(labels),
            ),
            Cause(
                "not smoothed",
                "That is for a truth of 1 at the label. Part of it is spread over all classes.",
                lambda logits, labels, smoothing: (softmax(logits) - truth(logits, labels, 0)) / len(labels),
            ),
            Cause(
                "spread over the others",
                "The share is spread over all classes, the label included: K of them, not K - 1.",
                lambda logits, labels, smoothing: (
                    (softmax(logits) - to_others(logits, labels, smoothing)) / len(labels)
                ),
            ),
            Cause(
                "spread twice",
                "Your truth adds up to more than 1: what is spread is taken from the label first.",
                lambda logits, labels, smoothing: (
                    (softmax(logits) - truth(logits, labels, 0) - smoothing / logits.shape[1]) / len(labels)
                ),
            ),
            Cause(
                "only taken away",
                "Your truth adds up to less than 1: what is taken from the label goes to all classes.",
                lambda logits, labels, smoothing: (
                    (softmax(logits) - (1 - smoothing) * truth(logits, labels, 0)) / len(labels)
                ),
            ),
            Cause(
                "softmax over the batch",
                "Your probabilities add up to 1 along the batch. They should along the classes.",
                lambda logits, labels, smoothing: (softmax(logits, 0) - truth(logits, labels, smoothing)) / len(labels),
            ),
            Cause(
                "clipped",
                "Clipping makes all large logits equal. What can you subtract from a row instead?",
                lambda logits, labels, smoothing: (
                    (softmax(np.clip(logits, -700, 700)) - truth(logits, labels, smoothing)) / len(labels)
                ),
            ),
        ),
    ),
]
