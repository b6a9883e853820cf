"""The questions of exercise 08, Two convolutions on MNIST."""

import numpy as np

from cnnlib.grading.question import Case, Cause, Question, unlabeled

LIBRARY = ("cnnlib.models", "cnnlib.recipes", "cnnlib.train", "torchvision")


def draw_predictions(rng):
    """The numbers of 08.1; nothing is drawn. Provided."""
    return [
        Case("shapes", call="map_size"),
        Case("shapes", call="flat"),
        Case("parameters", call="parameters"),
    ]


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


def draw_networks(rng):
    """Small networks and images: batches of equal and unequal sizes, then dropout in both modes. Provided."""
    cases = []
    for part, n, batch_size, dropout, training in (
        ("averages", 24, 8, 0.0, False),
        ("averages", 29, 8, 0.0, False),
        ("averages", 5, 16, 0.0, False),
        ("modes", 32, 8, 0.5, True),
        ("modes", 32, 8, 0.5, False),
    ):
        w, x = rng.standard_normal((4, 6)), rng.standard_normal((n, 6))
        x[-3:] *= 4  # the short last batch is unlike the others
        y = np.where(rng.random(n) < 0.7, (x @ w.T).argmax(1), rng.integers(0, 4, n))
        y[-3:] = (x[-3:] @ w.T).argmin(1)
        inputs = {"w": w, "x": x, "y": y, "batch_size": batch_size, "dropout": dropout, "training": training}
        cases.append(Case(part, inputs))
    return cases


def softmax(z):
    """Softmax over the last axis. Provided."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def losses(logits, y):
    """Cross-entropy of each image. Provided."""
    return -np.log(softmax(logits)[np.arange(len(y)), y])


def told(loss, accuracy, training):
    """A result of `measured`, as the exercise's setup makes it. Provided."""
    modes = {"training mode while measuring": False, "training mode afterwards": training}
    return modes | {"loss": loss, "accuracy": accuracy}


def means(w, x, y, batch_size, training, *, twice=False, drop=False, of_means=False, full=False):
    """What `evaluate` gives with some of its mistakes left in, in evaluation mode. Provided."""
    n = len(x) // batch_size * batch_size if drop else len(x)
    if n == 0:
        raise ValueError("no batch is full")
    logits = x[:n] @ w.T
    loss, hits = losses(softmax(logits) if twice else logits, y[:n]), logits.argmax(1) == y[:n]
    if of_means:
        starts = range(0, n, batch_size)
        batch = [[v[k : k + batch_size].mean() for k in starts] for v in (loss, hits)]
        return told(np.mean(batch[0]), np.mean(batch[1]), training)
    if full:  # the last batch counted as if it were full
        weights = np.array([batch_size / min(batch_size, n - k // batch_size * batch_size) for k in range(n)])
        return told((weights * loss).mean(), (weights * hits).mean(), training)
    return told(loss.mean(), hits.mean(), training)


def with_mistakes(**mistakes):
    """A cause's function for `means` with these mistakes. Provided."""
    return lambda w, x, y, batch_size, training, **_: means(w, x, y, batch_size, training, **mistakes)


def draw_digits(rng, split="test"):
    """5,000 images whose labels stay here. Provided."""
    case = unlabeled("mnist", 5_000, rng, split=split)
    return [Case(case.part, {"images": case.inputs["x"]}, secret=case.secret, source=case.source)]


QUESTIONS = [
    Question(
        id="08.1",
        kind="predict",
        call="parameters",
        parts={"shapes": 1, "parameters": 1},
        draw=draw_predictions,
        causes=(
            Cause("padded", "That would be right if the 5x5 convolution were padded. It is not.", (5, 7), "shapes"),
            Cause("swapped", "Height comes first, then width.", (6, 4), "shapes"),
            Cause("one pooling", "There are two poolings.", (8, 12), "shapes"),
            Cause("no channels", "A map has that many numbers, and there are 24 maps.", 24, "shapes"),
            Cause("channels of conv 1", "How many maps leave the second convolution?", 384, "shapes"),
            Cause("flat of the padded", "The 5x5 convolution is not padded.", 24 * 35, "shapes"),
            Cause("no biases", "Every filter and every unit has a bias, too.", 33_006, "parameters"),
            Cause(
                "one channel",
                "A filter of the second convolution looks at all 16 channels, with other weights for each.",
                33_103 - 24 * 15 * 9,
                "parameters",
            ),
            Cause(
                "padded parameters",
                "The dense layer has too many inputs: the 5x5 convolution is not padded.",
                33_103 + 50 * (24 * 35 - 576),
                "parameters",
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
        call="measured(evaluate, w, x, y, batch_size, dropout, training)",
        parts={"averages": 1, "modes": 1},
        draw=draw_networks,
        rtol=1e-5,
        atol=1e-6,
        causes=(
            Cause(
                "softmax twice",
                "The loss gets probabilities. It wants logits: softmax is inside it.",
                with_mistakes(twice=True),
            ),
            Cause("end dropped", "The last, shorter batch is never seen.", with_mistakes(drop=True)),
            Cause(
                "end dropped, mean of means",
                "The last, shorter batch is never seen.",
                with_mistakes(drop=True, of_means=True),
            ),
            Cause(
                "mean of means",
                "You average the batches, and the short last batch counts as much as a full one.",
                with_mistakes(of_means=True),
            ),
            Cause(
                "last one full",
                "The last batch weighs too much: multiply its mean by its own length, not by `batch_size`.",
                with_mistakes(full=True),
            ),
            Cause(
                "all averages",
                "Two mistakes are left: the last batch counts too much, and the loss gets probabilities.",
                with_mistakes(of_means=True, twice=True),
            ),
            Cause(
                "mode not put back",
                "The network came in training mode and leaves in evaluation mode: put it back.",
                lambda want, **_: {**want, "training mode afterwards": False},
            ),
            Cause(
                "always training",
                "The network came in evaluation mode and leaves in training mode: put back what was there.",
                lambda want, **_: {**want, "training mode afterwards": True},
            ),
            Cause(
                "percent",
                "The accuracy is meant to run from 0 to 1.",
                lambda want, **_: {**want, "accuracy": 100 * want["accuracy"]},
            ),
            Cause(
                "sums",
                "The loss is a sum. Divide it by the number of images.",
                lambda want, x, **_: {**want, "loss": want["loss"] * len(x)},
            ),
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
