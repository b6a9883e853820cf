"""Lets autodoc read cnnlib's docstrings: a sentence, a line of shapes, what is raised, where it was built."""

import dataclasses
import inspect
import re

NAMES = r"[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*"
ORIGIN = re.compile(r"(?:Built in chapter \d\d\.|Extended in chapter \d\d\.|Provided\.)")
# A line that starts something of its own; any other line goes on with the sentence before it.
STARTS = re.compile(rf"{NAMES}: |Returns |Raises |Sources?: |{ORIGIN.pattern}")
SHAPES = re.compile(rf"(?P<names>{NAMES}): (?P<text>\S.*)")
FIELD = re.compile(r"    (?P<names>\w+): [^#]*#\s*(?P<text>.*)")


def as_rst(text):
    """Plain text with `code` -> reStructuredText: everything else that looks like markup is escaped."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{p}`" if p.startswith("`") else re.sub(r"([*|\\]|_\b)", r"\\\1", p) for p in parts)


def statements(lines):
    """Join the lines of a docstring that belong together; part what says where the thing was built from the rest."""
    joined, fresh = [], True
    for line in map(str.strip, lines):
        if line and not fresh and not STARTS.match(line):
            joined[-1] += " " + line
        elif line:
            joined.append(line)
        fresh = not line
    text = "\n".join(joined)
    return [line.strip() for line in ORIGIN.sub(lambda found: f"\n{found[0]}\n", text).splitlines() if line.strip()]


def restructure(lines):
    """A docstring's lines -> lines of reStructuredText.

    A line of shapes, `x: (N, C, H, W)    w: (F, C, K, L)`, becomes a list with an item for each name.
    """
    found = []
    for line in statements(lines):
        if ORIGIN.fullmatch(line):
            found += styled("built", [line])
        elif SHAPES.fullmatch(line) and not line.startswith("Source"):
            found += styled("shapes", map(item, re.split(r"\s{3,}", line)))
        else:
            found += [as_rst(line), ""]
    return found


def styled(name, lines):
    """Lines that get a class of the style sheet."""
    return [f".. rst-class:: {name}", "", *(f"   {line}" for line in lines), ""]


def item(part):
    """`x: (N, C, H, W)` -> a list item with the name as code."""
    found = SHAPES.fullmatch(part)
    return f"- ``{found['names']}``: {as_rst(found['text'])}" if found else f"- {as_rst(part)}"


def fields(thing):
    """The fields of a dataclass that carry a comment, as list items."""
    found = [FIELD.match(line) for line in inspect.getsource(thing).splitlines()]
    return [f"- ``{f['names']}``: {as_rst(f['text'])}" for f in found if f]


def process(app, what, name, thing, options, lines):
    """Rewrite a docstring in place; of a module's, keep the first paragraph."""
    text = "\n".join(lines).strip()
    lines[:] = restructure(text.split("\n\n")[0].splitlines() if what == "module" else lines)
    if what == "class" and dataclasses.is_dataclass(thing):
        lines += styled("shapes", fields(thing))


def setup(app):
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
