"""Feedback at once, in the learner's own kernel: `check("02.2")`. It helps; it does not score."""

import contextlib
import functools
import os
import signal
import threading

from cnnlib.grading import sources
from cnnlib.grading.compare import NOT_YET, judge, mend_first, too_long
from cnnlib.grading.sealed import forms, payload

REMEMBERED = 200  # cells of a notebook's history that `check` reads: each takes it some milliseconds
RIGHT = "right."


class TooLong(BaseException):
    """A check took longer than its question allows; no `except Exception` of an answer catches it."""


def feedback(name, namespace, seed=None):
    """The sentence that `check` prints. Provided."""
    exercise = name.partition(".")[0]
    if exercise not in sources.sources():
        return "there is no exercise of this number here (the course's folder `exercises/solutions` is needed)."
    question = next((q for q in sources.questions(exercise) if q.id == name), None)
    if question is None:
        known = ", ".join(q.id for q in sources.questions(exercise))
        return f"there is no such question; exercise {exercise} has {known}."
    try:
        with limited(question.seconds):
            return tried(question, namespace, int.from_bytes(os.urandom(4)) if seed is None else seed)
    except TooLong:
        return too_long(question, question.seconds, "stopped")
    except Exception as error:
        return f"this could not be checked ({type(error).__name__}: {error})."


def tried(question, namespace, seed):
    """Run a question on the learner's names and on the source's answers, and compare. Provided."""
    cases = question.cases(seed, split="train") if question.thresholds else question.cases(seed)
    source = sources.read_source(question.id[:2])
    got = payload(namespace, forms(question, cases), sources.given_code(source, question.key))
    if missing := [
        case["message"]
        for case in got["cases"]
        if case.get("error") == "NameError" and "line" in case and not case["line"]
    ]:
        return f"{missing[0]}. Run the answer cell first."
    want = None if question.thresholds else payload(dict(right_answers(question.id[:2])), forms(question, cases))
    given = sources.given_lines(source, question.key)
    points, message, progress = judge(question, cases, got, want, given)
    if message == NOT_YET:
        return "not answered yet."
    if broken := refused(question, cases, history()):
        return broken
    if question.thresholds:
        measured = message.replace("it has not seen", "of the training set")
        return f"{measured} The score is decided on images of the test set."
    if points == question.points:
        return f"{RIGHT} {question.points:g} points."
    asked = [other for other in sources.questions(question.id[:2]) if other.id in question.uses]
    wrong = [other.id for other in asked if progress != "known" and not tried(other, namespace, seed).startswith(RIGHT)]
    return message + mend_first(wrong)


@contextlib.contextmanager
def limited(seconds):
    """Raise TooLong in a block that takes longer, where the system has such an alarm (not on Windows). Provided."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number, _frame):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def history():
    """The cells that this notebook has run last, as they were typed, in order, each where it ran last. Provided."""
    from IPython import get_ipython

    shell = get_ipython()
    typed = shell.history_manager.input_hist_raw if shell and shell.history_manager else []
    return list(dict.fromkeys(reversed(typed)))[:REMEMBERED][::-1]


def refused(question, cases, ran):
    """What the grade would refuse of an answer, in a sentence, or None: the rules, held against the cells that ran.

    Provided.
    """
    from cnnlib.grading.rules import check_rules

    inputs = {name for case in cases for name in case.inputs}
    merged = standing(question, inputs, ran)
    return check_rules(merged, [question], {question.id: inputs})[0].get(question.id)


def standing(question, inputs, ran):
    """Of the cells that ran, those whose names still stand, as (cell id, text): given ones, answers, others.

    Provided.
    """
    from cnnlib.grading.cells import as_run
    from cnnlib.grading.rules import Reader, called_by, scope_of

    given = {cell.source.strip(): cell.id for cell in sources.read_source(question.id[:2]) if sources.runs(cell)}
    wanted = called_by(question, inputs)
    texts = [as_run(text) for text in ran]
    scope, later, merged = scope_of([text.tree for text in texts if text.tree]), set(), []
    for number, (typed, text) in reversed(list(enumerate(zip(ran, texts, strict=True)))):
        binds = Reader(text, scope).binds - later
        if typed.strip() in given and question.key not in given[typed.strip()]:
            merged.append((given[typed.strip()], typed))
        elif binds & wanted:
            merged.append((f"answer-{question.key}-{'x' * (number + 1)}", typed))
        elif binds:
            merged.append((f"own-{number}", typed))
        later |= binds
    return merged[::-1]


@functools.cache
def right_answers(exercise):
    """The names that the source's setup and answers define, but for answers that train. Provided."""
    namespace = {"__name__": "answers"}
    training = tuple(f"answer-{q.key}" for q in sources.questions(exercise) if q.thresholds)
    for cell in sources.read_source(exercise):
        if sources.runs(cell) and not cell.id.startswith(training):
            exec(compile(cell.source, f"<{cell.id}>", "exec"), namespace)
    return namespace
