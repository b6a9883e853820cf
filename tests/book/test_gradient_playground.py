"""The gradient playground in a real browser: numbers against cnnlib.ops, keyboard, mouse, touch, address."""

import json
import re

import numpy as np
import pytest
from elements import html, state

from cnnlib.ops import conv2d_backward, max_pool2d_backward, output_size
from cnnlib.playground import gradient_playground
from cnnlib.playground.files import module

ALL = "pixel weight dy layer stride padding dilation"
X, W = np.arange(36).reshape(6, 6) % 7, np.array([[1, -2, 3], [4, 5, 6], [7, 8, -9]])
PEAK = [[1, 2, 3], [4, 9, 5], [6, 7, 8]]


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with playgrounds in three pages."""
    digits = [[1, 10], [100, 1000]]
    widgets = {
        "one": gradient_playground(np.arange(1, 10).reshape(3, 3), [[1, 2], [3, 4]], digits, name="one"),
        "all": gradient_playground(X, W, controls=ALL, name="all"),
        "pool": gradient_playground(PEAK, np.ones((2, 2)), digits, layer="max pooling", controls=ALL, name="pool"),
    }
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name):
    found = page.locator(f"cnn-gradient#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, widget):
    """Replaces the page's playground by another one."""
    page.evaluate(
        """text => {
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-gradient").outerHTML = text;
        }""",
        html(widget),
    )
    return element(page, "put")


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def shown(found, name):
    """The texts of one of the playground's grids: x, w, dy, dx or dw."""
    cell = "cell => cell.querySelector('input')?.value ?? cell.textContent"
    return found.locator(f".grid.{name} table").evaluate(f"t => [...t.rows].map(row => [...row.cells].map({cell}))")


def numbers(found, name):
    return np.array([[number(text) for text in row] for row in shown(found, name)])


def sum_of(found):
    """The terms and the total that are written out."""
    text = found.locator(".equation").inner_text().replace("\N{MINUS SIGN}", "-")
    terms = re.findall(r"\(?([-\d.]+)\)?·\(?([-\d.]+)\)?", text)
    return [float(a) * float(b) for a, b in terms], number(found.locator(".total").inner_text())


def setups(count, seed):
    """Random x, w, options and dy, of unequal sizes, in whole numbers (so there are ties); dy None if it misfits."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x = rng.integers(-4, 5, size=rng.integers(1, 9, size=2))
        w = rng.integers(-4, 5, size=rng.integers(1, 6, size=2))
        options = {
            name: int(rng.integers(*r)) for name, r in [("stride", (1, 4)), ("padding", (0, 3)), ("dilation", (1, 4))]
        }
        try:
            shape = [output_size(n, k, **options) for n, k in zip(x.shape, w.shape, strict=True)]
            dy = rng.integers(-9, 10, size=shape)
        except ValueError:
            dy = None
        yield x, w, options, dy


def gradients(layer, x, w, options, dy):
    """(dx, dw) by cnnlib.ops; zeros where it refuses, because there is no output."""
    dy, x, w = (np.asarray(m, float)[None, None] for m in (np.zeros((1, 1)) if dy is None else dy, x, w))
    try:
        if layer == "convolution":
            return [m[0, 0] for m in conv2d_backward(dy, x, w, **options)[:2]]
        return [max_pool2d_backward(dy, x, w.shape[2:], **options)[0, 0], None]
    except ValueError:
        return [np.zeros(x.shape[2:]), np.zeros(w.shape[2:])]


# The arithmetic


@pytest.mark.parametrize("layer", ["convolution", "max pooling"])
def test_the_gradients_are_those_of_cnnlib(new_page, layer):
    cases = list(setups(300, seed=0))
    code = """async ([text, cases]) => {
        const { backward } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
        return cases.map(([dy, x, w, options]) => backward(dy, x, w, options));
    }"""
    sent = [[[] if dy is None else dy.tolist(), x.tolist(), w.tolist(), o | {"layer": layer}] for x, w, o, dy in cases]
    got = new_page("index.html").evaluate(code, [module("gradient"), sent])
    fitting = 0
    for case, answer in zip(cases, got, strict=True):
        dx, dw = gradients(layer, *case)
        fitting += case[3] is not None
        np.testing.assert_array_equal(answer["dx"], dx)
        if layer == "convolution":
            np.testing.assert_array_equal(answer["dw"], dw)
    assert 150 < fitting < 300


# What the page shows


def test_the_page_shows_the_right_numbers_over_many_setups(new_page):
    page = new_page("all.html")
    rng = np.random.default_rng(1)
    for k, (x, w, options, dy) in enumerate(setups(24, seed=2)):
        if dy is None:
            continue
        layer = ["convolution", "max pooling"][k % 2 and options["padding"] == 0]
        chosen = {name: [int(rng.integers(n)) for n in m.shape] for name, m in (("pixel", x), ("weight", w))}
        select = "xw"[layer == "convolution" and k % 4 == 0]
        widget = gradient_playground(
            x, w, dy, layer=layer, select=select, controls=ALL, name="put", **options, **chosen
        )
        found = put(page, widget)
        dx, dw = gradients(layer, x, w, options, dy)
        np.testing.assert_array_equal(widget.dx, dx)
        np.testing.assert_array_equal(numbers(found, "x"), np.pad(x, options["padding"]))
        np.testing.assert_array_equal(numbers(found, "dy"), dy)
        terms, total = sum_of(found)
        assert total == (dx if select == "x" else dw)[tuple(chosen["pixel" if select == "x" else "weight"])]
        if len(terms) < 36:
            assert sum(terms) == total
            assert found.locator(".grid.dy .light").count() == len(terms)
        found.get_by_role("button", name="Show all").click()
        np.testing.assert_array_equal(numbers(found, "dx"), dx)
        if layer == "convolution":
            np.testing.assert_array_equal(numbers(found, "dw"), dw)


def test_a_pixel_lights_every_window_that_it_fed_with_the_weight_it_went_through(new_page):
    found = element(new_page("one.html"), "one")
    found.locator(".grid.x td").nth(4).click()
    assert found.locator(".grid.dy .light").all_inner_texts() == ["×4", "×3", "×2", "×1"]
    assert found.locator(".equation").inner_text() == "dx[1, 1] = 4·1 + 3·10 + 2·100 + 1·1000 = 1234"
    found.locator(".grid.x td").nth(2).click()
    assert found.locator(".grid.dy .light").all_inner_texts() == ["×2"]
    assert found.locator(".equation").inner_text() == "dx[0, 2] = 2·10 = 20"


def test_a_weight_collects_the_pixels_that_it_met(new_page):
    found = element(new_page("one.html"), "one")
    found.locator(".grid.w td").first.click(force=True)  # the mark lies over it
    assert found.locator(".equation").inner_text() == "dw[0, 0] = 1·1 + 2·10 + 4·100 + 5·1000 = 5421"
    assert found.locator(".grid.x .light").count() == 4


def test_a_gradient_is_covered_until_its_pixel_was_chosen(new_page):
    found = element(new_page("one.html"), "one")
    assert shown(found, "dx") == [["1", "?", "?"], ["?", "?", "?"], ["?", "?", "?"]]
    assert shown(found, "dw") == [["?", "?"], ["?", "?"]]
    found.locator(".grid.dx td").nth(5).click()
    assert shown(found, "dx") == [["1", "?", "?"], ["?", "?", "2040"], ["?", "?", "?"]]
    found.get_by_role("button", name="Show all").click()
    np.testing.assert_array_equal(numbers(found, "dx"), [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]])
    assert not found.get_by_role("button", name="Show all").is_visible()
    found.get_by_role("button", name="Reset").click()
    assert shown(found, "dx")[2] == ["?", "?", "?"]


def test_with_predict_nothing_is_shown_before_the_reader_chooses(new_page):
    asked = gradient_playground(PEAK, W, predict=True, pixel=(1, 1), controls=ALL, name="put")
    found = put(new_page("one.html"), asked)
    hidden = [["?"] * 3] * 3

    def nothing_is_shown():
        assert (shown(found, "dx"), shown(found, "dw")) == (hidden, hidden)
        assert found.locator(".equation").inner_text().endswith("= ?")
        assert found.locator(".light").count() == 0
        assert not found.locator(".stage path").get_attribute("d")
        assert "not shown yet" in found.locator("[role=status]").inner_text()

    nothing_is_shown()
    found.locator(".grid.x .mark").press("Enter")  # the very pixel that is marked
    assert shown(found, "dx") == [["?"] * 3, ["?", "5", "?"], ["?"] * 3]
    found.get_by_role("button", name="Reset").click()
    nothing_is_shown()
    found.locator(".grid.x .mark").press("ArrowRight")
    assert shown(found, "dx") == [["?"] * 3, ["?", "?", "6"], ["?"] * 3]
    found.get_by_role("button", name="more padding").click()  # another question, and not yet asked
    assert shown(found, "dx") == hidden
    found.get_by_role("button", name="Show all").click()
    assert "?" not in np.array([shown(found, "dx"), shown(found, "dw")])


CHOOSE = """([select, field, place]) => {
    const { model } = document.querySelector("#put");
    model.set(field, place);
    model.set("select", select);
}"""
CROSSED = """e => { // the numbers that a line crosses, but for those of dy, which lies above the lines
    const root = e.firstElementChild.shadowRoot;
    const path = root.querySelector(".stage path");
    const origin = root.querySelector(".stage").getBoundingClientRect();
    const length = path.getTotalLength();
    const points = Array.from({ length: Math.ceil(length) + 1 }, (_, k) => path.getPointAtLength(Math.min(k, length)))
        .map(({ x, y }) => [x + origin.left, y + origin.top]);
    const range = document.createRange();
    return [...root.querySelectorAll(".grid:not(.dy) td")].filter(td => {
        range.selectNodeContents(td);
        const box = range.getBoundingClientRect();
        return points.some(([x, y]) => x > box.left && x < box.right && y > box.top && y < box.bottom);
    }).map(td => td.textContent);
}"""
TAGGED = """e => [...e.firstElementChild.shadowRoot.querySelectorAll(".grid.dy .light")].map(light => {
    const [cell, tag] = [light, light.querySelector("i")].map(one => one?.getBoundingClientRect());
    return !!tag && tag.width > 8 && tag.height > 9 && tag.left >= cell.left - 1 && tag.bottom <= cell.bottom + 1;
})"""


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("padding", [0, 2])
def test_no_line_crosses_a_number_and_every_output_carries_its_factor(new_page, width, padding):
    """Lines lead through the gap between the grids and along the borders of cells."""
    page = new_page("all.html", width=width)
    x = np.arange(1, 37).reshape(6, 6)
    found = put(page, gradient_playground(x, W, padding=padding, controls=ALL, name="put"))
    found.get_by_role("button", name="Show all").click()
    for name, field, matrix in (("x", "pixel", x), ("w", "weight", W)):
        for place in np.ndindex(matrix.shape):
            page.evaluate(CHOOSE, [name, field, list(place)])
            assert found.evaluate(CROSSED) == [], (name, place)
            tags = found.evaluate(TAGGED)
            assert tags
            assert all(tags), (name, place)


def test_a_pixel_that_fed_no_window_says_so(new_page):
    found = element(new_page("all.html"), "all")
    found.get_by_role("button", name="more stride").click()
    assert found.locator(".grid.x td.skipped").count() == 11
    assert "11 of 36 pixels" in found.locator(".facts").inner_text()
    found.locator(".grid.x td").last.click()
    assert found.locator(".equation").inner_text() == "dx[5, 5] = 0, for no window used this pixel"
    assert shown(found, "dx")[5][5] == "0"
    assert found.locator(".grid.dy .light").count() == 0
    assert "its gradient is 0" in found.locator("p[role=status]").inner_text()


def test_the_winner_of_overlapping_windows_gets_all_and_the_first_of_equals_wins(new_page):
    page = new_page("pool.html")
    found = element(page, "pool")
    found.locator(".grid.x td").nth(4).click()
    assert sum_of(found) == ([1, 10, 100, 1000], 1111)
    assert found.locator(".light.lost").count() == 0
    assert not found.locator(".grid.w").is_visible()
    found = put(page, gradient_playground([[5, 5]], [[1, 1]], layer="max pooling", name="put", pixel=(0, 1)))
    assert found.locator(".equation").inner_text() == "dx[0, 1] = 0·1 = 0"
    assert "an equal number came first" in found.locator(".facts").inner_text()
    assert "wins 0. In 1 an equal number came first." in found.locator("p[role=status]").inner_text()


@pytest.mark.parametrize(
    ("layer", "reason"), [("convolution", "larger than the padded x"), ("max pooling", "at most half a window")]
)
def test_a_window_that_gives_no_output_is_said_and_survived(new_page, layer, reason):
    options = {"padding": 2} if layer == "max pooling" else {}
    widget = gradient_playground([[1, 2], [3, 4]], np.ones((2, 2)), layer=layer, controls=ALL, name="put", **options)
    if layer == "convolution":
        widget.w = np.ones((3, 3))
    found = put(new_page("all.html"), widget)
    assert reason in found.locator(".facts").inner_text()
    found.get_by_role("button", name="more padding" if layer == "convolution" else "less padding").click()
    assert sum_of(found)[1] == number(shown(found, "dx")[0][0])
    assert reason not in found.locator(".facts").inner_text()


# What the reader does


def test_arrow_keys_choose_and_the_words_follow(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    pixel = found.get_by_role("slider", name="pixel of x")
    pixel.focus()
    for key, place in [
        ("ArrowRight", [0, 1]),
        ("ArrowDown", [1, 1]),
        ("End", [1, 2]),
        ("ArrowRight", [1, 2]),
        ("PageUp", [0, 2]),
    ]:
        page.keyboard.press(key)
        assert state(found, "pixel") == place, key
    assert pixel.get_attribute("aria-valuetext") == "row 0, column 2"
    words = found.locator("p[role=status]")
    assert words.inner_text() == "Pixel at row 0, column 2 was used by 1 window. 2 times 10 makes 20."
    weight = found.get_by_role("slider", name="weight of w")
    weight.focus()
    assert state(found, "select") == "x"  # who only passes by with Tab uncovers nothing
    page.keyboard.press("ArrowDown")
    assert (state(found, "select"), state(found, "weight")) == ("w", [0, 0])
    page.keyboard.press("ArrowDown")
    assert words.inner_text().endswith("4 times 1, plus 5 times 10, plus 7 times 100, plus 8 times 1000 make 8754.")


def test_everything_is_reached_by_tab(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    found.get_by_role("combobox", name="dy").focus()
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        code = "e => { const a = e.firstChild.shadowRoot.activeElement; return a.ariaLabel || a.textContent; }"
        names.append(found.evaluate(code))
    fields = [f"dy, row {r}, column {c}" for r in range(2) for c in range(2)]
    assert names == ["pixel of x", *fields, "weight of w", "Show all", "Reset"]


def test_a_drag_fills_the_gradient_in(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    start, end = (found.locator(".grid.x td").nth(k).bounding_box() for k in (3, 5))
    page.mouse.move(start["x"] + 9, start["y"] + 9)
    page.mouse.down()
    page.mouse.move(end["x"] + 9, end["y"] + 9, steps=8)
    page.mouse.up()
    assert shown(found, "dx") == [["1", "?", "?"], ["103", "1234", "2040"], ["?", "?", "?"]]


def test_with_padding_a_click_meets_the_pixel_under_it(new_page):
    found = element(new_page("all.html"), "all")
    found.get_by_role("button", name="more padding").click()
    found.locator(".grid.x td").nth(8 * 3 + 4).click()
    assert state(found, "pixel") == [2, 3]
    found.locator(".grid.dx td").nth(6 * 4 + 1).click()
    assert state(found, "pixel") == [4, 1]


def test_a_finger_taps_a_pixel_and_a_weight(new_page):
    page = new_page("one.html", width=360, has_touch=True, is_mobile=True)
    found = element(page, "one")
    found.locator(".grid.x td").nth(7).tap()
    assert (state(found, "select"), state(found, "pixel")) == ("x", [2, 1])
    found.locator(".grid.dw td").nth(3).tap()
    assert (state(found, "select"), state(found, "weight")) == ("w", [1, 1])


def test_dy_is_typed(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    field = found.get_by_label("dy, row 0, column 1")
    field.click()
    page.keyboard.type("-0.5", delay=5)
    assert found.get_by_role("combobox", name="dy").input_value() == "your own"
    field.press("ArrowUp")
    assert state(found, "dy") == [[1, 0.5], [100, 1000]]
    field.fill("x")
    assert field.get_attribute("aria-invalid") == "true"
    field.blur()
    assert field.input_value() == "0.5"
    found.locator(".grid.x td").nth(2).click()
    assert sum_of(found) == ([1], 1)
    found.get_by_role("button", name="Reset").click()
    assert found.get_by_role("combobox", name="dy").input_value() == "as given"


def test_a_preset_follows_the_size_of_the_output(new_page):
    found = element(new_page("all.html"), "all")
    presets = found.get_by_role("combobox", name="dy")
    assert presets.input_value() == "ones"
    found.get_by_role("button", name="more padding").click()
    np.testing.assert_array_equal(numbers(found, "dy"), np.ones((6, 6)))
    presets.select_option("a single one")
    assert numbers(found, "dy").sum() == numbers(found, "dy")[3, 3] == 1
    found.get_by_role("button", name="Show all").click()
    np.testing.assert_array_equal(numbers(found, "dx")[2:5, 2:5], W)  # one output sends the kernel back as it is
    presets.select_option("random")
    assert presets.input_value() == "your own"
    assert np.abs(numbers(found, "dy")).max() <= 9


def test_without_controls_it_is_a_figure_that_stands_still(new_page):
    found = put(new_page("one.html"), gradient_playground(PEAK, [[1, 2]], controls="", name="put"))
    assert found.get_by_role("slider").count() == found.locator("button:visible, select:visible").count() == 0
    found.locator(".grid.x td").nth(4).click(force=True)
    assert state(found, "pixel") == [0, 0]
    assert not found.get_by_label("dy, row 0, column 0").is_editable()


def test_marks_glide_unless_motion_is_unwanted(new_page):
    for motion, seconds in [("reduce", "0s"), ("no-preference", "0.16s")]:
        mark = element(new_page("one.html", reduced_motion=motion), "one").locator(".grid.x .mark")
        assert mark.evaluate("m => getComputedStyle(m).transitionDuration.split(',')[0]") == seconds


# The address, files, the page around it


def test_a_setup_is_in_the_address_and_can_be_opened_again(new_page):
    page = new_page("all.html")
    found = element(page, "all")
    found.get_by_role("button", name="more stride").click()
    found.get_by_label("dy, row 0, column 1").fill("1/3")
    found.locator(".grid.w td").nth(5).click()
    page.wait_for_function("location.hash.includes('all.weight=1,2')")
    again = element(new_page("all.html" + page.evaluate("location.hash")), "all")
    for name in ("dy", "stride", "select", "weight"):
        assert state(again, name) == state(found, name)
    assert again.locator(".equation").inner_text() == found.locator(".equation").inner_text()
    again.get_by_role("button", name="Reset").click()
    again.page.wait_for_function("!location.hash")


@pytest.mark.parametrize("hash", ["#one.dy=1,x;2", "#one.pixel=9,99&one.select=q", "#one.stride=0&one.layer=dense"])
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    terms, total = sum_of(element(new_page("one.html" + hash), "one"))
    assert sum(terms) == total > 0


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    found = element(new_page("one.html#one.pixel=1,1", base=site), "one")
    assert sum_of(found)[1] == 1234


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", ["one", "all", "pool"])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, name, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), f"{name}.html")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-gradient .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-gradient .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


# Python


def test_what_the_page_sends_becomes_arrays_and_what_is_assigned_is_sent():
    playground = gradient_playground(PEAK, [[1, 2], [3, 4]])
    playground.set_state({"dy": [[1, 10], [100, 1000]], "pixel": [1, 1]})
    assert playground.dx[1, 1] == 1234
    assert playground.pixel == (1, 1)
    playground.w = np.eye(2, dtype=np.float32)
    assert json.loads(json.dumps(playground.get_state(["w"]))) == {"w": [[1, 0], [0, 1]]}


def test_dy_is_cut_or_filled_when_the_output_changes():
    playground = gradient_playground(PEAK, [[1]])
    playground.stride = 2
    np.testing.assert_array_equal(playground.dx, [[1, 0, 1], [0, 0, 0], [1, 0, 1]])
    playground.dy, playground.stride = [[7]], 1
    assert playground.dx.sum() == 7


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": np.zeros((1, 3, 3))}, r"x has shape \(1, 3, 3\)"),
        ({"x": np.zeros((9, 3))}, r"\(9, 3\), at most \(8, 8\)"),
        ({"w": np.zeros((4, 4))}, "window spans 4 pixels"),
        ({"dy": [[np.inf]]}, "1 numbers that are nan or infinite"),
        ({"controls": "pixels"}, r"no control is called \['pixels'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        gradient_playground(**{"x": PEAK, "w": [[1, 2]]} | wrong)


# JupyterLab


def test_in_jupyterlab_python_reads_what_was_changed_and_moves_the_page(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import gradient_playground\nx = np.arange(16).reshape(4, 4)",
        "p = gradient_playground(x, [[1, 2], [3, 4]], controls='pixel weight dy stride layer')\np",
        "print(p.dy.tolist(), p.stride, p.pixel, p.dx.tolist(), p.dw.tolist())",
        "p.w = [[5]]\np.pixel = (0, 2)",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("button", name="more stride").click()
    found.get_by_label("dy, row 0, column 1").click()
    opened.page.keyboard.type("-3")  # in JupyterLab's command mode, 3 would turn the cell into a heading
    found.get_by_role("slider", name="pixel of x").press("ArrowDown")
    x, w, dy = np.arange(16).reshape(4, 4), [[1, 2], [3, 4]], [[1.0, -3.0], [1.0, 1.0]]
    dx, dw = gradients("convolution", x, w, {"stride": 2}, dy)
    opened.wait_for_print(2, f"{dy} 2 (1, 0) {dx.tolist()} {dw.tolist()}")
    opened.run_cell(3)
    found.get_by_text("dx[0, 2]").wait_for()
    assert sum_of(found) == ([-15], -15)
