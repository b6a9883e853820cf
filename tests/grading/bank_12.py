"""Typical wrong answers to exercise 12: each loses points on every draw, and is told why."""

from slips import changed

RIGHT = ("impossible", "FLOPs", "possible", "impossible", "possible", "FLOPs")


def words(**other):
    """An answer to 12.1, some reports judged otherwise."""
    return {"answer-12-1": f"verdicts = {tuple(other.get('ABCDEF'[k], word) for k, word in enumerate(RIGHT))}"}


def merge(*pairs):
    """An answer to 12.2."""
    return changed("answer-12-2", *pairs)


def witness(*pairs):
    """An answer to 12.3."""
    return changed("answer-12-3", *pairs)


def fold(*pairs):
    """An answer to 12.4."""
    return changed("answer-12-4", *pairs)


def block(
    one="[('conv', 24, 1)]",
    three="[('conv', 16, 1), ('conv', 64, 3)]",
    five="[('conv', 16, 1), ('conv', 24, 5)]",
    pool="[('conv', 16, 1), ('pool', 3)]",
):
    """An answer to 12.5."""
    return {"answer-12-5": f"block = [{one}, {three}, {five}, {pool}]"}


STEP = "step = stride * dilation"
BIAS = "b2 + w2.sum(dim=(2, 3)) @ b1"
PLACE = "w[:, :, top : top + K, left : left + L]"
PIECE = "torch.tensordot(w2[:, :, i, j], w1, 1)"
PASTED = {  # what a chapter needs for two layers of stride 1: the first layer as a batch of images, padded
    "answer-12-2": """def merge(w1, b1, w2, b2, stride, dilation):
    K, L = w2.shape[2:]
    images = F.pad(w1.transpose(0, 1), (L - 1, L - 1, K - 1, K - 1))
    w = F.conv2d(images, w2.flip(2, 3)).transpose(0, 1)
    return w, b2
"""
}
PIXELS = "x = x - torch.linalg.pinv(rows) @ (rows @ x)"
IN_CHAPTER = {
    "answer-12-4": """def fold(w, b, n, eps):
    a = n[0] / torch.sqrt(n[3] + eps)
    b = torch.zeros_like(a) if b is None else b
    return w * a[:, None, None, None], (b - n[2]) * a + n[1]

def fold_behind(ws, bs, n, eps):
    return [fold(w, b, n, eps) for w, b in zip(ws, bs)]

def fold_before(w, b, n, eps, groups):
    return fold(w, b, n, eps)
"""
}
NAIVE = {"three": "[('conv', 64, 3)]", "five": "[('conv', 24, 5)]", "pool": "[('pool', 3), ('conv', 16, 1)]"}

WRONG = [
    ("12.1", "memory falls with the weights", words(A="possible"), "A: how many outputs"),
    ("12.1", "FLOPs taken for MACs", words(B="possible"), "B: on how many places"),
    ("12.1", "twice the MACs called impossible", words(B="impossible"), "counts something else"),
    ("12.1", "parameters grow with the image", words(C="impossible"), "C: which of its layers"),
    ("12.1", "no bound for a depthwise pair", words(D="possible"), "D: take very many channels"),
    ("12.1", "a 1x1 is no dense layer", words(E="impossible"), "E: what does a 1x1"),
    ("12.1", "30.9 billion taken for MACs", words(F="possible"), "F: what does this book's ledger"),
    ("12.1", "all possible", {"answer-12-1": "verdicts = ('possible',) * 6"}, "value 1 of 3"),
    ("12.2", "stride 1 and no dilation", merge((STEP, "step = 1")), "1 pixel apart"),
    ("12.2", "dilation forgotten", merge((STEP, "step = stride")), "dilation is missing"),
    ("12.2", "stride forgotten", merge((STEP, "step = dilation")), "stride is missing"),
    ("12.2", "stride and dilation added", merge((STEP, "step = stride + dilation")), "multiply"),
    ("12.2", "the larger of stride and dilation", merge((STEP, "step = max(stride, dilation)")), "dilation is missing"),
    ("12.2", "copies overwrite each other", merge((f"{PLACE} += copy", f"{PLACE} = copy")), "they add up"),
    (
        "12.2",
        "second kernel turned",
        merge((PIECE, PIECE.replace("i, j]", "P - 1 - i, Q - 1 - j]"))),
        "wrong way round",
    ),
    (
        "12.2",
        "both kernels turned",
        merge((PIECE, "torch.tensordot(w2[:, :, P - 1 - i, Q - 1 - j], w1.flip(2, 3), 1)")),
        "half a turn",
    ),
    ("12.2", "filters and channels swapped", merge(("return w, b2", "return w.transpose(0, 1), b2")), "(F, C, K', L')"),
    (
        "12.2",
        "rows and columns of the weights swapped",
        merge(("top, left = i * step, j * step", "left, top = i * step, j * step")),
        "stopped with",
    ),
    ("12.2", "bias of the second alone", merge((BIAS, "b2")), "What becomes of b1"),
    ("12.2", "one weight for the bias", merge((BIAS, "b2 + w2[:, :, 0, 0] @ b1")), "all weights of w2"),
    ("12.2", "biases added", merge((BIAS, "b2 + b1.sum()")), "multiplied by the weights"),
    ("12.2", "bias of the first alone", merge((BIAS, "w2.sum(dim=(2, 3)) @ b1")), "b2 is missing"),
    ("12.2", "mean of the weights for the bias", merge((BIAS, "b2 + w2.mean(dim=(2, 3)) @ b1")), "takes no mean"),
    ("12.2", "made for two layers of stride 1", PASTED, "1 pixel apart"),
    ("12.2", "kernel alone", merge((f"return w, {BIAS}", "return w")), "got"),
    (
        "12.2",
        "input changed",
        merge(("    step = stride", "    b2 += w2.sum(dim=(2, 3)) @ b1\n    step = stride")),
        "changed its input b2",
    ),
    ("12.3", "any image", witness((PIXELS, "x = 1 * x")), "want 0"),
    (
        "12.3",
        "an image in the rows' own space",
        witness((PIXELS, "x = torch.linalg.pinv(rows) @ (rows @ x)")),
        "want 0",
    ),
    ("12.3", "black", witness(("return x / seen.abs().min()", "return 0 * x")), "the image is black"),
    (
        "12.3",
        "perpendicular to the first filter only",
        witness((PIXELS, "x = x - rows[0] * (rows[0] @ x) / (rows[0] @ rows[0]) + 0 * rows.sum()")),
        "perpendicular to all",
    ),
    (
        "12.3",
        "each filter's part taken off once, though filters are not perpendicular",
        witness((PIXELS, "x = x - sum((row @ x) / (row @ row) * row for row in rows)")),
        "want 0",
    ),
    (
        "12.3",
        "too faint",
        witness(("return x / seen.abs().min()", "return x / seen.abs().max() / 20")),
        "scale the image",
    ),
    (
        "12.3",
        "a larger image",
        witness(("return x / seen.abs().min()", "return F.pad(x / seen.abs().min(), (1, 1, 1, 1))")),
        "got shape",
    ),
    (
        "12.3",
        "without the batch's axis",
        witness(("x.reshape(1, *w.shape[1:])", "x.reshape(w.shape[1:])")),
        "got shape",
    ),
    ("12.4", "the chapter's function, pasted", IN_CHAPTER, "stopped with"),
    (
        "12.4",
        "every convolution takes the first rows",
        fold(("slice(first, first + len(w))", "slice(0, len(w))")),
        "follow the first",
    ),
    ("12.4", "own bias not scaled", fold(("a[mine] * b + c[mine]", "b + c[mine]")), "it is scaled"),
    ("12.4", "own bias dropped behind", fold(("a[mine] * b + c[mine]", "c[mine]")), "convolution's own bias"),
    ("12.4", "variance for its root", fold(("torch.sqrt(variance + eps)", "(variance + eps)")), "root of the variance"),
    ("12.4", "eps of PyTorch for the given one", fold(("variance + eps", "variance + 1e-5")), "yours is 1e-5"),
    ("12.4", "eps forgotten", fold(("variance + eps", "variance")), "Add eps"),
    (
        "12.4",
        "eps behind the root",
        fold(("torch.sqrt(variance + eps)", "(torch.sqrt(variance) + eps)")),
        "under the root",
    ),
    ("12.4", "mean forgotten", fold(("shift - a * mean", "shift")), "The mean is missing"),
    (
        "12.4",
        "groups forgotten",
        fold(
            ("a = a.reshape(groups, -1).repeat_interleave(each, dim=0)", "a = a[: w.shape[1]].expand(len(w), -1)"),
            ("c = c.reshape(groups, -1).repeat_interleave(each, dim=0)", "c = c[: w.shape[1]].expand(len(w), -1)"),
        ),
        "channels of its own group",
    ),
    ("12.4", "groups take turns", fold((".repeat_interleave(each, dim=0)", ".repeat(each, 1)")), "do not take turns"),
    (
        "12.4",
        "bias unchanged in front",
        fold(("rest = (w.sum(dim=(2, 3)) * c).sum(dim=1)", "rest = 0 * c.sum(dim=1)")),
        "what the weights make of c",
    ),
    ("12.4", "bias from scaled weights", fold(("rest = (w.sum", "rest = (a * w.sum")), "scaled already"),
    (
        "12.4",
        "shifts added to the bias",
        fold(("(w.sum(dim=(2, 3)) * c).sum(dim=1)", "c.sum(dim=1)")),
        "goes through the weights",
    ),
    ("12.4", "own bias dropped in front", fold(("rest if b is None else b + rest", "rest")), "convolution's own bias"),
    (
        "12.4",
        "kernels changed in place",
        fold(("w * a[:, :, None, None], rest", "w.mul_(a[:, :, None, None]), rest")),
        "changed its input w",
    ),
    ("12.5", "as in the first paper's naive block", block(**NAIVE), "MACs, at most 8,000,000"),
    (
        "12.5",
        "1x1 in front of the large kernels, pooling first",
        block(pool=NAIVE["pool"]),
        "memory: 71,680 numbers given out",
    ),
    ("12.5", "5x5 on all maps", block(five=NAIVE["five"]), "('conv', 24, 5), branch 3, part 1"),
    ("12.5", "too thin in the middle", block(three="[('conv', 8, 1), ('conv', 64, 3)]"), "fewer than 16 maps"),
    ("12.5", "too few maps", block(one="[('conv', 16, 1)]"), "120 maps together"),
    (
        "12.5",
        "a branch missing",
        {"answer-12-5": "block = [[('conv', 64, 1)], [('conv', 16, 1), ('conv', 64, 3)]]"},
        "got 2 branches",
    ),
    (
        "12.5",
        "depthwise for the full 3x3",
        block(three="[('conv', 64, 1), ('depthwise', 3)]"),
        "from a full convolution",
    ),
    ("12.5", "two 1x1 branches", block(five="[('conv', 24, 1)]"), "no branch has a field of 5"),
    (
        "12.5",
        "one list of parts",
        {"answer-12-5": "block = [('conv', 24, 1), ('conv', 64, 3)]"},
        "want a list of branches",
    ),
    ("12.5", "a kernel as a pair", block(one="[('conv', 24, (1, 1))]"), "branch 1 holds"),
    ("12.5", "a kernel of even side", block(one="[('conv', 24, 2)]"), "kernels odd ones"),
]

HALF = [
    ("12.1", "the first three right", words(E="FLOPs"), 1),
    ("12.2", "dilation forgotten", merge((STEP, "step = stride")), 2),
    ("12.2", "bias of the second alone", merge((BIAS, "b2")), 2),
    ("12.2", "right for two layers of stride 1", merge((STEP, "step = 1")), 1),
    ("12.4", "groups take turns", fold((".repeat_interleave(each, dim=0)", ".repeat(each, 1)")), 1),
    ("12.4", "own bias not scaled", fold(("a[mine] * b + c[mine]", "b + c[mine]")), 1),
    ("12.5", "pooling first", block(pool=NAIVE["pool"]), 1),
    ("12.5", "cheap to store, dear to compute", block(three=NAIVE["three"]), 1),
]
