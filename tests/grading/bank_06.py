"""Typical wrong answers to exercise 06: each loses points on every draw, and is told why."""

from slips import slip

BACKWARD = """
def backward(p, kept, dlogits):
    x, c1, r1, both, r2, m2, flat = kept
    g = {}
    d, g["w3"], g["b3"] = ops.linear_backward(dlogits, flat, p["w3"])
    d = d.reshape(m2.shape)
    d = ops.avg_pool2d_backward(d, r2, 2)
    d_both = ops.relu_backward(d, both)
    d, g["w2"], g["b2"] = ops.conv2d_backward(d_both, r1, p["w2"], padding=1)
    d = d + d_both
    d = ops.relu_backward(d, c1)
    _, g["w1"], g["b1"] = ops.conv2d_backward(d, x, p["w1"], stride=2, padding=1)
    return g
"""

NUDGED = """
def backward(p, kept, dlogits):
    g = {}
    for name in p:
        g[name] = np.zeros_like(p[name])
        for place in np.ndindex(p[name].shape):
            above, below = p[name].copy(), p[name].copy()
            above[place] += STEP
            below[place] -= STEP
            gap = forward(p | {name: above}, kept[0])[0] - forward(p | {name: below}, kept[0])[0]
            g[name][place] = (gap * dlogits).sum() / (2 * STEP)
    return g
"""

CARRY = """
def carry_kernels(w):
    return w.transpose(3, 2, 0, 1)


def carry_dense(w, size):
    return w.reshape(*size, -1).transpose(3, 2, 0, 1).reshape(w.shape[1], -1)
"""

KERNELS, DENSE = "w.transpose(3, 2, 0, 1)\n", "w.reshape(*size, -1).transpose(3, 2, 0, 1).reshape(w.shape[1], -1)"
BIAS = """    return {k: a if k[0] == "w" else a / len(x) for k, a in g.items()}\n"""


def numbers(classes=7, filters=12, first=(6, 2, 5), last=(5, 4, 2)):
    """The cell of 06.1. Provided."""
    lines = (f"classes = {classes}", f"filters = {filters}", f"spot_first = {first}", f"spot_last = {last}")
    return {"answer-06-1": "\n".join(lines)}


def runs(faults):
    """The cell of 06.2: five digits, for the runs A to E. Provided."""
    return {"answer-06-2": "\n".join(f"run_{run} = {fault}" for run, fault in zip("abcde", faults, strict=True))}


def back(*pairs):
    """The cell of 06.3, with slips. Provided."""
    return {"answer-06-3": slip(BACKWARD, *pairs)}


def carry(*pairs):
    """The cell of 06.4, with slips. Provided."""
    return {"answer-06-4": slip(CARRY, *pairs)}


WRONG = [
    ("06.1", "ten classes, as always", numbers(classes=10), "ln 10"),
    ("06.1", "logarithm to base 2", numbers(classes=4), "power of 2"),
    ("06.1", "logarithm to base 10", numbers(classes=88), "power of 10"),
    ("06.1", "flattened before pooling", numbers(filters=3), "before pooling"),
    ("06.1", "padding assumed", numbers(filters=8), "loses a border"),
    ("06.1", "ten classes in the count", numbers(filters=9), "ten classes"),
    ("06.1", "filters of one channel", numbers(filters=13), "*three* channels"),
    ("06.1", "orders exchanged", numbers(first=(5, 4, 2), last=(6, 2, 5)), "exchanged"),
    ("06.1", "rows as long as there are rows", numbers(first=(6, 3, 5)), "rows of 8"),
    ("06.1", "H and W swapped", numbers(last=(5, 2, 4)), "the row comes first"),
    ("06.1", "counted from 1", numbers(first=(7, 3, 6), last=(6, 5, 3)), "counts from 1"),
    ("06.1", "channel last", numbers(last=(4, 2, 5)), "channel first"),
    ("06.1", "dots left", numbers(last="..."), "not answered yet"),
    ("06.2", "A and D exchanged", runs("62354"), "all are too large"),
    ("06.2", "B and C exchanged", runs("53264"), "Run B is not fault 3: it learns 64 images by heart"),
    ("06.2", "B blamed on the sign", runs("51364"), "the loss would rise"),
    ("06.2", "E blamed on the rate", runs("52363"), "Run E is not fault 3: the rate plays"),
    ("06.2", "E blamed on its labels", runs("52362"), "raise the first loss"),
    ("06.2", "A blamed on the last layer", runs("42364"), "show in the first loss"),
    ("06.2", "a name for a number", runs(["'five'", 2, 3, 6, 4]), "from 1 to 6"),
    ("06.3", "shortcut forgotten", back(("    d = d + d_both\n", "")), "through the shortcut is missing"),
    ("06.3", "assign for accumulate", back(("d = d + d_both", "d = d_both")), "Only the shortcut is there"),
    (
        "06.3",
        "shortcut before the ReLU",
        back(("d_both = ", "before = d; d_both = "), ("d + d_both", "d + before")),
        "cut it",
    ),
    ("06.3", "no ReLU behind the sum", back(("ops.relu_backward(d, both)", "d")), "behind the sum"),
    (
        "06.3",
        "no ReLU behind the first convolution",
        back(("ops.relu_backward(d, c1)", "d")),
        "behind the first convolution",
    ),
    (
        "06.3",
        "no ReLU at all",
        back(("ops.relu_backward(d, both)", "d"), ("ops.relu_backward(d, c1)", "d")),
        "behind the sum",
    ),
    ("06.3", "sum for mean in pooling", back(("(d, r2, 2)", "(4 * d, r2, 2)")), "Four times"),
    (
        "06.3",
        "max pooling backward",
        back(("avg_pool2d_backward(d", "max_pool2d_backward(d")),
        "pools by averages",
    ),
    ("06.3", "stride ignored", back(("stride=2, padding=1", "padding=1")), "stopped with ValueError"),
    ("06.3", "padding ignored", back(('p["w2"], padding=1', 'p["w2"]')), "stopped with ValueError"),
    ("06.3", "not given its shape back", back(("    d = d.reshape(m2.shape)\n", "")), "stopped with ValueError"),
    (
        "06.3",
        "flattened row taken for channels last",
        back(("d.reshape(m2.shape)", "d.reshape(len(x), *m2.shape[2:], -1).transpose(0, 3, 1, 2)")),
        "(H, W, C)",
    ),
    ("06.3", "c1 for r1", back(("d_both, r1", "d_both, c1")), "saw r1"),
    ("06.3", "divided by the batch again", back(("(dlogits, flat", "(dlogits / len(x), flat")), "N times too small"),
    ("06.3", "mean for sum in the biases", back(("    return g\n", BIAS)), "collect averages"),
    (
        "06.3",
        "nudged instead",
        back(("def backward", "from cnnlib.check import numerical_gradient\n\n\ndef backward")),
        "does not allow",
    ),
    ("06.3", "a central difference", {"answer-06-3": NUDGED.replace("STEP", "1e-3")}, "numerical gradient"),
    (
        "06.3",
        "a central difference of small steps",
        {"answer-06-3": NUDGED.replace("STEP", "1e-5")},
        "numerical gradient",
    ),
    ("06.3", "one array left out", back(("    return g\n", '    del g["b1"]\n    return g\n')), "b1"),
    (
        "06.3",
        "a step in place",
        back(("    return g\n", '    p["w3"] -= 0.1 * g["w3"]\n    return g\n')),
        "changed its input",
    ),
    ("06.3", "dw and db exchanged", back(('d, g["w2"], g["b2"]', 'd, g["b2"], g["w2"]')), "w2"),
    ("06.4", "kernels by .T", carry((KERNELS, "w.T\n")), "Rows and columns of each kernel"),
    ("06.4", "kernels by reshape", carry((KERNELS, "w.reshape(w.shape[::-1])\n")), "got shape"),
    (
        "06.4",
        "kernels by reshape, shape right",
        carry((KERNELS, "w.reshape(w.shape[3], w.shape[2], *w.shape[:2])\n")),
        "moves no number",
    ),
    ("06.4", "kernels flipped", carry((KERNELS, "w[::-1, ::-1].transpose(3, 2, 0, 1)\n")), "half a turn"),
    ("06.4", "filters and channels exchanged", carry((KERNELS, "w.transpose(2, 3, 0, 1)\n")), "filters come first"),
    ("06.4", "dense transposed only", carry((DENSE, "w.T")), "still in the old order"),
    (
        "06.4",
        "dense reshaped to channels first",
        carry((DENSE, "w.T.reshape(w.shape[1], size[2], *size[:2]).reshape(w.shape[1], -1)")),
        "still in the old order",
    ),
    (
        "06.4",
        "H and W swapped in the maps",
        carry((DENSE, "w.reshape(*size, -1).transpose(3, 2, 1, 0).reshape(w.shape[1], -1)")),
        "rows and columns are exchanged",
    ),
    (
        "06.4",
        "outputs left last",
        carry((DENSE, "w.reshape(*size, -1).transpose(2, 0, 1, 3).reshape(len(w), -1)")),
        "Outputs come first",
    ),
    (
        "06.4",
        "the other way",
        carry((DENSE, "w.T.reshape(-1, size[2], *size[:2]).transpose(0, 2, 3, 1).reshape(w.shape[1], -1)")),
        "flattened from (H, W, C)",
    ),
    ("06.4", "dense copied", carry((DENSE, "w.reshape(w.shape[1], -1)")), "mixes inputs and outputs"),
]

HALF = [
    ("06.1", "orders exchanged", numbers(first=(5, 4, 2), last=(6, 2, 5)), 1),
    ("06.2", "only the runs that learn", runs("53264"), 1),
    ("06.3", "dense layer only", back(("ops.relu_backward(d, both)", "d")), 1),
    ("06.3", "all but the first convolution", back(("    d = d + d_both\n", "")), 2),
    ("06.4", "dense transposed only", carry((DENSE, "w.T")), 1),
]
