"""Two tables of the chapters: `{chapters}` for the welcome page, `{times}` with reading and running times."""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

HEADER = re.compile(r"Reading (\d+) minutes, with the code (\d+); running (\d+) seconds")


def facts(path):
    """(title, minutes to read, with the code, seconds to run) as a chapter says, and the seconds that were measured.

    What is not there is "".
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    head = "".join(notebook["cells"][0]["source"])
    told = HEADER.search(head)
    seconds = notebook["metadata"].get("cnnlib", {}).get("seconds", "")
    return head.splitlines()[0].lstrip("# "), *(told.groups() if told else ("", "", "")), str(seconds)


def row(*cells):
    """A row of a table, from texts and nodes."""
    cells = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def table(head, rows, widths):
    columns = [nodes.colspec(colwidth=width) for width in widths]
    parts = [nodes.thead("", row(*head)), nodes.tbody("", *rows)]
    return nodes.table("", nodes.tgroup("", *columns, *parts, cols=len(widths)), classes=["colwidths-auto"])


class Contents(SphinxDirective):
    """What both directives share: the notebooks that are in the book."""

    has_content = True

    def notebooks(self):
        """The paths of the book's chapters, then of its other notebooks; this page is read again when one changes."""
        paths = [Path(self.env.doc2path(name)) for name in sorted(self.env.found_docs) if name.startswith("chapters/")]
        paths = [path for path in paths if path.suffix == ".ipynb"]
        for path in paths:
            self.env.note_dependency(str(path))
        return paths

    def link(self, path, text):
        folder = "" if self.env.docname.startswith("chapters/") else "chapters/"
        return nodes.reference("", text, refuri=f"{folder}{path.stem}.html", internal=True)


class Chapters(Contents):
    """Lines `02 | working title | question`, and lines without a bar for the parts.

    A chapter that is in the book becomes a link with its real title.
    """

    def run(self):
        there, rows = {path.name[:2]: path for path in self.notebooks()}, []
        for line in filter(None, map(str.strip, self.content)):
            number, *rest = (part.strip() for part in line.split("|"))
            if not rest:
                rows.append(row("", nodes.strong("", line), ""))
            else:
                path = there.get(number)
                title = self.link(path, facts(path)[0]) if path else rest[0]
                rows.append(row(number, title, rest[1]))
        return [table(("no.", "chapter", "the question it answers"), rows, (1, 4, 6))]


class Times(Contents):
    """A table of all notebooks: the minutes that they announce, and the seconds that were measured."""

    def run(self):
        rows = []
        for path in self.notebooks():
            title, reading, coding, _, seconds = facts(path)
            title = f"{path.name[:2]} {title}" if path.name[0].isdecimal() else title
            rows.append(row(self.link(path, title), reading, coding, seconds))
        return [table(("chapter", "minutes to read", "with the code", "seconds to run"), rows, (6, 2, 2, 2))]


def setup(app):
    app.add_directive("chapters", Chapters)
    app.add_directive("times", Times)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
