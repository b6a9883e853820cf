"""Tell what a grading found: a table in the terminal, JSON, a page, a class list."""

import csv
import html
import json
import unicodedata

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlib.grading import shut_in


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


def summary(result):
    """One line on a file. Provided."""
    if result.error:
        return f"{result.notebook}: could not be graded: {result.error}"
    return f"{result.notebook}: {points(result.score)} of {points(result.max_score)} points"


def remarks(result):
    """What is to be said of a file beside its points. Provided."""
    return ([summary(result)] if result.error else []) + [f"{result.notebook}: {note}" for note in result.notes]


def show(results, seed, console=None):
    """Print a table for each file: points, the first difference, the next hint. Provided."""
    console = console or Console()
    for result in results:
        console.print(Text(summary(result), style="bold"))
        if result.questions:
            console.print(table(result))
        for note in result.notes:
            console.print(Text(f"Note: {note}"))
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
        grid.add_row(question.id, f"{points(question.score)} of {points(question.max_score)}", text)
    return grid


def write_html(results, path):
    """Write a page that needs nothing but itself. Provided."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Grades</title>",
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #999;padding:.4rem .6rem;"
        "text-align:left;vertical-align:top}pre{white-space:pre-wrap;font:inherit;margin:0}</style><h1>Grades</h1>",
    ]
    for result in results:
        parts.append(f"<h2>{html.escape(summary(result))}</h2>")
        if result.questions:
            parts.append("<table><tr><th>Question<th>Points<th>What the grader saw<th>Hint</tr>")
            parts += [html_row(question) for question in result.questions]
            parts.append("</table>")
        parts += [f"<p>{html.escape(note)}</p>" for note in result.notes]
    path.write_text("\n".join([*parts, f"<p>{walls()}</p></html>\n"]), encoding="utf-8")


def html_row(question):
    """The row of one question. Provided."""
    score = f"{points(question.score)} of {points(question.max_score)}"
    cells = (question.id, score, question.message, question.hint)
    return "<tr>" + "".join(f"<td><pre>{html.escape(cell)}</pre></td>" for cell in cells) + "</tr>"


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
