"""The book's configuration and extensions, on a sample book with one page of everything."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = "chapters/02_sample.html"


@pytest.fixture(scope="module")
def html(sample):
    return (sample / PAGE).read_text(encoding="utf-8")


def test_sample_page_is_whole(sample, serve, watch):
    """Everything an author may write: no error, no overflow, nothing axe objects to, in either color and width."""
    one = watch(color_scheme="light")
    page = one.open(serve(sample), PAGE)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (1440, 360):
        one.resize(width)
        assert one.overflow() <= 0
        assert one.violations() + one.too_faint(leave_out=()) == []
    one.colors("dark")
    assert one.too_faint(leave_out=()) == []


def test_figures_are_numbered_by_chapter(sample, html):
    assert re.findall(r'caption-number">(Figure [\w.]+)', html) == ["Figure 2.1", "Figure 2.2", "Figure 2.3"]
    exercise = (sample / "exercises" / "02_sample.html").read_text(encoding="utf-8")
    assert "Figure E2.1 </span>" in exercise


def test_a_figure_has_its_alt_text_and_caption(html):
    figure = re.search(r'<figure[^>]*id="fig-sample".*?</figure>', html, re.DOTALL)[0]
    assert 'alt="A white square."' in figure
    assert "A square means nothing." in figure


def test_a_drawing_stays_legible_on_a_narrow_page_and_scrolls_there(sample, serve, watch):
    one = watch()
    page = one.open(serve(sample), PAGE)
    box = page.get_by_role("group", name="drawing")
    letters = "e => 12 * e.querySelector('img').clientWidth / e.querySelector('img').naturalWidth"
    assert box.evaluate(letters) >= 9
    assert box.get_attribute("tabindex") is None
    one.resize(360)
    assert box.evaluate(letters) >= 9
    assert one.overflow() <= 0
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.drawing').scrollLeft > 0")
    one.colors("dark")
    look = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.padding, s.filter]; }"
    assert box.locator("img").evaluate(look) == ["rgba(0, 0, 0, 0)", "0px", "none"]
    page.emulate_media(media="print")
    assert box.evaluate("e => e.querySelector('img').clientWidth <= e.clientWidth")


BOXES = {
    "Predict": '<div class="tip admonition">',
    "Spot the mistake": '<div class="mistake admonition">',
    "Note": '<div class="admonition note">',
    "Warning": '<div class="admonition warning">',
    "See also": '<div class="admonition seealso">',
}


@pytest.mark.parametrize("title", BOXES)
def test_a_block_quote_that_begins_with_a_bold_word_becomes_a_box(html, title):
    assert f'{BOXES[title]}\n<p class="admonition-title">{title}</p>' in html
    assert f"<strong>{title}.</strong>" not in html.replace("<strong>Note.</strong> This, too.", "")


def test_a_box_keeps_all_its_paragraphs_and_its_code(html):
    box = re.search(r'<div class="admonition warning">.*?\n</div>\n<div class="admonition seealso">', html, re.DOTALL)[
        0
    ]
    assert "<p>A trap, with code in it:</p>" in box
    assert "x + 1" in box
    assert "<p>And a second paragraph.</p>" in box


def test_a_block_quote_without_a_bold_beginning_stays_a_quotation(html):
    assert html.count("<blockquote>") == 1
    assert "A quotation stays one. <strong>Note.</strong> This, too." in html


def test_a_box_of_an_unknown_kind_fails_the_build(broken):
    project, status, printed = broken
    line = 1 + (project / "chapters" / "plain.md").read_text(encoding="utf-8").splitlines().index("> **Tipp.** A box.")
    assert status != 0
    assert f"plain.md:{line}: WARNING: no box is called 'Tipp.': there are Predict, Spot the mistake," in printed


def test_an_equation_has_the_number_of_its_tag(html):
    assert re.search(r'id="equation-2-1">\n<span class="eqno">\(2\.1\)', html)
    assert r"\tag" not in html


def test_a_tagged_matrix_and_every_other_formula_is_set(sample, watch):
    """MathJax knows no tag inside the environment that Sphinx wraps around a formula of several rows."""
    page = watch().open(sample, PAGE)
    assert page.locator("#equation-2-2 mjx-container").count() == 1
    assert page.locator("[data-mml-node=merror], [data-mjx-error]").count() == 0


def test_the_names_of_figures_and_equations_become_links(sample, html):
    for name, place, role in (
        ("(2.1)", "equation-2-1", "ref"),
        ("(2.2)", "equation-2-2", "ref"),
        ("Figure 2.1", "fig-sample", "numref"),
        ("Figure 2.2", "fig-second", "numref"),
    ):
        assert f'<a class="reference internal" href="#{place}"><span class="std std-{role}">{name}</span></a>' in html
    exercise = (sample / "exercises" / "02_sample.html").read_text(encoding="utf-8")
    assert 'href="#fig-exercise"><span class="std std-numref">Figure E2.1</span>' in exercise
    assert 'href="../chapters/02_sample.html#equation-2-1"' in exercise


def test_a_number_in_parentheses_that_no_equation_has_stays_text(html):
    assert "no equation has the number (2.7)" in html
    assert '<span class="pre">Figure</span> <span class="pre">2.1</span>' in html


def test_a_figure_or_equation_that_does_not_exist_fails_the_build(broken):
    _, _, printed = broken
    assert "WARNING: the book has no Figure 9.9" in printed
    assert "WARNING: the book has no (9.8)" in printed


def test_a_citation_leads_to_its_entry_and_tells_it_in_a_tooltip(sample, html):
    link = re.search(r'<a class="reference internal" href="bibliography.html#author-1999" title="([^"]*)">', html)
    assert link[1] == "Author, 1999. A. Author. A Book. A Publisher, 1999. https://example.org."
    assert '<li id="author-1999">' in (sample / "chapters" / "bibliography.html").read_text(encoding="utf-8")


def test_a_list_of_terms_becomes_a_glossary(sample, html):
    glossary = (sample / "chapters" / "glossary.html").read_text(encoding="utf-8")
    assert re.search(r'<dl class="[a-z ]*glossary">', glossary)
    assert re.findall(r'<dt id="([^"]+)">([^<]+)<', glossary) == [
        ("term-kernel", "kernel"),
        ("term-filter-bank", "filter bank"),
        ("term-stride", "stride"),
    ]
    assert "<dd><p>A small grid of <em>weights</em>," in glossary
    assert re.search(r'href="glossary.html#term-kernel" title="kernel, filter bank: A small grid', html)


def test_links_lead_to_headings_of_other_pages_and_of_their_own(html):
    assert 'href="plain.html#a-plain-page"><span class="std std-ref">somewhere else</span>' in html
    assert '<a class="reference internal" href="#boxes">boxes</a>' in html


def test_a_plain_page_loads_neither_formulas_nor_quiz_nor_copy_buttons(sample):
    plain = (sample / "chapters" / "plain.html").read_text(encoding="utf-8")
    for script in ("MathJax", "quiz.js", "clipboard", "copybutton.js"):
        assert script not in plain


def test_unused_files_of_the_theme_are_not_shipped(sample):
    names = {path.name for path in (sample / "_static").rglob("*")}
    assert not {"fontawesome.js", "bootstrap.js.map", "locales", "sphinx-thebe.js", "book.png"} & names


def test_without_a_repository_address_no_page_has_a_launch_button(html):
    assert not re.search("mybinder|colab|github|executablebooks", html)


def test_with_a_repository_address_every_notebook_page_has_launch_buttons(new_project, build):
    """The address stands in one place, repository.url of _config.yml."""
    address = 'url: "https://github.com/someone/somewhere"'
    project = new_project([("_config.yml", lambda text: text.replace('url: ""', address))])
    status, printed = build(project)
    assert status == 0, printed
    page = (project / "_build" / "html" / PAGE).read_text(encoding="utf-8")
    assert "https://mybinder.org/v2/gh/someone/somewhere/main?urlpath=lab/tree/chapters/02_sample.ipynb" in page
    assert "https://colab.research.google.com/github/someone/somewhere/blob/main/chapters/02_sample.ipynb" in page
    assert "https://github.com/someone/somewhere/issues" in page
    assert not re.search(r'<(?:img|script|link)\b[^>]*(?:src|href)="https?:', page)


def test_a_broken_reference_fails_the_build(broken):
    _, status, printed = broken
    assert status != 0
    assert "nowhere" in printed


def test_a_page_out_of_the_table_of_contents_stays_out_of_the_book(sample):
    """The sample holds one, chapters/draft.md, with a broken link in it."""
    assert not (sample / "chapters" / "draft.html").exists()


def load(name):
    """A module of _ext, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


reference = load("reference")


def test_shapes_become_a_list_and_the_origin_stands_alone():
    docstring = """Slide w over x.

    x: (N, C, H, W)    w: (F, C, K, L)    b: (F,) or None
    Returns (N, F, H', W') with H' = output_size(H, K,
    stride, padding).
    Raises ValueError if `x` and `w` differ in C*K. Built in chapter 03.
    """
    assert [line.strip() for line in reference.restructure(docstring.splitlines()) if line] == [
        "Slide w over x.",
        ".. rst-class:: shapes",
        "- ``x``: (N, C, H, W)",
        "- ``w``: (F, C, K, L)",
        "- ``b``: (F,) or None",
        "Returns (N, F, H', W') with H' = output_size(H, K, stride, padding).",
        "Raises ValueError if ``x`` and ``w`` differ in C\\*K.",
        ".. rst-class:: built",
        "Built in chapter 03.",
    ]


def test_reference_names_every_module_with_built_or_provided_names():
    """Checks, notebooks, recipes and so on are tools or data, not something that a chapter imports."""
    text = (ROOT / "chapters" / "reference.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "cnnlib").glob("[a-z]*.py")):
        if path.stem not in {
            "checks",
            "checkpoints",
            "doctor",
            "notebooks",
            "reach",
            "recipes",
            "threads",
            "torchvision",
        }:
            assert f"automodule:: cnnlib.{path.stem}" in text, path.name


def test_book_lock_is_part_of_the_whole_lock_and_holds_no_torch():
    book, whole = (
        {line.strip() for line in (ROOT / name).read_text().splitlines() if line.strip() and line[0] not in "#-"}
        for name in ("requirements-book.txt", "requirements.txt")
    )
    assert not {line.split("==")[0] for line in book} & {"torch", "torchvision", "matplotlib", "scikit-learn"}
    assert book <= whole or "-r requirements-book.txt" in (ROOT / "requirements.txt").read_text()


def test_table_of_contents_lists_each_exercise_below_its_chapter():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            for section in chapter.get("sections", []):
                assert section["file"] == chapter["file"].replace("chapters/", "exercises/")


def test_titles_in_the_sidebar_are_the_headings_with_their_number():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for chapter in (chapter for part in toc["parts"] for chapter in part["chapters"] if "title" in chapter):
        path = ROOT / f"{chapter['file']}.ipynb"
        heading = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0]
        assert chapter["title"] == f"{path.name[:2]} {heading.removeprefix('# ')}"


def test_welcome_page_links_to_every_chapter_and_appendix(book):
    welcome = (book / "index.html").read_text(encoding="utf-8")
    main = welcome[welcome.index("<main ") :]
    for name in re.findall(r"file: (chapters/\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8")):
        assert f'href="{name}.html"' in main, name


def test_table_of_times_has_the_minutes_and_seconds_of_every_chapter(book):
    text = (book / "chapters" / "times.html").read_text(encoding="utf-8")
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = re.search(
            rf'href="{path.stem}.html">[^<]*</a></p></td>\s*<td><p>(\d+)</p></td>\s*<td><p>(\d+)</p></td>', text
        )
        assert cells, path.name


def test_each_chapter_ends_with_a_map_on_which_it_alone_is_lit(book):
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    names = re.findall(r"file: chapters/(\d\d_\w+)", text)
    for k, name in enumerate(names):
        html = (book / "chapters" / f"{name}.html").read_text(encoding="utf-8")
        (drawn,) = re.findall(r'<nav class="book-map".*?</nav>', html)
        kinds = re.findall(r'<g class="(\w+)"><title>(\d\d) ', drawn)
        want = ["done"] * k + ["lit"] + ["ahead"] * (len(names) - k - 1)
        assert kinds == [(kind, other[:2]) for kind, other in zip(want, names, strict=True)], name
        assert re.findall(r'<a href="([^"]+)"', drawn) == [f"{other}.html" for other in names if other != name]
    assert "book-map" not in (book / "chapters" / "mistakes.html").read_text(encoding="utf-8")


def test_every_notebook_of_the_book_is_in_the_table_of_contents():
    text = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"file: (\S+)", text))
    there = {f"{p.parent.name}/{p.stem}" for f in ("chapters", "exercises") for p in (ROOT / f).glob("*.ipynb")}
    assert there <= listed
    for name in listed:
        assert any((ROOT / f"{name}{end}").exists() for end in (".ipynb", ".md"))
