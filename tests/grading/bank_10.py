"""Typical wrong answers to exercise 10: each loses points on every draw, and is told why."""

from slips import slip

GROUPS = """
def group_norm(x, w, b, groups, eps=1e-5):
    parts = x.reshape(len(x), groups, -1)
    mean, var = parts.mean(2, keepdims=True), parts.var(2, keepdims=True)
    x_hat = ((parts - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return w[:, None, None] * x_hat + b[:, None, None]


def group_norm_backward(dy, x, w, groups, eps=1e-5):
    parts = x.reshape(len(x), groups, -1)
    std = np.sqrt(parts.var(2, keepdims=True) + eps)
    x_hat = (parts - parts.mean(2, keepdims=True)) / std
    g = (w[:, None, None] * dy).reshape(parts.shape)
    dx = (g - g.mean(2, keepdims=True) - x_hat * (g * x_hat).mean(2, keepdims=True)) / std
    dw = (dy * x_hat.reshape(x.shape)).sum(axis=(0, 2, 3))
    return dx.reshape(x.shape), dw, dy.sum(axis=(0, 2, 3))
"""
PASTED = """
def group_norm(x, w, b, groups, eps=1e-5):
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    x_hat = (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    return w[:, None, None] * x_hat + b[:, None, None]


def group_norm_backward(dy, x, w, groups, eps=1e-5):
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    std = np.sqrt(var + eps)[:, None, None]
    x_hat = (x - mean[:, None, None]) / std
    dw, db = (dy * x_hat).sum(axis=(0, 2, 3)), dy.sum(axis=(0, 2, 3))
    M = x[:, 0].size
    dy = dy - (db[:, None, None] + x_hat * dw[:, None, None]) / M
    return w[:, None, None] / std * dy, dw, db
"""
WINNER = """
def winner(runs_a, runs_b):
    both, n = [*runs_a, *runs_b], len(runs_a)
    real = np.mean(runs_a) - np.mean(runs_b)
    ways = list(combinations(range(len(both)), n))
    count = 0
    for chosen in ways:
        first = [both[k] for k in chosen]
        rest = [both[k] for k in range(len(both)) if k not in chosen]
        count += abs(np.mean(first) - np.mean(rest)) >= abs(real) - 1e-9
    if count / len(ways) > 0.05:
        return "cannot tell"
    return "a" if real > 0 else "b"
"""
SHUFFLED = """
def winner(runs_a, runs_b):
    a, b, rng = np.array(runs_a), np.array(runs_b), np.random.default_rng(0)
    both, n = np.concatenate([a, b]), len(a)
    mixed = both[rng.random((10_000, len(both))).argsort(1)]
    apart = mixed[:, :n].mean(1) - mixed[:, n:].mean(1)
    share = (abs(apart) >= abs(a.mean() - b.mean()) - 1e-12).mean()
    return "cannot tell" if share > 0.05 else "a" if a.mean() > b.mean() else "b"
"""
LEAKED = """
def leaked(train, test):
    seen = {image.tobytes() for image in train}
    seen |= {image[:, ::-1].tobytes() for image in train}
    return np.array([image.tobytes() in seen for image in test])
"""
RATE = """
def rate(step, first, peak):
    length = first
    while step >= length:
        step -= length
        length *= 2
    return peak * (1 + math.cos(math.pi * step / length)) / 2
"""


def paper(out="7", running_mean="0.3", alone="19", dx_sum="0", dx_sum_alone="15"):
    """The cell of 10.1. Provided."""
    names = ("out", "running_mean", "alone", "dx_sum", "dx_sum_alone")
    values = (out, running_mean, alone, dx_sum, dx_sum_alone)
    return {"answer-10-1": "\n".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))}


def groups(*pairs):
    """The cell of 10.2, with slips. Provided."""
    return {"answer-10-2": slip(GROUPS, *pairs)}


def winner(*pairs):
    """The cell of 10.3, with slips. Provided."""
    return {"answer-10-3": slip(WINNER, *pairs)}


def leaked(*pairs):
    """The cell of 10.4, with slips. Provided."""
    return {"answer-10-4": slip(LEAKED, *pairs)}


def rate(*pairs):
    """The cell of 10.5, with slips. Provided."""
    return {"answer-10-5": slip(RATE, *pairs)}


def body(name, arguments, text):
    """A function of one line. Provided."""
    return f"def {name}({arguments}):\n    {text}"


MEANS = " - g.mean(2, keepdims=True) - x_hat * (g * x_hat).mean(2, keepdims=True)"
SHARE = "if count / len(ways) > 0.05:"
MIRROR = "    seen |= {image[:, ::-1].tobytes() for image in train}\n"
FALL = "peak * (1 + math.cos(math.pi * step / length)) / 2"
ALIKE = "return np.array([any({} for k in train) for t in test])"

WRONG = [
    ("10.1", "sign of the first pixel", paper(out="13"), "mean of which pixels"),
    ("10.1", "image by itself", paper(out="10"), "by itself"),
    ("10.1", "normalized only", paper(out="-1"), "scale w and the shift b"),
    ("10.1", "variance for its root", paper(out="8.5"), "not by the variance"),
    ("10.1", "running mean all the way", paper(running_mean="3"), "a tenth of the way"),
    ("10.1", "momentum the other way round", paper(running_mean="2.7"), "share of the new mean"),
    ("10.1", "single image among itself", paper(alone="13"), "mean of which pixels"),
    ("10.1", "shift forgotten", paper(alone="9"), "shift b comes last"),
    ("10.1", "mean and variance constant in training", paper(dx_sum="15"), "all pixels up"),
    ("10.1", "zero in evaluation mode", paper(dx_sum_alone="0"), "are constants"),
    ("10.1", "divisor forgotten", paper(dx_sum_alone="30"), "divided by the root"),
    ("10.2", "chapter 10 pasted", {"answer-10-2": PASTED}, "That is batch normalization"),
    (
        "10.2",
        "groups of channels that are not neighbors",
        groups(
            (
                "parts = x.reshape(len(x), groups, -1)\n    mean",
                "N, C, H, W = x.shape\n    parts = x.reshape("
                "N, C // groups, groups, H * W).swapaxes(1, 2).reshape(N, groups, -1)\n    mean",
            ),
            (
                "/ np.sqrt(var + eps)).reshape(x.shape)",
                "/ np.sqrt(var + eps)).reshape(N, groups, C // groups, H * W).swapaxes(1, 2).reshape(x.shape)",
            ),
        ),
        "neighboring channels",
    ),
    (
        "10.2",
        "layer normalization",
        groups(("x.reshape(len(x), groups, -1)\n    mean", "x.reshape(len(x), 1, -1)\n    mean")),
        "as one group",
    ),
    (
        "10.2",
        "instance normalization",
        groups(("x.reshape(len(x), groups, -1)\n    mean", "x.reshape(len(x), x.shape[1], -1)\n    mean")),
        "each channel of an image for itself",
    ),
    (
        "10.2",
        "variance by n - 1",
        groups(
            (
                "mean(2, keepdims=True), parts.var(2, keepdims=True)",
                "mean(2, keepdims=True), parts.var(2, keepdims=True, ddof=1)",
            )
        ),
        "not by one less",
    ),
    ("10.2", "variance for its root", groups(("/ np.sqrt(var + eps)).reshape", "/ (var + eps)).reshape")), "Its root"),
    ("10.2", "eps forgotten", groups(("/ np.sqrt(var + eps)).reshape", "/ np.sqrt(var)).reshape")), "Add eps"),
    (
        "10.2",
        "scale and shift forgotten",
        groups(("return w[:, None, None] * x_hat + b[:, None, None]", "return x_hat")),
        "Scale and shift",
    ),
    (
        "10.2",
        "w outside the means",
        groups(
            ("g = (w[:, None, None] * dy).reshape", "g = dy.reshape"),
            ("return dx.reshape(x.shape), dw", "return w[:, None, None] * dx.reshape(x.shape), dw"),
        ),
        "multiply dy by w before",
    ),
    ("10.2", "directly only", groups((MEANS, "")), "as constants"),
    (
        "10.2",
        "no way through the variance",
        groups((" - x_hat * (g * x_hat).mean(2, keepdims=True)", "")),
        "through the variance is missing",
    ),
    ("10.2", "no way through the mean", groups((" - g.mean(2, keepdims=True)", "")), "through the mean is missing"),
    (
        "10.2",
        "dx without w",
        groups(("(w[:, None, None] * dy).reshape(parts.shape)", "dy.reshape(parts.shape)")),
        "passes the scale w",
    ),
    (
        "10.2",
        "means for sums",
        groups(
            ("dw = (dy * x_hat.reshape(x.shape)).sum", "dw = (dy * x_hat.reshape(x.shape)).mean"),
            ("dy.sum(axis=(0, 2, 3))", "dy.mean(axis=(0, 2, 3))"),
        ),
        "gradients are sums",
    ),
    ("10.2", "x for x_hat in dw", groups(("(dy * x_hat.reshape(x.shape)).sum", "(dy * x).sum")), "normalized x"),
    ("10.3", "chapter 10 pasted", {"answer-10-3": SHUFFLED}, "numpy.random"),
    ("10.3", "the higher mean wins", winner((SHARE, "if False:")), "too often"),
    ("10.3", "never sure", winner((SHARE, "if True:")), "hardly ever"),
    (
        "10.3",
        "one-sided",
        winner(
            (
                "count += abs(np.mean(first) - np.mean(rest)) >= abs(real) - 1e-9",
                "count += (np.mean(first) - np.mean(rest)) * np.sign(real) >= abs(real) - 1e-9",
            )
        ),
        "too often",
    ),
    ("10.3", "names exchanged", winner(('"a" if real > 0 else "b"', '"b" if real > 0 else "a"')), "lower mean"),
    (
        "10.3",
        "the best run wins",
        {"answer-10-3": body("winner", "runs_a, runs_b", 'return "a" if max(runs_a) > max(runs_b) else "b"')},
        "too often",
    ),
    (
        "10.3",
        "no overlap, and so a winner",
        {
            "answer-10-3": body(
                "winner",
                "runs_a, runs_b",
                'return "a" if min(runs_a) > max(runs_b) else "b" if min(runs_b) > max(runs_a) else "cannot tell"',
            )
        },
        "too often",
    ),
    ("10.4", "copies only", leaked((MIRROR, "")), "mirrored was seen"),
    ("10.4", "upside down", leaked((MIRROR, MIRROR.replace("image[:, ::-1]", "image[::-1]"))), "upside down"),
    ("10.4", "every turn", leaked((MIRROR, MIRROR + MIRROR.replace("image[:, ::-1]", "image[::-1]"))), "upside down"),
    (
        "10.4",
        "nearly equal",
        {
            "answer-10-4": body(
                "leaked",
                "train, test",
                ALIKE.format("min(abs(t.astype(int) - k).max(), abs(t[:, ::-1].astype(int) - k).max()) <= 3"),
            )
        },
        "one pixel is another",
    ),
    (
        "10.4",
        "equal sums",
        {"answer-10-4": body("leaked", "train, test", ALIKE.format("t.astype(int).sum() == k.astype(int).sum()"))},
        "same sum",
    ),
    (
        "10.4",
        "pixels in any order",
        {
            "answer-10-4": body(
                "leaked", "train, test", ALIKE.format("(np.sort(t.ravel()) == np.sort(k.ravel())).all()")
            )
        },
        "another order",
    ),
    (
        "10.4",
        "answers for the training images",
        {
            "answer-10-4": slip(
                LEAKED,
                ("for image in test", "for image in old"),
                ("for image in train", "for image in test"),
                ("for image in old", "for image in train"),
            )
        },
        "*test* image",
    ),
    (
        "10.4",
        "nothing found",
        {"answer-10-4": body("leaked", "train, test", "return np.zeros(len(test), dtype=bool)")},
        "Not one",
    ),
    ("10.5", "equal cycles", rate(("        length *= 2\n", "")), "twice as long"),
    ("10.5", "straight down", rate((FALL, "peak * (1 - step / length)")), "half a cosine"),
    (
        "10.5",
        "down to zero",
        rate((FALL, "peak * (1 + math.cos(math.pi * step / max(length - 1, 1))) / 2")),
        "not quite at 0",
    ),
    ("10.5", "smaller peaks", rate(("        length *= 2\n", "        length *= 2\n        peak /= 2\n")), "same peak"),
]
HALF = [
    ("10.1", "forward only", paper(dx_sum="15"), 1),
    ("10.1", "backward only", paper(out="13"), 1),
    ("10.2", "forward, dw and db", groups((MEANS, "")), 2),
    ("10.3", "never sure", winner((SHARE, "if True:")), 1),
    ("10.4", "copies only", leaked((MIRROR, "")), 1),
]
