"""The questions of exercise 08, Two convolutions on MNIST."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question, unlabeled

LIBRARY = ("cnnlib.models", "cnnlib.recipes", "cnnlib.train", "torchvision")


def draw_predictions(rng):
    """The numbers of 08.1; nothing is drawn. Provided."""
    calls = {"grows": "parameters", "more_parameters": "parameters", "factor": "work", "most_work": "work"}
    return [Case(part, call=name) for name, part in calls.items()]


def report(rng, n, decimals, true):
    """One text and n: a count rounded as printed, or a number between two counts, which mostly none gives. Provided."""
    count = int(rng.integers(n // 2, n))
    share = 100 * count / n if true else 100 * (count + rng.uniform(0.3, 0.7)) / n
    return f"{share:.{decimals}f}", n


def draw_reports(rng):
    """True and untrue reports, mixed; first those where nothing was rounded, then the others. Provided."""
    usual = [report(rng, n, decimals, True) for n, decimals in ((10_000, 2), (1_000, 1), (500, 1)) for _ in range(3)]
    usual += [report(rng, n, 2, False) for n in (1_000, 500, 1_000)]
    usual += [("100", 10_000), ("0.00", 10_000), ("100.01", 10_000), ("-0.1", 1_000), ("101", 100)]
    sizes = [(3, 1), (7, 2), (60, 1), (297, 2), (500, 2), (4_999, 3), (10_000, 4), (10_000, 3)]
    other = [report(rng, n, decimals, true) for n, decimals in sizes for true in (True, False)]
    other += [
        ("33.3", 3),
        ("66.7", 3),
        ("66.667", 3),
        ("66.6", 3),
        ("83.4265", 10_000),
        ("50", 3),
        ("99.2", 10_000),
        ("120.0", 10),
    ]
    return [
        Case(part, {"reports": tuple(mixed(rng, reports))})
        for part, reports in (("nothing rounded", usual), ("rounded", other))
    ]


def mixed(rng, things):
    """The same things in a random order. Provided."""
    return [things[k] for k in rng.permutation(len(things))]


def nearest(text, n):
    """Distance in percent from a report to the nearest share of whole counts, and that count. Provided."""
    count = round(float(text) / 100 * n)
    return abs(100 * count / n - float(text)), count


def rounds(text, n, decimals):
    """Whether some count of n, from below 0 to above n, rounds to a report at so many decimals. Provided."""
    return nearest(text, n)[0] <= 0.5 * 10.0**-decimals + 1e-9


def printed(text):
    """How many decimals a text shows. Provided."""
    return len(text.partition(".")[2])


def whole(text, n):
    """Whether a report times n is a whole number: the rounding is forgotten. Provided."""
    return nearest(text, n)[0] * n / 100 < 1e-6


def inside(text):
    """Whether a report lies between 0 and 100 percent. Provided."""
    return 0 <= float(text) <= 100


def verdicts(rule):
    """What 08.2 gives if `possible` is this function of a text and n. Provided."""
    return lambda reports: {f"{t} % of {n:,}": bool(rule(t, n)) for t, n in reports}


def draw_logits(rng):
    """Logits of networks too sure and not sure enough; two sets do not come out even, one is too large for exp.
    Provided."""
    cases = []
    for n, classes, groups, scale, level in ((40, 5, 4, 3.0, 0.0), (29, 4, 3, 0.7, 0.0), (53, 6, 5, 2.0, 900.0)):
        logits = scale * rng.standard_normal((n, classes)) + level * rng.integers(1, 3, (n, 1))
        y = np.where(rng.random(n) < 0.6, logits.argmax(1), rng.integers(0, classes, n))
        inputs = {"logits": logits, "y": y, "groups": groups}
        call = "calibration(logits, y, groups)"
        cases += [Case("groups", inputs, call=f"{call}[:2]"), Case("gap", inputs, call=f"{call}[2]")]
    return cases


def softmax(z):
    """Softmax over the last axis. Provided."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def calibrated(logits, y, groups, *, order="up", cut="even", sure="largest", gap="mean"):
    """What 08.3 gives with some of its mistakes left in: mean sureness, accuracy, gap. Provided."""
    p = logits if sure == "logits" else softmax(logits)
    right, sureness = p.argmax(1) == y, p[np.arange(len(y)), y] if sure == "label" else p.max(1)
    rank = np.arange(len(y)) if order == "none" else sureness.argsort()
    parts = np.array_split(rank[::-1] if order == "down" else rank, groups)
    if cut == "width":
        parts = [np.flatnonzero(np.minimum((sureness * groups).astype(int), groups - 1) == k) for k in range(groups)]
    if cut == "last":  # what does not come out even goes to the last group
        size = len(y) // groups
        parts = np.split(rank, [k * size for k in range(1, groups)])
    with np.errstate(all="ignore"):
        said, was = (np.array([v[part].sum() / len(part) for part in parts]) for v in (sureness, right))
    weights, off = np.array([len(part) for part in parts]) / len(y), np.nan_to_num(said - was)
    ways = {"mean": (weights * np.abs(off)).sum(), "signed": (weights * off).sum(), "groups": np.abs(off).mean()}
    ways |= {"largest": np.abs(off).max(), "sum": np.abs(off).sum(), "images": np.abs(sureness - right).mean()}
    return said, was, ways[gap]


def sure(says, part="groups", **mistakes):
    """A known mistake in one part of 08.3. Provided."""
    wanted = slice(0, 2) if part == "groups" else 2
    return Cause(
        says.split(".")[0], says, lambda logits, y, groups: calibrated(logits, y, groups, **mistakes)[wanted], part
    )


def draw_digits(rng, split="test"):
    """5,000 images whose labels stay here. Provided."""
    case = unlabeled("mnist", 5_000, rng, split=split)
    return [Case(case.part, {"images": case.inputs["x"]}, secret=case.secret, source=case.source)]


QUESTIONS = [
    Question(
        id="08.1",
        kind="predict",
        call="grows",
        parts={"parameters": 1, "work": 1},
        draw=draw_predictions,
        atol=0.005,
        causes=(
            Cause("a convolution grows", "A filter has its weights once, however large the image is.", 2, "parameters"),
            Cause("the first grows", "A filter has its weights once, however large the image is.", 1, "parameters"),
            Cause("the last grows", "The last layer has 50 inputs before and after.", 4, "parameters"),
            Cause("inputs", "That many more numbers are flattened. Each of them meets 50 units.", 2_232, "parameters"),
            Cause("four times", "Not four times as many are flattened: count the maps anew.", 86_400, "parameters"),
            Cause("padded", "The 5x5 convolution is not padded.", 126_000, "parameters"),
            Cause("all", "That is the whole new network. How many more is it than before?", 144_703, "parameters"),
            Cause("the layer", "That is the whole layer. How many more is it than before?", 140_450, "parameters"),
            Cause("four times the work", "Nearly, but 5x5 without padding loses the same border of both.", 4, "work"),
            Cause("one axis", "Twice as high, and twice as wide.", 2.25, "work"),
            Cause("most parameters", "It has the most parameters, and uses each of them once.", 3, "work"),
            Cause(
                "larger maps", "Its maps are larger, but count the multiplications for one number of them.", 1, "work"
            ),
        ),
    ),
    Question(
        id="08.2",
        kind="complete",
        call="{f'{percent} % of {n:,}': bool(possible(percent, n)) for percent, n in reports}",
        parts={"nothing rounded": 1, "rounded": 1},
        draw=draw_reports,
        reveal=False,
        causes=(
            Cause("all true", "You call every report possible.", verdicts(lambda t, n: True)),
            Cause("all false", "You call no report possible.", verdicts(lambda t, n: False)),
            Cause(
                "not whole",
                "You ask for a whole count exactly, but a report is rounded: 2 of 3 is printed as 66.7.",
                verdicts(lambda t, n: inside(t) and whole(t, n)),
            ),
            Cause(
                "beyond the ends",
                "More than all images cannot be right, and fewer than none neither.",
                verdicts(lambda t, n: rounds(t, n, printed(t))),
            ),
            Cause(
                "always two decimals",
                "How many decimals are printed? You always allow for two.",
                verdicts(lambda t, n: inside(t) and rounds(t, n, 2)),
            ),
            Cause(
                "a whole unit",
                "Rounding moves a number by at most half a unit of the last digit; you allow for a whole one.",
                verdicts(lambda t, n: inside(t) and nearest(t, n)[0] < 10.0 ** -printed(t) - 1e-9),
            ),
            Cause(
                "range only",
                "You look at the range only. Which counts are there between 0 and n?",
                verdicts(lambda t, n: inside(t)),
            ),
        ),
    ),
    Question(
        id="08.3",
        kind="complete",
        call="calibration(logits, y, groups)",
        parts={"groups": 1, "gap": 1},
        draw=draw_logits,
        rtol=1e-5,
        atol=1e-6,
        causes=(
            sure("These are logits. How sure a network is, is a probability: take the softmax.", sure="logits"),
            sure(
                "You take the probability of the label. How sure is the network of the class that it *names*?",
                sure="label",
            ),
            sure("The surest come first. Begin with the least sure.", order="down"),
            sure("The images are not sorted: group them by how sure the network is.", order="none"),
            sure("You cut the range of probabilities evenly. Cut the sorted images evenly.", cut="width"),
            sure("The rest goes to the last group. One image more for each of the first groups.", cut="last"),
            Cause(
                "overflow",
                "exp of a large logit is infinite: subtract the largest logit of each image first.",
                lambda got, **_: got if not np.isfinite(np.array(got, float)).all() else None,
            ),
            sure("The gaps cancel: take each without its sign.", "gap", gap="signed"),
            sure("Groups of unequal size count the same: weigh them by their images.", "gap", gap="groups"),
            sure("That is the largest gap. The mean over all images is asked for.", "gap", gap="largest"),
            sure("That is the sum over the groups. The mean over all images is asked for.", "gap", gap="sum"),
            sure("An image is right or wrong, never 90 % right. Compare the means of a group.", "gap", gap="images"),
        ),
        forbid=LIBRARY,
    ),
    Question(
        id="08.4",
        kind="train",
        call="answers(net, predict, images)",
        parts={"97 %": 1, "98 %": 1, "98.5 %": 1, "98.8 %": 1},
        thresholds={"97 %": 0.97, "98 %": 0.98, "98.5 %": 0.985, "98.8 %": 0.988},
        standin_thresholds={"97 %": 0.80, "98 %": 0.85, "98.5 %": 0.88, "98.8 %": 0.91},
        draw=draw_digits,
        forbid=LIBRARY,
        seconds=80,
        needs=("mnist",),
    ),
]
