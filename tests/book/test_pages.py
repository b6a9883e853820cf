"""Every page of the built book in a real browser: self-contained, light, legible, accessible, by http and by file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
EVERY_PAGE = {
    "documentation_options.js",
    "doctools.js",
    "sphinx_highlight.js",
    "scripts/sphinx-book-theme.js",
    "book.js",
    "scripts/bootstrap.js",
    "scripts/pydata-sphinx-theme.js",
}
IF_NEEDED = {  # script: what a page's main part holds if it needs the script
    "clipboard.min.js": '<div class="highlight',
    "copybutton.js": '<div class="highlight',
    "quiz.js": '<div class="quiz"',
    "vendor/mathjax/tex-svg.js": r'<(?:div|span) class="math',
    "design-tabs.js": "sd-tab-set",
}
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
SEARCH = {"searchtools.js", "language_data.js", "searchindex.js"}


def pages():
    """The names of all pages, read from _toc.yml."""
    return ["index", *re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8")), "search"]


@pytest.mark.parametrize("name", pages())
def test_page_is_whole_by_http(book, serve, watch, name):
    """Light and dark, wide and narrow: nothing from elsewhere, no error, no overflow, nothing axe objects to."""
    one = watch()
    page = one.open(serve(book), f"{name}.html")
    assert page.locator("h1").count() == 1 or name == "search"
    assert one.overflow() <= 0
    assert one.violations() + one.too_faint() == []
    light = page.evaluate(BACKGROUND)
    one.colors("dark")
    assert one.too_faint() == []
    assert page.evaluate(BACKGROUND) != light
    one.resize(360)
    assert one.overflow() <= 0
    assert one.violations() == []


@pytest.mark.parametrize("name", pages())
def test_page_is_whole_from_a_file(book, watch, name):
    """A double click on the file is enough: nothing from elsewhere, no error, formulas set, no overflow."""
    one = watch(viewport={"width": 360, "height": 700}, color_scheme="dark")
    page = one.open(book, f"{name}.html")
    formulas = page.locator(".bd-article .math").count()
    assert page.locator(".bd-article mjx-container").count() >= formulas
    assert one.overflow() <= 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("name", pages())
def test_page_loads_exactly_the_scripts_it_needs(book, name):
    html = (book / f"{name}.html").read_text(encoding="utf-8")
    found = {re.sub(r"^(\.\./)*(_static/)?|\?.*$", "", src) for src in re.findall(r'<script[^>]* src="([^"]+)"', html)}
    main = html[html.index("<main ") : html.index("</main>")]
    want = EVERY_PAGE | {script for script, sign in IF_NEEDED.items() if re.search(sign, main)}
    want |= {f"cnn-{tag}.js" for tag in re.findall(r"<cnn-([a-z_]+)[\s>]", main)}
    assert found == (want | SEARCH if name == "search" else want)


@pytest.mark.parametrize("name", pages())
def test_page_keeps_to_its_budget(book, name):
    """A page's own bytes: its HTML, images and the data of its playgrounds."""
    page = book / f"{name}.html"
    loads = {
        page.parent / src.split("?")[0] for src in re.findall(r' src="([^":]+)"', page.read_text(encoding="utf-8"))
    }
    own = {path.resolve() for path in loads if "_static" not in path.parts or path.name.startswith("cnn-")}
    sizes = {path.name: path.stat().st_size for path in own | {page}}
    digits = any(name.startswith("cnn-digit") for name in sizes)
    assert sum(sizes.values()) < (2.5 if digits else 1.5) * MEGABYTE, sizes


def test_shared_files_keep_to_their_budget(book):
    files = [path for path in (book / "_static").rglob("*") if path.is_file() and not path.name.startswith("cnn-")]
    assert sum(path.stat().st_size for path in files) < 5 * MEGABYTE


def test_no_page_names_a_script_style_or_font_elsewhere(book):
    """Links may lead out; nothing that a page loads by itself may."""
    loads = re.compile(r'<(?:script|img|link|iframe|source|video)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"')
    found = {path.name: loads.findall(path.read_text(encoding="utf-8")) for path in book.rglob("*.html")}
    assert {name: urls for name, urls in found.items() if urls} == {}
    for path in (book / "_static").rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]+|@import[^;]+", path.read_text(encoding="utf-8")), path


def test_no_page_carries_widget_state_or_require_js(book):
    for path in book.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"require(?:\.min)?\.js|html-manager|application/vnd\.jupyter\.widget|thebe", text), (
            path.name
        )


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_search_finds_a_word(book, serve, watch, scheme):
    one = watch()
    page = one.open(serve(book) if scheme == "http" else book, "search.html?q=kernel")
    page.locator("#search-results li").first.wait_for()
    assert page.locator("#search-results li a").count() >= 2


def test_color_mode_button_switches_and_is_remembered(book, serve, watch):
    one = watch(color_scheme="light")
    page = one.open(serve(book), "index.html")
    page.get_by_role("button", name="Color mode").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_sidebar_opens_on_a_narrow_screen_and_closes_with_escape(book, serve, watch):
    one = watch(viewport={"width": 360, "height": 700})
    page = one.open(serve(book), "index.html")
    button = page.locator("button.primary-toggle")
    button.click()
    page.get_by_role("link", name="Glossary").first.wait_for(state="visible")
    page.keyboard.press("Escape")
    page.locator("#pst-primary-sidebar-modal").wait_for(state="hidden")


def test_first_tab_stop_skips_to_the_text(book, serve, watch):
    page = watch().open(serve(book), "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
