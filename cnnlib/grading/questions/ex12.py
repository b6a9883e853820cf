"""The questions of exercise 12, VGG and Inception: three costs."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question
from cnnlib.grading.sealed import plain

LIBRARY = (
    *("cnnlib.models", "cnnlib.ops", "cnnlib.recipes", "cnnlib.explain", "cnnlib.ledger"),
    *("torchvision", "cnnlib.torchvision"),
)
INPUT = (96, 20, 14)  # of 12.5: maps, rows, columns
MOST_MACS, MOST_NUMBERS = 8_000_000, 68_000


def draw_verdicts(rng):
    """The six words of 12.1, three by three; nothing is drawn. Provided."""
    lower = "[*map(str.lower, verdicts)]"
    return [Case("A to C", call=f"{lower}[:3]"), Case("D to F", call=f"{lower}[3:]")]


def but(place, word):
    """A cause's function: all words right but one. Provided."""
    return lambda want, **_: (*want[:place], word, *want[place + 1 :])


# 12.2 and 12.3


def draw_pairs(rng):
    """Kernels of unequal sides, numbers of channels that all differ, strides and dilations that differ. Provided."""
    cases = []
    for part, stride, dilation, first, second in (
        ("kernels", 2, 1, (3, 2), (2, 3)),
        ("kernels", 3, 1, (2, 4), (3, 2)),
        ("kernels", 1, 1, (1, 3), (4, 2)),
        ("dilated kernels", 3, 2, (3, 4), (2, 3)),
        ("dilated kernels", 1, 2, (2, 3), (3, 2)),
        ("dilated kernels", 2, 3, (2, 1), (3, 2)),
        ("bias", 1, 1, (3, 2), (2, 3)),
        ("bias", 2, 3, (2, 3), (1, 2)),
    ):
        C, M, F = (int(n) for n in rng.permutation([2, 3, 4]))
        w1, w2 = rng.standard_normal((M, C, *first)), rng.standard_normal((F, M, *second))
        inputs = {"w1": w1, "b1": rng.standard_normal(M), "w2": w2, "b2": rng.standard_normal(F)}
        call = f"merge(*(torch.from_numpy(v) for v in (w1, b1, w2, b2)), stride, dilation)[{int(part == 'bias')}]"
        cases.append(Case(part, inputs | {"stride": stride, "dilation": dilation}, call=call))
    return cases


def merged(w1, w2, step, *, spread=1, turn=False, turn_both=False, add=True):
    """The kernels of two convolutions in a row, with the usual slips built in. Provided."""
    w1, w2 = w1[:, :, ::-1, ::-1] if turn_both else w1, w2[:, :, ::-1, ::-1] if turn or turn_both else w2
    (_, C, K, L), (F, _, P, Q) = w1.shape, w2.shape
    high, wide = spread * (K - 1) + 1, spread * (L - 1) + 1
    w = np.zeros((F, C, high + step * (P - 1), wide + step * (Q - 1)))
    for i, j in np.ndindex(P, Q):
        place = np.s_[:, :, i * step : i * step + high : spread, j * step : j * step + wide : spread]
        w[place] = add * w[place] + np.einsum("fm,mckl->fckl", w2[:, :, i, j], w1)
    return w


def kernels(step=lambda stride, dilation: stride * dilation, **slips):
    """A cause's function for the kernels of 12.2 with these slips. Provided."""
    return lambda w1, w2, stride, dilation, **_: merged(w1, w2, step(stride, dilation), **slips)


def turned(axes):
    """A cause's function: the right kernels with their axes in another order. Provided."""
    return lambda want, **_: want.transpose(axes)


def both_kernels(*known):
    """The causes of 12.2 about kernels, each (name, what to say, what it gives), for both parts. Provided."""
    parts = ("kernels", "dilated kernels")
    return tuple(Cause(f"{name}, {part}", says, wrong, part) for name, says, wrong in known for part in parts)


def draw_witnesses(rng):
    """Kernels of one filter, and of several; the image has more numbers than the second layer filters. Provided."""
    cases = []
    for M, C, first, F, second in ((3, 2, (2, 3), 1, (3, 2)), (4, 1, (3, 2), 2, (2, 4)), (3, 3, (3, 1), 4, (2, 3))):
        w1, w2 = rng.standard_normal((M, C, *first)), rng.standard_normal((F, M, *second))
        cases.append(Case("witness", {"w1": w1, "w2": w2}))
    return cases


def slide(x, w):
    """Convolution without bias, stride 1, no padding. Provided."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwkl,fckl->nfhw", windows, w)


def is_witness(got, case, want):
    """Whether an image is black to the two convolutions, and not with a ReLU between them. Provided."""
    if not isinstance(got, np.ndarray) or got.dtype.kind not in "fiu":
        return "want an image: a tensor of numbers."
    w1, w2 = case.inputs["w1"], case.inputs["w2"]
    if got.shape != want.shape:
        high, wide = want.shape[2:]
        return (
            f"got shape {got.shape}, want {want.shape}: what one number of the second convolution sees, "
            f"{high} = {w1.shape[2]} + {w2.shape[2]} - 1 rows and {wide} columns of each of {want.shape[1]} channels."
        )
    if not np.isfinite(got).all():
        return "the image holds nan or inf: was it divided by 0?"
    middle = slide(got.astype(float), w1)
    without, seen = slide(middle, w2).ravel(), slide(np.maximum(middle, 0), w2).ravel()
    if not seen.any() and not without.any():
        return (
            "with and without a ReLU all is 0: the image is black, or nothing of it gets through the first convolution."
        )
    worst = np.abs(without).argmax()
    if abs(without[worst]) > 1e-6 * max(1, np.abs(got).max()):
        zeros = np.count_nonzero(np.abs(without) <= 1e-6 * max(1, np.abs(got).max()))
        some = (
            f" {zeros} of {len(without)} filters give 0: the image must be perpendicular to all of them."
            if zeros
            else ""
        )
        return f"without a ReLU, filter {worst} gives {without[worst]:.3g}, want 0.{some}"
    faint = np.abs(seen).argmin()
    if abs(seen[faint]) < 0.1:
        same = np.abs(seen - without).max() <= 1e-9 * np.abs(got).max()
        hint = (
            "it found nothing to cut off. Take another image, for example a random one less what the filters see"
            if same
            else "scale the image"
        )
        return f"with the ReLU, filter {faint} gives {seen[faint]:.3g}, want 0.1 or more in size: {hint}."
    return None


# 12.4


def norm_of(rng, channels):
    """Scale, shift, mean and variance of each map, none of them neutral, some scales negative. Provided."""
    scale = rng.uniform(0.5, 2, channels) * np.where(np.arange(channels) % 2, -1, 1)
    return np.stack([scale, *rng.standard_normal((2, channels)), rng.uniform(0.1, 2, channels)])


def draw_norms(rng):
    """Convolutions with and without bias: several that are concatenated, and one with groups. Provided."""
    cases = []
    for filters, sides, has_bias in (
        ((3, 5), ((3, 2), (1, 1)), (True, True)),
        ((2, 1, 4), ((1, 3), (5, 5), (3, 3)), (True, False, True)),
    ):
        C = int(rng.integers(2, 5))
        ws = [rng.standard_normal((F, C, *side)) for F, side in zip(filters, sides, strict=True)]
        bs = [rng.standard_normal(F) if has else None for F, has in zip(filters, has_bias, strict=True)]
        inputs = {"ws": ws, "bs": bs, "n": norm_of(rng, sum(filters)), "eps": 0.1}
        call = "by_name(fold_behind(as_tensors(ws), as_tensors(bs), torch.from_numpy(n), eps))"
        cases.append(Case("behind", inputs, call=call))
    for groups, each, filters, side, has in (
        (1, 3, 4, (2, 3), True),
        (2, 3, 4, (3, 2), False),
        (3, 1, 6, (3, 3), True),
    ):
        w, n = rng.standard_normal((filters, each, *side)), norm_of(rng, groups * each)
        b = rng.standard_normal(filters) if has else None
        call = "by_name([fold_before(*as_tensors((w, b, n)), eps, groups)])"
        cases.append(Case("before", {"w": w, "b": b, "n": n, "eps": 0.05, "groups": groups}, call=call))
    return cases


def as_line(n, eps, *, root=True, mean=True, outside=False):
    """The normalization as a * y + c, with the usual slips built in. Provided."""
    scale, shift, center, variance = n
    spread = np.sqrt(variance) + eps if outside else np.sqrt(variance + eps)
    a = scale / (spread if root else variance + eps)
    return a, shift - a * center * mean


def behind(ws, bs, n, eps, *, restart=False, bias="usual", back_to_front=False, **line):
    """The convolutions of `fold_behind`, with the usual slips built in. Provided."""
    a, c = as_line(n, eps, **line)
    folded, first = {}, 0
    for k, (w, b) in enumerate(zip(ws, bs, strict=True)):
        end = len(n[0]) - first
        mine = (
            slice(0, len(w)) if restart else slice(end - len(w), end) if back_to_front else slice(first, first + len(w))
        )
        first += len(w)
        b = np.zeros(len(w)) if b is None else b
        folded[f"w[{k}]"] = w * a[mine, None, None, None]
        folded[f"b[{k}]"] = {"usual": a[mine] * b, "unscaled": b, "dropped": 0}[bias] + c[mine]
    return folded


def before(w, b, n, eps, groups, *, ungrouped=False, turns=False, bias="usual", spread=True, **line):
    """The convolution of `fold_before`, with the usual slips built in. Provided."""
    a, c = as_line(n, eps, **line)
    (F, D), group = w.shape[:2], np.arange(len(w)) * groups // len(w)
    if turns:
        group = np.arange(F) % groups
    channels = np.arange(D) + D * (0 if ungrouped else group[:, None])
    a, c = np.broadcast_to(a[channels], (F, D)), np.broadcast_to(c[channels], (F, D))
    scaled = w * a[:, :, None, None]
    over = {"usual": w, "scaled": scaled}.get(bias, w)
    rest = (over.sum((2, 3)) * c).sum(1) if spread else (over[:, :, w.shape[2] // 2, w.shape[3] // 2] * c).sum(1)
    rest = c.sum(1) if bias == "shifts" else 0 * rest if bias == "none" else rest
    return {"w[0]": scaled, "b[0]": rest if b is None or bias == "dropped" else b + rest}


def folded(function, **slips):
    """A cause's function for 12.4 with these slips. Provided."""
    return lambda **inputs: function(**inputs, **slips)


# 12.5


def draw_block(rng):
    """The block of 12.5, under either cap; nothing is drawn. Provided."""
    return [Case("MACs", call="block"), Case("memory", call="block")]


def judge_block(got, case, want):
    """Whether a block is what 12.5 asks for, and whether its MACs, or its numbers, stay under their cap. Provided."""
    block = branches_of(got)
    if isinstance(block, str):
        return block
    tables = [costs(branch) for branch in block]
    if says := misshapen(block, tables):
        return says
    parts = [(b, k, *row) for b, table in enumerate(tables) for k, row in enumerate(table)]
    at, most, what = (3, MOST_MACS, "MACs") if case.part == "MACs" else (4, MOST_NUMBERS, "numbers given out")
    total, worst = sum(part[at] for part in parts), max(parts, key=lambda part: part[at])
    if total <= most:
        return None
    b, k = worst[:2]
    return (
        f"{total:,} {what}, at most {most:,} are allowed. Most of them, {worst[at]:,}, are due to "
        f"{block[b][k]}, branch {b + 1}, part {k + 1}."
    )


def branches_of(got):
    """A block as lists of tuples of Python's own, or what is wrong with its form, in a sentence. Provided."""
    kinds = {"conv": 3, "depthwise": 2, "pool": 2}
    form = 'want a list of branches, each a list of parts such as ("conv", 16, 3), ("depthwise", 3) or ("pool", 3)'
    if not isinstance(got, list) or not got or not all(isinstance(branch, list) and branch for branch in got):
        return f"{form}."
    block = [[plain(part) if isinstance(part, list) else part for part in branch] for branch in got]
    for b, branch in enumerate(block):
        for part in branch:
            if not isinstance(part, tuple) or not part or kinds.get(part[0]) != len(part):
                return f"{form}. Branch {b + 1} holds {part!r}."
            if not all(isinstance(n, int) and n > 0 for n in part[1:]) or part[-1] % 2 == 0:
                return f"branch {b + 1} holds {part!r}: channels and kernels are whole numbers, kernels odd ones."
    return block


def costs(branch):
    """(channels, MACs, numbers given out, field) of each part of a branch. Provided."""
    (channels, rows, columns), field, table = INPUT, 1, []
    for kind, *numbers in branch:
        made = numbers[0] if kind == "conv" else channels
        weights = made * numbers[-1] ** 2 * {"conv": channels, "depthwise": 1, "pool": 0}[kind]
        field += numbers[-1] - 1
        table.append((made, weights * rows * columns, made * rows * columns, field))
        channels = made
    return table


def misshapen(block, tables):
    """What the block lacks of what the text asks for, in a sentence, or None. Provided."""
    if len(block) != 4:
        return f"got {len(block)} branches, want 4."
    found = {}
    for branch, table in zip(block, tables, strict=True):
        pools = any(part == ("pool", 3) for part in branch)
        full = any(part[0] == "conv" and part[-1] == 3 for part in branch)
        name = "pooling" if pools else {1: "field 1", 3: "field 3" if full else "", 5: "field 5"}.get(table[-1][3], "")
        found[name] = table[-1][0]
    least = {"field 1": 16, "field 3": 64, "field 5": 24, "pooling": 16}
    words = {"field 1": "sees single pixels only", "field 3": "has a field of 3 from a full convolution"}
    words |= {"field 5": "has a field of 5 without pooling", "pooling": "has a 3x3 pooling"}
    for name, maps in least.items():
        if name not in found:
            return f"no branch {words[name]}."
        if found[name] < maps:
            return f"the branch that {words[name]} gives {found[name]} maps, want {maps} or more."
    if thin := [
        part
        for branch, table in zip(block, tables, strict=True)
        for part, row in zip(branch, table, strict=True)
        if row[0] < 16
    ]:
        return f"{thin[0]} gives out fewer than 16 maps."
    given = sum(table[-1][0] for table in tables)
    return None if given == 128 else f"the branches give {given} maps together, want 128."


QUESTIONS = [
    Question(
        id="12.1",
        kind="predict",
        call="tuple(verdicts)",
        parts={"A to C": 1, "D to F": 1},
        draw=draw_verdicts,
        causes=(
            Cause(
                "A possible",
                "A: how many outputs does one layer have, and how many do two have?",
                but(0, "possible"),
                "A to C",
            ),
            Cause(
                "A FLOPs",
                "A: only ratios are given, and FLOPs have the same. Look at each of the three.",
                but(0, "flops"),
                "A to C",
            ),
            Cause("B possible", "B: on how many places does each weight work?", but(1, "possible"), "A to C"),
            Cause(
                "B impossible",
                "B: the number is right if it counts something else. What is it divided by 55,296?",
                but(1, "impossible"),
                "A to C",
            ),
            Cause(
                "C impossible", "C: which of its layers knows how large the maps are?", but(2, "impossible"), "A to C"
            ),
            Cause("C FLOPs", "C: a ratio of MACs is a ratio of FLOPs, too. Is it right?", but(2, "flops"), "A to C"),
            Cause(
                "D possible",
                "D: take very many channels. What do the depthwise 3x3 and the 1x1 then need, beside the plain 3x3?",
                but(0, "possible"),
                "D to F",
            ),
            Cause(
                "D FLOPs",
                "D: a ratio of MACs is a ratio of FLOPs, too. How small can it be?",
                but(0, "flops"),
                "D to F",
            ),
            Cause("E impossible", "E: what does a 1x1 convolution do at one pixel?", but(1, "impossible"), "D to F"),
            Cause(
                "E FLOPs",
                "E: what does a 1x1 convolution do at one pixel, and at how many pixels?",
                but(1, "flops"),
                "D to F",
            ),
            Cause("F possible", "F: what does this book's ledger say of VGG-16?", but(2, "possible"), "D to F"),
            Cause(
                "F impossible",
                "F: the number is right if it counts something else. Beside this book's ledger, what is it?",
                but(2, "impossible"),
                "D to F",
            ),
        ),
    ),
    Question(
        id="12.2",
        kind="complete",
        call="merge(w1, b1, w2, b2, stride, dilation)",
        parts={"kernels": 1, "dilated kernels": 1, "bias": 1},
        draw=draw_pairs,
        rtol=1e-5,
        atol=1e-6,
        forbid=LIBRARY,
        causes=(
            *both_kernels(
                (
                    "one step",
                    "Your copies of w1 stand 1 pixel apart. A step in the middle is `stride` pixels of the image.",
                    kernels(lambda s, d: 1),
                ),
                (
                    "turned",
                    "The second kernels lie the wrong way round: weight (0, 0) puts its copy of w1 at the upper left.",
                    kernels(turn=True),
                ),
                (
                    "both turned",
                    "Both kernels are turned by half a turn. These layers correlate: nothing is turned.",
                    kernels(turn_both=True),
                ),
                ("overwritten", "Where copies of w1 overlap, they add up: you keep the last one.", kernels(add=False)),
                (
                    "first spread",
                    "You spread the weights of w1. It is its copies, one for each weight of w2, that stand apart.",
                    lambda w1, w2, stride, dilation, **_: merged(w1, w2, dilation, spread=stride),
                ),
                ("sum", "Stride and dilation multiply.", kernels(lambda s, d: s + d)),
                (
                    "filters and channels",
                    "Filters and channels are swapped: want (F, C, K', L').",
                    turned((1, 0, 2, 3)),
                ),
            ),
            Cause(
                "no dilation",
                "The dilation is missing: neighboring weights of w2 are `dilation` pixels of the middle apart.",
                kernels(lambda s, d: s),
                "dilated kernels",
            ),
            Cause(
                "no stride",
                "The stride is missing: a step by one pixel in the middle is `stride` pixels of the image.",
                kernels(lambda s, d: d),
                "dilated kernels",
            ),
            Cause("sum less one", "Stride and dilation multiply.", kernels(lambda s, d: s + d - 1), "dilated kernels"),
            Cause("b2 alone", "What becomes of b1? Each weight of w2 meets it.", lambda b2, **_: b2, "bias"),
            Cause(
                "bias for a weight",
                "b1 stands at each pixel of the middle: all weights of w2 meet it, not one.",
                lambda b1, w2, b2, **_: b2 + w2[:, :, 0, 0] @ b1,
                "bias",
            ),
            Cause(
                "mean",
                "A filter adds up what its weights read; it takes no mean.",
                lambda b1, w2, b2, **_: b2 + w2.mean((2, 3)) @ b1,
                "bias",
            ),
            Cause(
                "b1 once",
                "b1 is multiplied by the weights of w2 on its way.",
                lambda b1, b2, **_: b2 + b1.sum(),
                "bias",
            ),
            Cause("b2 missing", "b2 is missing.", lambda b1, w2, **_: w2.sum((2, 3)) @ b1, "bias"),
        ),
    ),
    Question(
        id="12.3",
        kind="explore",
        call="witness(torch.from_numpy(w1), torch.from_numpy(w2))",
        parts={"witness": 1},
        draw=draw_witnesses,
        judge=is_witness,
        uses=("12.2",),
        forbid=LIBRARY,
    ),
    Question(
        id="12.4",
        kind="complete",
        call="fold_behind(ws, bs, n, eps), fold_before(w, b, n, eps, groups)",
        parts={"behind": 1, "before": 1},
        draw=draw_norms,
        rtol=1e-5,
        atol=1e-6,
        forbid=LIBRARY,
        causes=(
            Cause(
                "restart",
                "Each convolution takes the first rows of the normalization. The second's filters follow the first's.",
                folded(behind, restart=True),
                "behind",
            ),
            Cause(
                "from the end",
                "The filters are in the order of the convolutions: you count from the end.",
                folded(behind, back_to_front=True),
                "behind",
            ),
            Cause(
                "bias unscaled",
                "The convolution's own bias goes through the normalization, too: it is scaled.",
                folded(behind, bias="unscaled"),
                "behind",
            ),
            Cause(
                "bias dropped", "What becomes of the convolution's own bias?", folded(behind, bias="dropped"), "behind"
            ),
            *(
                Cause(f"{name}, {part}", says, folded(function, **slips), part)
                for part, function in (("behind", behind), ("before", before))
                for name, says, slips in (
                    ("variance", "Divide by the root of the variance.", {"root": False}),
                    ("outside", "eps is added to the variance, under the root.", {"outside": True}),
                    ("mean", "The mean is missing: c = shift - a * mean.", {"mean": False}),
                )
            ),
            Cause("no eps, behind", "Add eps to the variance.", lambda ws, bs, n, eps: behind(ws, bs, n, 0), "behind"),
            Cause(
                "no eps, before",
                "Add eps to the variance.",
                lambda w, b, n, eps, groups: before(w, b, n, 0, groups),
                "before",
            ),
            Cause(
                "usual eps, behind",
                "eps is given; yours is 1e-5.",
                lambda ws, bs, n, eps: behind(ws, bs, n, 1e-5),
                "behind",
            ),
            Cause(
                "usual eps, before",
                "eps is given; yours is 1e-5.",
                lambda w, b, n, eps, groups: before(w, b, n, 1e-5, groups),
                "before",
            ),
            Cause(
                "ungrouped",
                "Every filter takes the first channels. A filter reads the channels of its own group.",
                folded(before, ungrouped=True),
                "before",
            ),
            Cause(
                "groups in turn",
                "The first F / groups filters are the first group: filters do not take turns.",
                folded(before, turns=True),
                "before",
            ),
            Cause(
                "no rest", "The bias must grow by what the weights make of c.", folded(before, bias="none"), "before"
            ),
            Cause(
                "scaled twice",
                "The bias grows by the sum of w * c with the weights as they were: yours are scaled already.",
                folded(before, bias="scaled"),
                "before",
            ),
            Cause(
                "shifts added",
                "c goes through the weights on its way into the bias.",
                folded(before, bias="shifts"),
                "before",
            ),
            Cause(
                "middle weight",
                "c stands at every pixel of the window: sum over the whole kernel.",
                folded(before, spread=False),
                "before",
            ),
            Cause(
                "own bias dropped",
                "What becomes of the convolution's own bias?",
                folded(before, bias="dropped"),
                "before",
            ),
        ),
    ),
    Question(
        id="12.5",
        kind="explore",
        call="block",
        parts={"MACs": 1, "memory": 1},
        draw=draw_block,
        judge=judge_block,
    ),
]
