"""Typical wrong answers to exercise 09: each loses points on every draw, and is told why."""

from slips import changed


def paper(flat=720, macs=336_960, parameters=31_499, possible=1_290):
    """An answer to 09.1."""
    return {
        "answer-09-1": f"flat = {flat}\nmacs = {macs}\nparameters = {parameters}\npossible = {possible}",
    }


def book(*pairs):
    """An answer to 09.2."""
    return changed("answer-09-2", *pairs)


def port(*pairs):
    """An answer to 09.3."""
    return changed("answer-09-3", *pairs)


def loss(*pairs):
    """An answer to 09.4."""
    return changed("answer-09-4", *pairs)


INPUTS = """(
        w["dense"]
        .reshape(*sides, F_, -1)
        .transpose(3, 2, 0, 1)
        .reshape(w["dense"].shape[1], -1)
    )"""
KERNEL = 'w["kernel"].transpose(3, 2, 0, 1)'
ZEROS = "((z // 2, z - z // 2) for z in zeros)"
IN_CHAPTER = """import torch
from torch import nn

def port(w, size, stride):
    net = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
                        nn.Linear(64 * 4 * 4, 64))
    net[1].weight.data = torch.tensor(w["kernel"].transpose(3, 2, 0, 1))
    net[4].weight.data = torch.tensor(w["dense"].reshape(4, 4, 64, 64).transpose(3, 2, 0, 1).reshape(64, 1024))
    return net
"""
IN_TORCH = """import torch
import torch.nn.functional as F

def cross_entropy(outputs, labels, from_logits):
    return F.cross_entropy(torch.tensor(outputs), torch.tensor(labels)).item()
"""
ONE_FORMULA = """def cross_entropy(outputs, labels, from_logits):
    rows = np.eye(outputs.shape[1])[labels] if labels.ndim == 1 else labels
    log_p = np.log(outputs) if not from_logits else outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    return -(rows * log_p).sum(1).mean()
"""

WRONG = [
    ("09.1", "padding forgotten", paper(flat=500), "it keeps height and width"),
    ("09.1", "pooling rounded up", paper(flat=840), "13 becomes 6"),
    ("09.1", "one map", paper(flat=36), "20 maps"),
    ("09.1", "window turned", paper(flat=700), "5 high and 3 wide"),
    ("09.1", "MACs after the pooling", paper(macs=77_760), "before its pooling"),
    ("09.1", "MACs of one channel", paper(macs=28_080), "all 12 maps"),
    ("09.1", "MACs with biases", paper(macs=340_080), "no MACs"),
    ("09.1", "biases forgotten", paper(parameters=31_420), "has a bias"),
    ("09.1", "parameters of one channel", paper(parameters=29_519), "all 12 maps"),
    ("09.1", "another shape at the flatten", paper(parameters=36_299), "drops odd rows"),
    ("09.1", "no bias in the dense layer", paper(possible=1_280), "left over"),
    ("09.1", "the dense layer's biases twice", paper(possible=1_300), "left over"),
    ("09.1", "a total that divides by nothing", paper(possible=2_575), "is not it"),
    ("09.2", "groups ignored", book(("(shape[0] // groups)", "shape[0]")), "C / g of the maps"),
    ("09.2", "K and L swapped", book(("(K, L), strict", "(L, K), strict")), "height and L to the width"),
    ("09.2", "padding ignored", book(("n + 2 * padding", "n")), "padding is forgotten"),
    ("09.2", "padding on one side", book(("2 * padding", "padding")), "shape"),
    ("09.2", "pooling rounded up", book(("(n - window) // stride", "-(-(n - window) // stride)")), "round down"),
    ("09.2", "biases forgotten", book(("weights + biases,", "weights,")), "has a bias"),
    ("09.2", "biases in the MACs", book(("weights * places))", "(weights + biases) * places))")), "no MACs"),
    ("09.2", "weights used once", book(("weights * places))", "weights))")), "every place"),
    (
        "09.2",
        "work at the places of the input",
        book(
            (
                "            shape, places = (filters, *sides), sides[0] * sides[1]",
                "            shape, places = (filters, *sides), shape[1] * shape[2]",
            )
        ),
        "not of the input",
    ),
    ("09.2", "global pooling flattens", book(("(shape[0], 1, 1)", "(shape[0],)")), ""),
    ("09.2", "the course's own", {"answer-09-2": "from cnnlib.ledger import ledger as book"}, "does not allow"),
    ("09.3", "flatten order forgotten", port((INPUTS, 'w["dense"].T')), "flattens (C, H, W)"),
    ("09.3", "H and W of the flatten swapped", port((INPUTS, INPUTS.replace("0, 1)", "1, 0)"))), ""),
    ("09.3", "kernels turned", port((KERNEL, KERNEL.replace("0, 1)", "1, 0)"))), ""),
    ("09.3", "maps and filters swapped", port((KERNEL, KERNEL.replace("3, 2, 0, 1", "2, 3, 0, 1"))), ""),
    ("09.3", "PyTorch's eps", port(("eps=1e-3", "eps=1e-5")), "PyTorch's own is smaller"),
    ("09.3", "normalization left out", port(('if "gamma" in w', "if False")), "left out"),
    ("09.3", "odd zero first", port((ZEROS, "((z - z // 2, z // 2) for z in zeros)")), "at the bottom and right"),
    (
        "09.3",
        "zeros on both sides",
        port((ZEROS, ZEROS.replace("(z // 2,", "(z - z // 2,"))),
        "at the bottom and right",
    ),
    ("09.3", "half the window on both sides", port((ZEROS, "((k // 2, k // 2) for k in (K, L))")), ""),
    ("09.3", "ReLU forgotten", port(("nn.ReLU(), ", "")), "ReLU is missing"),
    ("09.3", "softmax kept", port(("nn.Flatten(), dense)", "nn.Flatten(), dense, nn.Softmax(1))")), "probabilities"),
    ("09.3", "pasted from the chapter", {"answer-09-3": IN_CHAPTER}, ""),
    ("09.4", "one formula, nothing refused", {"answer-09-4": ONE_FORMULA}, ""),
    ("09.4", "PyTorch's loss on everything", {"answer-09-4": IN_TORCH}, ""),
    ("09.4", "a sum", loss(("sum(1).mean()", "sum()")), "Divide it by the number"),
    ("09.4", "mean over all numbers", loss(("sum(1).mean()", "mean()")), "not over the classes"),
    ("09.4", "overflow", loss(("outputs - outputs.max(1, keepdims=True)", "outputs")), ""),
    (
        "09.4",
        "softmax on probabilities",
        loss(("    if from_logits:\n        outputs", "    if True:\n        outputs")),
        "softmax once more",
    ),
    ("09.4", "soft labels made hard", loss(("-(labels *", "-(np.eye(c)[labels.argmax(1)] *")), "largest class"),
    (
        "09.4",
        "soft labels refused",
        loss(("if rows.min() < 0 or", "if rows is labels and (rows % 1).any() or rows.min() < 0 or")),
        "was refused",
    ),
    (
        "09.4",
        "everything refused",
        {"answer-09-4": "def cross_entropy(*_):\n    raise ValueError('no')"},
        "was refused",
    ),
    ("09.4", "sums not checked", loss((" or np.abs(rows.sum(1) - 1).max() > 1e-6", "")), "refused"),
    (
        "09.4",
        "fractions cut off",
        loss(('labels.dtype.kind not in "iu"', "False"), ("np.eye(c)[labels]", "np.eye(c)[labels.astype(int)]")),
        "refused",
    ),
    ("09.4", "negative class numbers count from the end", loss(("or labels.min() < 0", "")), "refused"),
]

HALF = [
    ("09.1", "sizes right, biases forgotten", paper(parameters=31_420), 1),
    ("09.1", "totals right, padding forgotten", paper(flat=500), 1),
    ("09.2", "biases in the MACs", book(("weights * places))", "(weights + biases) * places))")), 2),
    ("09.2", "shapes only", book(("(shape, weights + biases, weights * places)", "(shape, 0, 0)")), 1),
    ("09.3", "PyTorch's eps", port(("eps=1e-3", "eps=1e-5")), 2),
    ("09.3", "odd zero first", port((ZEROS, "((z - z // 2, z // 2) for z in zeros)")), 2),
    ("09.4", "values right, nothing refused", loss(("raise ValueError", "str")), 1),
]
