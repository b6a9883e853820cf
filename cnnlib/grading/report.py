"""Tell what a grading found: a table in the terminal, JSON, a class list. page.py makes pages of it."""

import csv
import json
import unicodedata

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlib.grading import card, shut_in

SCHEMA = 1  # of write_record; raised when a field goes or changes its meaning, not when one is added


def shown(text):
    """A text without what a terminal would obey: control characters, and bytes that are no text, as \\x1b. Provided."""

    def safe(letter):
        if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is not UTF-8
            return f"\\x{ord(letter) - 0xDC00:02x}"
        odd = unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter not in "\n\t"
        return letter.encode("unicode_escape").decode() if odd else letter

    return "".join(map(safe, text))


def points(value):
    """A number of points without a needless fraction: 2, not 2.0. Provided."""
    return int(value) if float(value).is_integer() else round(float(value), 2)


def as_json(results):
    """The results in the form that other programs read. Provided."""
    entries = [
        {
            "notebook": result.notebook,
            "score": points(result.score),
            "max_score": points(result.max_score),
            "questions": [
                {"id": q.id, "score": points(q.score), "max_score": points(q.max_score), "message": q.message}
                for q in result.questions
            ],
        }
        for result in results
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def score_of(scored):
    """The points of a file or of a question: 2 of 3. Provided."""
    return f"{points(scored.score)} of {points(scored.max_score)}"


def summary(result):
    """One line on a file. Provided."""
    if result.error:
        return f"{result.notebook}: could not be graded: {result.error}"
    return f"{result.notebook}: {score_of(result)} points"


def remarks(result):
    """What is to be said of a file beside its points. Provided."""
    return ([summary(result)] if result.error else []) + [f"{result.notebook}: {note}" for note in result.notes]


def show(results, seed, console=None):
    """Print a table for each file: points, the first difference, the next hint. Provided."""
    console = console or Console()
    whole = not console.is_terminal  # in a file or a pipe, a line with a file's name is not broken
    for result in results:
        console.print(Text(summary(result), style="bold"), soft_wrap=whole)
        if result.questions:
            console.print(table(result))
        for _, found in card.cards_of([result]):
            console.print(Text("\n".join(["Report card", *card.lines(found)])), soft_wrap=whole)
        for note in result.notes:
            console.print(Text(f"Note: {note}"), soft_wrap=whole)
        console.print()
    console.print(Text(f"Drawn with --seed {seed}. {walls()}"), style="dim")


def walls():
    """A sentence on what held the learners' code. Provided."""
    if shut_in.available():
        return "The code ran shut in by bubblewrap."
    return "The code ran under limits, not shut in: that takes Linux with bubblewrap."


def table(result):
    """The table of one file. Provided."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("Question", no_wrap=True)
    grid.add_column("Points", no_wrap=True)
    grid.add_column("What the grader saw, and a hint", overflow="fold")
    for question in result.questions:
        text = Text(question.message)
        if question.hint:
            text.append(f"\n{question.hint}", style="italic")
        grid.add_row(question.id, score_of(question), text)
    return grid


def show_board(board, console=None):
    """Print a leaderboard, and the rule of its ranks. Provided."""
    console, grid = console or Console(), Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in card.HEAD:
        grid.add_column(heading, overflow="fold")
    for entry in board:
        grid.add_row(*(Text(shown(text)) for text in card.row(entry)))
    console.print(grid)
    console.print(Text(card.RULE))


def write_record(results, path, seed):
    """Write all that a grading found as JSON of schema SCHEMA, which the teachers' page describes. Provided."""
    entries = [
        {
            "notebook": result.notebook,
            "exercise": result.exercise,
            "score": points(result.score),
            "max_score": points(result.max_score),
            "error": result.error,
            "notes": result.notes,
            "questions": [
                {
                    "id": q.id,
                    "score": points(q.score),
                    "max_score": points(q.max_score),
                    "message": q.message,
                    "hint": q.hint,
                    "causes": list(q.causes),
                    **({"card": q.card} if q.card else {}),
                }
                for q in result.questions
            ],
        }
        for result in results
    ]
    whole = {"schema": SCHEMA, "seed": seed, "shut_in": shut_in.available(), "notebooks": entries}
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(results, path):
    """Write a line for each file: its points, and those of each question. Provided."""
    ids = sorted({question.id for result in results for question in result.questions})
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["notebook", "exercise", "score", "max_score", *ids, "error"])
        for result in results:
            got = {question.id: points(question.score) for question in result.questions}
            line = [quoted(result.notebook), result.exercise, points(result.score), points(result.max_score)]
            rows.writerow([*line, *(got.get(name, "") for name in ids), quoted(result.error)])


def quoted(text):
    """A text that no spreadsheet takes for a formula. Provided."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
