"""Grade exercise notebooks: merge, run, compare, score."""

import contextlib
import functools
import linecache
import re
import secrets
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnnlib.data import load, save_split
from cnnlib.grading import sources
from cnnlib.grading.apart import TooMuch, apart
from cnnlib.grading.cells import as_run_all
from cnnlib.grading.compare import NOT_YET, judge, mend_first, too_long
from cnnlib.grading.notebook import merge, read_submission, recognize, remarks, without_answers
from cnnlib.grading.rules import called_by, check_rules
from cnnlib.grading.runner import Limits, run
from cnnlib.grading.sealed import describe, forms, payload, seal
from cnnlib.grading.sources import CannotGrade, Cell, question_of

TRAINING = contextlib.nullcontext()  # held while an exercise that trains runs; a lock where several are graded at once
PATIENCE = 6  # the source's own answers do end, on a busy machine later
GIVEN = 60  # seconds for a cell that comes from the source
LEVELS = {"nothing": 0, "part": 1, "something": 2}  # which hint: the last one for those who tried and have nothing


@dataclass
class Score:
    """What one question got, and why."""

    id: str
    score: float
    max_score: float
    message: str
    hint: str = ""
    causes: list = field(default_factory=list)  # what the message says of mistakes that the question knows


@dataclass
class Result:
    """What one file got. `error` says why it could not be graded."""

    notebook: str
    exercise: str = ""
    questions: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    error: str = ""

    @property
    def score(self):
        """Points got. Provided."""
        return sum(question.score for question in self.questions)

    @property
    def max_score(self):
        """Points to be had. Provided."""
        return sum(question.max_score for question in self.questions)

    @property
    def exit_code(self):
        """0 full marks, 1 fewer, 2 could not be graded. Provided."""
        return 2 if self.error else 0 if self.score == self.max_score else 1


@dataclass
class Exercise:
    """An exercise made ready for one seed: its source, its questions, their cases, and what the right answers give."""

    name: str
    seed: int
    source: list  # of Cell
    asked: list
    cases: dict  # question id -> list of Case
    want: dict = field(default_factory=dict)  # question id -> payload of the source's own answer
    patience: float = 1  # how many times the usual time a run may take

    @property
    def limits(self):
        """Limits of a run, with time for the questions that train. Provided."""
        training = sum(question.seconds for question in self.asked if question.kind == "train")
        return Limits(seconds=self.patience * (90 + 2 * training), memory=Limits.memory * (2 if training else 1))


def prepare(name, seed):
    """Draw the cases of an exercise. Provided."""
    asked = sources.questions(name)
    return Exercise(
        name, seed, sources.read_source(name), asked, {question.id: question.cases(seed) for question in asked}
    )


def add_reference(exercise, here=False):
    """Run the source's own answers on the cases: in a kernel that has seen nothing else, or in this process.

    Provided.
    """
    checks = [question for question in exercise.asked if not question.thresholds]
    merged = without_training(exercise, merge(exercise.source, exercise.source))
    patient = replace(exercise, patience=PATIENCE)
    got, reasons, _ = (run_here if here else run_parts)(patient, merged, checks)
    errors = [f"{name}: {case}" for name, entry in got.items() for case in entry["cases"] if "error" in case]
    if reasons or errors:
        raise RuntimeError(f"the source of exercise {exercise.name} does not answer itself: {reasons} {errors}")
    exercise.want = got
    return exercise


def without_training(exercise, merged, but=None):
    """The merged cells without the answers that train, other than that to the question `but`. Provided."""
    idle = [q for q in sources.questions(exercise.name) if q.thresholds and q.id != but]
    return [cell for cell in merged if not cell[0].startswith(tuple(f"answer-{question.key}" for question in idle))]


@contextlib.contextmanager
def data_folder(asked):
    """A folder for CNNLIB_DATA with the train split of what the questions need, and no test split. Provided."""
    with tempfile.TemporaryDirectory(prefix="cnnlib-data-", ignore_cleanup_errors=True) as folder:
        for name in {name for question in asked for name in question.needs}:
            save_split(load(name, "train"), Path(folder), name, "train")
        yield folder


def cells_to_run(exercise, merged, checks):
    """The merged cells as `run` takes them: check cells of `checks` sealed, other check cells left out. Provided."""
    by_key = {question.key: question for question in exercise.asked}
    longest = max(question.seconds for question in exercise.asked)
    cells = []
    for cell, text in merged:
        role, key = question_of(cell)
        question = by_key.get(key)
        if role == "check":
            if question in checks:
                text = seal(question, exercise.cases[question.id], sources.given_code(exercise.source, question.key))
                cells.append((cell, text, question.seconds, True))
        else:
            given = not cell.startswith(("answer-", "own-"))
            seconds = GIVEN if given else question.seconds if question else longest
            cells.append((cell, text, seconds, False))
    return [(cell, text, exercise.patience * seconds, sealed) for cell, text, seconds, sealed in cells]


def grade(path, seed=None, cache=None, rules=check_rules, only=None):
    """Grade one notebook file; returns a Result. The file is never changed.

    seed: the same seed draws the same inputs; None draws a fresh one. cache: a dict that keeps what a class of files
    shares. rules: what reads the cells before they run. only: the id of a question; the others are not asked.
    Provided.
    """
    result, cache = Result(str(path)), {} if cache is None else cache
    seed = secrets.randbits(32) if seed is None else seed
    try:
        cells = apart(read_submission, path)
        before = Path(path).read_bytes()
        result.exercise = recognize(cells, Path(path).name)
        if result.exercise not in cache:
            cache[result.exercise] = prepare(result.exercise, seed)
        exercise = cache[result.exercise]
        merged = merge(exercise.source, cells)
        if only:
            exercise = replace(exercise, asked=[question for question in exercise.asked if question.id == only])
            merged = without_training(exercise, merged, only)
        result.notes = remarks(exercise.source, cells)
        result.questions, notes = grade_merged(exercise, merged, run_after_reference, rules)
        result.notes += notes + put_back(Path(path), before)
    except CannotGrade as error:
        result.error = str(error)
    except TooMuch as error:
        result.error = f"it could not be read: {error}."
    return result


def put_back(path, before):
    """Write a submission's bytes back if they were changed, or the file deleted, while it ran; returns notes.

    Provided.
    """
    if path.is_file() and path.read_bytes() == before:
        return []
    path.write_bytes(before)
    return ["The notebook changed or deleted its own file while it ran; the file was put back."]


def try_answers(name, answers=None, seed=0, only=None):
    """Grade answers in this process, without a kernel: for trying an exercise, and for banks of wrong answers.

    answers: {cell id: text} replaces answers of the source; None is the untouched learner's file. only: the id of
    a question; the others are not asked, and nothing is trained for them. Returns a list of Score.
    Provided.
    """
    exercise = ready_here(name, seed)
    asked = [question for question in exercise.asked if only in (None, question.id)]
    if answers is None:
        cells = [Cell(cell.id, cell.cell_type, without_answers(cell.source)) for cell in exercise.source]
    else:
        cells = [Cell(cell.id, cell.cell_type, answers.get(cell.id, cell.source)) for cell in exercise.source]
    merged = merge(exercise.source, cells)
    merged = without_training(exercise, merged, only) if only else merged
    return grade_merged(replace(exercise, asked=asked), merged, run_here)[0]


@functools.lru_cache(maxsize=16)
def ready_here(name, seed):
    """An exercise with its reference, made in this process. Provided."""
    return add_reference(prepare(name, seed), here=True)


def grade_merged(exercise, merged, runner, rules=check_rules):
    """Score a merged notebook. runner(exercise, merged, questions) -> ({id: payload}, {id: reason}, notes).

    Provided.
    """
    notes = []
    try:
        readable, reasons, dropped = apart(read_cells, exercise, merged, rules)
    except TooMuch as error:  # an answer may be right all the same
        notes.append(f"Your own cells were left out: when they were read, {error}.")
        merged = [(cell, text) for cell, text in merged if not cell.startswith("own-")]
        readable, reasons, dropped = apart(read_cells, exercise, merged, rules)
    reasons |= unanswered(exercise, merged)
    notes += [f"Your cell {cell} {why} and was left out." for cell, why in dropped.items() if cell.startswith("own-")]
    readable = [(cell, text) for cell, text in readable if cell not in dropped]
    got, more, told = runner(exercise, readable, [q for q in exercise.asked if q.id not in reasons])
    reasons = more | reasons
    scores = [scored(exercise, question, got, reasons) for question in exercise.asked]
    return [one if one.id in reasons else pointed_back(exercise, one, scores) for one in scores], notes + told


def read_cells(exercise, merged, rules):
    """What runs of a merged notebook, and what the rules say of it: (cells, {question id: reason}, {cell: why not}).

    Provided.
    """
    inputs = {name: {key for case in cases for key in case.inputs} for name, cases in exercise.cases.items()}
    called = set().union(*(called_by(question, inputs[question.id]) for question in exercise.asked))
    readable, texts = as_run_all(merged, called)
    return readable, *rules(merged, exercise.asked, inputs, texts)


def scored(exercise, question, got, reasons):
    """`score`, in a process of its own: what came out of the learner's kernel may be anything. Provided."""
    if question.id in reasons:
        return score(exercise, question, got, reasons)
    try:
        return apart(score, exercise, question, got, reasons)
    except TooMuch as error:
        return score(exercise, question, got, {question.id: f"the result could not be compared: {error}."})


def pointed_back(exercise, one, scores):
    """A Score whose message points to a question that this one builds on, where that has lost points as well and the
    message names no mistake.

    Provided.
    """
    question = next(question for question in exercise.asked if question.id == one.id)
    wrong = [other.id for other in scores if other.id in question.uses and other.score < other.max_score]
    if not wrong or not one.hint:
        return one
    return replace(one, message=one.message + mend_first(wrong), hint="")


def unanswered(exercise, merged):
    """{question id: reason} for answers that are missing or as they were handed out. Provided."""
    texts, reasons = dict(merged), {}
    for question in exercise.asked:
        cells = [cell for cell in exercise.source if question_of(cell.id) == ("answer", question.key)]
        if any(cell.id not in texts for cell in cells):
            reasons[question.id] = "the answer cell is missing (or is no code cell any more)."
        elif all(texts[cell.id].strip() == without_answers(cell.source) for cell in cells):
            reasons[question.id] = NOT_YET
    return reasons


def score(exercise, question, got, reasons):
    """The Score of one question. Provided."""
    if question.id in reasons:
        points, message, progress = 0, reasons[question.id], "nothing"
    else:
        try:
            points, message, progress = judge(
                question,
                exercise.cases[question.id],
                got[question.id],
                exercise.want.get(question.id),
                sources.given_lines(exercise.source, question.key),
            )
        except Exception as error:  # what comes from the learner's kernel may be anything
            points, message, progress = 0, f"the payload cannot be read ({type(error).__name__}).", "nothing"
    hint = next_hint(exercise, question, progress) if points < question.points else ""
    causes = list(
        dict.fromkeys(cause.says for cause in question.causes if progress == "known" and cause.says in message)
    )
    return Score(question.id, points, question.points, message[:1].upper() + message[1:], hint, causes)


def next_hint(exercise, question, progress):
    """The hint that fits what came out, as plain text; none where the message names the mistake. Provided."""
    known = sources.hints(exercise.source, question.key)
    if not known or progress == "known":
        return ""
    title, text = known[min(LEVELS[progress], len(known) - 1)]
    return f"{title}.\n" + re.sub(r"^```\w*\n?", "", text, flags=re.MULTILINE).strip()


def run_here(exercise, merged, checks):
    """Run merged cells in this process. Provided."""
    by_key, namespace, got, reasons = {q.key: q for q in checks}, {"__name__": "__main__"}, {}, {}
    for cell, text in merged:
        role, key = question_of(cell)
        if role != "check":
            linecache.cache[f"<{cell}>"] = (len(text), None, text.splitlines(True), f"<{cell}>")
            try:
                exec(compile(text, f"<{cell}>", "exec"), namespace)
            except Exception as error:
                reasons[key if key else cell] = stopped(describe(error))
        elif key in by_key:
            question, given = by_key[key], sources.given_code(exercise.source, key)
            linecache.cache[f"<{cell}>"] = (len(given), None, given.splitlines(True), f"<{cell}>")
            exec(compile(given, f"<{cell}>", "exec"), namespace)
            got[question.id] = payload(namespace, forms(question, exercise.cases[question.id]), given)
    return got, {q.id: reasons[q.key] for q in checks if q.key in reasons}, []


def stopped(error):
    """The message for an answer cell that raises. Provided."""
    if error["error"] == "NotImplementedError":
        return NOT_YET
    return f"the answer cell stops with {error['error']}: {error['message']}."


def run_after_reference(exercise, merged, checks):
    """Run merged cells under nbval; before the first submission of a class, the source's own answers. Provided."""
    if checks and not exercise.want:
        add_reference(exercise)
    return run_parts(exercise, merged, checks)


def run_parts(exercise, merged, checks):
    """Run merged cells under nbval; what hangs or ends the kernel is taken out, and the rest runs again. Provided."""
    seconds, got, reasons, notes, left = exercise.limits.seconds, {}, {}, [], list(checks)
    trains = any(question.kind == "train" for question in exercise.asked)
    with TRAINING if trains else contextlib.nullcontext(), data_folder(exercise.asked) as data:
        while left and seconds > 0:
            done = run(cells_to_run(exercise, merged, left), replace(exercise.limits, seconds=seconds), data)
            seconds -= done.seconds
            for question in [q for q in left if f"check-{q.key}" in done.ends and f"check-{q.key}" != done.guilty]:
                take(question, done, exercise.limits, got, reasons)
                left.remove(question)
            if not done.guilty:
                break
            merged = without(exercise, done, merged, left, reasons, notes)
    return got, reasons | {q.id: "the run ended before this question came up." for q in left}, notes


def take(question, done, limits, got, reasons):
    """Take a question's payload from a run, or note why there is none. Provided."""
    entry = done.ends[f"check-{question.key}"]
    if entry["printed"] > limits.printed:
        reasons[question.id] = f"your code printed more than {limits.printed:,} characters: take the prints out."
    elif entry["payloads"] > 1:
        reasons[question.id] = "something other than the sealed cell displayed a payload."
    elif "too_large" in entry:
        reasons[question.id] = "the result is far larger than the right one: look at its shape."
    elif "payload" not in entry:
        error = entry.get("error", {"error": "nothing", "message": "the sealed cell showed no payload"})
        reasons[question.id] = f"there is no result: {error['error']}: {error['message']}"
    else:
        got[question.id] = entry["payload"]
    for cell, line in done.ends.items():
        if question_of(cell) == ("answer", question.key) and "error" in line:
            reasons[question.id] = stopped(line["error"])


def without(exercise, done, merged, left, reasons, notes):
    """The merged cells without those that a run died in; notes whose fault it was. Provided."""
    key = question_of(done.guilty)[1]
    if not key and not done.guilty.startswith("own-"):
        raise CannotGrade(f"the given cell {done.guilty!r} does not run: {done.reason} {done.log[-500:]}".strip())
    question = next((q for q in exercise.asked if q.key == key), None)
    seconds = question.seconds if question else max(q.seconds for q in exercise.asked)
    reason = {
        "late": too_long(question, seconds, "ended"),
        "gone": "it ended the kernel.",
    }.get(done.reason, done.reason)
    if not question:
        notes.append(f"Your cell {done.guilty} was left out: {reason}")
        return [(cell, text) for cell, text in merged if cell != done.guilty]
    reasons[question.id] = reason
    left[:] = [q for q in left if q is not question]
    return [(cell, text) for cell, text in merged if question_of(cell) not in (("answer", key), ("check", key))]
