"""Makes chapters/bibliography.md, plain Markdown, from chapters/references.bib: python _ext/bibliography.py."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "chapters" / "references.bib"
TARGET = ROOT / "chapters" / "bibliography.md"
HEAD = """# Bibliography

What the chapters cite.

<!-- Made from references.bib by `make pages`: change it there. -->
"""
ENTRY = re.compile(r"^@(\w+)\{([\w-]+),\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+)\s*= \{(.*)\},?$")
NEEDED = {
    "article": ("journal",),
    "book": ("publisher",),
    "inproceedings": ("booktitle",),
    "misc": (),
    "techreport": ("institution",),
}


def read(text):
    """The entries of a BibTeX file, {key: fields}, where the field `kind` is for example "article".

    An entry begins with `@kind{key,`, has one field a line, `  name = {value},`, and ends with `}` alone.
    Raises ValueError for what is written otherwise, with its line, and for a field that is missing.
    """
    entries, end = {}, 0
    for found in ENTRY.finditer(text):
        refuse(text, end, found.start())
        kind, key, body = found[1].lower(), found[2], found[3]
        lines = [FIELD.match(line) for line in body.splitlines()]
        if None in lines:
            line = text[: found.start()].count("\n") + 2 + lines.index(None)
            raise ValueError(f"references.bib, line {line}: write one field a line, `  name = {{value}},`")
        fields = {"kind": kind} | {line[1]: plain(line[2]) for line in lines}
        if key in entries:
            raise ValueError(f"references.bib: {key} stands there twice")
        if missing := {"author", "title", "year", *NEEDED.get(kind, ())} - set(fields):
            raise ValueError(f"references.bib: {key} has no {sorted(missing)[0]}")
        entries[key], end = fields, found.end()
    refuse(text, end, len(text))
    return entries


def refuse(text, start, end):
    """Raise ValueError if anything but comments stands between two entries."""
    for number, line in enumerate(text[start:end].splitlines(), text[:start].count("\n") + 1):
        if line.strip() and not line.startswith("%"):
            raise ValueError(f"references.bib, line {number}: expected `@kind{{key,` and a closing brace, not {line!r}")


def plain(text):
    """A value without the braces that protect capitals. Raises ValueError for TeX's accents: letters are UTF-8."""
    if "\\" in text:
        raise ValueError(f"references.bib: write letters as they are, not as accents of TeX, in {text!r}")
    return text.replace("{", "").replace("}", "").replace("--", "\N{EN DASH}").strip()


def people(fields):
    """[(first names, last name)] of the authors; the others of `and others` are ("", "others")."""
    pairs = [name.partition(",")[::2] for name in fields["author"].split(" and ")]
    return [(first.strip(), last.strip()) for last, first in pairs]


def label(fields):
    """How the text cites an entry: "Zhang et al., 2023"."""
    last = [name for _, name in people(fields)]
    names = last[0] if len(last) == 1 else f"{last[0]} and {last[1]}" if len(last) == 2 else f"{last[0]} et al."
    return f"{names}, {fields['year']}".replace(" and others,", " et al.,")


def listed(names):
    """ "A", "A and B", "A, B, and C"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def places(fields):
    """Where an entry was published, as Markdown."""
    year, pages = fields["year"], fields.get("pages")
    number = f"({fields['number']})" if "number" in fields else ""
    if fields["kind"] == "article":
        where = [f"*{fields['journal']}*"]
        volume = fields.get("volume", "") + number
        where.append(f"{volume}:{pages}" if volume and pages else volume or pages)
    elif fields["kind"] == "inproceedings":
        volume = f"volume {fields['volume']}" if "volume" in fields else None
        where = [f"In *{fields['booktitle']}*", volume, pages]
    elif fields["kind"] == "techreport":
        where = ["Technical report", fields["institution"]]
    else:
        where = [fields.get("publisher"), fields.get("howpublished")]
    return ", ".join(part for part in [*where, year] if part)


def links(fields):
    """Where an entry can be read, as Markdown links."""
    paper, url, found = fields.get("eprint"), fields.get("url", ""), []
    if "doi" in fields:
        found.append(f"[doi:{fields['doi']}](https://doi.org/{fields['doi']})")
    if paper:
        found.append(f"[arXiv:{paper}](https://arxiv.org/abs/{paper})")
    if url and not (paper and paper in url):
        found.append(f"<{url}>")
    return found


def entry(key, fields):
    """An entry as a list item of Markdown, with its key as the anchor."""
    names = listed([f"{first} {last}".strip() for first, last in people(fields)])
    title = f"*{fields['title']}*" if fields["kind"] == "book" else fields["title"]
    ends = "" if title.rstrip("*").endswith(("?", "!")) else "."
    parts = [f"{names}.", f"{title}{ends}", f"{places(fields)}.", *(f"{link}." for link in links(fields))]
    return f'- <a id="{key}"></a>**{label(fields)}.** {" ".join(parts)}'


def bibliography(entries):
    """The whole page, sorted by name and year."""

    def order(item):
        return [last.lower() for _, last in people(item[1])], item[1]["year"], item[1]["title"]

    items = [entry(key, fields) for key, fields in sorted(entries.items(), key=order)]
    return f"{HEAD}\n" + "\n".join(items) + "\n"


if __name__ == "__main__":
    try:
        TARGET.write_text(bibliography(read(SOURCE.read_text(encoding="utf-8"))), encoding="utf-8")
    except ValueError as error:
        sys.exit(str(error))
