"""A small map of the book at the end of each chapter: what has been built, the new piece lit, what comes next."""

import re
from html import escape

import yaml
from docutils import nodes

CHAPTER = re.compile(r"chapters/(\d\d)_\w+$")
SIDE, STEP = 40, 50  # pixels of a box, and from one box to the next


def parts(folder):
    """The chapters of each part of the table of contents: [["chapters/01_...", ...], ...], without empty parts."""
    toc = yaml.safe_load((folder / "_toc.yml").read_text(encoding="utf-8"))
    listed = [[one["file"] for one in part["chapters"]] for part in toc.get("parts", [toc])]
    rows = [[name for name in part if CHAPTER.match(name)] for part in listed]
    return [row for row in rows if row]


def drawing(rows, here, title, uri):
    """The map as SVG: a row of numbered boxes for each part, each box a link but the lit one.

    rows: the chapters of each part    here: the chapter to light    title, uri: functions of a chapter
    """
    boxes, seen = [], "done"
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            kind = "lit" if name == here else seen
            seen = "ahead" if name == here else seen
            number, left, top = CHAPTER.match(name)[1], STEP * x + 5, STEP * y + 5
            box = (
                f'<g class="{kind}"><title>{number} {escape(title(name))}</title>'
                f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" rx="5"/>'
                f'<text x="{left + SIDE // 2}" y="{top + 26}">{number}</text></g>'
            )
            boxes.append(box if name == here else f'<a href="{escape(uri(name))}">{box}</a>')
    width, height = STEP * max(map(len, rows)), STEP * len(rows)
    label = f"Map of the book: you have reached {CHAPTER.match(here)[1]}, {escape(title(here), quote=True)}"
    return (
        f'<nav class="book-map" aria-label="{label}"><svg viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}">{"".join(boxes)}</svg></nav>'
    )


def add_map(app, doctree, docname):
    """Put the map below the last section of a chapter."""
    if not CHAPTER.match(docname):
        return

    def title(name):
        return app.env.titles[name].astext()

    def uri(name):
        return app.builder.get_relative_uri(docname, name)

    html = drawing(parts(app.srcdir), docname, title, uri)
    next(iter(doctree.findall(nodes.section))).append(nodes.raw("", html, format="html"))


def setup(app):
    app.connect("doctree-resolved", add_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
