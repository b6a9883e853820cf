"""Makes what lists the chapters outside the book: start.md, on which `make lab` opens, and the README's table.

Titles and order come from _toc.yml, minutes and seconds from the chapters' first cells, and the minutes of the
capstone, which is an exercise, from its tasks: python _ext/overview.py.
"""

import json
import re
from pathlib import Path

import yaml
from contents import facts

ROOT = Path(__file__).resolve().parents[1]
TASK = re.compile(r"^\*Level \d of \d, (\d+) minutes,", re.MULTILINE)
MARKS = ("<!-- chapters: made by `make pages` -->\n", "<!-- end of chapters -->\n")
START = """# Convolutional Neural Networks, from the Kernel Up

A click on a chapter opens it. Run its cells one after the other with Shift+Enter, and change whatever you like: the
original is one `git checkout` away. After each chapter comes its exercise, which tells you at once where an answer
goes wrong.

<!-- Made from _toc.yml and the chapters by `make pages`: change it there. -->

{table}
Minutes are for reading, and for working through the code as well; seconds are for running the whole notebook on two
cores without a GPU. The capstone is an exercise, and its minutes are those that its tasks announce, added up.

Something does not run? See [set-up and troubleshooting](chapters/setup.md). Terms are in the
[glossary](chapters/glossary.md), letters on the page about [notation](chapters/notation.md), sources in the
[bibliography](chapters/bibliography.md).
"""


def minutes_of_tasks(path):
    """The minutes that the tasks of an exercise announce, added up; "" if none does."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    minutes = [int(number) for cell in cells for number in TASK.findall("".join(cell["source"]))]
    return str(sum(minutes)) if minutes else ""


def table(root=ROOT):
    """The chapters of _toc.yml as a table of Markdown, a row for each part and each chapter."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    lines = ["| chapter | exercise | reading, min | with the code, min | running, s |", "|---|---|---|---|---|"]
    for part in toc["parts"]:
        chapters = [chapter for chapter in part["chapters"] if (root / f"{chapter['file']}.ipynb").exists()]
        if chapters:
            lines.append(f"| **{part['caption']}** | | | | |")
        for chapter in chapters:
            path = root / f"{chapter['file']}.ipynb"
            title, reading, coding, seconds, _ = facts(path)
            told = [reading or "-", coding or minutes_of_tasks(path) or "-", seconds or "-"]
            exercise = [f"[exercise]({section['file']}.ipynb)" for section in chapter.get("sections", [])]
            link = f"[{chapter.get('title', title)}]({chapter['file']}.ipynb)"
            lines.append(f"| {link} | {', '.join(exercise) or '-'} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def start():
    """The text of start.md."""
    return START.format(table=table())


def readme(text):
    """The README with its table made anew, between the two marks."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + table() + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    (ROOT / "start.md").write_text(start(), encoding="utf-8")
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
