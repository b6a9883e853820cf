"""The questions of exercise 09, Read someone else's network."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

LIBRARY = ("cnnlib.ledger", "cnnlib.models", "cnnlib.recipes", "cnnlib.train", "torchvision")


def draw_predictions(rng):
    """The four numbers of 09.1; nothing is drawn. Provided."""
    return [
        Case("sizes", call="flat"),
        Case("sizes", call="macs"),
        Case("totals", call="parameters"),
        Case("totals", call="possible"),
    ]


def draw_stacks(rng):
    """Stacks of layers on images of unequal sides, one question about each: shapes, parameters, MACs. Provided."""
    cases = []
    for part in ("shapes", "parameters", "MACs"):
        for _ in range(4):
            C, H, W = int(rng.integers(2, 5)) * 2, int(rng.integers(17, 24)), int(rng.integers(25, 33))
            layers = [convolution(rng, 2 * int(rng.integers(2, 5)), groups=1), ("pool", 3, 2)]
            layers += [convolution(rng, 2 * int(rng.integers(2, 5)), groups=2)]
            layers += [("global",)] if rng.random() < 0.4 else []
            layers += [("flatten",), ("linear", int(rng.integers(5, 30))), ("linear", int(rng.integers(2, 9)))]
            column = {"shapes": 0, "parameters": 1, "MACs": 2}[part]
            inputs = {"layers": tuple(layers), "size": (C, H, W), "column": column}
            cases.append(Case(part, inputs))
    return cases


def convolution(rng, filters, groups):
    """A convolution with a window of unequal sides that strides and pads. Provided."""
    K, L = ((2, 5), (3, 4), (4, 3), (5, 2))[int(rng.integers(4))]
    return ("conv", filters, K, L, int(rng.integers(2, 4)), int(rng.integers(1, 3)), groups)


def rows(layers, size, *, ceil=False, ignore_groups=False, bias=True, macs="outputs", turned=False, padding=True):
    """The rows of 09.2 with some slips built in. Provided."""
    found, shape = [], tuple(size)
    for kind, *numbers in layers:
        before, parameters, work = shape, 0, 0
        if kind == "conv":
            F, K, L, s, p, g = numbers
            K, L, p, g = *((L, K) if turned else (K, L)), p if padding else 0, 1 if ignore_groups else g
            kernel = before[0] // g * K * L
            shape = (F, *(1 + (n + 2 * p - k) // s for n, k in zip(before[1:], (K, L), strict=True)))
            parameters = F * kernel + F * bias
            places = {"outputs": shape[1:], "inputs": before[1:], "once": (1,)}[macs if macs != "biased" else "outputs"]
            work = F * kernel * int(np.prod(places)) + (int(np.prod(shape)) if macs == "biased" else 0)
        elif kind == "pool":
            K, s = numbers
            shape = (before[0], *(1 + -(-(n - K) // s) if ceil else 1 + (n - K) // s for n in before[1:]))
        elif kind == "global":
            shape = (before[0], 1, 1)
        elif kind == "flatten":
            shape = (int(np.prod(before)),)
        else:
            shape = (numbers[0],)
            parameters, work = before[0] * shape[0] + shape[0] * bias, before[0] * shape[0]
            work += shape[0] if macs == "biased" else 0
        found.append((shape, parameters, work))
    return found


def kept(**slips):
    """A cause's function for 09.2 with these slips. Provided."""

    def column(layers, size, column):
        values = [row[column] for row in rows(layers, size, **slips)]
        return [list(value) for value in values] if column == 0 else values

    return column


def draw_weights(rng):
    """Weights in Keras's layout and images (N, H, W, C): odd windows, normalization, strides. Provided."""
    sizes = [
        ("layout", (5, 8, 2), (3, 5), 4, 1),
        ("layout", (7, 6, 3), (5, 1), 5, 1),
        ("normalization", (6, 5, 2), (3, 1), 4, 1),
        ("normalization", (4, 7, 3), (1, 3), 5, 1),
        ("same", (6, 9, 2), (3, 2), 4, 2),
        ("same", (8, 10, 3), (3, 5), 5, 2),
        ("same", (7, 5, 2), (2, 4), 3, 1),
        ("same", (11, 8, 2), (2, 4), 3, 3),
    ]
    cases = []
    for part, (H, W, C), (K, L), F, stride in sizes:
        inputs = F * -(-H // stride) * -(-W // stride)
        shapes = {"kernel": (K, L, C, F), "bias": F, "dense": (inputs, 3), "dense_bias": 3}
        w = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        if part == "normalization":
            w |= {"gamma": rng.uniform(0.5, 2, F), "beta": rng.standard_normal(F), "mean": rng.standard_normal(F)}
            w |= {"var": rng.uniform(1e-3, 1e-2, F)}  # so small that the epsilon matters
        cases.append(Case(part, {"w": w, "x": rng.standard_normal((4, H, W, C)), "stride": stride}))
    return cases


def original(
    w, x, stride, *, flatten="HWC", turned=False, eps=1e-3, relu=True, zeros="end", softmaxed=False, normal=True
):
    """The logits of 09.3, channels last, with some slips built in. Provided."""
    kernel = w["kernel"].transpose(1, 0, 2, 3) if turned else w["kernel"]
    pads = [around(n, k, stride, zeros) for n, k in zip(x.shape[1:3], kernel.shape, strict=False)]
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))[:, ::stride, ::stride]
    y = np.einsum("nhwckl,klcf->nhwf", windows, kernel) + w["bias"]
    if "gamma" in w and normal:
        y = (y - w["mean"]) / np.sqrt(w["var"] + eps) * w["gamma"] + w["beta"]
    y = np.maximum(y, 0) if relu else y
    y = y if flatten == "HWC" else y.transpose(0, 3, 1, 2) if flatten == "CHW" else y.transpose(0, 2, 1, 3)
    z = y.reshape(len(y), -1) @ w["dense"] + w["dense_bias"]
    return softmax(z) if softmaxed else z


def around(n, k, stride, zeros):
    """The zeros before and after an axis, and on which side the odd one stands. Provided."""
    total = max((-(-n // stride) - 1) * stride + k - n, 0)
    less, more = total // 2, total - total // 2
    return {"end": (less, more), "start": (more, less), "both": (more, more)}[zeros]


def ported(**slips):
    """A cause's function for 09.3 with these slips. Provided."""
    return lambda w, x, stride: original(w, x, stride, **slips)


def softmax(z):
    """Softmax over the last axis. Provided."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def draw_outputs(rng):
    """Logits and probabilities with labels of each kind; then one sound and ten to be refused. Provided."""
    n, c = int(rng.integers(5, 9)), int(rng.integers(3, 5))
    z, y = 2 * rng.standard_normal((n, c)), rng.integers(0, c, n)
    hot, soft, p = np.eye(c, dtype=int)[y], softmax(rng.standard_normal((n, c))), softmax(z)
    steep = np.where(hot, -800.0, 800.0) * rng.uniform(0.5, 1, (n, c))  # sure, and wrong: the exponential overflows
    good = [(z, y, True), (z, hot, True), (z, soft, True), (p, y, False), (p, soft, False), (steep, y, True)]
    far, several = y.copy(), hot.copy()
    far[int(rng.integers(n))] = c
    several[0] = 1
    bad = [(z, far, True), (z, y - c, True), (z, several, True), (z, y[:-1], True), (z, hot[:, 1:], True)]
    bad += [(z, y + 0.5, True), (z, y[:, None], True), (z, y, False), (p - 0.1, hot, False), (p / 2, y, False)]
    names = ("outputs", "labels", "from_logits")
    cases = [Case("values", dict(zip(names, case, strict=True))) for case in good]
    return cases + [Case("refusals", dict(zip(names, case, strict=True))) for case in (good[1], *bad)]


def told(
    outputs, labels, from_logits, *, sparse=False, hard=False, twice=False, total=False, spread=False, plain=False
):
    """What 09.4 gives with some slips built in, where nothing is refused. Provided."""
    c = outputs.shape[1]
    if twice and not from_logits:
        from_logits = True  # probabilities go through a softmax once more
    if plain and from_logits:  # no maximum is subtracted
        log_p = np.log(np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True))
    else:
        log_p = np.log(outputs) if not from_logits else log_softmax(outputs)
    if labels.ndim == 2 and sparse:
        losses = -np.take_along_axis(log_p, labels.astype(int), 1).mean(1)
    else:
        rows = (
            np.eye(c)[labels.argmax(1) if labels.ndim == 2 and hard else labels] if hard or labels.ndim == 1 else labels
        )
        losses = -(rows * log_p).sum(1)
    loss = losses.sum() if total else losses.mean() / (c if spread else 1)
    return {"refused": False, "loss": float(loss)}


def log_softmax(z):
    """The logarithm of softmax, safe from overflow. Provided."""
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def lost(**slips):
    """A cause's function for 09.4 with these slips. Provided."""
    return lambda **inputs: told(**inputs, **slips)


QUESTIONS = [
    Question(
        id="09.1",
        kind="predict",
        call="parameters",
        parts={"sizes": 1, "totals": 1},
        draw=draw_predictions,
        causes=(
            Cause("not padded", "The second convolution is padded: it keeps height and width.", 20 * 5 * 5, "sizes"),
            Cause("rounded up", "Pooling drops a last odd row or column: 13 becomes 6.", 20 * 7 * 6, "sizes"),
            Cause("one map", "There are 20 maps.", 36, "sizes"),
            Cause(
                "kernel turned",
                "The first window is 5 high and 3 wide, the image 30 high and 26 wide.",
                20 * 7 * 5,
                "sizes",
            ),
            Cause(
                "after the pooling",
                "The convolution works before its pooling, at 13 · 12 places.",
                20 * 108 * 36,
                "sizes",
            ),
            Cause("one channel", "A filter of the second convolution looks at all 12 maps.", 20 * 9 * 156, "sizes"),
            Cause("biases in the work", "Biases are added, not multiplied: they are no MACs.", 20 * 109 * 156, "sizes"),
            Cause("no biases", "Every filter and every unit has a bias, too.", 31_499 - 79, "totals"),
            Cause(
                "one channel, total",
                "A filter of the second convolution looks at all 12 maps.",
                31_499 - 11 * 180,
                "totals",
            ),
            Cause(
                "too many inputs",
                "Which shape arrives at the flatten? Pooling drops odd rows.",
                31_499 + 40 * 120,
                "totals",
            ),
            Cause(
                "no bias in one layer", "Write the total as a formula of F: what must be left over?", 1_280, "totals"
            ),
            Cause("biases twice", "10 · F + F and 10 · F + 10: what must be left over?", 1_300, "totals"),
        ),
    ),
    Question(
        id="09.2",
        kind="complete",
        call="column_of(book, layers, size, column)",
        parts={"shapes": 1, "parameters": 1, "MACs": 1},
        draw=draw_stacks,
        causes=(
            Cause("rounded up", "A pooling window that hangs over the edge is left out: round down.", kept(ceil=True)),
            Cause("groups", "With g groups a filter looks at only C / g of the maps.", kept(ignore_groups=True)),
            Cause("turned", "K belongs to the height and L to the width.", kept(turned=True)),
            Cause("no padding", "The padding is forgotten: it adds p zeros on each side.", kept(padding=False)),
            Cause("no bias", "Every filter and every unit has a bias, too.", kept(bias=False), "parameters"),
            Cause("biased", "Biases are added, not multiplied: they are no MACs.", kept(macs="biased"), "MACs"),
            Cause(
                "at the inputs",
                "A kernel stands once at each place of the output, not of the input.",
                kept(macs="inputs"),
                "MACs",
            ),
            Cause(
                "once", "The weights of a convolution are used at every place of its output.", kept(macs="once"), "MACs"
            ),
        ),
        forbid=LIBRARY,
    ),
    Question(
        id="09.3",
        kind="complete",
        call="logits_of(port, w, x, stride)",
        parts={"layout": 1, "normalization": 1, "same": 1},
        draw=draw_weights,
        rtol=1e-3,
        atol=1e-4,
        causes=(
            Cause(
                "flatten",
                "The dense weights wait for the order (H, W, C), and PyTorch flattens (C, H, W).",
                ported(flatten="CHW"),
            ),
            Cause(
                "flatten turned", "The dense weights wait for (H, W, C): H and W are swapped.", ported(flatten="WHC")
            ),
            Cause("kernels turned", "K and L of the kernels are swapped.", ported(turned=True)),
            Cause("eps", "Which number does Keras add to the variance? PyTorch's own is smaller.", ported(eps=1e-5)),
            Cause("no normalization", "The normalization is left out.", ported(normal=False)),
            Cause("relu", "The ReLU is missing.", ported(relu=False)),
            Cause("softmax", "You return probabilities. The network gives logits.", ported(softmaxed=True)),
            Cause(
                "zeros first",
                "An odd number of zeros: Keras puts the odd one at the bottom and right.",
                ported(zeros="start"),
            ),
            Cause(
                "zeros around", "Keras pads both sides alike only if the number of zeros is even.", ported(zeros="both")
            ),
        ),
        forbid=LIBRARY,
    ),
    Question(
        id="09.4",
        kind="complete",
        call="tried(cross_entropy, outputs, labels, from_logits)",
        parts={"values": 1, "refusals": 1},
        draw=draw_outputs,
        rtol=1e-5,
        atol=1e-7,
        causes=(
            Cause("sparse", "Rows of 0 and 1 were read as class numbers.", lost(sparse=True)),
            Cause("hard", "Rows of probabilities were turned into their largest class.", lost(hard=True)),
            Cause("twice", "Probabilities went through a softmax once more.", lost(twice=True)),
            Cause("sum", "The loss is a sum. Divide it by the number of examples.", lost(total=True)),
            Cause("mean over all", "The mean goes over the examples only, not over the classes.", lost(spread=True)),
            Cause(
                "overflow", "For logits of 800 the exponential overflows: subtract the largest first.", lost(plain=True)
            ),
            Cause(
                "refused",
                "This one is sound, and was refused.",
                {"refused": True, "loss": 0.0},
            ),
        ),
        forbid=LIBRARY,
    ),
]
