"""The grades as pages in the book's look: what a class shared on the first one, then a page or a section for each file.

They need nothing but themselves: no script, no font, nothing from anywhere else.
"""

import html
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

from cnnlib.grading import card, report, sources

LEVELS = (("full", "full points"), ("part", "a part"), ("none", "none"))
LAYOUT = """
body{font:17px/1.5 Charter,Cambria,Georgia,serif;color:var(--ink);background:var(--paper);max-width:60rem;
margin:2rem auto;padding:0 1rem}
h1,h2,h3,th,caption,.level{font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid var(--rule)}a{color:var(--teal)}
table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left;color:var(--ink-soft)}
th,td{border-bottom:1px solid var(--rule);padding:.4rem .6rem;text-align:left;vertical-align:top}
td.number{text-align:right;white-space:nowrap}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;margin:0}
svg{display:block;width:12rem;height:1rem}rect{stroke:var(--paper)}.full{fill:var(--green)}.part{fill:var(--amber)}
svg.curve{width:16rem;height:9rem;border:1px solid var(--rule)}
polyline{fill:none;stroke:var(--teal);stroke-width:2}dt{font-weight:bold}dd{margin:0 0 .5rem}
.none{fill:var(--red)}.soft{color:var(--ink-soft)}li{margin:.5rem 0}
@media print{body{max-width:none;margin:0;color:#000;background:#fff}h2{break-after:avoid}tr,li{break-inside:avoid}
rect{stroke:#000;-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def write(results, path):
    """Write the grades: one page into a file whose name ends in .html, else a folder of pages that begins with
    index.html.

    Provided.
    """
    if is_page(path):
        sections = "\n".join(section(result) for result in results)
        path.write_text(whole("Grades", first_page(results) + sections), encoding="utf-8")
        return
    path.mkdir(exist_ok=True)
    names = [f"{k:04}.html" for k in range(1, len(results) + 1)]
    for name, result in zip(names, results, strict=True):
        back = '<p><a href="index.html">All grades</a></p>'
        (path / name).write_text(whole(report.summary(result), back + section(result, "h1")), encoding="utf-8")
    index = whole("Grades", first_page(results, names))
    (path / "index.html").write_text(index, encoding="utf-8")


def is_page(path):
    """Whether a path asks for one page, not for a folder. Provided."""
    return path.suffix.lower() in (".html", ".htm") and not path.is_dir()


def whole(title, body):
    """A page of its own. Provided."""
    light, dark = colors()
    style = f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{LAYOUT}"
    head = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(title)}</title><style>{style}</style></head>"
    return f"{head}\n<body><main>\n{body}\n<p class=soft>{report.walls()}</p>\n</main></body></html>\n"


def colors():
    """The book's colors as style declarations, for light and for dark screens. Provided."""
    text = (sources.ROOT / "assets" / "book.css").read_text(encoding="utf-8")
    blocks = re.findall(r"html\[data-theme(?:=\"dark\")?\] \{(.*?)\}", text, re.DOTALL)
    return [re.sub(r"\s+", "", block) for block in blocks[:2]]


def first_page(results, places=None):
    """What a teacher wants to know on Monday: how each question went, what the class shared, and each file's points.

    places: the pages of the files, if each has one of its own. Provided.
    """
    by_exercise = defaultdict(list)
    for result in results:
        by_exercise[result.exercise].append(result)
    parts = [f"<h1>Grades</h1><p>{len(results)} notebook{'s' * (len(results) != 1)}.</p>"]
    for exercise, graded in sorted(by_exercise.items()):
        if any(result.questions for result in graded):
            parts.append(f"<h2>Exercise {exercise}: {html.escape(title(exercise))}</h2>")
            parts += [distribution(graded), shared(exercise, graded), board(graded)]
    rows = []
    for k, result in enumerate(results, 1):
        name, got = html.escape(result.notebook), "not graded" if result.error else report.score_of(result)
        name = f'<a href="{places[k - 1]}">{name}</a>' if places else name
        rows.append(f"<tr><td>{name}<td class=number>{got}</tr>")
    head = "<table><thead><tr><th scope=col>Notebook<th scope=col>Points</tr></thead>"
    return "\n".join([*parts, "<h2>Notebooks</h2>", head, *rows, "</table>"])


def distribution(graded):
    """A table with a small picture for each question: how many got full points, a part, none. Provided."""
    questions = defaultdict(list)
    for question in (question for result in graded for question in result.questions):
        questions[question.id].append(question)
    rows = ["<table><caption>How each question went</caption><thead><tr><th scope=col>Question"]
    rows.append("<th scope=col>Mean<th scope=col>Full points, a part, none</tr></thead>")
    for name, scores in sorted(questions.items()):
        count = Counter(level(score) for score in scores)
        mean = sum(score.score for score in scores) / len(scores)
        said = ", ".join(f"{count[key]} {words}" for key, words in LEVELS)
        rows.append(
            f"<tr><th scope=row>{name}<td class=number>{mean:.1f} of {report.points(scores[0].max_score)}"
            f"<td>{picture(count, len(scores), said)}<span class=level>{said}</span></tr>"
        )
    return "\n".join([*rows, "</table>"])


def level(score):
    """Whether a Score is full, a part, or none. Provided."""
    return "full" if score.score == score.max_score else "part" if score.score else "none"


def picture(count, total, said):
    """A bar with a piece for each level, as SVG. Provided."""
    pieces, left = [], 0.0
    for key, _ in LEVELS:
        width = 100 * count[key] / total
        pieces.append(f'<rect class="{key}" x="{left:.2f}" width="{width:.2f}" height="8"/>' if width else "")
        left += width
    return f'<svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{said}">{"".join(pieces)}</svg>'


def shared(exercise, graded):
    """The mistakes that the class shared, most frequent first, with the chapter to go back to. Provided."""
    count = Counter(
        (question.id, says) for result in graded for question in result.questions for says in question.causes
    )
    if not count:
        return ""
    items = [
        f"<li>{n} of {len(graded)}, question {name}: {html.escape(says)}</li>"
        for (name, says), n in sorted(count.items(), key=lambda item: (-item[1], item[0]))
    ]
    where = f"<p>The place to go back to: chapter {exercise}, {html.escape(title(exercise))}.</p>"
    return "\n".join(["<h3>What went wrong in the same way</h3><ol>", *items, "</ol>", where])


def board(graded):
    """The leaderboard of those that have a report card, or "" if fewer than two have one. Provided."""
    if len(cards := card.cards_of(graded)) < 2:
        return ""
    head = "".join(f"<th scope=col>{name}" for name in card.HEAD)
    rows = ["".join(f"<td>{html.escape(text)}" for text in card.row(entry)) for entry in card.leaderboard(cards)]
    table = f"<table><thead><tr>{head}</tr></thead>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
    return f"<h3>Leaderboard</h3>{table}<p>{html.escape(card.RULE)}</p>"


def card_of(found):
    """A report card, with its curve as a small picture. Provided."""
    terms = "".join(f"<dt>{term}<dd>{html.escape(text)}" for term, text in card.described(found))
    curve = found["curve"]
    step = 100 / max(1, len(curve) - 1)
    points = " ".join(f"{k * step:.1f},{100 - 100 * share:.1f}" for k, share in enumerate(curve))
    said = f"Learning curve: {card.curve_of(found)}"
    picture = (
        f'<svg class=curve role=img aria-label="{said}" viewBox="-4 0 108 100"><polyline points="{points}"/></svg>'
    )
    return f"<h3>Report card</h3><dl>{terms}</dl>{picture}"


def title(exercise):
    """The title of an exercise's chapter, or of the exercise where that is not here. Provided."""
    for folder in (sources.ROOT / "chapters", sources.SOURCES):
        for path in sorted(Path(folder).glob(f"{exercise}_*.ipynb")) if exercise else []:
            first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
            return first.splitlines()[0].lstrip("# ").removeprefix(f"Exercises {exercise}: ")
    return ""


def section(result, heading="h2"):
    """What one file got. Provided."""
    parts = [f"<{heading}>{html.escape(report.summary(result))}</{heading}>"]
    if result.questions:
        parts.append("<table><thead><tr><th scope=col>Question<th scope=col>Points<th scope=col>What the grader saw")
        parts.append("<th scope=col>Hint</tr></thead>")
        for q in result.questions:
            texts = "".join(f"<td><pre>{html.escape(text)}</pre>" for text in (q.message, q.hint))
            parts.append(f"<tr><th scope=row>{html.escape(q.id)}<td class=number>{report.score_of(q)}{texts}</tr>")
        parts.append("</table>")
        parts += [card_of(found) for _, found in card.cards_of([result])]
    return "\n".join([*parts, *(f"<p>{html.escape(note)}</p>" for note in result.notes)])
