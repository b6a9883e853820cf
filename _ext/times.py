"""The times directive: a table of the chapters' reading and running times, read from the notebooks themselves."""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

READING = re.compile(r"Reading (\d+) minutes")


def times(path):
    """(title, minutes to read, seconds to run) of a chapter; what it does not say is an empty text."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    head = "".join(notebook["cells"][0]["source"])
    reading = READING.search(head)
    seconds = notebook["metadata"].get("cnnlib", {}).get("seconds", "")
    return head.splitlines()[0].lstrip("# "), reading[1] if reading else "", str(seconds)


def row(*cells):
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


class Times(SphinxDirective):
    """The `{times}` fence."""

    def run(self):
        names = sorted(n for n in self.env.found_docs if re.match(r"chapters/\d\d_", n))
        body = nodes.tbody()
        for name in names:
            path = Path(self.env.doc2path(name))
            self.env.note_dependency(str(path))
            title, minutes, seconds = times(path)
            link = nodes.reference("", f"{path.name[:2]} {title}", refuri=f"{path.stem}.html", internal=True)
            body += row(link, nodes.Text(minutes), nodes.Text(seconds))
        head = nodes.thead("", row(*map(nodes.Text, ("chapter", "minutes to read", "seconds to run"))))
        columns = [nodes.colspec(colwidth=width) for width in (6, 2, 2)]
        return [nodes.table("", nodes.tgroup("", *columns, head, body, cols=3), classes=["colwidths-auto"])]


def setup(app):
    app.add_directive("times", Times)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
