"""What an exercise asks: questions, the cases they are tried on, and the mistakes they know."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call of the learner's code, on inputs drawn by the grader.

    `inputs` are the names in the call: arrays, numbers, strings, None, and tuples, lists and dicts of these. `call`
    replaces the question's own; `secret` never leaves the grader. The part is won if all its cases are right. `against`
    makes a race of it: a call of a given function that is timed beside this one, on the same inputs.
    Provided.
    """

    part: str
    inputs: dict[str, Any] = field(default_factory=dict)
    call: str | None = None
    secret: Any = None
    against: str | None = None
    source: str = ""  # of unlabeled images: what `Images.source` says


@dataclass(frozen=True)
class Cause:
    """A known mistake: what it computes, and what to tell the learner.

    `wrong` is a constant, or a function of the case's inputs by name (and of `want`, the right result, and `got`, the
    learner's, if it has parameters of these names). An array of nan stands for its shape alone. `part` limits the
    cause to one part.
    Provided.
    """

    name: str
    says: str
    wrong: Any
    part: str | None = None

    def result(self, case, want, got=None):
        """What the mistake would have given on this case. Provided."""
        if not callable(self.wrong):
            return self.wrong
        known = inspect.signature(self.wrong).parameters
        extra = {name: value for name, value in (("want", want), ("got", got)) if name in known}
        return self.wrong(**case.inputs, **extra)


@dataclass(frozen=True)
class Question:
    """One graded question. Its points are the sum of its parts' points.

    `call` is evaluated in the learner's kernel with the inputs of a `Case` as names; `draw(rng)` makes the cases from
    a fresh random generator. `judge(got, case, want)`, for questions with many right answers, returns None or what is
    not right.
    Provided.
    """

    id: str  # "02.1"
    kind: str  # "predict", "complete", "explore" or "train"
    call: str
    parts: dict[str, float]  # name -> points
    draw: Callable
    causes: tuple[Cause, ...] = ()
    uses: tuple[str, ...] = ()  # ids of questions whose answers this one usually calls
    forbid: tuple[str, ...] = ()  # modules and names that the answer may not use
    rtol: float = 1e-7
    atol: float = 1e-9
    dtype: str = "kind"  # "kind": whole numbers where fractions are wanted are wrong; "exact"; "any"
    judge: Callable | None = None
    reveal: bool | None = None  # may messages show wanted values? By default all but those of "predict"
    changes: tuple[str, ...] = ()  # inputs that the call may change in place
    seconds: float = 10  # for each cell of this question
    quicker: float = 5  # how many times as quick as `against` the best of a part's races must be
    needs: tuple[str, ...] = ()  # data sets whose train split the kernel gets
    thresholds: dict[str, float] = field(default_factory=dict)  # "train": part -> share of images that must be right
    standin_thresholds: dict[str, float] = field(default_factory=dict)  # the same, where only the stand-in is there
    images: int | None = None  # so many images of a train split at most; None: all of them
    budget: dict[str, float] = field(default_factory=dict)  # of a recipe that is trained: what its report card may show
    longest: int | None = None  # characters of the answer and of all cells that it leans on, together

    @property
    def points(self):
        """The most that this question can give. Provided."""
        return sum(self.parts.values())

    @property
    def key(self):
        """The question's id as cell ids spell it: "02.1" is "02-1". Provided."""
        return self.id.replace(".", "-")

    @property
    def shows_values(self):
        """Whether a message may show the wanted value. Provided."""
        return self.kind != "predict" if self.reveal is None else self.reveal

    def cases(self, seed, **options):
        """The cases for one seed: the same seed gives the same cases. Provided."""
        exercise, number = (int(part) for part in self.id.split("."))
        return self.draw(np.random.default_rng([seed, exercise, number]), **options)


def unlabeled(name, n, rng, *, split="test", part=""):
    """A case of n images of a data set, whose labels stay with the grader.

    Some pixels differ from the data set's by one gray level in 255: the network does not notice, a table of known
    images does. Returns a Case with the input x, uint8 (n, 28, 28) or (n, 32, 32, 3), and the labels (n,) as its
    secret.
    Provided.
    """
    from cnnlib.data import load

    images = load(name, split)
    chosen = rng.permutation(len(images.images))[:n]
    x = images.images[chosen]
    x = x ^ (rng.random(x.shape) < 0.02).astype(np.uint8)
    return Case(part, {"x": x}, secret=images.labels[chosen], source=images.source)
