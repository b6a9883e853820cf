"""The kernel playground in a real browser: numbers against cnnlib.ops, keyboard, mouse, touch, address, JupyterLab."""

import json

import nbformat
import numpy as np
import pytest

from cnnlib.ops import conv2d
from cnnlib.playground import kernel_playground
from cnnlib.playground.files import module
from cnnlib.playground.kernel import named_image

EDGE = np.array([[1.0, 0.0, -1.0]] * 3)
ALL = "window kernel image stride padding dilation size usage"
PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}


def page_source(*widgets):
    """A notebook as it is stored: a heading, and cells that show the given playgrounds."""
    cells = [nbformat.v4.new_markdown_cell("# A page\n\n## Below\n\nText.", id="head")]
    for k, widget in enumerate(widgets):
        data = dict(widget._repr_mimebundle_()[0])
        del data["application/vnd.jupyter.widget-view+json"]
        result = nbformat.v4.new_output("execute_result", data, execution_count=k + 1)
        cells.append(nbformat.v4.new_code_cell("p", id=f"cell-{k}", outputs=[result], execution_count=k + 1))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=PYTHON))


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is: pages with playgrounds, and an index without."""
    ramp, image = kernel_playground(name="ramp"), np.arange(42).reshape(6, 7) % 5
    pages = {
        "one": [ramp],
        "two": [ramp, kernel_playground(image, [[0.5, -0.25]], name="other", controls=ALL)],
        "all": [kernel_playground("ramp", EDGE, controls=ALL, name="all")],
        "photo": [kernel_playground("photo", np.full((3, 3), 1 / 9), controls=ALL, name="photo")],
    }
    return new_site({f"{name}.ipynb": page_source(*widgets) for name, widgets in pages.items()})


def call(page, code, argument=None):
    """Calls a JavaScript function of (module, argument): the module as JupyterLab gets it."""
    load = "import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
    return page.evaluate(f"async ([text, argument]) => ({code})(await {load}, argument)", [module("kernel"), argument])


def element(page, name):
    found = page.locator(f"cnn-kernel#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, **attributes):
    """Replaces the page's playgrounds by one with these attributes."""
    attributes = {"id": "put", "controls": ALL, **attributes}
    page.evaluate(
        """attributes => {
            const fresh = document.createElement("cnn-kernel");
            for (const [name, value] of Object.entries(attributes)) fresh.setAttribute(name, value);
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-kernel").replaceWith(fresh);
        }""",
        {name: str(value) for name, value in attributes.items()},
    )
    return element(page, attributes["id"])


def text(matrix):
    return "; ".join(" ".join(repr(float(v)) for v in row) for row in matrix)


def number(shown):
    return float(shown.replace("\N{MINUS SIGN}", "-"))


def shown(found, part):
    """The numbers of one of the playground's tables: image, output, patch, kernel or products."""
    written = "cell => cell.querySelector('input')?.value ?? cell.textContent"
    rows = f"table => [...table.rows].map(row => [...row.cells].map({written}))"
    return np.array([[number(one) for one in row] for row in found.locator(f".{part} table").evaluate(rows)])


def total(found):
    return number(found.locator(".total").inner_text())


def at(found):
    return json.loads(found.evaluate("element => JSON.stringify(element.model.get('at'))"))


def want(image, kernel, **options):
    return conv2d(np.array(image, float)[None, None], np.array(kernel, float)[None, None], **options)[0, 0]


# The arithmetic


def setups(count, seed):
    """Random images, kernels and options, of unequal sizes; some windows do not fit."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        image = rng.normal(size=rng.integers(1, 13, size=2))
        kernel = rng.normal(size=rng.integers(1, 6, size=2))
        stride, padding, dilation = (int(rng.integers(*limits)) for limits in ((1, 5), (0, 4), (1, 4)))
        yield image, kernel, {"stride": stride, "padding": padding, "dilation": dilation}


def fits(image, kernel, options):
    spans = [options["dilation"] * (k - 1) + 1 for k in kernel.shape]
    return all(n + 2 * options["padding"] >= span for n, span in zip(image.shape, spans, strict=True))


def test_the_numbers_are_those_of_conv2d(new_page):
    cases = list(setups(400, seed=0))
    got = call(
        new_page("index.html"),
        "({ correlate }, cases) => cases.map(([image, kernel, options]) => correlate(image, kernel, options))",
        [[image.tolist(), kernel.tolist(), options] for image, kernel, options in cases],
    )
    fitting = 0
    for (image, kernel, options), answer in zip(cases, got, strict=True):
        if fits(image, kernel, options):
            fitting += 1
            np.testing.assert_allclose(answer, want(image, kernel, **options), rtol=1e-12, atol=1e-12)
        else:
            assert np.size(answer) == 0
    assert 200 < fitting < 400


def test_every_use_of_every_pixel_is_counted(new_page):
    cases = [case for case in setups(60, seed=1) if fits(*case)]
    got = call(
        new_page("index.html"),
        """({ usesAlong }, cases) =>
            cases.map(([size, taps, options]) => size.map((n, axis) => usesAlong(n, taps[axis], options)))""",
        [[image.shape, kernel.shape, options] for image, kernel, options in cases],
    )
    for (image, kernel, options), (down, across) in zip(cases, got, strict=True):
        # a pixel's uses: how much the sum of all outputs of a kernel of ones grows if the pixel grows by one
        uses = np.zeros(image.shape)
        for place in np.ndindex(image.shape):
            one = np.zeros(image.shape)
            one[place] = 1
            uses[place] = want(one, np.ones(kernel.shape), **options).sum()
        np.testing.assert_array_equal(np.outer(down, across), uses)


def test_images_have_the_same_pixels_in_javascript_and_in_python(new_page):
    images = call(new_page("index.html"), "({ IMAGES }) => IMAGES")
    assert set(images) == {"ramp", "step", "dot", "photo"}
    for name, pixels in images.items():
        np.testing.assert_array_equal(pixels, named_image(name))


def test_numbers_are_written_short_and_true(new_page):
    written = {
        0.1 + 0.2: "0.3",
        -6: "−6",
        -0.0: "0",
        1 / 3: "0.3333",
        123456.7: "123457",
        1e-20: "0",
        0.00012: "1.2e−4",
        -123456789: "−1.23e8",
    }
    narrow = {
        -0.54: "−.5",
        0.04: ".04",
        -0.04: "≈0",
        0.96: ".96",
        0.996: "1",
        12.5: "13",
        1.25: "1.3",
        20.4: "20",
        -12: "−12",
        4e9: "4e9",
    }
    page = new_page("index.html")
    code = "({ format }, [values, width]) => values.map((value) => format(value, width))"
    assert call(page, code, [list(written), 7]) == list(written.values())
    assert call(page, code, [list(narrow), 3]) == list(narrow.values())


# What the page shows


def test_the_page_shows_the_right_numbers_over_many_setups(new_page):
    page = new_page("all.html")
    rng = np.random.default_rng(2)
    for _ in range(25):
        image = rng.integers(-9, 10, size=rng.integers(3, 8, size=2))
        kernel = rng.integers(-3, 4, size=rng.integers(1, 4, size=2))
        options = dict(
            zip(
                ("stride", "padding", "dilation"),
                (int(rng.integers(*r)) for r in ((1, 4), (0, 3), (1, 3))),
                strict=True,
            )
        )
        if not fits(image, kernel, options):
            continue
        output = want(image, kernel, **options)
        place = [int(rng.integers(n)) for n in output.shape]
        found = put(page, image=text(image), kernel=text(kernel), at="{},{}".format(*place), **options)
        np.testing.assert_array_equal(shown(found, "output"), output)
        np.testing.assert_array_equal(shown(found, "grid.image"), np.pad(image, options["padding"]))
        python = kernel_playground(image, kernel, at=place, **options)
        np.testing.assert_array_equal(shown(found, "patch"), python.patch)
        np.testing.assert_array_equal(shown(found, "kernel"), kernel)
        np.testing.assert_array_equal(shown(found, "products"), python.patch * kernel)
        assert total(found) == output[tuple(place)]


def test_fractions_are_rounded_as_they_are_written(new_page):
    page = new_page("all.html")
    image, kernel = np.random.default_rng(3).normal(size=(2, 5, 4))
    found = put(page, image=text(image), kernel=text(kernel[:2, :3]))
    np.testing.assert_allclose(shown(found, "output"), want(image, kernel[:2, :3]), atol=0.051)
    assert abs(total(found) - want(image, kernel[:2, :3])[0, 0]) < 5.1e-5


def test_chapter_02_sees_kernel_and_window_only(new_page):
    found = element(new_page("one.html"), "ramp")
    assert found.get_by_role("slider", name="window").is_visible()
    assert found.get_by_label("kernel", exact=True).first.is_visible()
    for word in ("stride", "padding", "dilation"):
        assert found.get_by_role("group", name=word).count() == 0
    assert found.get_by_role("combobox", name="image").count() == 0
    assert found.get_by_role("button", name="How often used?").count() == 0
    assert "stride" not in found.locator(".playground").inner_text()


def test_without_controls_it_is_a_figure_that_stands_still(new_page):
    found = put(new_page("one.html"), controls="")
    assert found.get_by_role("slider").count() == found.locator("button:visible").count() == 0
    found.locator(".grid.image").click(position={"x": 150, "y": 150})
    assert at(found) == [0, 0]


def test_a_pixel_that_no_window_uses_is_crossed_out_and_counted(new_page):
    found = put(new_page("all.html"), image=text(np.ones((6, 5))), kernel="1 1; 1 1", stride=3)
    assert found.locator(".grid.image td.skipped").count() == 30 - 4 * 4
    assert "14 of 30" in found.locator(".facts").inner_text()
    assert "⌊(6 + 2·0 − 1·(2 − 1) − 1) / 3⌋ + 1 = 2" in found.locator(".facts").inner_text()


def test_it_shows_how_often_each_pixel_is_used(new_page):
    found = element(new_page("all.html"), "all")
    found.get_by_role("button", name="How often used?").click()
    texts = found.locator(".grid.image td").all_inner_texts()
    uses = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])
    assert texts == [f"{n}×" for n in uses.ravel()]


def test_a_window_that_does_not_fit_is_said_and_survived(new_page):
    page = new_page("all.html")
    found = put(page, image="1 2; 3 4", kernel="1 1 1; 1 1 1; 1 1 1")
    assert "larger than the padded image" in found.locator(".facts").inner_text()
    assert found.get_by_role("slider", include_hidden=False).count() == 0
    found.get_by_role("button", name="more padding").click()
    assert found.get_by_role("slider", name="window").is_visible()
    np.testing.assert_array_equal(shown(found, "output"), want([[1, 2], [3, 4]], np.ones((3, 3)), padding=1))


def test_predict_covers_what_the_window_has_not_seen(new_page):
    found = put(new_page("one.html"), predict="true")
    covered = lambda: found.locator(".grid.output td").all_inner_texts()  # noqa: E731
    assert covered() == ["−6"] + ["?"] * 8
    found.get_by_role("button", name="Step").click()
    assert covered() == ["−6"] * 2 + ["?"] * 7
    found.get_by_role("button", name="Show all").click()
    assert covered() == ["−6"] * 9
    assert not found.get_by_role("button", name="Show all").is_visible()


def test_a_photo_is_drawn_as_pixels_and_credited(new_page):
    found = element(new_page("photo.html"), "photo")
    canvas = found.locator(".grid.image canvas")
    assert canvas.get_attribute("aria-label") == "image, 48 rows, 64 columns"
    levels = canvas.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, 64, 48).data; return [d[0], d[4 * (64 * 47 + 63)]]; }"
    )
    photo = named_image("photo")
    want_levels = np.rint(255 * photo[[0, -1], [0, -1]] / photo.max())
    np.testing.assert_array_equal(levels, want_levels)
    assert "danielbuechele" in found.locator(".credit").inner_text()
    assert total(found) == pytest.approx(photo[:3, :3].mean(), abs=5e-5)


# What the reader does


def test_arrow_keys_move_the_window_and_the_words_follow(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    window = found.get_by_role("slider", name="window")
    window.focus()
    for key, place in [
        ("ArrowRight", [0, 1]),
        ("ArrowDown", [1, 1]),
        ("End", [1, 2]),
        ("PageDown", [2, 2]),
        ("ArrowRight", [2, 2]),
        ("Home", [2, 0]),
        ("ArrowLeft", [2, 0]),
        ("PageUp", [0, 0]),
        ("ArrowUp", [0, 0]),
        ("ArrowRight", [0, 1]),
    ]:
        page.keyboard.press(key)
        assert at(found) == place, key
    assert window.get_attribute("aria-valuetext") == "row 0, column 1"
    assert window.get_attribute("aria-valuenow") == "1"
    words = found.get_by_role("status")
    assert words.inner_text() == (
        "Window at row 0, column 1. 1, plus minus 3, plus 6, plus minus 8, plus 11, plus minus 13, makes minus 6."
    )
    assert words.get_attribute("aria-live") in (None, "polite")


def test_everything_is_reached_by_tab(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    found.get_by_role("combobox", name="kernel").focus()
    names = []
    for _ in range(14):
        page.keyboard.press("Tab")
        names.append(
            found.evaluate(
                "e => { const a = e.firstChild.shadowRoot.activeElement; return a && (a.ariaLabel || a.textContent); }"
            )
        )
    assert names[:6] == ["Turn by 180°", "window", "Play", "← Back", "Step →", "Reset"]
    assert names[6:] == [f"weight, row {k}, column {m}" for k in range(3) for m in range(3)][:8]


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def middle(found, part):
    box = found.locator(part).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_window_is_dragged_by_the_mouse(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    x, y = middle(found, ".frame")
    drag(page, (x - 40, y), (x - 40 + 92, y + 47))  # taken off its middle: it must not jump
    assert at(found) == [1, 2]
    page.wait_for_timeout(300)
    corner = found.locator(".grid.image").bounding_box()
    page.mouse.click(corner["x"] + 10, corner["y"] + 10)
    assert at(found) == [0, 0]
    cell = found.locator(".grid.output td").nth(5).bounding_box()
    page.mouse.click(cell["x"] + 5, cell["y"] + 5)
    assert at(found) == [1, 2]


def test_the_window_is_dragged_by_a_finger_and_the_page_still_scrolls(new_page):
    page = new_page("one.html", width=360, has_touch=True, is_mobile=True)
    found = element(page, "ramp")
    found.locator(".grid.image").scroll_into_view_if_needed()
    touch = page.context.new_cdp_session(page)

    def finger(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    def swipe(x, y, dx, dy):
        finger("touchStart", (x, y))
        for k in range(1, 9):
            finger("touchMove", (x + dx * k / 8, y + dy * k / 8))
            page.wait_for_timeout(16)
        finger("touchEnd")
        page.wait_for_timeout(300)

    cell = found.locator(".grid.output td").first.bounding_box()["width"]
    scrolled = lambda: page.evaluate("scrollY")  # noqa: E731
    before = scrolled()
    swipe(*middle(found, ".frame"), 1.1 * cell, 2.1 * cell)
    assert at(found) == [2, 1]
    assert scrolled() == before
    page.touchscreen.tap(*middle(found, ".grid.output td >> nth=2"))
    assert at(found) == [0, 2]
    page.wait_for_timeout(300)  # the window glides
    corner = found.locator(".grid.image").bounding_box()
    page.touchscreen.tap(corner["x"] + cell * 1.5, corner["y"] + cell * 4.5)
    assert at(found) == [2, 0]
    swipe(corner["x"] + cell * 4.5, corner["y"] + cell * 4.5, 0, -120)  # not on the window: the page scrolls
    assert at(found) == [2, 0]
    page.wait_for_function("before => scrollY > before", arg=before)


def test_weights_are_typed_as_numbers_and_fractions(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    weight = found.get_by_label("weight, row 1, column 1")
    weight.fill("-1/2")
    kernel = EDGE.copy()
    kernel[1, 1] = -0.5
    np.testing.assert_allclose(shown(found, "output"), want(named_image("ramp"), kernel))
    weight.fill("x")
    assert weight.get_attribute("aria-invalid") == "true"
    np.testing.assert_allclose(shown(found, "output"), want(named_image("ramp"), kernel))
    weight.blur()
    assert weight.input_value() == "−0.5"
    weight.focus()
    page.keyboard.press("ArrowUp")
    kernel[1, 1] = 0.5
    np.testing.assert_allclose(shown(found, "output"), want(named_image("ramp"), kernel))
    assert found.get_by_role("combobox", name="kernel").input_value() == "your own"
    found.get_by_role("button", name="Reset").click()
    np.testing.assert_array_equal(shown(found, "kernel"), EDGE)


def test_a_weight_can_be_typed_key_by_key(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    found.get_by_label("weight, row 0, column 0").click()
    page.keyboard.type("-0.25", delay=5)
    kernel = EDGE.copy()
    kernel[0, 0] = -0.25
    page.keyboard.press("Tab")
    np.testing.assert_array_equal(shown(found, "kernel"), kernel)


def test_presets_and_half_a_turn(new_page):
    found = element(new_page("all.html"), "all")
    found.get_by_role("button", name="Turn by 180°").click()
    np.testing.assert_array_equal(shown(found, "kernel"), EDGE[::-1, ::-1])
    assert (shown(found, "output") == 6).all()
    found.get_by_role("combobox", name="kernel").select_option("blur")
    assert found.get_by_label("weight, row 0, column 0").input_value() == "1/9"
    np.testing.assert_allclose(shown(found, "output"), [[6, 7, 8], [11, 12, 13], [16, 17, 18]])
    found.get_by_role("combobox", name="image").select_option("dot")
    assert shown(found, "grid.image").shape == (7, 7)
    found.get_by_role("button", name="less kernel rows").click()
    assert shown(found, "output").shape == (6, 5)


def test_steppers_stop_at_their_limits(new_page):
    found = element(new_page("all.html"), "all")
    less, more = (found.get_by_role("button", name=f"{word} stride") for word in ("less", "more"))
    assert less.get_attribute("aria-disabled") == "true"
    less.click(force=True)
    for _ in range(6):
        more.click(force=True)
    assert found.evaluate("e => e.model.get('stride')") == 4
    np.testing.assert_array_equal(shown(found, "output"), want(named_image("ramp"), EDGE, stride=4))


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_fills_the_output_and_ends_at_the_last_place(new_page, motion):
    page = new_page("one.html", reduced_motion=motion)
    found = element(page, "ramp")
    duration = found.locator(".frame").evaluate("f => getComputedStyle(f).transitionDuration.split(',')[0]")
    assert (duration == "0s") == (motion == "reduce")
    play = found.get_by_role("button", name="Play")
    play.click()
    assert (
        found.locator(".grid.output td").all_inner_texts() == ["−6"] + [""] * 8
        or "?" in found.locator(".grid.output td").last.inner_text()
    )
    found.get_by_role("button", name="Pause").wait_for()
    found.get_by_role("button", name="Play").wait_for()
    assert at(found) == [2, 2]
    assert found.locator(".grid.output td").all_inner_texts() == ["−6"] * 9


def test_a_change_while_it_plays_stops_it(new_page):
    page = new_page("all.html")
    found = element(page, "all")
    found.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('#all').firstChild.shadowRoot.textContent.includes('output[0, 1]')")
    found.get_by_role("button", name="more stride").click()
    assert found.get_by_role("button", name="Play").is_visible()
    np.testing.assert_array_equal(shown(found, "output"), want(named_image("ramp"), EDGE, stride=2))


# The address


def test_a_setup_is_in_the_address_and_can_be_opened_again(new_page):
    page = new_page("two.html")
    found = element(page, "other")
    found.get_by_role("button", name="more stride").click()
    found.get_by_label("weight, row 0, column 1").fill("1/3")
    found.get_by_role("slider", name="window").press("ArrowRight")
    page.wait_for_function("location.hash.includes('other.at')")
    assert "ramp." not in page.evaluate("location.hash")
    again = new_page("two.html" + page.evaluate("location.hash"))
    found = element(again, "other")
    assert at(found) == [0, 1]
    image, kernel = np.arange(42).reshape(6, 7) % 5, [[0.5, 1 / 3]]
    assert found.evaluate("e => e.model.get('kernel')") == kernel
    np.testing.assert_allclose(shown(found, "output"), want(image, kernel, stride=2), atol=0.006)
    assert at(element(again, "ramp")) == [0, 0]
    found.get_by_role("button", name="Reset").click()
    again.wait_for_function("!location.hash")


def test_two_playgrounds_share_the_address(new_page):
    page = new_page("two.html")
    for name in ("ramp", "other"):
        element(page, name).get_by_role("slider", name="window").press("ArrowDown")
        page.wait_for_function("name => location.hash.includes(name + '.at=1,0')", arg=name)
    assert page.evaluate("location.hash") == "#ramp.at=1,0&other.at=1,0"


def test_a_link_in_the_text_sets_it_up(new_page):
    page = new_page("one.html")
    found = element(page, "ramp")
    page.evaluate("location.hash = 'ramp.kernel=-1,0,1;-1,0,1;-1,0,1&ramp.at=2,2'")
    page.wait_for_function("document.querySelector('#ramp').model.get('at').join() === '2,2'")
    assert (shown(found, "output") == 6).all()


@pytest.mark.parametrize(
    "hash", ["#ramp.kernel=1,x;2", "#ramp.stride=-3&ramp.at=9,99", "#ramp.kernel=%E0%A4%A", "#=&&=.="]
)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("one.html" + hash), "ramp")
    np.testing.assert_array_equal(shown(found, "output"), np.full((3, 3), -6))


def test_an_ordinary_anchor_stays(new_page):
    page = new_page("one.html#below")
    element(page, "ramp").get_by_role("button", name="Reset").click()
    page.wait_for_timeout(400)
    assert page.evaluate("location.hash") == "#below"


# The page around it


def test_only_pages_with_a_playground_carry_its_script(site):
    scripts = {p.stem: "cnn-kernel.js" in p.read_text(encoding="utf-8") for p in site.glob("*.html")}
    assert scripts["index"] is False
    assert scripts["one"] is scripts["two"] is True


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    found = element(new_page("one.html#ramp.at=1,1", base=site), "ramp")
    found.get_by_role("slider", name="window").press("ArrowRight")
    assert at(found) == [1, 2]
    assert total(found) == -6


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("name", ["one", "all", "photo"])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, name, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), f"{name}.html")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-kernel .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-kernel .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


def test_zero_is_the_ground_color_in_light_and_in_dark(new_page):
    page = new_page("one.html", color_scheme="light")
    found = put(page, image=text(np.zeros((4, 4)) - np.eye(4)))
    zero = found.locator(".grid.image td").nth(1)
    light = zero.evaluate("td => getComputedStyle(td).backgroundColor")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "td => getComputedStyle(td).backgroundColor !== 'rgb(247, 247, 247)'", arg=zero.element_handle()
    )
    assert light == "rgb(247, 247, 247)"


# JupyterLab


def test_in_jupyterlab_it_shows_the_learners_arrays_and_python_reads_it_back(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import kernel_playground\nimage = np.arange(30).reshape(5, 6) ** 2",
        "p = kernel_playground(image, [[1, 2], [3, 4]], controls='kernel window stride image')\np",
        "print(p.kernel.tolist(), p.stride, p.at, p.output.tolist(), p.patch.tolist())",
        "p.kernel = [[0, 1], [0, 0]]\np.at = (1, 0)",
        "print(p.image.shape, p.output.shape)",
    )
    page = opened.page
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    image, kernel = np.arange(30).reshape(5, 6) ** 2.0, np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(shown(found, "grid.image"), image)
    assert shown(found, "output").shape == (4, 5)
    assert total(found) == want(image, kernel)[0, 0]

    found.get_by_label("weight, row 0, column 1").click()
    page.keyboard.type("-2")  # in JupyterLab's command mode, 2 would turn the cell into a heading
    found.get_by_role("button", name="more stride").click()
    found.get_by_role("slider", name="window").focus()
    page.keyboard.press("x")  # and this would cut it
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex") == 1  # the keys are ours
    kernel[0, 1] = -2
    output = want(image, kernel, stride=2)
    opened.wait_for_print(2, f"{kernel.tolist()} 2 (1, 1) {output.tolist()} {image[2:4, 2:4].tolist()}")

    opened.run_cell(3)
    found.get_by_text("output[1, 0]").wait_for()
    np.testing.assert_array_equal(shown(found, "kernel"), [[0, 1], [0, 0]])
    assert total(found) == image[2, 1]

    found.get_by_role("combobox", name="image").select_option("photo")
    found.locator(".grid.image canvas").wait_for()
    opened.wait_for_print(4, "(48, 64) (24, 32)")
    assert page.url.split("#")[0].endswith("/lab/tree/own.ipynb")
    assert "#" not in page.url
