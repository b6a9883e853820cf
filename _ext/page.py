"""Page clean-up: a page loads exactly the scripts it needs, from the book itself; figures are numbered by chapter."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the reference documents this copy of cnnlib, installed or not

# What a page's head may load, and what the page must contain to get it ("" is in every page).
NEEDS = {
    "documentation_options.js": "",
    "doctools.js": "",
    "sphinx_highlight.js": "",
    "scripts/sphinx-book-theme.js": "",
    "book.js": "",
    "clipboard.min.js": 'class="highlight',
    "copybutton.js": 'class="highlight',
    "design-tabs.js": "sd-tab-set",
    "sphinx-design.min.css": 'class="sd-',
    "quiz.js": 'class="quiz"',
    "quiz.css": 'class="quiz"',
    "vendor/mathjax/tex-svg.js": 'class="math',
}
DRAWING = re.compile(r'<img [^>]*src="[^"]*_images/([^"/]+\.svg)"[^>]*>')
LEAST = 0.75  # of their size: a drawing's letters, 12 pixels high, stay at 9
MENDED = re.compile(r' aria-label="Toggle hidden content"')  # a name that is not what one reads on the button
OFF = ("sphinx-thebe", "togglebutton")  # sphinx-thebe loads from a CDN; boxes unfold without sphinx-togglebutton
UNUSED = [  # what the theme and its extensions put beside the pages, and no page asks for
    "**/*.map",
    "**/*.LICENSE.txt",
    "locales/**/*",
    "vendor/fontawesome/**/*",
    "scripts/fontawesome.js",
    "styles/theme.css",
    "sbt-webpack-macros.html",
    "webpack-macros.html",
]


def configure(app, config):
    """Find our templates; show launch, source and issue buttons only if the repository's address is known."""
    config.templates_path.insert(0, str(Path(__file__).parent / "templates"))
    options = config.html_theme_options
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_issues_button": True}
        options.setdefault("repository_provider", "github")
    else:
        options["launch_buttons"] = {}


def is_needed(asset, body):
    """Whether a page with this body needs a script or style. What is not in the table is kept, and a test complains."""
    if asset.filename:
        name = str(asset.filename).split("?")[0].removeprefix("_static/")
        return NEEDS.get(name, "") in body and not name.startswith(OFF)
    return "window.MathJax" not in asset.attributes.get("body", "") or NEEDS["vendor/mathjax/tex-svg.js"] in body


def keep_legible(app, body):
    """Put each SVG into a box of its own: on a narrow page it scrolls there before its letters get too small."""
    sources = {name: Path(app.srcdir, path) for path, name in app.builder.images.items()}

    def boxed(found):
        width = re.search(r'<svg [^>]*\bwidth="(\d+)"', sources[found[1]].read_text(encoding="utf-8"))
        if not width:
            return found[0]
        image = found[0].replace("<img ", f'<img style="min-width: {LEAST * int(width[1]):g}px" ', 1)
        return f'<span class="drawing" role="group" aria-label="drawing">{image}</span>'

    return DRAWING.sub(boxed, body)


def clean_page(app, pagename, templatename, context, doctree):
    """Leave a page only the scripts and styles it needs; mend what myst-nb writes; keep drawings legible."""
    if body := context.get("body"):
        context["body"] = keep_legible(app, MENDED.sub("", body))
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if is_needed(asset, context.get("body", ""))]


def switch_off(app, extension):
    """Take back what an extension asked Sphinx for."""
    for listeners in app.events.listeners.values():
        listeners[:] = [one for one in listeners if one.handler.__module__.split(".")[0] != extension]


def number_by_chapter(app, env):
    """Number figures, tables and listings within their chapter: Figure 2.3; in its exercises, Figure E2.3."""
    for docname, kinds in env.toc_fignumbers.items():
        found = re.match(r"(chapters|exercises)/(\d+)_", docname)
        if not found:
            continue
        chapter = ("E" if found[1] == "exercises" else "") + str(int(found[2]))
        for numbers in kinds.values():
            for place, name in enumerate(numbers, 1):
                numbers[name] = (chapter, place)
    return []


def remove_unused(app, exception):
    """Delete the files in _static that no page asks for."""
    static = Path(app.outdir) / "_static"
    if exception or app.builder.name != "html":
        return
    for pattern in UNUSED:
        for path in static.glob(pattern):
            if path.is_file():
                path.unlink()
    for folder in sorted((p for p in static.rglob("*") if p.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def setup(app):
    for name in ("sphinx_thebe", "sphinx_togglebutton"):
        switch_off(app, name)
    app.connect("config-inited", configure)
    app.connect("env-get-updated", number_by_chapter, priority=900)
    app.connect("html-page-context", clean_page, priority=900)
    app.connect("build-finished", remove_unused)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
