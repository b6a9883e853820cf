"""Compare a result with the right one, and say in a sentence what is wrong with it, and why it may be."""

import numpy as np

from cnnlib.grading.card import over, report_card
from cnnlib.grading.sealed import Other, decode, encode

NOT_YET = "Not answered yet."


def judge(question, cases, got, want, given=frozenset()):
    """Score one question from its payloads.

    got, want: {"cases": [...]} as `cnnlib.grading.sealed.payload` makes them, one entry a case; given: the lines of the
    code that the learner was given. Returns (points, message, progress), and progress chooses the hint: "nothing" if
    there is no answer, "something" if no part is right, "part" if one is, "known" if the message names a cause of the
    question's.
    Provided.
    """
    if question.thresholds:
        return (judge_recipe if question.budget else judge_training)(question, cases[0], got["cases"][0], given)
    wrong = {}  # part -> (what is wrong with its first wrong case, the likely cause)
    for i, case in enumerate(cases):
        if case.part not in wrong:
            reference = decode(want["cases"][i]["output"])
            says, cause = judge_case(question, case, got["cases"][i], reference, given)
            if says:
                name = f"`{case.call}`: " if is_one_of_many(question, case, cases) and says != NOT_YET else ""
                wrong[case.part] = (name + says, cause)
    for part in [part for part in question.parts if part not in wrong]:
        races = [got["cases"][i]["seconds"] for i, case in enumerate(cases) if case.part == part and case.against]
        if races and (says := too_slow(question, races)):
            wrong[part] = (says, "")
    points = sum(value for part, value in question.parts.items() if part not in wrong)
    if not wrong:
        return points, "Right.", "part"
    if {says for says, _ in wrong.values()} == {NOT_YET} and not points:
        return points, NOT_YET, "nothing"
    known = {cause for _, cause in wrong.values()} & {cause.says for cause in question.causes}
    return points, describe_parts(question, wrong), "known" if known else "part" if points else "something"


def too_slow(question, seconds):
    """What to say of races, [(given function, answer), ...] in seconds, whose best is not quick enough, or None.

    Provided.
    """
    given, answer = (min(float(pair[k]) for pair in seconds) for k in (0, 1))
    if given >= question.quicker * answer:
        return None
    times = f"the given loops take {1000 * given:.3g} ms, yours {1000 * answer:.3g} ms, the best of {len(seconds)} runs"
    return f"right, but too slow: {times}. Want {question.quicker:g} times as quick, got {given / answer:.2g} times."


def is_one_of_many(question, case, cases):
    """Whether a case asks for one of several predictions of its part, so that its name says which. Provided."""
    several = sum(other.part == case.part for other in cases) > 1
    return question.kind == "predict" and several and (case.call or "").isidentifier()


def describe_parts(question, wrong):
    """The message of a question: for each part that lost its points the first difference and the likely cause.

    wrong: {part: (what is wrong, cause)}. What is the same for several parts is said once. Provided.
    """
    total, said, groups = len(question.parts), set(), {}
    for part, (says, cause) in wrong.items():
        text = f"{says} {'' if cause in said else cause}".strip()
        groups.setdefault(text[:1].lower() + text[1:] if text == NOT_YET else text, []).append(part)
        said.add(cause)
    if total == 1:
        return next(iter(groups))
    told = " ".join(f"{', '.join(parts)}: {text}" for text, parts in groups.items())
    return f"{told} Parts right: {total - len(wrong)} of {total}."


def mend_first(wrong):
    """A sentence that points to the first of the questions that an answer builds on and that are not right, or "".

    Provided.
    """
    return f" Does it call your answer to {wrong[0]}? That one is not right yet: mend it first." if wrong else ""


def too_long(question, seconds, how):
    """What to say of code that had to be stopped: training may simply be slow. Provided."""
    slow = question is not None and question.kind == "train"
    why = "is the network too large, or are there too many steps?" if slow else "is there a loop that never ends?"
    return f"it took longer than {seconds:g} seconds and was {how}: {why}"


def judge_case(question, case, got, want, given=frozenset()):
    """(None, "") if one case is right, else (what is wrong, the likely cause or ""). Provided."""
    if "error" in got:
        return describe_error(got, given), ""
    value = decode(got["output"])
    if value is ... or (isinstance(value, list) and value and all(entry is ... for entry in value)):
        return NOT_YET, ""
    changed = [
        name
        for name, form in got["inputs"].items()
        if name in case.inputs and name not in question.changes and form != encode(case.inputs[name])
    ]
    if changed:
        return f"your code changed its input {' and '.join(changed)}: work on a copy, or build a new array.", ""
    if question.judge:
        return judge_property(question, case, value, want), ""
    says = difference(value, want, question)
    return says, likely_cause(question, case, value, want) if says else ""


def judge_property(question, case, value, want):
    """What the question's own judge says; a result it cannot even read is wrong. Provided."""
    try:
        return question.judge(value, case, want)
    except Exception as error:
        return f"the result is not of the form asked for ({type(error).__name__}: {error})."


def describe_error(got, given=frozenset()):
    """An exception in the learner's code, or in the given code that calls it, in a sentence. Provided."""
    if got["error"] == "NotImplementedError":
        return NOT_YET
    line, message = got.get("line", ""), got["message"].strip(" .") or "no message"
    message += "" if message.endswith(("?", "!")) else "."
    if line in given and line.startswith("raise "):
        return message
    whose = "the given code, working with yours," if line in given else "your code"
    where = f" in `{line}`" if line else ""
    return f"{whose} stopped with {got['error']}{where}: {message}"


def difference(got, want, question, shows=None):
    """The first difference between two results, or None. `shows` False hides wanted values. Provided."""
    shows = question.shows_values if shows is None else shows
    if isinstance(want, dict):
        return dict_difference(got, want, question, shows)
    if isinstance(got, list) and isinstance(want, np.ndarray):
        got = as_array(got)
    if isinstance(want, list):
        return list_difference(got, want, question, shows)
    if isinstance(want, np.ndarray):
        return array_difference(got, want, question, shows)
    if type(got) is type(want) and got == want:
        return None
    return f"got {brief(got)}, want {brief(want)}." if shows else f"got {brief(got)}, and that is not it."


def dict_difference(got, want, question, shows):
    """The first difference between two dicts. Provided."""
    if not isinstance(got, dict):
        return f"got {brief(got)}, want a dict with the keys {', '.join(want)}."
    missing = [key for key in want if key not in got]
    if missing:
        return f"the key {missing[0]!r} is missing."
    for key in want:
        says = difference(got[key], want[key], question, shows)
        if says:
            return f"{key}: {says}"
    return None


def list_difference(got, want, question, shows):
    """The first difference between two lists or tuples. Provided."""
    if isinstance(got, np.ndarray) and got.ndim:
        got = [np.asarray(entry) for entry in got]
    if not isinstance(got, list):
        return f"got {brief(got)}, want {len(want)} values." if shows else f"got {brief(got)}, and that is not it."
    if len(got) != len(want):
        return f"got {len(got)} values, want {len(want)}."
    for i, (one, other) in enumerate(zip(got, want, strict=True)):
        says = difference(one, other, question, shows)
        if says:
            return f"value {i + 1} of {len(want)}: {says}" if len(want) > 1 else says
    return None


def array_difference(got, want, question, shows):
    """The first difference between two arrays or numbers: type, shape, dtype, values, in this order. Provided."""
    if not isinstance(got, np.ndarray):
        return (
            "got None: does your function return its result?"
            if got is None
            else f"got {brief(got)}, want {kind(want)}."
        )
    if got.shape != want.shape:
        return f"got shape {got.shape}, want {want.shape}." if shows else f"got {kind(got)}, want {kind(want)}."
    if want.dtype.kind in "US" or got.dtype.kind in "US":
        same = got.dtype.kind == want.dtype.kind and np.array_equal(got, want)
        return None if same else "got other text." if want.dtype.kind in "US" else "got text, want numbers."
    off = ~np.isclose(got, want, rtol=question.rtol, atol=question.atol, equal_nan=True)
    if not off.any():
        return dtype_difference(got, want, question)
    if not shows:
        return f"{brief(got)} is not it." if got.ndim == 0 else f"{off.sum()} of {off.size} numbers are not right."
    place = tuple(int(i) for i in np.argwhere(off)[0])
    at = f"first difference at {list(place)}: " if place else ""
    many = f" ({off.sum()} of {off.size} differ)" if off.size > 1 else ""
    return f"{at}got {number(got[place])}, want {number(want[place])}{many}."


def dtype_difference(got, want, question):
    """What is wrong with the dtype of an array whose values are right, or None. Provided."""
    if question.dtype == "exact" and got.dtype != want.dtype:
        return f"the values are right, but got {got.dtype}, want {want.dtype}."
    if question.dtype == "kind" and want.dtype.kind in "fc" and got.dtype.kind in "biu" and want.ndim:
        return f"got whole numbers ({got.dtype}), want {want.dtype}."
    return None


def as_array(values):
    """A list of numbers or of arrays of one shape as an array; anything else stays a list. Provided."""
    values = [as_array(value) if isinstance(value, list) else value for value in values]
    if not values:
        return np.empty(0)
    if all(isinstance(v, np.ndarray) and v.dtype.kind in "biufc" and v.shape == values[0].shape for v in values):
        return np.stack(values)
    return values


def kind(array):
    """An array's shape in words. Provided."""
    return "a number" if array.ndim == 0 else f"an array of shape {array.shape}"


def number(value):
    """A number as a message shows it. Provided."""
    return f"{value.item():.6g}" if value.dtype.kind in "fc" else str(value.item())


def brief(value):
    """A result in a few words. Provided."""
    if value is ...:
        return "the dots"
    if isinstance(value, Other):
        return f"an object of type {value.name}"
    if isinstance(value, np.ndarray):
        return repr(value.item()) if value.ndim == 0 else kind(value)
    return repr(value)[:60] if isinstance(value, str | None) else f"{len(value)} values"


def likely_cause(question, case, got, want):
    """The sentence of the first known mistake that gives this very result, or "". Provided."""
    got = as_array(got) if isinstance(got, list) else got
    causes = [cause for cause in question.causes if cause.part in (None, case.part)]
    for match in (same, same_shape):
        for cause in causes:
            if match(got, cause, case, want, question):
                return cause.says
    if isinstance(want, dict) and isinstance(got, dict):
        return cause_in_dict(got, want, question)
    if (
        isinstance(got, np.ndarray)
        and isinstance(want, np.ndarray)
        and question.shows_values
        and got.dtype.kind in "biuf"
    ):
        return common_cause(got, want, question)
    return ""


def cause_in_dict(got, want, question):
    """What every question knows of the first entry that differs, or "". Provided."""
    for key in want:
        if key in got and difference(got[key], want[key], question):
            arrays = isinstance(got[key], np.ndarray) and isinstance(want[key], np.ndarray)
            return common_cause(got[key], want[key], question) if arrays and question.shows_values else ""
    return ""


def same(got, cause, case, want, question):
    """Whether a known mistake gives this result. Provided."""
    try:
        with np.errstate(all="ignore"):
            wrong = decode(encode(cause.result(case, want, got)))
            if isinstance(wrong, np.ndarray) and np.isnan(wrong).all():  # the cause knows the shape only
                return False
            return difference(got, wrong, question) is None and difference(wrong, want, question) is not None
    except Exception:
        return False


def same_shape(got, cause, case, want, question):
    """Whether a result is of the shape that a known mistake gives, where that is not the right one. Provided."""
    try:
        return got.shape != want.shape and got.shape == np.shape(cause.result(case, want, got))
    except Exception:
        return False


def common_cause(got, want, question):
    """What every question knows without being told: swapped axes, a lost sign, a factor, and the like. Provided."""

    def close(a, b):
        return a.shape == b.shape and np.allclose(a, b, rtol=question.rtol, atol=question.atol)

    if got.ndim < 1 or want.ndim < 1:
        return ""
    if got.shape != want.shape:
        if want.size and not got.size:
            return "Nothing is left: a slice such as `[p:-p]` is empty where p is 0. Write `[p : p + H]`."
        if got.shape == want.shape[:-2] + want.shape[:-3:-1] and want.ndim > 1:
            return "Height and width look swapped: H' comes from H and K, W' from W and L."
        if got.ndim == want.ndim:
            gaps = {g - w for g, w in zip(got.shape, want.shape, strict=True)} - {0}
            return "The shape is off by one." if gaps <= {1, -1} else ""
        return f"It has {got.ndim} axes where {want.ndim} are wanted."
    if not np.isfinite(got).all() and np.isfinite(want).all():
        return "Your result holds nan or inf: look for a division by zero, or for an array that was never filled."
    axes = tuple(range(max(0, want.ndim - 2), want.ndim))
    if got.dtype.kind in "biu" and want.dtype.kind == "f" and close(got, np.trunc(want)):
        return "Fractions were cut off: what is the dtype of the array that you write into?"
    if not got.any():
        return "All zeros: is the result ever written into the array that you return?"
    for name, guess in (
        ("The sign is turned around.", -want),
        ("It is the right answer back to front.", np.flip(want, axes)),
        ("It is the right answer upside down.", np.flip(want, axes[0])),
        ("It is the right answer, mirrored.", np.flip(want, axes[-1])),
        ("Rows and columns are swapped.", np.swapaxes(want, axes[0], axes[-1])),
    ):
        if close(got, guess):
            return name
    with np.errstate(all="ignore"):
        ratio, gap = got / want, got - want
    if np.isfinite(ratio).all() and got.size > 1 and np.allclose(ratio, ratio.flat[0]):
        return f"Every number is {ratio.flat[0]:.4g} times the right one."
    if got.size > 1 and np.allclose(gap, gap.flat[0], rtol=1e-6):
        return f"Every number is off by the same {gap.flat[0]:.4g}."
    return shifted(got, want, close)


def shifted(got, want, close):
    """A sentence if a result is the right one, moved by one place. Provided."""
    for axis in range(want.ndim):
        n = want.shape[axis]
        if n > 2:
            head, tail = (
                [np.take(a, range(n - 1), axis) for a in (got, want)],
                [np.take(a, range(1, n), axis) for a in (got, want)],
            )
            if close(head[0], tail[1]) or close(tail[0], head[1]):
                return f"Your numbers are the right ones, moved by one place along axis {axis}."
    return ""


def judge_training(question, case, got, given=frozenset()):
    """Score predicted labels: the share of images that are right decides which parts are won. Provided."""
    if "error" in got:
        says = describe_error(got, given)
        return 0, says, "nothing" if says == NOT_YET else "something"
    labels = decode(got["output"])
    n = len(case.secret)
    if labels is ...:
        return 0, NOT_YET, "nothing"
    if not isinstance(labels, np.ndarray) or labels.shape != (n,) or labels.dtype.kind not in "biu":
        form = f"{kind(labels)} of {labels.dtype}" if isinstance(labels, np.ndarray) else brief(labels)
        return 0, f"got {form}, want ({n},) whole numbers: one class index an image.", "something"
    right = float((labels == case.secret).mean())
    return marked(
        question, case, right, f"{100 * right:.1f} % of {n} images it has not seen are right ({case.source})."
    )


def judge_recipe(question, case, got, given=frozenset()):
    """Score a recipe that the grader has trained: over the budget nothing, else by its mean accuracy. Provided."""
    if "error" in got:
        own = got["error"] == "ValueError" and not got.get("line")  # what `cnnlib.capstone` refuses, in its words
        says = f"{got['message'].rstrip('.')}." if own else describe_error(got, given)
        return 0, says, "nothing" if says == NOT_YET else "something"
    output = decode(got["output"])
    if output is ...:
        return 0, NOT_YET, "nothing"
    try:
        card = report_card(output, case)
    except ValueError as error:
        return 0, f"{error}.", "something"
    if says := over(card, question.budget):
        return 0, says, "something"
    seeds = f"from {len(card['runs'])} seeds" if len(card["runs"]) > 1 else "from one seed"
    measured = f"trained {seeds}, {100 * card['accuracy']:.1f} % of {card['images']} images it has not seen are right"
    return marked(question, case, card["accuracy"], f"{measured} ({case.source}).")


def marked(question, case, right, measured):
    """(points, message, progress) for a share of images that are right, by the question's thresholds. Provided."""
    standin = case.source.startswith("stand-in") and question.standin_thresholds
    thresholds = question.standin_thresholds if standin else question.thresholds
    lost = {part: least for part, least in thresholds.items() if right < least}
    points = sum(value for part, value in question.parts.items() if part not in lost)
    if not lost:
        return points, f"Right: {measured}", "part"
    part = min(lost, key=lost.get)
    return points, f"{measured} {question.parts[part]:g} more from {100 * lost[part]:.4g} %.", "part"
