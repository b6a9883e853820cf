"""The quiz: what it refuses and where it says the mistake is, what a notebook stores, and the quiz in a browser."""

import base64
import importlib
import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from cnnlib.notebooks import dependencies, digest

ROOT = Path(__file__).resolve().parents[2]
PAGE = "chapters/02_sample.html"
NO_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied') }})"
CHOICES = """- question: What?
  choices:
    - text: this
      right: true
      why: Because.
    - text: that
      why: No.
"""
NUMBER = """- question: How many?
  answer: 320
  why: Counted.
  wrong:
    288: The biases are missing.
  otherwise: Count again.
"""


quiz = importlib.import_module("cnnlib.quiz")  # the module: its main function has the same name


def test_a_quiz_of_both_kinds_is_read():
    first, second = quiz.parse(CHOICES + NUMBER)
    assert [choice["text"] for choice in first["choices"]] == ["this", "that"]
    assert second["wrong"] == {"288": "The biases are missing."}


@pytest.mark.parametrize("text", ["yes", "26x26", "010", "1_000", "null", "2.50"])
def test_values_stay_as_they_were_written(text):
    found = quiz.parse(CHOICES.replace("this", text))
    assert found[0]["choices"][0]["text"] == text


MISTAKES = {
    "no list": ("question: What?", 1, "is a list"),
    "nothing": ("", 1, "is a list"),
    "a question without keys": ("- What?", 1, "no keys"),
    "neither choices nor answer": ("- question: What?\n", 1, "either 'choices' or 'answer'"),
    "both": (CHOICES + "  answer: 3\n", 1, "either 'choices' or 'answer'"),
    "no right choice": (CHOICES.replace("      right: true\n", ""), 1, "no choice with 'right: true'"),
    "right spelled otherwise": (CHOICES.replace("right: true", "right: yes"), 3, "write 'right: true'"),
    "a choice without a reason": (CHOICES.replace("      why: No.\n", ""), 6, "'why' is missing"),
    "an empty reason": (CHOICES.replace("why: No.", "why:"), 6, "'why' is missing"),
    "one choice": (CHOICES[: CHOICES.index("    - text: that")], 1, "at least two choices"),
    "an unknown key": (CHOICES.replace("why: No.", "why: No.\n      hint: Hm."), 6, "unknown key 'hint'"),
    "a key twice": (CHOICES + "      why: Again.\n", 8, "'why' stands here twice"),
    "a list for a text": (CHOICES.replace("why: No.", "why: [No]"), 6, "'why' must be one text"),
    "a colon in a text": (CHOICES.replace("No.", "No: never."), 7, "needs quotes"),
    "an answer that is no number": (NUMBER.replace("320", "many"), 1, "'many' is not a number"),
    "a number with a comma": (NUMBER.replace("320", "18,496"), 1, "'18,496' is not a number"),
    "no feedback for other numbers": (NUMBER[: NUMBER.index("  otherwise")], 1, "'otherwise' is missing"),
    "the answer among the wrong ones": (NUMBER.replace("288", "320.0"), 5, "it is the answer"),
    "a wrong answer without feedback": (NUMBER.replace("The biases are missing.", ""), 1, "'number: feedback'"),
    "a wrong answer that is no number": (NUMBER.replace("288", "many"), 5, "'many' is not a number"),
    "a figure without alt text": (CHOICES + "  image: 02.svg\n", 1, "needs both 'image' and 'alt'"),
    "alt text without a figure": (CHOICES + "      alt: A step.\n", 6, "needs both 'image' and 'alt'"),
    "a figure that is not there": (CHOICES + "  image: x.svg\n  alt: A step.\n", 1, "is called 'x.svg'"),
    "a figure from elsewhere": (CHOICES + "  image: ../../a.svg\n  alt: A step.\n", 1, "is called '../../a.svg'"),
    "a figure of another kind": (CHOICES + "  image: 10.yml\n  alt: A step.\n", 1, "no .svg or .png beside"),
    "a mistake in the second question": (CHOICES + NUMBER.replace("  why", "  wy"), 8, "question 2: unknown key 'wy'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(name):
    text, line, message = MISTAKES[name]
    with pytest.raises(quiz.QuizError, match=re.escape(message)) as caught:
        quiz.parse(text)
    assert caught.value.line == line


def test_a_mistake_fails_the_build_with_file_and_line(broken):
    project, status, printed = broken
    lines = (project / "chapters" / "quizzes" / "02.yml").read_text(encoding="utf-8").splitlines()
    line = lines.index("      rihgt: true")  # counted from 1: the line before, where the choice begins
    assert status != 0
    message = (
        "WARNING: quiz: question 1, choice 1: unknown key 'rihgt'; known are ['alt', 'image', 'right', 'text', 'why']"
    )
    assert f"02.yml:{line}: {message}" in printed


def test_a_quiz_that_is_not_there_fails_the_build(new_project, build):
    project = new_project([("chapters/02_sample.ipynb", lambda text: text.replace('quiz(\\"02\\")', 'quiz(\\"03\\")'))])
    status, printed = build(project)
    assert status != 0
    assert "WARNING: quiz: there is no chapters/quizzes/03.yml" in printed


@pytest.mark.parametrize("name", ["99", 2, "../quizzes/02"])
def test_a_name_that_no_quiz_has_is_refused_with_the_names_there_are(name):
    with pytest.raises(ValueError, match=r"no quiz is called .*: there are 01, 02.*write for example quiz\(\"02\"\)"):
        quiz.quiz(name)


def test_a_mistake_in_a_file_is_named_with_file_and_line(tmp_path):
    path = tmp_path / "02.yml"
    path.write_text(CHOICES.replace("      why: No.\n", ""), encoding="utf-8")
    with pytest.raises(quiz.QuizError, match=r"^02\.yml, line 6: question 1, choice 2: 'why' is missing$"):
        quiz.read(path)


def rights(questions):
    """The place of the right choice in each question that has one."""
    places = [quiz.place_of_right(question.get("choices", [])) for question in questions]
    return [place for place in places if place is not None]


def test_choices_are_shuffled_always_in_the_same_way():
    assert quiz.shuffled("02", quiz.parse(CHOICES * 9)) == quiz.shuffled("02", quiz.parse(CHOICES * 9))
    assert set(rights(quiz.shuffled("02", quiz.parse(CHOICES * 9)))) == {0, 1}
    assert quiz.shuffled("02", quiz.parse(CHOICES * 9)) != quiz.shuffled("03", quiz.parse(CHOICES * 9))


def test_shuffling_keeps_every_choice_with_its_reason():
    (shuffled,) = quiz.shuffled("02", quiz.parse(CHOICES))
    assert sorted(map(repr, shuffled["choices"])) == sorted(map(repr, quiz.parse(CHOICES)[0]["choices"]))


def test_the_right_answer_stands_in_different_places_of_the_courses_quizzes():
    chapters = {path.stem: rights(quiz.read(path)) for path in quiz.QUIZZES.glob("*.yml")}
    places = Counter(place for found in chapters.values() for place in found)
    assert max(places.values()) <= sum(places.values()) / 2
    assert all(one != other for found in chapters.values() for one, other in itertools.pairwise(found))


def test_an_answer_is_kept_under_a_name_that_changes_with_the_order_of_the_choices():
    """What is kept are the places of the choices, so another order must not find them."""
    (question,) = quiz.parse(CHOICES)
    before = re.search('data-key="(.+?)"', quiz.as_page("02", [question]))[1]
    question["choices"].reverse()
    assert re.search('data-key="(.+?)"', quiz.as_page("02", [question]))[1] != before


REASONS = ["Because.", "No.", "320", "288", "Counted.", "The biases are missing.", "Count again.", "right", "Right"]


@pytest.fixture
def output(tmp_path, monkeypatch):
    """What a notebook stores of a quiz, by mime type."""
    monkeypatch.setattr(quiz, "QUIZZES", tmp_path)
    (tmp_path / "02.yml").write_text(CHOICES + NUMBER, encoding="utf-8")
    data, _ = quiz.quiz("02")._repr_mimebundle_()
    return data


def test_a_notebook_stores_the_questions_and_choices_and_no_answer(output):
    for kind in ("text/plain", "text/html"):
        for text in ("What?", "this", "that", "How many?"):
            assert text in output[kind], kind
        for text in REASONS:
            assert text not in output[kind], kind


def test_a_widget_that_a_notebook_keeps_shows_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(quiz, "QUIZZES", tmp_path)
    (tmp_path / "02.yml").write_text(CHOICES + NUMBER, encoding="utf-8")
    state = quiz.quiz("02").get_state()
    del state["_esm"], state["_css"]
    assert not [text for text in [*REASONS[2:-2], "Because"] if text in str(state)]
    assert "Because." in base64.b64decode(state["page"]).decode()


def test_a_quiz_is_part_of_what_a_chapters_outputs_depend_on(tmp_path, monkeypatch):
    cell = nbformat.v4.new_code_cell('from cnnlib.quiz import quiz\nquiz("02")', id="quiz-run")
    nb = nbformat.v4.new_notebook(cells=[cell])
    assert quiz.QUIZZES / "02.yml" in dependencies(nb)[1]
    monkeypatch.setattr("cnnlib.notebooks.ROOT", tmp_path)
    folder = tmp_path / "chapters" / "quizzes"
    folder.mkdir(parents=True)
    found = set()
    for text in (CHOICES, CHOICES.replace("that", "those"), CHOICES):
        (folder / "02.yml").write_text(text, encoding="utf-8")
        found.add(digest(nb))
    assert len(found) == 2


def test_the_book_reads_quizzes_without_what_a_widget_needs():
    code = "import sys; sys.modules['anywidget'] = None; from cnnlib.quiz import QUIZZES, as_page, read\n"
    code += "print(len(as_page('02', read(QUIZZES / '02.yml'))))\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("`a*b` is *a* **b**", "<code>a*b</code> is <em>a</em> <strong>b</strong>"),
        (
            "$a_1 < a_2$ and $x*y*z$",
            '<span class="math">\\(a_1 &lt; a_2\\)</span> and <span class="math">\\(x*y*z\\)</span>',
        ),
        ("`$5` and $6", "<code>$5</code> and $6"),
        ("<b>1 & 2</b>", "&lt;b&gt;1 &amp; 2&lt;/b&gt;"),
        ('it\'s "so"', "it\N{RIGHT SINGLE QUOTATION MARK}s “so”"),
    ],
)
def test_a_text_is_markdown_with_formulas_and_without_html(text, want):
    assert quiz.inline(text) == want


def test_in_jupyterlab_a_quiz_answers_back_and_forgets_when_told(notebook):
    lab = notebook("from cnnlib.quiz import quiz", 'quiz("02")', 'quiz("02")')
    lab.run_cell(0)
    one = lab.run_cell(1).locator(".quiz-live")
    one.wait_for()
    form = one.locator("form[data-kind=one]").first
    key = one.locator(".quiz-key > ol > li").nth(0)
    assert key.is_hidden()
    for index, state in enumerate(item.get_attribute("data-right") for item in key.locator("li").all()):
        form.locator("input").nth(index).check()
        form.get_by_role("button", name="Check").click()
        assert form.get_attribute("data-state") == {"true": "right", "false": "wrong"}[state]
        if state == "true":
            break
    number = one.locator("form[data-kind=number]").first
    number.locator("input").fill("-12")
    number.locator("input").press("Enter")
    assert number.get_attribute("data-state") == "right"
    again = lab.run_cell(2).locator(".quiz-live")  # another view of the same quiz finds what was answered
    again.locator(".quiz-score", has_text="2 of 5 right.").wait_for()
    again.get_by_role("button", name="Start over").click()
    assert again.locator("[data-state]").count() == 0


def test_in_jupyterlab_formulas_are_set_and_colors_follow_the_theme(notebook, tmp_path):
    folder = tmp_path / "quizzes"
    folder.mkdir()
    (folder / "02.yml").write_text(CHOICES.replace("What?", "'What is $x^2$?'"), encoding="utf-8")
    first = (
        f"import importlib, pathlib\nq = importlib.import_module('cnnlib.quiz')\nq.QUIZZES = pathlib.Path('{folder}')"
    )
    lab = notebook(first, 'q.quiz("02")')
    lab.run_cell(0)
    one = lab.run_cell(1).locator(".quiz-live")
    one.wait_for()
    one.locator(".quiz-asked mjx-container").wait_for()
    light = one.evaluate("one => getComputedStyle(one.querySelector('fieldset')).backgroundColor")
    lab.page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    lab.page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    assert one.evaluate("one => getComputedStyle(one.querySelector('fieldset')).backgroundColor") != light
    lab.page.evaluate("jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
    lab.page.wait_for_function("document.body.dataset.jpThemeLight === 'true'")


FIGURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'


def with_figures(folder):
    """A quiz with a figure in its question and in a choice, read from a folder."""
    (folder / "02_a.svg").write_text(FIGURE, encoding="utf-8")
    text = CHOICES + "      image: 02_a.svg\n      alt: 'A \"small\" hole.'\n  image: 02_a.svg\n  alt: Nothing.\n"
    (folder / "02.yml").write_text(text, encoding="utf-8")
    return quiz.read(folder / "02.yml")


def test_figures_travel_with_the_quiz_and_are_told_where_none_is_seen(tmp_path):
    questions = with_figures(tmp_path)
    inside = base64.b64encode(FIGURE.encode()).decode()
    for text in (quiz.as_page("02", questions), quiz.as_list("02", questions)):
        assert text.count(f'<img src="data:image/svg+xml;base64,{inside}"') == 2
        assert 'alt="A &quot;small&quot; hole."' in text
    lines = quiz.as_text("02", questions).splitlines()
    assert "1. What? [Figure: Nothing.]" in lines
    assert '   - that [Figure: A "small" hole.]' in lines


def test_a_figure_is_part_of_what_a_chapters_outputs_depend_on(tmp_path, monkeypatch):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('from cnnlib.quiz import quiz\nquiz("02")', id="q")])
    monkeypatch.setattr("cnnlib.notebooks.ROOT", tmp_path)
    folder = tmp_path / "chapters" / "quizzes"
    folder.mkdir(parents=True)
    with_figures(folder)
    before = digest(nb)
    (folder / "02_a.svg").write_text(FIGURE.replace("9", "8"), encoding="utf-8")
    assert digest(nb) != before


@pytest.fixture
def page(sample, watch):
    """The sample page, opened from a file: where modules and fetch do not work, and quizzes must."""
    return watch(color_scheme="light").open(sample, PAGE)


def question(page, number):
    return page.locator(".quiz-question").nth(number - 1)


def answer(page, number, *labels):
    """Tick the choices with these labels (or fill in a number) and check."""
    one = question(page, number)
    for label in labels:
        one.get_by_label(label).check()
    one.get_by_role("button", name="Check").click()
    return one.locator("output").inner_text()


def fill(page, number, text):
    question(page, number).get_by_label("Your answer").fill(text)
    return answer(page, number)


def test_a_wrong_choice_gets_its_own_reason_and_a_right_one_too(page):
    wrong = answer(page, 1, "a 5x5 kernel")
    assert wrong.startswith("Not so.")
    assert question(page, 1).get_attribute("data-state") == "wrong"
    assert question(page, 1).locator("output mjx-container").count() == 1
    assert answer(page, 1, "a 3x3 kernel") == "Right. Its center can stand on 26 rows."
    assert question(page, 1).get_attribute("data-state") == "right"


def test_checking_without_a_choice_asks_for_one(page):
    assert answer(page, 1) == "Choose an answer first."
    assert question(page, 1).get_attribute("data-state") is None


def test_several_right_answers_must_all_be_found(page):
    answer(page, 3, "stride 2")
    assert question(page, 3).get_attribute("data-state") == "wrong"
    some = answer(page, 3, "padding")
    assert "Right: stride 2\nEvery second stop is left out." in some
    assert "Not so: padding\nIt makes the output larger." in some
    assert "One more is right." in some
    question(page, 3).get_by_label("padding").uncheck()
    assert answer(page, 3, "a larger kernel").count("Right:") == 2
    assert question(page, 3).get_attribute("data-state") == "right"


@pytest.mark.parametrize("text", ["18496", "18,496", "18 496", "18496.0", " 1.8496e4 "])
def test_a_number_may_be_written_in_many_ways(page, text):
    assert fill(page, 2, text) == "Right. 64 filters of 288 weights, and 64 biases."


def test_a_typical_wrong_number_gets_its_own_reason(page):
    assert fill(page, 2, "18432") == "Not so. The biases are missing."
    assert fill(page, 2, "7") == "Not so. Count one filter first."
    assert fill(page, 2, "many") == "Write a number, such as 12 or 0.5."


@pytest.mark.parametrize(
    ("text", "state"), [("1/3", "right"), ("0,333", "right"), (".3335", "right"), ("0.34", "wrong")]
)
def test_a_tolerance_is_kept(page, text, state):
    fill(page, 4, text)
    assert question(page, 4).get_attribute("data-state") == state


def test_feedback_is_spoken(page):
    for output in page.locator(".quiz-feedback").all():
        assert output.get_attribute("aria-live") == "polite"
    assert page.get_by_role("group", name=re.compile("How many weights")).count() == 1


def test_the_keyboard_alone_is_enough(page):
    question(page, 1).get_by_label("a 3x3 kernel").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert question(page, 1).get_attribute("data-state") == "wrong"
    page.keyboard.press("Tab")
    page.keyboard.type("18496")
    page.keyboard.press("Enter")
    assert question(page, 2).get_attribute("data-state") == "right"


def test_answers_are_kept_and_can_be_forgotten(page):
    answer(page, 1, "a 3x3 kernel")
    fill(page, 2, "7")
    page.reload()
    assert question(page, 1).get_attribute("data-state") == "right"
    assert question(page, 2).locator("input").input_value() == "7"
    assert page.locator(".quiz-score").inner_text() == "1 of 5 right."
    page.get_by_role("button", name="Start over").click()
    assert page.locator(".quiz-foot").is_hidden()
    page.reload()
    assert page.locator("[data-state]").count() == 0
    assert page.locator("input:checked").count() == 0


def test_figures_are_seen_in_question_and_choice(page):
    one = question(page, 5)
    assert one.get_by_role("img", name="A line that jumps up in the middle.").is_visible()
    assert one.locator("label img").get_attribute("alt") == "The same line."
    sizes = one.locator("img").evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])")
    assert sizes == [[120, 60], [120, 60]]
    assert answer(page, 5, "a step") == "Right. It jumps once."


def test_again_asks_only_what_was_missed_even_if_it_was_mended_since(page):
    again = page.get_by_role("button", name="Again, what I missed")
    assert again.is_hidden()
    answer(page, 1, "a 3x3 kernel")
    assert again.is_hidden()
    fill(page, 2, "7")
    fill(page, 2, "18496")
    answer(page, 5, "a ramp")
    page.reload()
    again.click()
    shown = [form.is_visible() for form in page.locator(".quiz-question").all()]
    assert shown == [False, True, False, False, True]
    assert page.locator(".quiz-score").inner_text() == "0 of 2 right."
    assert question(page, 2).locator("input").input_value() == ""
    assert page.evaluate("document.activeElement.closest('form') === document.querySelectorAll('.quiz-question')[1]")
    number = "one => getComputedStyle(one).counterSet"
    assert [question(page, k).evaluate(number) for k in (2, 5)] == ["question 2", "question 5"]
    assert again.is_hidden()
    fill(page, 2, "18496")
    answer(page, 5, "a ramp")
    assert page.locator(".quiz-score").inner_text() == "1 of 2 right."
    again.click()
    assert page.locator(".quiz-question:visible").count() == 1
    page.get_by_role("button", name="Start over").click()
    assert page.locator(".quiz-question:visible").count() == 5
    assert page.locator(".quiz-foot").is_hidden()
    page.reload()
    assert again.is_hidden()


def test_changing_an_answer_takes_the_verdict_back(page):
    answer(page, 1, "a 5x5 kernel")
    question(page, 1).get_by_label("a 3x3 kernel").check()
    assert question(page, 1).get_attribute("data-state") is None
    assert question(page, 1).locator("output").inner_text() == ""


def test_nonsense_in_the_storage_does_no_harm(page):
    answer(page, 1, "a 3x3 kernel")
    page.evaluate(
        "Object.keys(localStorage).filter(k => k.startsWith('cnn-quiz')).forEach(k => localStorage[k] = '{]')"
    )
    page.reload()
    assert page.locator("[data-state]").count() == 0
    assert answer(page, 1, "a 3x3 kernel").startswith("Right.")


def test_a_quiz_works_where_storage_is_forbidden(sample, chromium):
    """The theme itself complains there; the quiz and the page's colors must not."""
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(NO_STORAGE)
    page.goto((sample / PAGE).as_uri())
    assert answer(page, 1, "a 3x3 kernel").startswith("Right.")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    context.close()


def test_axe_finds_nothing_in_an_answered_quiz(sample, serve, watch):
    one = watch(color_scheme="light")
    page = one.open(serve(sample), PAGE)
    answer(page, 1, "a 3x3 kernel")
    answer(page, 3, "stride 2", "padding")
    fill(page, 2, "7")
    assert one.violations() + one.too_faint() == []
    one.colors("dark")
    assert one.too_faint() == []
    one.resize(360)
    assert one.overflow() <= 0


def test_without_javascript_the_answers_unfold(sample, watch):
    page = watch(java_script_enabled=False).page
    page.goto((sample / PAGE).as_uri())
    assert page.get_by_role("button", name="Check").count() == 0
    page.locator(".quiz-key summary").click()
    text = page.locator(".quiz-key").inner_text()
    assert "Right: a 3x3 kernel\nIts center can stand on 26 rows." in text
    assert "Wrong: 18432\nThe biases are missing." in text


def test_on_paper_there_are_questions_and_answers_but_no_buttons(page):
    answer(page, 1, "a 5x5 kernel")
    page.emulate_media(media="print")
    assert not page.locator(".quiz button:visible").count()
    assert page.locator(".quiz-feedback:visible").count() == 0
    assert page.get_by_text("Its center can stand on").last.is_visible()
