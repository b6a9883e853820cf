"""The questions of exercise 16, Beyond."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question
from cnnlib.ops import conv2d

# 16.1


def draw_predictions(rng):
    """The numbers of 16.1; nothing is drawn. Provided."""
    rows = [Case("sliding", call=name) for name in ("answers", "unseen", "runs")]
    return rows + [Case("attention", call=name) for name in ("side_3", "side_7")]


# 16.2


def draw_readers(rng):
    """Dense layers on maps of unequal sides in several orders of axes; networks and pages of unequal sides and strides.

    Two of the orders are cycles, which differ from their inverse. Provided.
    """
    cases = []
    for order in ("hwc", "wch", rng.choice(["whc", "cwh", "hcw"])):
        maps = tuple(int(n) for n in rng.permutation([2, 3, 4, 5])[:3])
        w = rng.standard_normal((int(rng.integers(2, 5)), int(np.prod(maps))))
        cases.append(Case("order of axes", {"w": w, "maps": maps, "order": str(order)}))
    for stride in ((2, 3), (3, 2), (1, 4)):
        C, M, F = (int(n) for n in rng.integers(1, 4, 3))
        first = tuple(int(n) for n in rng.integers(2, 5, 2))
        second = tuple(int(n) for n in rng.permutation([1, 2, 3])[:2])
        window = window_of(first, second, stride)
        size = [n + s * int(rng.integers(2, 5)) + int(rng.integers(1, 4)) for n, s in zip(window, stride, strict=True)]
        weights = {"w1": rng.standard_normal((M, C, *first)), "w2": rng.standard_normal((F, M, *second))}
        inputs = {"x": rng.standard_normal((2, C, *size)), **weights, "stride": stride}
        cases.append(Case("every offset", inputs, call="asked(everywhere, x, w1, w2, stride)"))
    return cases


def window_of(first, second, stride):
    """The window that one answer of the network of 16.2 sees. Provided."""
    return tuple((n - 1) * s + k for k, n, s in zip(first, second, stride, strict=True))


def as_kernels(w, maps, order, *, plain=False, inverse=False, turned=False):
    """The kernels of 16.2, with the usual slips built in. Provided."""
    if plain:
        return w.reshape(len(w), *maps)
    sizes = [maps["chw".index(axis)] for axis in order]
    axes = ["chw".index(axis) for axis in order] if inverse else [order.index(axis) for axis in "chw"]
    kernels = w.reshape(len(w), *sizes).transpose(0, *(1 + axis for axis in axes))
    return kernels[:, :, ::-1, ::-1] if turned else kernels


def every_answer(x, w1, w2, stride):
    """The answers to all windows: the second convolution dilated by the stride of the first. Provided."""
    return conv2d(np.maximum(conv2d(x, w1), 0), w2, dilation=stride)


def repeated(x, w1, w2, stride):
    """One run, each answer repeated over a block. Provided."""
    full, (s, t) = every_answer(x, w1, w2, stride), stride
    return full[:, :, np.arange(full.shape[2]) // s * s][:, :, :, np.arange(full.shape[3]) // t * t]


def side_by_side(x, w1, w2, stride):
    """All runs, laid beside each other. Provided."""
    full, (s, t) = every_answer(x, w1, w2, stride), stride
    return np.concatenate([full[:, :, a::s] for a in range(s)], 2)[
        :, :, :, np.concatenate([np.arange(b, full.shape[3], t) for b in range(t)])
    ]


def diagonal(x, w1, w2, stride):
    """Only offsets that are the same for rows and columns. Provided."""
    full, (s, t) = every_answer(x, w1, w2, stride), stride
    i, j = np.indices(full.shape[2:])
    return np.where(i % s == j % t, full, 0)


def one_run(x, w1, w2, stride):
    """The shape of a single run's answers: for the message only. Provided."""
    s, t = stride
    return np.full(every_answer(x, w1, w2, stride)[:, :, ::s, ::t].shape, np.nan)


# 16.3


def draw_stacks(rng):
    """Layers whose kernels, channels and dilations differ, with biases; fields that are a power, and none. Provided."""
    cases = []
    for dilations in ((2,), (1, 3), (3, 1, 2)):
        channels = [int(n) for n in rng.permutation([1, 2, 3, 4])[: len(dilations) + 1]]
        layers = []
        for c, f, d in zip(channels, channels[1:], dilations, strict=False):
            layers.append((rng.standard_normal((f, c, int(rng.integers(2, 4)))), 1 + rng.random(f), d))
        field = 1 + sum((w.shape[2] - 1) * d for w, _, d in layers)
        x = rng.standard_normal((2, channels[0], field + int(rng.integers(2, 6))))
        cases.append(Case("from the start", {"x": x, "layers": layers}))
    for K, n in ((2, 3), (3, 2), (4, 2), (3, 3)):
        for steps in (K**n, K**n + K - 1, K**n + (K - 1) * int(rng.integers(2, K**n))):
            cases.append(Case("exact field", {"field": steps, "K": K}, call="seen(plan(field, K), K)"))
    return cases


def stacked(x, layers, *, each=False, ahead=0, turned=False, near=False, last=False, late=False):
    """The stack of 16.3, with the usual slips built in: padding layer by layer, looking ahead, ... Provided."""
    L, layers = x.shape[2], [(w[:, :, ::-1] if turned else w, b, 1 if near else d) for w, b, d in layers]
    rooms = [(w.shape[2] - 1) * d for w, _, d in layers]
    if not each:
        back = sum(rooms) - ahead * (sum(rooms) // 2)
        x = np.pad(x, ((0, 0), (0, 0), (back + late, sum(rooms) - back)))[:, :, : L + sum(rooms)]
    for i, ((w, b, d), room) in enumerate(zip(layers, rooms, strict=True)):
        if each:
            x = np.pad(x, ((0, 0), (0, 0), (room - ahead * (room // 2), ahead * (room // 2))))
        n = x.shape[2] - room
        x = sum(np.einsum("ncl,fc->nfl", x[:, :, k * d : k * d + n], w[:, :, k]) for k in range(w.shape[2]))
        x = x + b[:, None]
        x = np.maximum(x, 0) if last or i < len(layers) - 1 else x
    return x


def stacks(**slips):
    """A cause's function for 16.3 with these slips. Provided."""
    return lambda x, layers: stacked(x, layers, **slips)


def unpadded(x, layers):
    """The shape of a stack without any padding: for the message only. Provided."""
    room = sum((w.shape[2] - 1) * d for w, _, d in layers)
    return np.full((len(x), len(layers[-1][0]), x.shape[2] - room), np.nan)


def seen(dilations, K):
    """What a stack with these dilations sees, as the notebook's function of this name says it. Provided."""
    reach = {0}
    for d in dilations:
        reach = {r + k * d for r in reach for k in range(K)}
    field = max(reach) + 1
    return {"field": field, "holes": field - len(reach), "layers": len(dilations)}


def powers(base, *, rest=False):
    """A cause's function for 16.3: dilations are powers of a base (None: K), with or without a last one that fits.

    Provided.
    """

    def wrong(field, K):
        steps, dilations, d = (field - 1) // (K - 1), [], 1
        while sum(dilations) < steps:
            dilations.append(min(d, steps - sum(dilations)) if rest else d)
            d *= base or K
        return seen(dilations, K)

    return wrong


def at_once(field, K):
    """One layer with a large dilation. Provided."""
    return seen([(field - 1) // (K - 1)], K)


# 16.4


def draw_heads(rng):
    """Maps of unequal sides; shifts that leave the map on each side; kernels that are not square, dilated. Provided."""
    cases = []
    for shift in ((1, -2), (-3, 1), (0, 3), (-2, -1)):
        height, width = (int(n) for n in rng.permutation([4, 5, 6, 7])[:2])
        cases.append(Case("one head", {"height": height, "width": width, "shift": shift}))
    for kernel, dilation in (((3, 1), (1, 2)), ((3, 5), (1, 1)), ((1, 3), (2, 3)), ((3, 3), (2, 1))):
        C, F = (int(n) for n in rng.permutation([1, 2, 3])[:2])
        size = [int(n) for n in rng.permutation([5, 6, 7, 8])[:2]]
        inputs = {"x": rng.standard_normal((C, *size)), "w": rng.standard_normal((F, C, *kernel)), "dilation": dilation}
        cases.append(Case("a kernel", inputs, call="attend(x, as_heads(w, dilation, *x.shape[1:]))"))
    return cases


def looks(height, width, shift, *, sign=1, swap=False, wrap=False, columns=False, length=1.0):
    """The weights of one head of 16.4, with the usual slips built in. Provided."""
    grid = np.indices((height, width)).reshape(2, -1).T
    if columns:
        grid = np.indices((width, height))[::-1].reshape(2, -1).T
    wanted = grid + sign * np.array(shift[::-1] if swap else shift)
    if wrap:
        wanted = wanted % (height, width)
    logits = 500.0 * (2 * wanted @ grid.T - length * (grid**2).sum(1))
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def head(**slips):
    """A cause's function for the first part of 16.4 with these slips. Provided."""
    return lambda height, width, shift: looks(height, width, shift, **slips)


def blurred(want, got, **_):
    """A head that looks at the right places, but not at them alone. Provided."""
    return got if got.shape == want.shape and np.array_equal(got.argmax(1), want.argmax(1)) else None


def ringed(height, width, shift):
    """The shape of a head that looks at a map with a ring around it: for the message only. Provided."""
    return np.full((height * width, (height + 2) * (width + 2)), np.nan)


def mixed(x, w, dilation, *, mode="edge", turned=False, corner=False, near=False):
    """The convolution of 16.4 with its border repeated, with the usual slips built in. Provided."""
    (K, L), (d, e) = w.shape[2:], (1, 1) if near else dilation
    w = w[:, :, ::-1, ::-1] if turned else w
    p, q = (K - 1) * d, (L - 1) * e
    sides = ((0, p), (0, q)) if corner else ((p // 2, p // 2), (q // 2, q // 2))
    return conv2d(np.pad(x, ((0, 0), *sides), mode=mode)[None], w, dilation=(d, e))[0]


def kernels(**slips):
    """A cause's function for the second part of 16.4 with these slips. Provided."""
    return lambda x, w, dilation: mixed(x, w, dilation, **slips)


# 16.5


def draw_pages(rng):
    """Coarse scores with ties, of which some are exactly `least`; reports that fit two digits, one twice, or none.

    Drawn until each known mistake shows. Provided.
    """
    return [shown(rng, draw_scores, PICKS) for _ in range(3)] + [shown(rng, draw_reports, CLAIMS) for _ in range(3)]


def shown(rng, draw, slips):
    """A case in which each of the slips gives something else, and no two the same. Provided."""
    while True:
        (case, function), results = draw(rng), []
        for slip in ({}, *slips):
            results.append(function(**case.inputs, **slip).tolist())
            if results[-1] in results[:-1] or len(results[0]) < 2:
                break
        else:
            return case


def draw_scores(rng):
    """Scores of windows that stand unequally far apart. Provided."""
    rows, columns = int(rng.integers(7, 10)), int(rng.integers(10, 13))
    score = rng.integers(-3, 4, (rows, columns)) / 4
    inputs = {"score": score, "window": (15, 10), "stride": (2, 3), "least": 0.25, "share": rng.uniform(0.15, 0.25)}
    return Case("peaks", inputs), picked


def draw_reports(rng):
    """Frames of digits that overlap a little, and reports beside them. Provided."""
    corners = np.stack([rng.permutation(24)[:9], rng.permutation(24)[:9]], 1)
    found = corners[rng.integers(0, 9, 8)] + rng.integers(-5, 6, (8, 2))
    inputs = {"found": found, "corners": corners, "window": (14, 9), "share": rng.uniform(0.25, 0.35)}
    return Case("missed", inputs, call="missed(found, corners, window, share)"), unclaimed


def overlap(one, other, window, *, of_one=False):
    """Intersection over union of frames at one corner and at others, or over one frame's pixels. Provided."""
    sides = np.maximum(0, np.array(window) - np.abs(np.array(other) - one))
    both = sides[..., 0] * sides[..., 1]
    area = window[0] * window[1]
    return both / (area if of_one else 2 * area - both)


def picked(score, window, stride, least, share, *, strict=False, final=False, square=False, swap=False, **slips):
    """The peaks of 16.5, with the usual slips built in. Provided."""
    chain, numbers = (slips.pop(name, False) for name in ("chain", "numbers"))
    stride = np.array(stride[::-1] if swap else stride)
    places, left, found = np.indices(score.shape).transpose(1, 2, 0), score.copy(), []
    if chain:  # a window counts if none that it overlaps is surer, struck out or not
        sure = [i for i in places.reshape(-1, 2) if score[tuple(i)] >= least]
        near = [overlap(i * stride, places * stride, window) > share for i in sure]
        found = [i for i, others in zip(sure, near, strict=True) if score[tuple(i)] >= score[others].max()]
        return np.array(sorted(found, key=lambda i: -score[tuple(i)])) * stride
    while left.max() > least or (left.max() == least and not strict):
        i = np.argwhere(left == left.max())[-1 if final else 0]
        found.append(i)
        shared = overlap(i * stride, places * stride, window, **slips)
        left[np.abs(places - i).max(2) <= 3 if square else shared > share] = -np.inf
    return np.array(found).reshape(-1, 2) * (1 if numbers else stride)


def picks(**slips):
    """A cause's function for the first part of 16.5 with these slips. Provided."""
    return lambda **inputs: picked(**inputs, **slips)


def unclaimed(found, corners, window, share, *, again=False, stubborn=False, nearest=False, of_one=False, loose=False):
    """The digits of 16.5 that no report claims, with the usual slips built in. Provided."""
    left = set(range(len(corners)))
    for one in found:
        fits = overlap(one, corners, window, of_one=of_one)
        rank = -np.abs(corners - one).max(1) if nearest else fits
        k = max(range(len(corners)) if again or stubborn else sorted(left), key=lambda k: rank[k], default=None)
        if k is not None and (loose or fits[k] >= share):
            left.discard(k)
    if again:
        left = {k for k in left if all(overlap(one, corners[k], window) < share for one in found)}
    return np.array(sorted(left), int)


def claims(**slips):
    """A cause's function for the second part of 16.5 with these slips. Provided."""
    return lambda **inputs: unclaimed(**inputs, **slips)


PICKS = [
    {name: True} for name in ("strict", "final", "square", "swap", "of_one", "chain", "numbers")
]  # what each drawn map of scores tells apart
CLAIMS = [{name: True} for name in ("again", "stubborn", "nearest", "of_one", "loose")]  # and each draw of reports
START, FIELD = "from the start", "exact field"
QUESTIONS = [
    Question(
        id="16.1",
        kind="predict",
        call="answers",
        parts={"sliding": 1, "attention": 1},
        draw=draw_predictions,
        causes=(
            *(
                Cause(name, says, wrong, "sliding")
                for name, says, wrong in (
                    ("one pixel apart", "Answers do not stand one pixel apart: the poolings stride.", (29, 52)),
                    ("first pooling", "There is a second pooling.", (15, 26)),
                    ("second pooling", "The first pooling strides, too.", (10, 18)),
                    ("added", "Strides of layers multiply; they do not add up.", (6, 11)),
                    ("no 1 +", "The window that starts at 0 counts, too.", (4, 8)),
                    ("rounded up", "A window that does not fit whole gives no answer.", (6, 10)),
                    ("exchanged", "Rows come first.", (9, 5)),
                    ("all seen", "Where does the last window of a row end?", 0),
                    ("page over stride", "It is the window's last step that leaves a rest, not the page's width.", 5),
                    ("rows", "So many rows are unseen. And how many columns?", 4),
                    ("one axis", "Rows and columns can be off independently.", 6),
                    ("both axes", "Each offset of the rows goes with each of the columns.", 12),
                    ("all but none", "The run without an offset counts, too.", 35),
                    ("second pooling's runs", "That is for a total stride of 3.", 9),
                )
            ),
            *(
                Cause(name, says, wrong, "attention")
                for name, says, wrong in (
                    ("no dense layers", "The four dense layers count as well: 4 T C^2.", 15),
                    ("no dense layers, 7x7", "The four dense layers count as well: 4 T C^2.", 35),
                    ("one product", "There are two products: queries with keys, weights with values.", 16),
                    ("one product, 7x7", "There are two products: queries with keys, weights with values.", 47),
                    ("three dense layers", "A fourth dense layer stands behind the heads.", 13),
                    ("three dense layers, 7x7", "A fourth dense layer stands behind the heads.", 34),
                    ("times heads", "A head works on C / 4 of the numbers: heads cost nothing extra.", 6),
                    ("times heads, 7x7", "A head works on C / 4 of the numbers: heads cost nothing extra.", 17),
                    ("tokens", "That is the number of tokens, not the side of the map.", 121),
                    ("tokens, 7x7", "That is the number of tokens, not the side of the map.", 1081),
                    ("equal", "At this side attention still needs fewer.", 10),
                    ("equal, 7x7", "At this side attention still needs fewer.", 32),
                )
            ),
        ),
    ),
    Question(
        id="16.2",
        kind="complete",
        call="as_conv(w, maps, order)",
        parts={"order of axes": 1, "every offset": 1},
        draw=draw_readers,
        causes=tuple(
            Cause(name, says, wrong, part)
            for part, name, says, wrong in (
                (
                    "order of axes",
                    "plain",
                    "The columns of w do not lie in the order channel, row, column: split them as `order` says.",
                    lambda w, maps, order: as_kernels(w, maps, order, plain=True),
                ),
                (
                    "order of axes",
                    "inverse",
                    "The axes are moved the wrong way: where in `order` do the channels stand?",
                    lambda w, maps, order: as_kernels(w, maps, order, inverse=True),
                ),
                (
                    "order of axes",
                    "turned",
                    "The kernel is turned around: a layer does not flip it.",
                    lambda w, maps, order: as_kernels(w, maps, order, turned=True),
                ),
                ("every offset", "repeated", "These are answers of one run, repeated: the page must move.", repeated),
                (
                    "every offset",
                    "side by side",
                    "The runs lie beside each other: weave them, each answer to where its window starts.",
                    side_by_side,
                ),
                ("every offset", "diagonal", "Rows and columns move independently: s * t runs.", diagonal),
                ("every offset", "one run", "One run answers at multiples of the stride only.", one_run),
            )
        ),
    ),
    Question(
        id="16.3",
        kind="complete",
        call="causal(x, layers)",
        parts={START: 1, FIELD: 1},
        draw=draw_stacks,
        causes=tuple(
            Cause(name, says, wrong, part)
            for part, name, says, wrong in (
                (
                    START,
                    "layer by layer",
                    "The zeros are the signal's, not each layer's: a layer makes its bias of silence, not 0. Pad once.",
                    stacks(each=True),
                ),
                (START, "ahead", "An output moves with a later input: pad at the left only.", stacks(ahead=1)),
                (
                    START,
                    "ahead, layer by layer",
                    "An output moves with a later input: pad at the left only.",
                    stacks(each=True, ahead=1),
                ),
                (START, "turned", "The last weight of a kernel meets the newest number.", stacks(turned=True)),
                (START, "no dilation", "Weights stand `d` numbers apart.", stacks(near=True)),
                (START, "ReLU at the end", "No ReLU behind the last layer.", stacks(last=True)),
                (START, "late", "One zero too many: an output sees the number at its own time.", stacks(late=True)),
                (START, "unpadded", "The silence in front is missing: outputs begin at the first number.", unpadded),
                (FIELD, "powers", "The last dilation is too large: take what is left.", powers(None)),
                (FIELD, "doubled", "Doubling is for kernels of 2: what fits kernels of K?", powers(2)),
                (FIELD, "doubled, rest", "Doubling is for kernels of 2: what fits K?", powers(2, rest=True)),
                (FIELD, "ones", "Dilation 1 throughout needs many layers.", powers(1)),
                (FIELD, "at once", "A large dilation skips what lies between: first see the neighbors.", at_once),
            )
        ),
    ),
    Question(
        id="16.4",
        kind="complete",
        call="mix(*look(height, width, shift))",
        parts={"one head": 1, "a kernel": 1},
        draw=draw_heads,
        forbid=("torch", "torchvision"),
        atol=1e-6,
        causes=tuple(
            Cause(name, says, wrong, part)
            for part, name, says, wrong in (
                ("one head", "opposite", "It looks the other way: at p - shift.", head(sign=-1)),
                ("one head", "exchanged", "Rows come first in `shift`.", head(swap=True)),
                ("one head", "wrapped", "Off the map it looks at the nearest place, not across.", head(wrap=True)),
                ("one head", "columns first", "Places are numbered row by row.", head(columns=True)),
                (
                    "one head",
                    "no length",
                    "A far key wins by its length: subtract |p_j|^2. What stands alone with it in the square?",
                    head(length=0.0),
                ),
                (
                    "one head",
                    "half the length",
                    "Two queries' worth: |p - z|^2 is |p|^2 - 2 p z + |z|^2. Mind the 2.",
                    head(length=2.0),
                ),
                ("one head", "blurred", "The right places, but not alone: make the logits larger.", blurred),
                ("one head", "ringed", "There is no ring around the map.", ringed),
                ("a kernel", "turned", "The kernel is turned around.", kernels(turned=True)),
                ("a kernel", "corner", "The kernel's middle weight has shift 0.", kernels(corner=True)),
                ("a kernel", "no dilation", "Neighboring weights look `dilation` places apart.", kernels(near=True)),
                ("a kernel", "zeros", "Off the map stands the nearest pixel, not 0.", kernels(mode="constant")),
                ("a kernel", "wrapped", "Off the map stands the nearest pixel.", kernels(mode="wrap")),
            )
        ),
    ),
    Question(
        id="16.5",
        kind="complete",
        call="pick(score, window, stride, least, share)",
        parts={"peaks": 1, "missed": 1},
        draw=draw_pages,
        causes=tuple(
            Cause(name, says, wrong, part)
            for part, name, says, wrong in (
                ("peaks", "strict", "A score of exactly `least` counts.", picks(strict=True)),
                ("peaks", "last of equals", "Of equal scores the first in reading order wins.", picks(final=True)),
                ("peaks", "square", "Strike out by overlap, not by distance.", picks(square=True)),
                ("peaks", "stride exchanged", "The stride's first number is for rows.", picks(swap=True)),
                ("peaks", "of a frame", "Divide by the union of both frames, not by one.", picks(of_one=True)),
                ("peaks", "chain", "Only a window that is reported strikes others out.", picks(chain=True)),
                ("peaks", "numbers", "Return pixels of the page, not numbers of windows.", picks(numbers=True)),
                ("missed", "again", "A report claims one digit and no more.", claims(again=True)),
                (
                    "missed",
                    "stubborn",
                    "A report takes the best of the digits that are *left*.",
                    claims(stubborn=True),
                ),
                ("missed", "nearest", "Best is the largest overlap, not the smallest distance.", claims(nearest=True)),
                ("missed", "of a frame", "Divide by the union of both frames, not by one.", claims(of_one=True)),
                ("missed", "loose", "An overlap below `share` claims nothing.", claims(loose=True)),
            )
        ),
    ),
]
