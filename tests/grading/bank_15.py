"""Typical wrong answers to exercise 15: each loses points on every draw, and is told why."""

from slips import changed

ROWS = {"three_three": (3, 2, 3, 1), "three_four": (3, 3, 3, 3), "four_three": (4, 2, 4, 2)}


def paper(**numbers):
    """An answer to 15.1."""
    numbers = ROWS | {"ratio": 9, "heights": (21, 22, 23)} | numbers
    return {"answer-15-1": "\n".join(f"{name} = {number}" for name, number in numbers.items())}


def mirror(*pairs):
    """An answer to 15.2."""
    return changed("answer-15-2", *pairs)


def kernels(*pairs):
    """An answer to 15.3."""
    return changed("answer-15-3", *pairs)


def score(*pairs):
    """An answer to 15.4."""
    return changed("answer-15-4", *pairs)


def net(*pairs):
    """An answer to 15.5."""
    return changed("answer-15-5", *pairs)


LIBRARY = """def reflect_adjoint(dy, w, size, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    return conv_transpose2d(dy, w, stride=stride, padding=padding, dilation=dilation)
"""
PASTED = """def reflect_adjoint(dy, w, size, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    (N, F, H, W), (C, K, L) = dy.shape, w.shape[1:]
    (s, t), (p, q) = stride, padding
    y = np.zeros((N, C, (H - 1) * s + K, (W - 1) * t + L))
    for i, j in np.ndindex(H, W):
        patch = np.einsum("nf,fckl->nckl", dy[:, :, i, j], w)
        y[:, :, i * s : i * s + K, j * t : j * t + L] += patch
    return y[:, :, p : y.shape[2] - p, q : y.shape[3] - q]
"""
AUTOMATIC = """def reflect_adjoint(dy, w, size, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    x = torch.zeros(len(dy), w.shape[1], *size, dtype=torch.float64, requires_grad=True)
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode="reflect")
    y = F.conv2d(padded, torch.from_numpy(w), stride=stride, dilation=dilation)
    return torch.autograd.grad(y, x, torch.from_numpy(dy))[0].numpy()
"""
CROPPED = """def reflect_adjoint(dy, w, size, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1)):
    big = [n + 2 * p for n, p in zip(size, padding)]
    painted = conv_transpose2d(dy, w, stride=stride, dilation=dilation)
    dx = np.zeros((*painted.shape[:2], *big))
    dx[:, :, : painted.shape[2], : painted.shape[3]] = painted
    p, q = padding
    return dx[:, :, p : p + size[0], q : q + size[1]]
"""
IN_CHAPTER = """def rearrange(w, stride, groups):
    C, F, s, t = w.shape
    return w.transpose(1, 2, 3, 0).reshape(F * s * t, C, 1, 1)
"""
ONE_MATRIX = """def matrix(predicted, labels, classes):
    pairs = labels.ravel() * classes + predicted.ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def iou(predicted, labels, classes, ignore):
    m = matrix(predicted, labels, classes)
    both, union = m.diagonal(), m.sum(0) + m.sum(1) - m.diagonal()
    return np.where(union > 0, both / np.maximum(union, 1), np.nan)


def dice(predicted, labels, classes, ignore):
    return np.array([iou(p, t, classes, ignore).mean() for p, t in zip(predicted, labels)])
"""
BY_IMAGE = """def scores(predicted, labels, classes, ignore, dice):
    rows = np.full((len(labels), classes), np.nan)
    for n, k in np.ndindex(rows.shape):
        valid = labels[n] != ignore
        said, true = predicted[n][valid] == k, labels[n][valid] == k
        total = said.sum() + true.sum()
        if total:
            both = (said & true).sum()
            rows[n, k] = 2 * both / total if dice else both / (total - both)
    return rows


def iou(predicted, labels, classes, ignore):
    with np.errstate(all="ignore"):
        return np.nanmean(scores(predicted, labels, classes, ignore, False), axis=0)


def dice(predicted, labels, classes, ignore):
    return np.nanmean(scores(predicted, labels, classes, ignore, True), axis=1)
"""
VALID = "valid = (labels != ignore)[..., None]"
FILTER = "v = v[:, :, :, ::-1, :, ::-1].transpose(0, 2, 4, 6, 1, 3, 5)"
GROUP = "v = w.reshape(groups, C // groups, F, m, s, n, t)"
UNION = "np.where(union > 0, both / np.maximum(union, 1), np.nan)"
MEAN = "np.where(there > 0, mean, np.nan)"
UP = "F.conv_transpose2d(x, up, stride=2, output_padding=extra)"
PLAIN_UP = "F.conv_transpose2d(x, up, stride=2)"
CUT = "skip = skips.pop()[:, :, : 2 * x.shape[2], : 2 * x.shape[3]]"

WRONG = [
    ("15.1", "one layer only", paper(three_three=(2, 1, 2, 1)), "second paints with these"),
    ("15.1", "layers multiplied", paper(three_three=(4, 1, 4, 1)), "does not square"),
    ("15.1", "a place too far", paper(three_three=(2, 3, 1, 3)), "which comes at output 8"),
    ("15.1", "orders exchanged", paper(three_four=(4, 2, 4, 2), four_three=(3, 3, 3, 3)), "last layer has 4 weights"),
    ("15.1", "last layer leveled", paper(four_three=(3, 3, 3, 3)), "last layer has 3 weights"),
    ("15.1", "ratio of a row", paper(ratio=3), "rows and columns multiply"),
    ("15.1", "ratios multiplied", paper(ratio=16), "do not multiply"),
    ("15.1", "one height", paper(heights=(21,)), "forgives a remainder"),
    ("15.1", "padding forgotten", paper(heights=(23, 24, 25)), "adds two rows"),
    ("15.2", "the library's transposed convolution", {"answer-15-2": LIBRARY}, "fold"),
    ("15.2", "pasted transposed convolution", {"answer-15-2": PASTED}, "fold"),
    ("15.2", "left to autograd", {"answer-15-2": AUTOMATIC}, "does not allow"),
    ("15.2", "border thrown away", {"answer-15-2": CROPPED}, "pixels that the border shows"),
    (
        "15.2",
        "repeats lost",
        mirror(("np.add.at(dx, (slice(None), slice(None), i[:, None], j), paint)", "dx[:, :, i[:, None], j] += paint")),
        "added twice",
    ),
    ("15.2", "border pixel repeated", mirror(('"reflect"', '"edge"')), "not its last row"),
    ("15.2", "mirror between the pixels", mirror(('"reflect"', '"symmetric"')), "stands on the last row"),
    ("15.2", "wrapped around", mirror(('"reflect"', '"wrap"')), "not its other side"),
    ("15.2", "kernel turned", mirror(("w[:, :, k, l]", "w[:, :, -1 - k, -1 - l]")), "turned around"),
    ("15.2", "dilation forgotten", mirror(("k * d", "k"), ("l * e", "l")), "pixels apart"),
    ("15.2", "one stride for both axes", mirror(("l * e + t *", "l * e + s *")), ""),
    ("15.2", "padding of the columns for the rows", mirror(("size[0]), padding[0]", "size[0]), padding[1]")), ""),
    ("15.3", "pasted from the chapter", {"answer-15-3": IN_CHAPTER}, "filters of its own"),
    ("15.3", "not turned around", kernels((FILTER, FILTER.replace("::-1", ":"))), "meets an earlier input"),
    ("15.3", "only rows turned around", kernels((FILTER, FILTER.replace(":, ::-1].", "].", 1))), "first difference"),
    (
        "15.3",
        "neighbors in one block",
        kernels((GROUP, GROUP.replace("m, s, n, t)", "s, m, t, n).transpose(0, 1, 2, 4, 3, 6, 5)"))),
        "stand s apart",
    ),
    ("15.3", "columns before rows", kernels((FILTER, FILTER.replace("4, 6,", "6, 4,"))), "rows come before columns"),
    ("15.3", "pixels before channels", kernels((FILTER, FILTER.replace("2, 4, 6,", "4, 6, 2,"))), "before the pixels"),
    ("15.3", "filters not by group", kernels((FILTER, FILTER.replace("(0, 2,", "(2, 0,"))), "first group come first"),
    (
        "15.3",
        "channels dealt out",
        kernels((GROUP, "v = w.reshape(C // groups, groups, F, m, s, n, t).swapaxes(0, 1)")),
        "are the first group",
    ),
    ("15.4", "pasted confusion matrix", {"answer-15-4": ONE_MATRIX}, ""),
    ("15.4", "nothing ignored", score((VALID, "valid = True")), "do not count"),
    (
        "15.4",
        "ignored in the labels only",
        score(("np.arange(classes)) & valid\n    true", "np.arange(classes))\n    true")),
        "predicted there",
    ),
    ("15.4", "0 for what is not there", score((UNION, UNION.replace("np.nan", "0"))), "it is not 0"),
    ("15.4", "1 for what is not there", score((UNION, UNION.replace("np.nan", "1"))), "it is not 1"),
    ("15.4", "missed classes left out", score((UNION, UNION.replace("union > 0", "said > 0"))), "never predicted"),
    ("15.4", "false alarms left out of the IoU", score((UNION, UNION.replace("union > 0", "true > 0"))), "scores 0"),
    ("15.4", "mean over images", {"answer-15-4": BY_IMAGE}, "all images first"),
    ("15.4", "0 for an empty image", score((MEAN, "mean")), ""),
    ("15.4", "false alarms left out", score(("(said + true > 0).sum(1)", "(true > 0).sum(1)")), "scores 0"),
    (
        "15.4",
        "mean over all classes",
        score(("(said + true > 0).sum(1)", "np.full(len(labels), classes)")),
        "it is not 0",
    ),
    (
        "15.4",
        "Dice for IoU",
        score((UNION, "np.where(union > 0, 2 * both / np.maximum(said + true, 1), np.nan)")),
        "that is Dice",
    ),
    (
        "15.4",
        "IoU for Dice",
        score(("2 * both / np.maximum(said + true, 1)", "both / np.maximum(said + true - both, 1)")),
        "that is IoU",
    ),
    (
        "15.4",
        "classes' pixels together",
        score(
            (
                "mean = score.sum(1) / np.maximum(there, 1)",
                "mean = 2 * both.sum(1) / np.maximum((said + true).sum(1), 1)",
            )
        ),
        "a score for each class",
    ),
    (
        "15.4",
        "labels of ignored pixels set to 0",
        score((VALID, "labels[labels == ignore] = 0\n    valid = True")),
        "changed",
    ),
    ("15.5", "skips without a signal", net(("[skip, x]", "[0 * skip, x]")), "do not reach the output"),
    (
        "15.5",
        "only the top skip",
        net(("skips.append(x)", "skips.append(0 * x if skips else x)")),
        "first difference",
    ),
    ("15.5", "skip behind", net(("[skip, x]", "[x, skip]")), "in front"),
    ("15.5", "mean of four", net(("max_pool2d", "avg_pool2d")), "not their mean"),
    ("15.5", "ReLU behind the transposed convolution", net((UP, f"F.relu({UP})")), "No ReLU right behind"),
    (
        "15.5",
        "ReLU behind the head",
        net(('return F.conv2d(x, p["head"])', 'return F.relu(F.conv2d(x, p["head"]))')),
        "may be negative",
    ),
    (
        "15.5",
        "skips cut, logits stretched",
        net(
            (UP, PLAIN_UP),
            ("skip = skips.pop()", CUT),
            ("    skips = []", "    skips, size = [], x.shape[2:]"),
            ('return F.conv2d(x, p["head"])', 'return F.interpolate(F.conv2d(x, p["head"]), size)'),
        ),
        "only the logits",
    ),
    ("15.5", "skips cut, nothing else", net((UP, PLAIN_UP), ("skip = skips.pop()", CUT)), "brings them back"),
    ("15.5", "no output_padding", net((UP, PLAIN_UP)), ""),
    ("15.5", "always a row and a column more", net(("(skip.shape[2] % 2, skip.shape[3] % 2)", "(1, 1)")), ""),
    ("15.5", "remainder of the rows for both", net(("skip.shape[3] % 2", "skip.shape[2] % 2")), ""),
    ("15.5", "stretched to the skip", net((UP, f"F.interpolate({PLAIN_UP}, skip.shape[2:])")), "does not stretch"),
    ("15.5", "filled up in front", net((UP, f"F.pad({PLAIN_UP}, (extra[1], 0, extra[0], 0))")), "at the bottom"),
    (
        "15.5",
        "last row repeated",
        net((UP, f'F.pad({PLAIN_UP}, (0, extra[1], 0, extra[0]), mode="replicate")')),
        "so it is 0",
    ),
    ("15.5", "top level first on the way up", net(('p["up"][::-1], p["join"][::-1]', 'p["up"], p["join"]')), ""),
    ("15.5", "the skips of the way down in order", net(("skips.pop()", "skips.pop(0)")), ""),
]

HALF = [
    ("15.1", "rows right, ratio of a row", paper(ratio=3), 1),
    ("15.1", "sizes right, order overlooked", paper(four_three=(3, 3, 3, 3)), 1),
    ("15.2", "dilation forgotten", mirror(("k * d", "k"), ("l * e", "l")), 1),
    ("15.3", "not turned around", kernels((FILTER, FILTER.replace("::-1", ":"))), 1),
    ("15.4", "IoU right, false alarms left out of Dice", score(("(said + true > 0).sum(1)", "(true > 0).sum(1)")), 1),
    ("15.4", "Dice right, absent classes 0 in IoU", score((UNION, UNION.replace("np.nan", "0"))), 1),
    ("15.5", "no output_padding", net((UP, PLAIN_UP)), 1),
]
