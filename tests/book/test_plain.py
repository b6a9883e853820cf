"""Chapters, exercises and appendices are plain Markdown, and what is derived from other files is up to date."""

import importlib.util
import itertools
import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
WITH_DIRECTIVES = {"index.md", "times.md", "reference.md"}
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9]*.ipynb"))
NOTEBOOKS = [*sorted((ROOT / "chapters").glob("*.ipynb")), *sorted((ROOT / "exercises").rglob("[0-9]*.ipynb"))]
TEXTS = [path for path in sorted((ROOT / "chapters").glob("*.md")) if path.name not in WITH_DIRECTIVES]
PLAIN = [*NOTEBOOKS, *TEXTS, ROOT / "start.md"]
GLOSSARY = ROOT / "chapters" / "glossary.md"
COMMONMARK = MarkdownIt("commonmark").enable("table")
BOXES = {"Predict.", "Spot the mistake.", "Warning.", "Note.", "See also."}
MYST = {
    "a fence of colons": re.compile(r"^:{3,}", re.MULTILINE),
    "a label": re.compile(r"^\([\w.:-]+\)=", re.MULTILINE),
    "a label of a formula": re.compile(r"\$\$\s*\([\w-]+\)"),
    "a role": re.compile(r"\{[\w:.-]+\}`"),
    "an attribute": re.compile(r"\{[.#%][^{}]*\}"),
    "a definition": re.compile(r"^:\s{1,3}\S", re.MULTILINE),
    "a field": re.compile(r"^:[\w -]+:\s", re.MULTILINE),
    "a comment": re.compile(r"^%\s", re.MULTILINE),
    "a block break": re.compile(r"^\+\+\+", re.MULTILINE),
    "a footnote": re.compile(r"\[\^[\w-]+\]"),
    "a substitution": re.compile(r"\{\{.*?\}\}"),
}

every = pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.relative_to(ROOT).as_posix())
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def load(name):
    """A module of _ext, which is no package."""
    sys.path.insert(0, str(ROOT / "_ext"))
    try:
        spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / "_ext"))


bibliography, overview = load("bibliography"), load("overview")
ENTRIES = bibliography.read(bibliography.SOURCE.read_text(encoding="utf-8"))


def markdown(path):
    """The Markdown of a page, or of each Markdown cell of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [text]
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]


def tokens(path):
    """The blocks of a page as CommonMark reads them."""
    return [token for text in markdown(path) for token in COMMONMARK.parse(text)]


def left_over(text):
    """What a renderer of CommonMark would show as it stands, because only MyST knows it."""
    found = []
    for token in COMMONMARK.parse(text):
        if token.type == "fence" and token.info.strip().startswith("{"):
            found.append(f"a directive: {token.info}")
        written = "".join(map(shown, token.children or []))
        written = re.sub(r"\$\$[^$]+\$\$", "$$", written)
        written = re.sub(r"(?<!\$)\$[^$]+\$(?!\$)", "formula", written)
        found += [f"{name}: {written[:80]}" for name, pattern in MYST.items() if pattern.search(written)]
    return found


def shown(part):
    """A part of a line as text, with its code left out."""
    stands_for = {"text": part.content, "softbreak": "\n", "hardbreak": "\n", "code_inline": "`code`"}
    return stands_for.get(part.type, "")


@every
def test_a_page_is_plain_markdown(path):
    assert [found for text in markdown(path) for found in left_over(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "```{note}\nText.\n```",
        ":::{admonition} Predict\nText.\n:::",
        "Text.\n\n(sec-ramp)=\n## The ramp",
        "as {cite:t}`zhang-2023` says",
        "{eq}`eq-field`",
        "$$ x $$ (eq-field)",
        "$$\nx\n$$ (eq-field)",
        "term\n: what it means",
        "% a comment",
        "[text](x.md){.wide}",
        "a note[^1]",
    ],
)
def test_what_only_myst_knows_is_found(text):
    assert left_over(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "> **Predict.** What is `x[{i}]`?",
        "$$ \\frac{1}{2} \\tag{3.1} $$",
        "`{cite}` and $\\mathrm{ln} {x}$: fine",
        "| a | b |\n|---|---|\n| {1} | (x) |",
        "<details>\n<summary>Hint</summary>\n\nText.\n</details>",
    ],
)
def test_plain_markdown_passes(text):
    assert left_over(text) == []


@every
def test_every_box_is_of_a_known_kind(path):
    found, blocks = set(), tokens(path)
    for quote, paragraph, line in zip(blocks, blocks[1:], blocks[2:], strict=False):
        if (quote.type, paragraph.type) == ("blockquote_open", "paragraph_open"):
            parts = [part for part in line.children if part.type != "text" or part.content]
            found |= {parts[1].content} if parts[0].type == "strong_open" else set()
    assert found <= BOXES


def links(path):
    """(text, address) of the links of a page that lead to files or places of the course."""
    found = []
    for token in tokens(path):
        parts = token.children or []
        for k, part in enumerate(parts):
            if part.type == "link_open" and not re.match(r"[a-z]+:", part.attrs["href"]):
                end = next(j for j in range(k, len(parts)) if parts[j].type == "link_close")
                found.append(("".join(one.content for one in parts[k:end]), unquote(part.attrs["href"])))
    return found


def anchors(path):
    """The places of a page that a link may name: its headings as GitHub names them, and its anchors."""
    found, blocks = set(), tokens(path)
    for heading, line in itertools.pairwise(blocks):
        if heading.type == "heading_open":
            text = "".join(part.content for part in line.children if part.type in ("text", "code_inline"))
            found.add(re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-"))
    return found | {name for text in markdown(path) for name in re.findall(r'<a id="([^"]+)"', text)}


@every
def test_every_link_leads_to_a_file_and_to_a_place_in_it(path):
    for text, address in links(path):
        file, _, place = address.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert text, address
        assert target.is_file(), address
        assert not place or place in anchors(target), address


@every
def test_every_citation_is_written_as_its_entry_is_labeled(path):
    for text, address in links(path):
        file, _, key = address.partition("#")
        if file.endswith("bibliography.md") and key:
            assert key in ENTRIES, f"references.bib has no {key}"
            assert text == bibliography.label(ENTRIES[key]), address


def test_every_entry_of_the_bibliography_is_cited():
    cited = {address.partition("#")[2] for path in NOTEBOOKS for _, address in links(path) if "bibliography" in address}
    assert set(ENTRIES) - cited == set()


@chapters
def test_equations_are_numbered_in_order_within_their_chapter(path):
    found = re.findall(r"\\tag\{([^}]*)\}", "\n".join(markdown(path)))
    assert found == [f"{int(path.name[:2])}.{k}" for k in range(1, len(found) + 1)]


def glossary():
    """[(id, terms, chapter that defines it)] of all entries; the chapter is a file's name, None if there is none."""
    found = []
    for name, text in re.findall(r'^- <a id="([\w-]+)"></a>(.*)$', markdown(GLOSSARY)[0], re.MULTILINE):
        places = re.search(r"\((?:Chapters )?\[(?:Chapter )?\d\d\]\((\d\d_\w+\.ipynb)#.*\)$", text)
        terms = re.findall(r"\*\*(.+?)\*\*", text.partition(": ")[0])
        found.append((name, terms, places and places[1]))
    return found


def bold_terms(path):
    """What stands in bold in a chapter, without whole sentences: those begin a box or a paragraph."""
    found = []
    for token in tokens(path):
        parts = token.children or []
        for k, part in enumerate(parts):
            if part.type == "strong_open":
                end = next(j for j in range(k, len(parts)) if parts[j].type == "strong_close")
                found.append("".join(one.content for one in parts[k:end]))
    return [term for term in found if not term.endswith((".", "?"))]


def test_the_terms_of_the_glossary_are_in_order_and_named_by_their_first():
    names, terms = zip(*[(name, terms[0].lower()) for name, terms, _ in glossary()], strict=True)
    assert list(names) == [re.sub(r"\W+", "-", term) for term in terms]
    assert list(terms) == sorted(terms)


def test_every_entry_of_the_glossary_leads_to_the_section_that_defines_it():
    assert [name for name, _, chapter in glossary() if chapter is None] == []


@chapters
def test_every_term_in_bold_is_in_the_glossary(path):
    known = {term.lower() for _, terms, _ in glossary() for term in terms}
    bold = {term for term in bold_terms(path) if term.lower() not in known}
    assert {term for term in bold if term.lower().removesuffix("s") not in known} == set()


@chapters
def test_a_chapter_lists_the_words_that_it_defines(path):
    new = [f"[{terms[0]}](glossary.md#{name})" for name, terms, chapter in glossary() if chapter == path.name]
    want = f"New words: {', '.join(new)}."
    assert want in "\n".join(markdown(path)).splitlines(), f"below 'Take away' write: {want}"


def test_the_teachers_table_of_goals_names_every_question_of_the_exercises():
    text = markdown(ROOT / "chapters" / "teachers.md")[0]
    table = text[text.index("### What is learned") : text.index("## The exercises")]
    sources = sorted((ROOT / "exercises").glob("[0-9]*.ipynb"))
    questions = [
        name for path in sources for name in re.findall(r"^## Exercise (\d\d\.\d)", "\n".join(markdown(path)), re.M)
    ]
    there = {path.name[:2] for path in sources}
    named = {name for name in re.findall(r"\b\d\d\.\d\b", table) if name[:2] in there}
    assert named == set(questions)


def test_bibliography_is_what_references_make_of_it():
    assert bibliography.TARGET.read_text(encoding="utf-8") == bibliography.bibliography(ENTRIES), "run `make pages`"


def test_start_page_and_readme_list_the_chapters_as_they_are():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / "start.md").read_text(encoding="utf-8") == overview.start(), "run `make pages`"
    assert readme == overview.readme(readme), "run `make pages`"


BOOK = """% A comment.
@book{author-1999,
  author    = {Author, Anna B. and van Berg, Ö.},
  title     = {A {Book} of 1--2},
  publisher = {A Publisher},
  year      = {1999}
}
"""


def test_an_entry_is_read_and_written():
    entries = bibliography.read(BOOK)
    assert bibliography.label(entries["author-1999"]) == "Author and van Berg, 1999"
    item = '- <a id="author-1999"></a>**Author and van Berg, 1999.** Anna B. Author and Ö. van Berg. '
    assert bibliography.bibliography(entries).endswith(f"{item}*A Book of 1\N{EN DASH}2*. A Publisher, 1999.\n")


@pytest.mark.parametrize(
    ("authors", "want"),
    [
        ("Zhang, Richard", "Zhang, 1999"),
        ("Azulay, A. and Weiss, Y.", "Azulay and Weiss, 1999"),
        ("A, B. and C, D. and E, F.", "A et al., 1999"),
        ("A, B. and others", "A et al., 1999"),
    ],
)
def test_a_label_names_one_author_two_or_the_first(authors, want):
    assert bibliography.label({"author": authors, "year": "1999"}) == want


MISTAKES = {
    "a field over two lines": (BOOK.replace("A {Book} of 1--2", "A\n  Book"), "line 4: write one field a line"),
    "an accent of TeX": (BOOK.replace("Ö", '{\\"O}'), "write letters as they are"),
    "a missing field": (BOOK.replace("  publisher = {A Publisher},\n", ""), "author-1999 has no publisher"),
    "a key twice": (BOOK * 2, "author-1999 stands there twice"),
    "a broken entry": (BOOK.replace("@book{author-1999,", "@book{,"), "line 2: expected `@kind{key,`"),
    "a missing brace": (BOOK.rstrip("}\n") + "\n", "line 2: expected `@kind{key,`"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_references_is_named_with_its_place(name):
    text, message = MISTAKES[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        bibliography.read(text)
