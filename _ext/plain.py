"""What the book adds to plain Markdown: boxes, numbers of equations, entries with anchors, links, and their tooltips.

Chapters are written so that every viewer shows them. Here a block quote that begins with a bold word becomes a box,
`\\tag{3.1}` becomes the number of its equation, a list whose items begin with `<a id="...">` becomes a glossary or a
list of sources, and "Figure 3.3" and "(3.1)" become links.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.std import make_glossary_term
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

LOGGER = logging.getLogger(__name__)
BOXES = {  # how a box begins: its node, and its class in the style
    "Predict": (nodes.admonition, "tip"),
    "Spot the mistake": (nodes.admonition, "mistake"),
    "Warning": (nodes.warning, None),
    "Note": (nodes.note, None),
    "See also": (addnodes.seealso, None),
}
TAG = re.compile(r"\s*\\tag\{([^{}]+)\}")
ANCHOR = re.compile(r'<a id="([\w-]+)">')
NAMED = re.compile(r"(?P<figure>\bFigure E?\d+\.\d+)|(?P<word>\b[Ee]quation )?\((?P<equation>E?\d+\.\d+)\)")
CLOSED = (nodes.reference, nodes.literal, nodes.literal_block, nodes.title, nodes.math, nodes.math_block, nodes.raw)


class Boxes(SphinxTransform):
    """Turn `> **Predict.** ...` into a box."""

    default_priority = 400

    def apply(self, **kwargs):
        for quote in list(self.document.findall(nodes.block_quote)):
            if word := bold_beginning(quote):
                title = word.astext().rstrip(".")
                if title in BOXES:
                    quote.replace_self(box(title, word, quote))
                else:
                    known = ", ".join(BOXES)
                    LOGGER.warning("no box is called %r: there are %s", word.astext(), known, location=quote)


def bold_beginning(quote):
    """The bold text with which a block quote begins, or None."""
    word = next(iter(beginning(quote)), None)
    return word if isinstance(word, nodes.strong) else None


def beginning(node):
    """The parts of the paragraph with which a quote or an item begins, without the empty texts that MyST leaves."""
    first = node[0] if node.children else None
    if not isinstance(first, nodes.paragraph):
        return []
    first.children = [part for part in first if part.astext() or not isinstance(part, nodes.Text)]
    return first.children


def box(title, word, quote):
    """The box that a block quote stands for: without the bold word, which is its title."""
    kind, name = BOXES[title]
    paragraph = word.parent
    paragraph.remove(word)
    if not paragraph.astext().strip():
        quote.remove(paragraph)
    elif isinstance(paragraph[0], nodes.Text):
        paragraph[0] = nodes.Text(paragraph[0].lstrip())
    made = kind("", *([nodes.title("", title)] if name else []), *quote.children, classes=[name] if name else [])
    made.source, made.line = quote.source, quote.line
    return made


class Equations(SphinxTransform):
    r"""Lift `\tag{3.1}` out of a formula: MathJax takes no tag inside the environment that Sphinx wraps around `\\`."""

    default_priority = 400

    def apply(self, **kwargs):
        domain = self.env.get_domain("math")
        for formula in self.document.findall(nodes.math_block):
            if not (found := TAG.search(formula.astext())):
                continue
            label = found[1]
            formula.children = [nodes.Text(TAG.sub("", formula.astext(), count=1))]
            domain.note_equation(self.env.docname, label, location=formula)
            formula.attributes |= {"docname": self.env.docname, "label": label}
            formula["number"] = domain.get_equation_number_for(label)
            formula["ids"].append(equation_id(label))
            self.document.note_explicit_target(formula)


def equation_id(label):
    return nodes.make_id(f"equation-{label}")


def number_by_tag(app, env):
    """Number equations as their tags say."""
    for label, (docname, _) in env.get_domain("math").equations.items():
        numbers = env.toc_fignumbers.setdefault(docname, {}).setdefault("displaymath", {})
        numbers[equation_id(label)] = tuple(label.split("."))
    return []


class Entries(SphinxTransform):
    """Give the items of a list that begin with `<a id="...">` their anchors; one with `**term**: ...` is a glossary."""

    default_priority = 400

    def apply(self, **kwargs):
        for items in list(self.document.findall(nodes.bullet_list)):
            names = [anchor(item) for item in items]
            if not all(names):
                continue
            texts = [item.astext() for item in items]
            if all(is_term(item[0]) for item in items):
                ids = self.glossary(items)
            else:
                items["classes"].append("entries")
                for name, item in zip(names, items, strict=True):
                    item["ids"].append(name)
                ids = names
            self.note(names, ids, texts, items.line)

    def note(self, names, ids, texts, line):
        """Let links find the entries by name, and tooltips say what stands there."""
        metadata = self.env.metadata[self.env.docname]
        slugs = {name: (line, one, name) for name, one in zip(names, ids, strict=True)}
        self.document.myst_slugs = getattr(self.document, "myst_slugs", {}) | slugs
        metadata["myst_slugs"] = metadata.get("myst_slugs", {}) | slugs
        metadata["entries"] = metadata.get("entries", {}) | dict(zip(ids, texts, strict=True))

    def glossary(self, items):
        """Put a glossary in the place of the list; returns the id of each item's first term."""
        ids, entries = [], nodes.definition_list(classes=["glossary"])
        for item in items:
            paragraph = item[0]
            colon = next(k for k, part in enumerate(paragraph) if part.astext().startswith(":"))
            terms = [
                make_glossary_term(self.env, part.children, None, paragraph.source, paragraph.line, None, self.document)
                for part in paragraph[:colon]
                if isinstance(part, nodes.strong)
            ]
            text = nodes.Text(paragraph[colon].astext()[1:].lstrip())
            meaning = nodes.definition("", nodes.paragraph("", "", text, *paragraph[colon + 1 :]), *item[1:])
            entries += nodes.definition_list_item("", *terms, meaning)
            ids.append(terms[0]["ids"][0])
        items.replace_self(addnodes.glossary("", entries, sorted=False))
        return ids


def anchor(item):
    """Take the `<a id="..."></a>` off the beginning of a list item; returns its id, or None."""
    parts = beginning(item)
    if len(parts) > 2 and isinstance(parts[0], nodes.raw) and (found := ANCHOR.fullmatch(parts[0].astext())):
        del item[0][:2]
        beginning(item)
        return found[1]
    return None


def is_term(paragraph):
    """Whether a paragraph begins with terms in bold and a colon."""
    after = next((part for part in paragraph if not isinstance(part, nodes.strong) and part.astext() != ", "), None)
    return isinstance(paragraph[0], nodes.strong) and isinstance(after, nodes.Text) and after.startswith(":")


class Links(SphinxPostTransform):
    """Turn "Figure 3.3" and "(3.1)" into links, and tell in a tooltip what a link to an entry leads to."""

    default_priority = 20  # after MyST has resolved its links

    def run(self):
        targets, entries = numbered(self.env), self.entries()
        for text in list(self.document.findall(nodes.Text)):
            if NAMED.search(text) and not inside(text, CLOSED):
                text.parent.replace(text, list(self.linked(text, targets)))
        for link in self.document.findall(nodes.reference):
            if link.get("refuri") in entries:
                link["reftitle"] = entries[link["refuri"]]

    def entries(self):
        """{address: text} of all entries of the book, as seen from this page."""
        uri = self.app.builder.get_relative_uri
        return {
            f"{uri(self.env.docname, docname)}#{name}": text
            for docname in self.env.all_docs
            for name, text in self.env.metadata[docname].get("entries", {}).items()
        }

    def linked(self, text, targets):
        """The parts of a text: what names a figure or an equation is a link."""
        end = 0
        for found in NAMED.finditer(text):
            name = found["figure"] or f"({found['equation']})"
            if name not in targets:
                if found["figure"] or found["word"]:
                    LOGGER.warning("the book has no %s", name, location=text.parent)
                continue
            start = found.end() - len(name)
            yield nodes.Text(text[end:start])
            role = "std-numref" if found["figure"] else "std-ref"
            label = nodes.inline("", name, classes=["std", role])
            yield make_refnode(self.app.builder, self.env.docname, *targets[name], label)
            end = found.end()
        yield nodes.Text(text[end:])


def numbered(env):
    """{"Figure 3.3" or "(3.1)": (page, id)} of all figures and equations with a number."""
    found = {}
    for docname, kinds in env.toc_fignumbers.items():
        for kind, form in (("figure", "Figure {}"), ("displaymath", "({})")):
            for name, number in kinds.get(kind, {}).items():
                found[form.format(".".join(map(str, number)))] = (docname, name)
    return found


def inside(node, kinds):
    """Whether a node stands within one of these kinds."""
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def setup(app):
    for transform in (Boxes, Equations, Entries):
        app.add_transform(transform)
    app.add_post_transform(Links)
    app.connect("env-get-updated", number_by_tag, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
