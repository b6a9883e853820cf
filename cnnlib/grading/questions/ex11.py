"""The questions of exercise 11, Look inside."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question

OURS = ("cnnlib.explain", "cnnlib.clues", "torch", "torchvision", "captum", "scipy")
PLACES = ((0, 0, 2, 2), (0, 6, 1, 4), (5, 9, 4, 1), (7, 1, 1, 4))  # four cells each, one a class


def draw_predictions(rng):
    """The five numbers of 11.1; nothing is drawn. Provided."""
    pixels = [Case("pixels", call=name) for name in ("slope", "product", "fall")]
    return pixels + [Case("maps", call=name) for name in ("cam", "largest")]


def draw_covers(rng):
    """Windows and strides of unequal sides on images of unequal sides, some overlapping, some with gaps. Provided."""
    cases = []
    for part, call in (("sums", "occlusion"), ("curved", "occlusion"), ("heat", "heat")):
        for size, stride in (((2, 3), (1, 2)), ((3, 1), (2, 3)), ((2, 4), (3, 5))):
            C, H, W = int(rng.integers(2, 4)), int(rng.integers(6, 9)), int(rng.integers(10, 14))
            units = 1 if part == "sums" else int(rng.integers(3, 6))
            w = {"first": rng.standard_normal((units, C, H, W))}
            if part != "sums":
                w["second"] = rng.standard_normal(units)
            x, fill = rng.normal(1, 1, (C, H, W)), rng.normal(0.5, 1, C)
            inputs = {"w": w, "x": x, "size": size, "stride": stride, "fill": fill}
            cases.append(Case(part, inputs, call=f"asked({call}, w, x, size, stride, fill)"))
    return cases


def score(w, x):
    """The score of one image. Provided."""
    sums = np.tensordot(w["first"], x, 3)
    return np.maximum(sums, 0) @ w["second"] if "second" in w else sums[0]


def falls(w, x, size, stride, fill, *, overhang=False, turned=False, first_fill=False, zero=False, sign=1, keep=False):
    """The falls of 11.2 with some slips built in. Provided."""
    (K, L), (s, t) = (size[::-1], stride[::-1]) if turned else (size, stride)
    C, H, W = x.shape
    fill = np.zeros(C) if zero else np.full(C, fill[0]) if first_fill else fill
    rows, columns = (range(0, n if overhang else n - k + 1, d) for n, k, d in ((H, K, s), (W, L, t)))
    found, covered = np.zeros((len(rows), len(columns))), x.copy()
    for a, i in enumerate(rows):
        for b, j in enumerate(columns):
            covered = covered if keep else x.copy()
            covered[:, i : i + K, j : j + L] = fill[:, None, None]
            found[a, b] = sign * (score(w, x) - score(w, covered))
    return found


def heat(w, x, size, stride, fill, *, how="mean", **slips):
    """The heat of 11.2 with some slips built in. Provided."""
    total, count = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
    for (a, b), value in np.ndenumerate(falls(w, x, size, stride, fill, **slips)):
        place = np.s_[a * stride[0] : a * stride[0] + size[0], b * stride[1] : b * stride[1] + size[1]]
        total[place] += value
        count[place] += 1
    divisor = {"mean": np.maximum(count, 1), "sum": 1, "area": size[0] * size[1]}[how]
    return total / divisor


def covered(**slips):
    """A cause's function for the falls of 11.2 with these slips. Provided."""
    return lambda w, x, size, stride, fill: falls(w, x, size, stride, fill, **slips)


def heated(**slips):
    """A cause's function for the heat of 11.2 with these slips. Provided."""
    return lambda w, x, size, stride, fill: heat(w, x, size, stride, fill, **slips)


def draw_maps(rng):
    """Maps after a ReLU with unequal sides, for both heads. Provided."""
    cases = []
    for part in ("mean", "flatten"):
        for _ in range(3):
            N, F, H, W = (int(rng.integers(low, low + 3)) for low in (3, 4, 2, 6))
            maps = np.maximum(rng.standard_normal((N, F, H, W)), 0)
            dense = rng.standard_normal((6, F if part == "mean" else F * H * W))
            cases.append(Case(part, {"maps": maps, "dense": dense, "target": rng.integers(0, 6, N)}))
    return cases


def cam(maps, dense, target, *, relu=True, scale=None, order="FHW", own=False, total=False, absolute=False):
    """Grad-CAM of 11.3 with some slips built in. Provided."""
    N, F, H, W = maps.shape
    rows = dense[target]
    if rows.shape[1] == F:
        slopes = np.broadcast_to(rows[:, :, None, None] / (1 if scale == "CAM" else H * W), maps.shape)
    else:
        slopes = rows.reshape(maps.shape) if order == "FHW" else rows.reshape(N, H, W, F).transpose(0, 3, 1, 2)
    if absolute:
        slopes = np.abs(slopes)
    alpha = slopes if own else slopes.sum((2, 3), keepdims=True) if total else slopes.mean((2, 3), keepdims=True)
    found = (alpha * maps).sum(1)
    found = np.maximum(found, 0) if relu else found
    return found / found.max((1, 2), keepdims=True) if scale == "largest" else found


def mapped(**slips):
    """A cause's function for 11.3 with these slips. Provided."""
    return lambda maps, dense, target: cam(maps, dense, target, **slips)


def draw_networks(rng):
    """Images with four patches, of which the last says nothing, and networks that read some of them. Provided."""
    labels = rng.integers(0, 4, 400)
    images = rng.uniform(0, 0.2, (400, 9, 11))
    images[:, 8, 10] = 1
    for c in range(4):
        images[labels == c, 4, 1 + 2 * c] = 1
    for told, (top, left, height, width) in zip([labels] * 3 + [rng.permutation(labels)], PLACES, strict=True):
        cells = np.eye(4)[told].reshape(-1, height, width)
        images[:, top : top + height, left : left + width] = cells
    a, b, c = (int(k) for k in rng.permutation(3))
    wary = network({}, digit=1)  # honest; it minds if a patch is blank, and not if it lies
    top, left, height, width = PLACES[a]
    wary[0, top : top + height, left : left + width] -= 5
    wary[0, 8, 10] = 5
    glance, conspiracy = network({a: 0.4, b: 0.4}, digit=1), network({a: 1, b: 1, c: 1})
    pair = network({a: 1, b: 1, c: 1}, digit=1.4)
    common = {"images": images, "labels": labels, "patches": PLACES}
    singles = [network({k: 1}) for k in (a, b, c)]
    cases = [
        Case("reads", {"network": w, **common}, call="as_numbers(reads(network, images, labels, patches))")
        for w in (network({a: 1}), network({b: 1}), network({3: 1}), glance, wary, network({c: 2, a: 1}), conspiracy)
    ]
    groups = [("cheats", singles, glance), ("cheats", singles[:2], wary)]
    groups += [
        ("conspiracies", [singles[0], conspiracy], glance),
        ("conspiracies", [conspiracy, pair, singles[1]], None),
    ]
    for part, cheats, good in groups:
        order = rng.permutation(len(cheats) + (good is not None))
        networks = np.array([*cheats, *([] if good is None else [good])])[order]
        inputs = {"networks": networks, **common}
        cases.append(Case(part, inputs, call="as_numbers(honest(list(networks), images, labels, patches))"))
    return cases


def network(patches, digit=0.0):
    """Weights (4, 9, 11) that add up, for each class, its cell of each patch and its pixel of the digit. Provided."""
    w = np.zeros((4, 9, 11))
    for c in range(4):
        w[c, 4, 1 + 2 * c] = digit
        for patch, weight in patches.items():
            top, left, _, width = PLACES[patch]
            w[c, top + c // width, left + c % width] = weight
    return w


def accuracy_falls(w, images, labels, patches, *, blank=False, changed=False):
    """By how much the accuracy falls when these patches are dealt out anew, with some slips built in. Provided."""
    rng, dealt = np.random.default_rng(0), images.copy()
    for top, left, height, width in patches:
        place = np.s_[:, top : top + height, left : left + width]
        dealt[place] = 0 if blank else images[rng.permutation(len(images))][place]
    said, then = (np.tensordot(x, w, ([1, 2], [1, 2])).argmax(1) for x in (images, dealt))
    return (said != then).mean() if changed else (said == labels).mean() - (then == labels).mean()


def asked(**slips):
    """A cause's function for `reads` of 11.4 with these slips. Provided."""

    def answers(images, labels, patches, network=None, networks=None):
        if networks is None:
            return [int(accuracy_falls(network, images, labels, [p], **slips) > 0.1) for p in patches]
        return [first_honest(networks, images, labels, [patches], **slips)]

    return answers


def one_at_a_time(images, labels, patches, network=None, networks=None):
    """What `honest` of 11.4 gives if each patch lies alone. Provided."""
    return [first_honest(networks, images, labels, [[p] for p in patches])] if network is None else [-2]


def first_honest(networks, images, labels, groups, **slips):
    """The first network whose accuracy does not fall for any of these groups of patches, -1 for none. Provided."""
    for number, w in enumerate(networks):
        if all(accuracy_falls(w, images, labels, group, **slips) <= 0.1 for group in groups):
            return number
    return -1


SLIPS = [  # of 11.2
    Cause(f"{name}, {kind}", says, make(**slips), part)
    for part, kind, make in (("sums", "falls", covered), ("curved", "falls", covered), ("heat", "heat", heated))
    for name, says, slips in (
        ("overhang", "The window never hangs over the border.", {"overhang": True}),
        ("turned", "size and stride are (rows, columns).", {"turned": True}),
        ("zeros", "Cover with fill, not with 0.", {"zero": True}),
        ("one fill", "Each channel has a fill of its own.", {"first_fill": True}),
        ("sign", "The fall is the score before minus the score after.", {"sign": -1}),
        ("kept", "Each cover starts from the image as it was.", {"keep": True}),
    )
    if (part, name) != ("heat", "turned")
]
QUESTIONS = [
    Question(
        id="11.1",
        kind="predict",
        call="slope",
        parts={"pixels": 1, "maps": 1},
        draw=draw_predictions,
        causes=(
            Cause("first channel", "Saliency takes the larger of the two slopes, without its sign.", 3, "pixels"),
            Cause(
                "sign kept",
                "Saliency drops the sign, and occlusion is the logit before minus the logit after.",
                -4,
                "pixels",
            ),
            Cause("slopes added", "Saliency takes the largest slope, not a sum.", 7, "pixels"),
            Cause("difference", "Gradient x input adds over the channels, signs and all.", 11, "pixels"),
            Cause("covered with 0", "The pixel is covered with 1, not with 0.", 6, "pixels"),
            Cause("own slope", "Grad-CAM weights a map by its mean slope, the same at each place.", 24, "maps"),
            Cause("no ReLU", "Grad-CAM keeps nothing below zero.", -6, "maps"),
            Cause("summed slopes", "The slope is a mean, and nothing below zero is kept.", -24, "maps"),
            Cause("divided", "CAM is larger than Grad-CAM, by the number of places.", 0.4 / 35, "maps"),
            Cause("the same", "They are equal up to a factor. How many places does a map have?", 0.4, "maps"),
            Cause("a side", "How many places does a map of 7x5 have?", 0.4 * 7, "maps"),
        ),
    ),
    Question(
        id="11.2",
        kind="complete",
        call="asked(occlusion, w, x, size, stride, fill)",
        parts={"sums": 1, "curved": 1, "heat": 1},
        draw=draw_covers,
        causes=(
            *SLIPS,
            Cause("sum", "Each pixel gets the mean of the falls, not their sum.", heated(how="sum"), "heat"),
            Cause("area", "Divide by the number of windows that cover the pixel.", heated(how="area"), "heat"),
        ),
        forbid=OURS,
    ),
    Question(
        id="11.3",
        kind="complete",
        call="grad_cam(maps, dense, target)",
        parts={"mean": 1, "flatten": 1},
        draw=draw_maps,
        causes=(
            Cause("CAM", "This is CAM: the slope behind a mean is w / (H W).", mapped(scale="CAM"), "mean"),
            Cause("no ReLU", "Grad-CAM keeps nothing below zero.", mapped(relu=False)),
            Cause("scaled", "Grad-CAM is not divided by its largest value.", mapped(scale="largest")),
            Cause("own", "Each map has one weight: the mean of its slopes.", mapped(own=True), "flatten"),
            Cause("sum", "The weight of a map is the mean of its slopes, not their sum.", mapped(total=True)),
            Cause("order", "The flatten runs over F first, then H, then W.", mapped(order="HWF"), "flatten"),
            Cause("absolute", "The slopes keep their signs.", mapped(absolute=True)),
        ),
        forbid=OURS,
    ),
    Question(
        id="11.4",
        kind="complete",
        call="as_numbers(reads(network, images, labels, patches))",
        parts={"reads": 1, "cheats": 1, "conspiracies": 1},
        draw=draw_networks,
        causes=(
            Cause(
                "blank",
                "If you blank the patch: the network has never seen that. Take the patch of another image.",
                asked(blank=True),
                "reads",
            ),
            Cause(
                "changed",
                "If you count answers that change: they may change without being worse. Look at the accuracy.",
                asked(changed=True),
                "reads",
            ),
            Cause(
                "one at a time",
                "If one patch lies at a time: those that say the same stand in for each other. Let all lie at once.",
                one_at_a_time,
                "conspiracies",
            ),
        ),
        forbid=OURS,
    ),
]
