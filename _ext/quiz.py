"""The quiz directive: questions in YAML, with a reason for every answer.

A question has either `choices` (one or several of them right) or a number as its `answer`. The page carries
everything as plain HTML, with all answers folded at the end; assets/quiz.js turns it into a quiz that answers back.
"""

import hashlib
from html import escape

import yaml
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
CHOICE_KEYS = {"text", "right", "why"}
CHOICES_KEYS = {"question", "choices"}
NUMBER_KEYS = {"question", "answer", "tolerance", "why", "wrong", "otherwise"}

FOOT = """<p class="quiz-foot" hidden><span class="quiz-score"></span>
<button type="button" class="quiz-reset">Start over</button></p>"""


class QuizError(ValueError):
    """A mistake in a quiz, with the line of its YAML, counted from 1."""

    def __init__(self, message, line):
        super().__init__(message)
        self.line = line


class Block(dict):
    """A YAML mapping that knows its line."""

    line = 1


def parse(text):
    """YAML -> a list of questions, each a Block whose values are texts, checked.

    Everything is read as text, so that `yes`, `26x26` and `010` stay what the author wrote.
    Raises QuizError with a line.
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
    return questions


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
        _check_keys(question, CHOICES_KEYS, CHOICES_KEYS, where)
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


class Quiz(SphinxDirective):
    """The `{quiz}` fence."""

    has_content = True

    def run(self):
        try:
            questions = parse("\n".join(self.content))
        except QuizError as error:
            return self.complain(error)
        self.quiz = f"quiz-{self.env.new_serialno('quiz') + 1}"
        parts = [self.html(f'<div class="quiz" id="{self.quiz}">')]
        for number, question in enumerate(questions, 1):
            parts += self.question(number, question)
        parts += [self.html(FOOT), self.html('<details class="quiz-key"><summary>Answers</summary><ol>')]
        for question in questions:
            parts += self.key(question)
        parts += [self.html("</ol></details></div>")]
        return [nodes.container("", *parts, classes=["quiz-block"])]

    def complain(self, error):
        """Warn, with file and line (in a notebook: the cell, counted from 1, and the line in it)."""
        line = self.lineno + self.content_offset + error.line
        cell, row = divmod(line - 1, 10_000)  # myst-nb counts 10,000 lines to a cell, and one more
        source = self.env.doc2path(self.env.docname)
        place = f" (cell {cell}, line {row})" if source.endswith(".ipynb") else ""
        LOGGER.warning("quiz: %s%s", error, place, location=(self.env.docname, line))
        return []

    def html(self, text):
        return nodes.raw("", text, format="html")

    def inline(self, text):
        """Inline Markdown -> nodes."""
        children, messages = self.state.inline_text(text, self.lineno)
        return [*children, *messages]

    def span(self, text, name):
        return [self.html(f'<span class="{name}">'), *self.inline(text), self.html("</span>")]

    def question(self, number, question):
        """The form of one question."""
        choices = question.get("choices", [])
        rights = sum("right" in choice for choice in choices)
        kind = "number" if not choices else "one" if rights == 1 else "several"
        key = hashlib.sha256(repr(question).encode()).hexdigest()[:10]
        yield self.html(f'<form class="quiz-question" data-kind="{kind}" data-key="{key}"><fieldset><legend>')
        yield from self.span(question["question"], "quiz-asked")
        yield self.html("</legend>")
        if kind == "several":
            yield self.html('<p class="quiz-note">Choose all that apply.</p>')
        box = "radio" if kind == "one" else "checkbox"
        for index, choice in enumerate(choices):
            name = f"{self.quiz}-{number}"
            yield self.html(f'<label class="quiz-choice"><input type="{box}" name="{name}" value="{index}">')
            yield from self.span(choice["text"], "quiz-text")
            yield self.html("</label>")
        yield self.html('<p class="quiz-row">')
        if kind == "number":
            yield self.html('<label>Your answer <input type="text" autocomplete="off" spellcheck="false"></label>')
        yield self.html('<button type="submit" class="quiz-check" hidden>Check</button></p>')
        yield self.html('<output class="quiz-feedback" aria-live="polite"></output></fieldset></form>')

    def key(self, question):
        """The answers of one question, with their reasons."""
        yield self.html("<li><ul>")
        for choice in question.get("choices", []):
            text = self.span(choice["text"], "quiz-text")
            yield from self.reason("right" in choice, text, choice["why"])
        if "answer" in question:
            yield from self.reason(True, question["answer"], question["why"], question.get("tolerance", "0"))
            for number, text in question.get("wrong", {}).items():
                yield from self.reason(False, number, text)
            yield from self.reason(False, "anything else", question["otherwise"])
        yield self.html("</ul></li>")

    def reason(self, right, answer, why, tolerance=None):
        """An item of the answers: right or wrong, the answer (nodes, or the text of a number), and why."""
        data = f'data-right="{str(right).lower()}"'
        if isinstance(answer, str):
            data += f' data-number="{escape(answer)}" data-tolerance="{tolerance or 0}"'
            answer = [self.html(escape(answer))]
        yield self.html(f"<li {data}><strong>{'Right' if right else 'Wrong'}:</strong> ")
        yield from [*answer, self.html(" "), *self.span(why, "quiz-why"), self.html("</li>")]


def setup(app):
    app.add_directive("quiz", Quiz)
    app.add_js_file("quiz.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
