"""Quizzes: questions in YAML beside the chapters, with a reason for every answer.

A question has either `choices` (one or several of them right) or a number as its `answer`. The book carries a quiz as
plain HTML with all answers folded at its end, and quiz.js makes it answer back; JupyterLab gets the same as a widget.
"""

import base64
import hashlib
import random
import re
from html import escape
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

HERE = Path(__file__).parent
QUIZZES = HERE.parent / "chapters" / "quizzes"
FIGURE_KEYS = {"image", "alt"}  # a file beside the quiz, and what is seen in it
CHOICE_KEYS = {"text", "right", "why"} | FIGURE_KEYS
CHOICES_KEYS = {"question", "choices"}
NUMBER_KEYS = {"question", "answer", "tolerance", "why", "wrong", "otherwise"} | FIGURE_KEYS
KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
FORMULA = re.compile(r"\$([^$\n]+)\$")
FOOT = """<p class="quiz-foot" hidden><span class="quiz-score"></span>
<button type="button" class="quiz-again" hidden>Again, what I missed</button>
<button type="button" class="quiz-reset">Start over</button></p>"""


def quiz(name):
    """The quiz of a chapter, by its number: quiz("02"). It answers back in JupyterLab and in the book.

    Raises ValueError for a name that no quiz has, or with the line of a mistake in its YAML.
    Provided.
    """
    names = sorted(path.stem for path in QUIZZES.glob("*.yml"))
    if name not in names:
        raise ValueError(f'no quiz is called {name!r}: there are {", ".join(names)}; write for example quiz("02")')
    return widget(name, read(QUIZZES / f"{name}.yml"))


class QuizError(ValueError):
    """A mistake in a quiz, with the line of its YAML, counted from 1. Provided."""

    def __init__(self, message, line):
        super().__init__(message)
        self.line = line


class Block(dict):
    """A YAML mapping that knows its line. Provided."""

    line = 1


def read(path):
    """The questions in a YAML file, checked and shuffled by the file's name. Raises QuizError. Provided."""
    try:
        return shuffled(path.stem, parse(path.read_text(encoding="utf-8"), path.parent))
    except QuizError as error:
        raise QuizError(f"{path.name}, line {error.line}: {error}", error.line) from None


def parse(text, folder=QUIZZES):
    """YAML -> a list of questions, each a Block whose values are texts, checked.

    Everything is read as text, so that `yes`, `26x26` and `010` stay what the author wrote. An `image` is the name of a
    file in the folder, and becomes its content as a data: address, so that it travels with the quiz.
    Raises QuizError with a line.
    Provided.
    """
    try:
        questions = _plain(yaml.compose(text, Loader=yaml.BaseLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "; a text with ': ' or ' #' inside, or one that starts with a sign, needs quotes"
        raise QuizError(f"{error.problem}{hint}", mark.line + 1) from None
    if not isinstance(questions, list) or not questions:
        raise QuizError("a quiz is a list: each question starts with '- question: ...'", 1)
    for number, question in enumerate(questions, 1):
        _check_question(question, f"question {number}")
        for block in (question, *question.get("choices", [])):
            _read_image(block, Path(folder), f"question {number}")
    return questions


def _read_image(block, folder, where):
    if not FIGURE_KEYS & set(block):
        return
    if not all(block.get(key) for key in FIGURE_KEYS):
        raise QuizError(f"{where}: a figure needs both 'image' and 'alt', what is seen in it", block.line)
    path = folder / block["image"]
    if path.suffix not in KINDS or path.name != block["image"] or not path.exists():
        raise QuizError(f"{where}: no {' or '.join(KINDS)} beside the quiz is called {block['image']!r}", block.line)
    block["image"] = f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _plain(node):
    if isinstance(node, yaml.MappingNode):
        block = Block()
        block.line = node.start_mark.line + 1
        for key, value in node.value:
            if key.value in block:
                raise QuizError(f"'{key.value}' stands here twice", key.start_mark.line + 1)
            block[key.value] = _plain(value)
        return block
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value.strip() if node else ""


def _check_question(question, where):
    if not isinstance(question, Block):
        raise QuizError(f"{where} has no keys: write '- question: ...'", 1)
    if ("choices" in question) == ("answer" in question):
        raise QuizError(f"{where} needs either 'choices' or 'answer'", question.line)
    if "answer" in question:
        _check_keys(question, NUMBER_KEYS, {"question", "answer", "why", "otherwise"}, where)
        _check_numbers(question, where)
    else:
        _check_keys(question, CHOICES_KEYS | FIGURE_KEYS, CHOICES_KEYS, where)
        _check_choices(question, where)


def _check_keys(block, known, needed, where):
    if unknown := set(block) - known:
        raise QuizError(f"{where}: unknown key {sorted(unknown)[0]!r}; known are {sorted(known)}", block.line)
    for key in sorted(needed):
        if not block.get(key):
            raise QuizError(f"{where}: '{key}' is missing", block.line)
    for key in known - {"choices", "wrong"}:
        if not isinstance(block.get(key, ""), str):
            raise QuizError(f"{where}: '{key}' must be one text", block.line)


def _check_choices(question, where):
    choices = question["choices"]
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, Block) for c in choices):
        raise QuizError(f"{where} needs at least two choices, each starting with '- text: ...'", question.line)
    for number, choice in enumerate(choices, 1):
        _check_keys(choice, CHOICE_KEYS, {"text", "why"}, f"{where}, choice {number}")
        if choice.get("right", "true") != "true":
            raise QuizError(f"{where}, choice {number}: write 'right: true' or leave it out", choice.line)
    if not any("right" in choice for choice in choices):
        raise QuizError(f"{where} has no choice with 'right: true'", question.line)


def _check_numbers(question, where):
    wrong = question.get("wrong", {})
    if not isinstance(wrong, dict) or not all(isinstance(text, str) and text for text in wrong.values()):
        raise QuizError(f"{where}: 'wrong' holds lines of 'number: feedback'", question.line)
    tolerance = _number(question.get("tolerance", "0"), where, question.line)
    answer = _number(question["answer"], where, question.line)
    for text in wrong:
        if abs(_number(text, where, wrong.line) - answer) <= tolerance:
            raise QuizError(f"{where}: {text} is listed as wrong, but it is the answer", wrong.line)


def _number(text, where, line):
    try:
        return float(text)
    except ValueError:
        raise QuizError(f"{where}: {text!r} is not a number (write 18496 or 0.5)", line) from None


def shuffled(name, questions):
    """The questions with their choices in another order, always the same one for this quiz and question.

    Where two questions in turn have one right choice each, it never stands in the same place twice.
    Provided.
    """
    before = None
    for number, question in enumerate(questions, 1):
        choices, draw = question.get("choices", []), random.Random(f"{name}.{number}")
        draw.shuffle(choices)
        while before is not None and place_of_right(choices) == before:
            draw.shuffle(choices)
        place = place_of_right(choices)
        before = before if place is None else place
    return questions


def place_of_right(choices):
    """Where the right choice stands, None unless there is exactly one. Provided."""
    places = [place for place, choice in enumerate(choices) if "right" in choice]
    return places[0] if len(places) == 1 else None


def as_text(name, questions):
    """The questions and choices without the answers, for a terminal. Provided."""
    lines = [f"Quiz {name}: {len(questions)} questions. It answers back in the book, and in JupyterLab."]
    for number, question in enumerate(questions, 1):
        lines += ["", f"{number}. {question['question']}{_seen(question)}"]
        lines += [f"   - {choice['text']}{_seen(choice)}" for choice in question.get("choices", [])]
    return "\n".join(lines)


def _seen(block):
    return f" [Figure: {block['alt']}]" if "alt" in block else ""


def as_list(name, questions):
    """The same as HTML without a script, for viewers that show no widgets. Provided."""
    items = []
    for question in questions:
        choices = question.get("choices", [])
        listed = "".join(f"<li>{inline(choice['text'])}{_figure(choice)}</li>" for choice in choices)
        items.append(f"<li>{inline(question['question'])}{_figure(question)}{listed and f'<ul>{listed}</ul>'}</li>")
    alive = "<em>This quiz answers back in the book, and in JupyterLab once this cell has run.</em>"
    return f"<p>{alive}</p><ol>{''.join(items)}</ol>"


def as_page(name, questions):
    """The quiz as HTML with its answers folded at the end: what quiz.js turns into one that answers back. Provided."""
    forms = "".join(map(_form, questions))
    key = "".join(map(_key, questions))
    folded = f'<details class="quiz-key"><summary>Answers</summary><ol>{key}</ol></details>'
    return f'<div class="quiz" data-name="{escape(name)}">{forms}{FOOT}{folded}</div>'


def inline(text):
    """Markdown within a line -> HTML; a formula between dollars becomes <span class="math">. Provided."""
    formulas = []

    def keep(found):
        formulas.append(f'<span class="math">\\({escape(found[1])}\\)</span>')
        return f"\ue000{len(formulas) - 1}\ue001"  # no letter that an author could write

    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [FORMULA.sub(keep, part) for part in parts[::2]]
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable("smartquotes")
    html = markdown.disable(["link", "image", "autolink"]).renderInline("".join(parts))
    return re.sub("\ue000(\\d+)\ue001", lambda found: formulas[int(found[1])], html)


def _span(text, name):
    return f'<span class="{name}">{inline(text)}</span>'


def _figure(block):
    if "image" not in block:
        return ""
    return f'<span class="quiz-figure"><img src="{escape(block["image"])}" alt="{escape(block["alt"])}"></span>'


def _form(question):
    choices = question.get("choices", [])
    rights = sum("right" in choice for choice in choices)
    kind = "number" if not choices else "one" if rights == 1 else "several"
    box = "radio" if kind == "one" else "checkbox"
    key = hashlib.sha256(repr(question).encode()).hexdigest()[:10]  # the order counts: places are what is stored
    legend = f"<legend>{_span(question['question'], 'quiz-asked')}{_figure(question)}</legend>"
    if kind == "several":
        legend += '<p class="quiz-note">Choose all that apply.</p>'
    labels = "".join(
        f'<label class="quiz-choice"><input type="{box}" name="choice" value="{index}">'
        f"{_span(choice['text'], 'quiz-text')}{_figure(choice)}</label>"
        for index, choice in enumerate(choices)
    )
    row = '<label>Your answer <input type="text" autocomplete="off" spellcheck="false"></label>'
    row = (row if kind == "number" else "") + '<button type="submit" class="quiz-check" hidden>Check</button>'
    feedback = '<output class="quiz-feedback" aria-live="polite"></output>'
    body = f'<fieldset>{legend}{labels}<p class="quiz-row">{row}</p>{feedback}</fieldset>'
    return f'<form class="quiz-question" data-kind="{kind}" data-key="{key}">{body}</form>'


def _key(question):
    items = [
        _reason("right" in choice, _span(choice["text"], "quiz-text"), choice["why"])
        for choice in question.get("choices", [])
    ]
    if "answer" in question:
        answer, tolerance = question["answer"], question.get("tolerance", "0")
        items.append(_reason(True, escape(answer), question["why"], answer, tolerance))
        items += [_reason(False, escape(text), why, text) for text, why in question.get("wrong", {}).items()]
        items.append(_reason(False, "anything else", question["otherwise"], "anything else"))
    return f"<li><ul>{''.join(items)}</ul></li>"


def _reason(right, answer, why, number=None, tolerance="0"):
    data = f'data-right="{str(right).lower()}"'
    if number is not None:
        data += f' data-number="{escape(number)}" data-tolerance="{escape(tolerance)}"'
    return f"<li {data}><strong>{'Right' if right else 'Wrong'}:</strong> {answer} {_span(why, 'quiz-why')}</li>"


def widget(name, questions):
    """The quiz as a widget of JupyterLab. What a notebook stores of it holds no readable answers. Provided."""
    import anywidget  # here, because the book reads quizzes where it is not installed
    import traitlets

    class Quiz(anywidget.AnyWidget):
        _esm = (HERE / "quiz.js").read_text(encoding="utf-8")
        _css = (HERE / "quiz.css").read_text(encoding="utf-8")
        page = traitlets.Unicode().tag(sync=True)

        def __repr__(self):
            return as_text(name, questions)

        def _repr_mimebundle_(self, **kwargs):
            data, metadata = super()._repr_mimebundle_(**kwargs)
            return data | {"text/plain": repr(self), "text/html": as_list(name, questions)}, metadata

    return Quiz(page=base64.b64encode(as_page(name, questions).encode()).decode())
