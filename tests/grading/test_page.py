"""The pages and the record of a class: what was shared, how each question went, and nothing that is not so."""

import json
import re
from html.parser import HTMLParser

import pytest

from cnnlib.grading import page, report
from cnnlib.grading.grade import Result, Score, try_answers

FLIPPED = "Your kernel runs backwards: that is convolution."


def scored(name, *scores, causes=(), error=""):
    """A Result of exercise 02 with these points for 02.2, 02.3, ... of 2 each."""
    questions = [Score(f"02.{k}", got, 2, "<b>says</b>", "hint", list(causes)) for k, got in enumerate(scores, 2)]
    return Result(name, "02", questions, error=error)


CLASS = [
    scored("ada.ipynb", 2, 2),
    scored("bob & co.ipynb", 1, 0, causes=[FLIPPED]),
    scored("cleo.ipynb", 0, 0, causes=[FLIPPED]),
    scored("<script>.ipynb", error="it is broken."),
]


class Tags(HTMLParser):
    """Collects what a page opens and closes."""

    def __init__(self, text):
        super().__init__()
        self.opened, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.attributes.append((tag, dict(attrs)))


def test_the_first_page_shows_each_question_and_the_shared_mistakes_most_frequent_first(tmp_path):
    page.write(CLASS, tmp_path / "class.html")
    text = (tmp_path / "class.html").read_text(encoding="utf-8")
    assert "1 full points, 1 a part, 1 none" in text
    assert "1 full points, 0 a part, 2 none" in text
    assert "1.0 of 2" in text
    assert f"2 of 4, question 02.2: {FLIPPED}" in text
    assert "chapter 02, Slide a kernel." in text
    widths = [float(w) for w in re.findall(r'<rect class="\w+" x="[\d.]+" width="([\d.]+)"', text)]
    assert sum(widths[:3]) == pytest.approx(100, abs=0.1)


def test_one_page_holds_everything_and_a_folder_a_page_for_each_file(tmp_path):
    page.write(CLASS, tmp_path / "report")
    index = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    links = [attrs["href"] for tag, attrs in Tags(index).attributes if tag == "a"]
    assert links == ["0001.html", "0002.html", "0003.html", "0004.html"]
    for link, result in zip(links, CLASS, strict=True):
        text = (tmp_path / "report" / link).read_text(encoding="utf-8")
        assert report.summary(result).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in text
        assert "index.html" in text


def test_a_page_needs_nothing_from_anywhere_and_runs_nothing_of_a_submission(tmp_path):
    page.write(CLASS, tmp_path / "class.html")
    page.write(CLASS, tmp_path / "report")
    for path in [tmp_path / "class.html", *(tmp_path / "report").iterdir()]:
        text = path.read_text(encoding="utf-8")
        tags = Tags(text)
        assert "script" not in tags.opened
        assert "b" not in tags.opened
        assert not re.search(r"https?:|src=|@import|url\(", text)


def test_a_page_can_be_read_by_a_screen_reader_in_the_dark_and_on_paper(tmp_path):
    page.write(CLASS, tmp_path / "class.html")
    tags = Tags((tmp_path / "class.html").read_text(encoding="utf-8"))
    assert ("html", {"lang": "en"}) in tags.attributes
    assert tags.opened.count("h1") == 1
    assert all("scope" in attrs for tag, attrs in tags.attributes if tag == "th")
    pictures = [attrs for tag, attrs in tags.attributes if tag == "svg"]
    assert pictures
    assert all(attrs["role"] == "img" and "full points" in attrs["aria-label"] for attrs in pictures)
    text = (tmp_path / "class.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text
    light, dark = page.colors()
    for name in re.findall(r"var\((--[\w-]+)\)", page.LAYOUT):
        assert f"{name}:" in light
        assert f"{name}:" in dark


def test_the_record_holds_all_that_was_found_in_its_schema(tmp_path):
    report.write_record(CLASS, tmp_path / "class.json", 7)
    whole = json.loads((tmp_path / "class.json").read_text(encoding="utf-8"))
    assert list(whole) == ["schema", "seed", "shut_in", "notebooks"]
    assert (whole["schema"], whole["seed"]) == (1, 7)
    first = whole["notebooks"][1]
    assert list(first) == ["notebook", "exercise", "score", "max_score", "error", "notes", "questions"]
    assert first["questions"][0] == {
        "id": "02.2",
        "score": 1,
        "max_score": 2,
        "message": "<b>says</b>",
        "hint": "hint",
        "causes": [FLIPPED],
    }


def test_a_score_names_the_causes_that_its_message_tells():
    cell = {"answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w)\n"}
    (score,) = try_answers("02", cell, 1, only="02.4")
    assert score.causes == ["That is correlation: the kernel has not been turned yet."]
    (score,) = try_answers("02", {}, 1, only="02.4")
    assert score.causes == []
