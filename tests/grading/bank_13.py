"""Typical wrong answers to exercise 13: each loses points on every draw, and is told why."""

from slips import slip

BLOCK = """
def block_forward(x, p, stride):
    def norm(x, n):
        return F.batch_norm(x, n[2], n[3], n[0], n[1], training=False, eps=1e-5)

    out = F.relu(norm(F.conv2d(x, p["conv1"], stride=stride, padding=1), p["norm1"]))
    out = norm(F.conv2d(out, p["conv2"], padding=1), p["norm2"])
    if "projection" in p:
        x = norm(F.conv2d(x, p["projection"], stride=stride), p["norm_p"])
    return F.relu(out + x)
"""

PLAN = """
def plan(stem, widths, blocks):
    rows, channels = [], stem
    for stage, (filters, count) in enumerate(zip(widths, blocks)):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            rows.append((channels, filters, stride, stride != 1 or channels != filters))
            channels = filters
    return rows
"""

MOVE = """
def move_and_mirror(x, top, left, mirror, padding):
    H, W = x.shape[2:]
    padded = F.pad(x, (padding,) * 4, mode="reflect")
    images = []
    for image, i, j, turn in zip(padded, top.tolist(), left.tolist(), mirror.tolist()):
        window = image[:, i : i + H, j : j + W]
        images.append(window.flip(2) if turn else window)
    return torch.stack(images)
"""

RIGHT = ("impossible", "selected", "sound", "impossible", "selected", "sound")
NORM = "F.batch_norm(x, n[2], n[3], n[0], n[1], training=False, eps=1e-5)"
SUM = "return F.relu(out + x)"
ROAD = 'x = norm(F.conv2d(x, p["projection"], stride=stride), p["norm_p"])'
NEEDED = "stride != 1 or channels != filters)"
STRIDE = "2 if stage > 0 and block == 0 else 1"


def numbers(strides="(1, 1, 2, 1, 2)", projections="(2, 3, 5)"):
    """The cell of 13.1. Provided."""
    return {"answer-13-1": f"strides = {strides}\nprojections = {projections}"}


def block(*pairs):
    """The cell of 13.2, with slips. Provided."""
    return {"answer-13-2": slip(BLOCK, *pairs)}


def plan(*pairs):
    """The cell of 13.3, with slips. Provided."""
    return {"answer-13-3": slip(PLAN, *pairs)}


def move(*pairs):
    """The cell of 13.4, with slips. Provided."""
    return {"answer-13-4": slip(MOVE, *pairs)}


def words(**changed):
    """The cell of 13.5, some reports judged otherwise. Provided."""
    verdicts = [changed.get("ABCDEF"[k], word) for k, word in enumerate(RIGHT)]
    return {"answer-13-5": f"verdicts = {tuple(verdicts)}"}


WRONG = [
    ("13.1", "strides where channels change", numbers("(1, 2, 1, 1, 2)"), "how many pixels its map has"),
    ("13.1", "strides where projections are", numbers("(1, 2, 2, 1, 2)"), "how many pixels its map has"),
    ("13.1", "a block late", numbers("(1, 1, 1, 2, 2)"), "who halved them"),
    ("13.1", "halved twice", numbers("(1, 1, 2, 2, 2)"), "halved again"),
    ("13.1", "MACs of block 3 overlooked", numbers("(1, 1, 1, 1, 2)"), "fell to a third"),
    ("13.1", "a quarter taken for the stride", numbers("(1, 1, 4, 1, 4)"), "halves both axes"),
    ("13.1", "projections where channels change", numbers(projections="(2, 5)"), "1,088 parameters more"),
    ("13.1", "projections where strides are", numbers(projections="(3, 5)"), "its channels change"),
    ("13.1", "projection in block 4", numbers(projections="(2, 3, 4, 5)"), "nothing is left"),
    ("13.1", "counted from 0", numbers(projections="(1, 2, 4)"), "is not it"),
    ("13.2", "without the skip", block((SUM, "return F.relu(out)")), "nothing is added"),
    ("13.2", "ReLU before the sum", block((SUM, "return F.relu(out) + x")), "ReLU comes after the sum"),
    ("13.2", "ReLU before the sum and after", block((SUM, "return F.relu(F.relu(out) + x)")), "before the sum"),
    ("13.2", "no ReLU after the sum", block((SUM, "return out + x")), "missing after the sum"),
    (
        "13.2",
        "no ReLU between the convolutions",
        block(
            (
                'F.relu(norm(F.conv2d(x, p["conv1"], stride=stride, padding=1), p["norm1"]))',
                'norm(F.conv2d(x, p["conv1"], stride=stride, padding=1), p["norm1"])',
            )
        ),
        "between the two convolutions",
    ),
    (
        "13.2",
        "normalization in training mode",
        block((NORM, "F.batch_norm(x, n[2].clone(), n[3].clone(), n[0], n[1], training=True, eps=1e-5)")),
        "as in training",
    ),
    (
        "13.2",
        "training mode, and the given means overwritten",
        block((NORM, "F.batch_norm(x, n[2], n[3], n[0], n[1], training=True, eps=1e-5)")),
        "changed its input",
    ),
    (
        "13.2",
        "stride on the second convolution",
        block(
            ('p["conv1"], stride=stride, padding=1', 'p["conv1"], padding=1'),
            ('p["conv2"], padding=1', 'p["conv2"], stride=stride, padding=1'),
        ),
        "belongs to the first convolution",
    ),
    (
        "13.2",
        "skip from between the convolutions",
        block(
            (
                '    out = norm(F.conv2d(out, p["conv2"]',
                '    x, middle = x, out\n    out = norm(F.conv2d(out, p["conv2"]',
            ),
            (SUM, "return F.relu(out + middle)"),
        ),
        "block's input",
    ),
    (
        "13.2",
        "projection without stride, cut to fit",
        block((ROAD, 'x = norm(F.conv2d(x, p["projection"]), p["norm_p"])[:, :, : out.shape[2], : out.shape[3]]')),
        "projection has the stride",
    ),
    (
        "13.2",
        "projection without stride",
        block((ROAD, 'x = norm(F.conv2d(x, p["projection"]), p["norm_p"])')),
        "size of tensor",
    ),
    (
        "13.2",
        "projection without normalization",
        block((ROAD, 'x = F.conv2d(x, p["projection"], stride=stride)')),
        "of its own",
    ),
    (
        "13.2",
        "projection followed by a ReLU",
        block((ROAD, ROAD.replace("norm(", "F.relu(norm(", 1) + ")")),
        "No ReLU on the shortcut",
    ),
    (
        "13.2",
        "padding with zeros where a projection is given",
        block((ROAD, "x = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))")),
        "belongs on the shortcut",
    ),
    (
        "13.2",
        "a projection demanded everywhere",
        block(('    if "projection" in p:\n        ' + ROAD, "    " + ROAD)),
        "projection",
    ),
    (
        "13.2",
        "variance for its root",
        block(
            (
                NORM,
                "n[0][:, None, None] * (x - n[2][:, None, None]) / (n[3][:, None, None] + 1e-5) + n[1][:, None, None]",
            )
        ),
        "root of the variance",
    ),
    ("13.2", "scale and shift swapped", block((NORM, NORM.replace("n[0], n[1]", "n[1], n[0]"))), "in this order"),
    ("13.2", "eps forgotten", block((NORM, NORM.replace("1e-5", "0.0"))), "Add 1e-5"),
    (
        "13.2",
        "input changed in place",
        block((SUM, "return F.relu_(x.add_(out)) if x.shape == out.shape else F.relu(out + x)")),
        "changed",
    ),
    (
        "13.2",
        "the course's own block",
        block(("def block_forward", "from cnnlib.models import BasicBlock\n\n\ndef block_forward")),
        "does not allow",
    ),
    ("13.3", "first stage halves too", plan((STRIDE, "2 if block == 0 else 1")), "first stage keeps"),
    ("13.3", "every block has the stride", plan((STRIDE, "2 if stage > 0 else 1")), "Only the first block"),
    (
        "13.3",
        "last block has the stride",
        plan((STRIDE, "2 if stage > 0 and block == count - 1 else 1")),
        "not the last",
    ),
    ("13.3", "projection where identity belongs", plan((NEEDED, "True)")), "the input itself"),
    ("13.3", "no projections", plan((NEEDED, "False)")), "cannot be added"),
    ("13.3", "projection in each first block", plan((NEEDED, "block == 0)")), "first block of the first stage"),
    ("13.3", "projection by channels alone", plan((NEEDED, "channels != filters)")), "if its channels stay"),
    ("13.3", "projection by stride alone", plan((NEEDED, "stride != 1)")), "if its stride is 1"),
    ("13.3", "and for or", plan((NEEDED, "stride != 1 and channels != filters)")), "if its stride is 1"),
    (
        "13.3",
        "channels stay behind",
        plan(("            channels = filters\n    return", "        channels = filters\n    return")),
        "next one reads",
    ),
    ("13.4", "zero padding", move((', mode="reflect"', "")), "not zeros"),
    ("13.4", "border repeated", move(('"reflect"', '"replicate"')), "repeat the border pixel"),
    ("13.4", "wrapped around", move(('"reflect"', '"circular"')), "comes in on the other"),
    (
        "13.4",
        "one place for the whole batch",
        move(
            (
                "zip(padded, top.tolist(), left.tolist(),",
                "zip(padded, [top[0].item()] * len(x), [left[0].item()] * len(x),",
            )
        ),
        "moved alike",
    ),
    ("13.4", "rows and columns swapped", move(("i, j, turn in", "j, i, turn in")), "`top` counts rows"),
    (
        "13.4",
        "moved the other way",
        move(("image[:, i : i + H, j : j + W]", "image[:, 2 * padding - i :, 2 * padding - j :][:, :H, :W]")),
        "the other way",
    ),
    ("13.4", "upside down", move(("window.flip(2)", "window.flip(1)")), "upside down"),
    ("13.4", "all mirrored", move(("window.flip(2) if turn else window", "window.flip(2)")), "Every image is mirrored"),
    ("13.4", "none mirrored", move(("window.flip(2) if turn else window", "window")), "No image is mirrored"),
    (
        "13.4",
        "mirrored before moving",
        move(
            ("        window = image", "        image = image.flip(2) if turn else image\n        window = image"),
            ("window.flip(2) if turn else window", "window"),
        ),
        "First the window",
    ),
    (
        "13.4",
        "channels mirrored",
        move(("window.flip(2)", "window.flip(0)")),
        "first difference",
    ),
    (
        "13.4",
        "input mirrored in place",
        move(
            ("    padded = F.pad", "    keep = x.clone()\n    x[mirror] = x[mirror].flip(3)\n    padded = F.pad"),
            ("F.pad(x,", "F.pad(keep,"),
        ),
        "changed",
    ),
    (
        "13.4",
        "first image for all",
        move(("images.append(window.flip(2) if turn else window)", "images.append(x[0])")),
        "first difference",
    ),
    (
        "13.4",
        "the course's own crop",
        {
            "answer-13-4": "from cnnlib.augment import crop\n\n"
            "def move_and_mirror(x, top, left, mirror, padding):\n    return crop(x, padding)"
        },
        "does not allow",
    ),
    ("13.5", "decimals overlooked", words(A="sound"), "A: how many decimals"),
    ("13.5", "best epoch taken for a result", words(B="sound"), "B: who chose"),
    ("13.5", "held-out images taken for the test", words(C="selected"), "C: the choice"),
    ("13.5", "loss below its floor", words(D="sound"), "D: what is the least loss"),
    ("13.5", "best rate taken for a result", words(E="sound"), "E: who chose"),
    ("13.5", "half precision forgotten", words(F="impossible"), "F: half precision"),
    ("13.5", "all sound", words(A="sound", B="sound", D="sound", E="sound"), "value 1 of 3"),
]

HALF = [
    ("13.5", "the first three right", words(E="sound"), 1),
    ("13.5", "the last three right", words(A="sound", C="selected"), 1),
    (
        "13.2",
        "identity right, projection without stride",
        block((ROAD, 'x = norm(F.conv2d(x, p["projection"]), p["norm_p"])')),
        1,
    ),
    (
        "13.2",
        "identity right, stride on the second convolution",
        block(
            ('p["conv1"], stride=stride, padding=1', 'p["conv1"], padding=1'),
            ('p["conv2"], padding=1', 'p["conv2"], stride=stride, padding=1'),
        ),
        1,
    ),
    ("13.3", "projection by channels alone", plan((NEEDED, "channels != filters)")), 1),
    ("13.4", "moved, none mirrored", move(("window.flip(2) if turn else window", "window")), 1),
]
