"""Every page of the built book in a real browser: self-contained, light, legible, accessible, by http and by file."""

import re
from pathlib import Path
from urllib.parse import quote

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
LOOKS = """() => { // what is seen of each element, in the page and in its playgrounds
    const looks = [];
    const walk = root => {
        for (const one of root.querySelectorAll("body, body *, .playground, .playground *")) {
            if (!one.checkVisibility()) continue;
            const s = getComputedStyle(one);
            const border = side => parseFloat(s[`border${side}Width`]) && s[`border${side}Color`];
            looks.push([one.tagName, s.display, s.color, s.backgroundColor, s.backgroundImage, s.boxShadow,
                s.textShadow, ...["Top", "Left", "Bottom"].map(border),
                s.filter, s.fill, s.stroke, s.opacity, s.colorScheme, s.printColorAdjust].join("; "));
            if (one.shadowRoot) walk(one.shadowRoot);
        }
    };
    walk(document);
    return looks;
}"""
FAINT = """() => { // pieces of code with a contrast below 4.5 to the ground that they stand on
    const light = color => color.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0.05);
    const numbers = text => text.match(/[\\d.]+/g).map(Number);
    const ground = one => {
        const color = numbers(getComputedStyle(one).backgroundColor);
        return color.length === 3 || color[3] ? color.slice(0, 3) : ground(one.parentElement);
    };
    const contrast = one => light(ground(one)) / light(numbers(getComputedStyle(one).color).slice(0, 3));
    const pieces = [...document.querySelectorAll(".highlight pre, .highlight pre span")];
    return pieces.filter(one => contrast(one) < 4.5).map(one => one.outerHTML);
}"""
STILL_DARK = "[...document.querySelectorAll('div')].filter(one => one.shadowRoot?.querySelector('.dark')).length"
FORMULAS = """() => [...document.querySelectorAll("div.math")].map(box => {
    const edges = name => box.querySelector(name)?.getBoundingClientRect();
    const [outer, number] = [box.getBoundingClientRect(), edges(".eqno")];
    const opens = box.scrollLeft === 0 && edges("svg").left >= outer.left - 1;
    const numbered = !number || (number.left >= outer.left && number.right <= outer.right + 1);
    box.scrollLeft = 9999;
    const ends = edges("svg").right <= (edges(".eqno")?.left ?? outer.right) + 1;
    return { text: box.textContent, opens, numbered, ends };
}).filter(one => !(one.opens && one.numbered && one.ends))"""
CUT_OFF = """() => [...document.querySelectorAll(".cell_input pre")]
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"""
EDGES, STACK = [[0, 1, 0], [1, -4, 1], [0, 1, 0]], [["conv", 8, 3, 1, 1, 1], ["pool", 2, 2, 0]]
LINKS = [  # page, playground, settings in the address, what they mean
    ("02_slide_a_kernel", "ramp", "kernel=0,1,0;1,-4,1;0,1,0&at=1,2", {"kernel": EDGES, "at": [1, 2]}),
    ("04_pooling", "pool", "pool=average&at=2,1", {"pool": "average", "at": [2, 1]}),
    ("04_pooling", "stack", "layers=conv,8,3,1,1,1;pool,2,2,0&at=3,4", {"layers": STACK, "at": [3, 4]}),
    ("05_gradients", "flow", "stride=2&pixel=1,2", {"stride": 2, "pixel": [1, 2]}),
    ("08_two_convolutions", "digit", "center=off&example=7 in a corner", {"center": False, "example": "7 in a corner"}),
    ("13_resnet", "depth", "depth=50&rate=0.1", {"depth": 50, "rate": 0.1}),
    ("14_train_fast", "buys", "technique=no_whitening&seeds=2", {"technique": "no_whitening", "seeds": 2}),
    ("15_transposed_convolution_and_unet", "paint", "stride=3&at=1,2", {"stride": 3, "at": [1, 2]}),
    ("15_transposed_convolution_and_unet", "generate", "at=1,-0.5&show=map", {"at": [1, -0.5], "show": "map"}),
]
BEHIND = [*"()[]<>.,;:!?\"'*_`|\u201d", ")**", ").", "%20", "%29", "%22%3E", "%0A", "&gt;", "&quot;)", ") and more"]
FOLLOW = """async ([id, hash, names]) => {
    for (const one of ["none", hash]) {
        const changed = new Promise(done => addEventListener("hashchange", done, { once: true }));
        location.hash = one;
        await changed;
    }
    const { model } = document.getElementById(id);
    return Object.fromEntries(names.map(name => [name, model.get(name)]));
}"""
ON_SCREEN = [".bd-sidebar", ".bd-header", ".bd-header-article", ".prev-next-footer", ".copybtn", "#pst-back-to-top"]
SEARCH = {"searchtools.js", "language_data.js", "searchindex.js"}


def pages():
    """The names of all pages, read from _toc.yml."""
    return ["index", *re.findall(r"file: (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8")), "search"]


@pytest.mark.parametrize("name", pages())
def test_page_is_whole_by_http(book, serve, watch, name):
    """Light and dark, wide and narrow: nothing from elsewhere, no error, no overflow, nothing axe objects to.

    On a wide screen no line of code is cut off.
    """
    one = watch()
    page = one.open(serve(book), f"{name}.html")
    assert page.locator("h1").count() == 1 or name == "search"
    assert one.overflow() <= 0
    assert page.evaluate(CUT_OFF) == []
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
    """A double click on the file is enough: nothing from elsewhere, no error, formulas set, no overflow.

    On a narrow screen a wide formula opens at its left end, with its number in sight.
    """
    one = watch(viewport={"width": 360, "height": 700}, color_scheme="dark")
    page = one.open(book, f"{name}.html")
    formulas = page.locator(".bd-article .math").count()
    assert page.locator(".bd-article mjx-container").count() >= formulas
    assert one.overflow() <= 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(FORMULAS) == []


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
    digits = any(name.startswith(("cnn-digit", "cnn-look")) for name in sizes)  # these carry chapter 08's network
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
    page.locator("#search-results li a").nth(1).wait_for()


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


@pytest.mark.parametrize("name", pages())
def test_a_dark_page_is_printed_as_the_light_one(book, serve, watch, name):
    """Black on white, code legible, shades printed, and what only a screen needs is gone."""
    looks = {}
    for scheme in ("light", "dark"):
        page = watch(color_scheme=scheme).open(serve(book), f"{name}.html")
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        page.emulate_media(media="print", color_scheme=scheme)
        assert page.evaluate(FAINT) == []
        assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('main')).color") == "rgb(0, 0, 0)"
        assert [one for one in ON_SCREEN if page.locator(f"{one} >> visible=true").count()] == []
        page.wait_for_function(f"!{STILL_DARK}")
        looks[scheme] = page.evaluate(LOOKS)
    assert looks["dark"] == looks["light"]
    assert all(look.endswith("exact") for look in looks["dark"])


def test_a_playground_is_light_as_soon_as_printing_begins(book, serve, watch):
    """When a browser says `beforeprint`, the page still has the colors of the screen."""
    page = watch(color_scheme="dark").open(serve(book), "chapters/05_gradients.html")
    assert page.evaluate(STILL_DARK) == 2
    assert page.evaluate(f"dispatchEvent(new Event('beforeprint')) && {STILL_DARK}") == 0
    assert page.evaluate(f"dispatchEvent(new Event('afterprint')) && {STILL_DARK}") == 2


@pytest.mark.parametrize(("name", "id", "settings", "meaning"), LINKS, ids=[one[1] for one in LINKS])
def test_a_link_keeps_its_meaning_when_it_was_passed_on_in_a_text(book, serve, watch, name, id, settings, meaning):
    """With &amp; for &, with percent codes, and with a bracket, a full stop or a quotation mark behind it."""
    page = watch().open(serve(book), f"chapters/{name}.html")
    link = "&".join(f"{id}.{setting}" for setting in settings.split("&"))
    coded = quote(link, safe="&=;,")
    links = [link, coded, quote(link), quote(quote(link)), *(one + more for one in (link, coded) for more in BEHIND)]
    amps = ("&amp;", "&#38;", "%26amp%3B", "&amp;amp;")
    links += [coded.replace("&", amp) + more for amp in amps for more in ("", ").")]
    found = {one: page.evaluate(FOLLOW, [id, one, list(meaning)]) for one in links}
    assert {one: got for one, got in found.items() if got != meaning} == {}


@pytest.mark.parametrize(
    ("name", "id", "answer"),
    [("04_pooling", "stack", ".equation"), ("05_gradients", "flow", ".total"), ("05_gradients", "winners", ".total")],
)
def test_a_playground_below_a_prediction_hides_its_answer_until_asked(book, serve, watch, name, id, answer):
    found = watch().open(serve(book), f"chapters/{name}.html").locator(f"#{id}")
    shown = found.locator(answer)
    assert shown.inner_text() == "?" or not shown.is_visible()
    found.get_by_role("button", name=re.compile("^Show")).first.click()
    assert re.search(r"\d", shown.inner_text())
    assert shown.is_visible()
