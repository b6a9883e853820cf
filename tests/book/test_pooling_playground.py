"""The pooling playground in a real browser: numbers against cnnlib.ops, pixels, shifts, keys, address, JupyterLab."""

import numpy as np
import pytest
import traitlets
from elements import html, state

from cnnlib.ops import avg_pool2d, max_pool2d, max_pool2d_backward
from cnnlib.playground import pooling_playground
from cnnlib.playground.files import module
from cnnlib.playground.pooling import IMAGES

ALL = "window image pixels pool size stride padding dilation shift"
FIRST = IMAGES["signed"]


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with playgrounds in two pages."""
    widgets = {"few": pooling_playground(name="few"), "all": pooling_playground(controls=ALL, name="all")}
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name):
    found = page.locator(f"cnn-pooling#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, *arguments, **options):
    """Replaces the page's playground by another one."""
    page.evaluate(
        """text => {
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-pooling").outerHTML = text;
        }""",
        html(pooling_playground(*arguments, **{"controls": ALL, "name": "put"} | options)),
    )
    return element(page, "put")


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-").replace("∞", "inf"))


def shown(found, part):
    """The numbers of one of the playground's grids: image or output."""
    rows = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    return np.array([[number(one) for one in row] for row in found.locator(f".grid.{part} table").evaluate(rows)])


def winners(found):
    """Row and column of the marked pixels, in the padded image."""
    rows = "table => [...table.rows].flatMap((row, r) => [...row.cells].map((cell, c) => [cell.className, r, c]))"
    return [[r, c] for kind, r, c in found.locator(".grid.image table").evaluate(rows) if kind == "winner"]


def pooled(image, pool, *, size, dilation, **options):
    if pool == "max":
        return max_pool2d(image[None, None], size, dilation=dilation, **options)[0, 0]
    return avg_pool2d(image[None, None], size, **options)[0, 0]


def setups(count, seed):
    """Random images of unequal sizes in whole numbers, so that there are ties, and options; some do not fit."""
    rng = np.random.default_rng(seed)
    ranges = {"size": (1, 5), "stride": (1, 4), "padding": (0, 3), "dilation": (1, 4)}
    for _ in range(count):
        image = rng.integers(-4, 5, size=rng.integers(2, 9, size=2)).astype(float)
        yield image, str(rng.choice(["max", "average"])), {name: int(rng.integers(*r)) for name, r in ranges.items()}


# The arithmetic


def test_the_numbers_are_those_of_the_library_and_what_it_refuses_is_refused(new_page):
    cases = [(image, pool, options) for image, pool, options in setups(400, seed=0)]
    page = new_page("index.html")
    got = page.evaluate(
        """async ([text, cases]) => {
            const { misfit, pool2d } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
            return cases.map(([image, options]) => misfit(image, options) || pool2d(image, options)
                .map((row) => row.map((value) => (value === -Infinity ? "-inf" : value))));
        }""",
        [
            module("pooling"),
            [
                (image.tolist(), options | {"pool": pool, "dilation": options["dilation"] if pool == "max" else 1})
                for image, pool, options in cases
            ],
        ],
    )
    refused = 0
    for (image, pool, options), answer in zip(cases, got, strict=True):
        try:
            want = pooled(image, pool, **options)
        except ValueError:
            assert isinstance(answer, str), (image.shape, pool, options)
            refused += 1
        else:
            np.testing.assert_allclose(np.array(answer, float), want, rtol=1e-12, atol=1e-12)
    assert 50 < refused < 350


def test_images_have_the_same_pixels_in_javascript_and_in_python(new_page):
    found = element(new_page("all.html"), "all")
    for name, pixels in IMAGES.items():
        found.get_by_role("combobox", name="image").select_option(name)
        np.testing.assert_array_equal(state(found, "image"), pixels)


# What the page shows


def test_the_page_shows_numbers_border_and_winner_over_many_setups(new_page):
    page = new_page("all.html")
    drawn = 0
    for image, pool, options in setups(40, seed=1):
        try:
            output = pooled(image, pool, **options)
        except ValueError:
            continue
        place = tuple(int(n) - 1 for n in output.shape)
        found = put(page, image, pool, at=place, **options)
        border = -np.inf if pool == "max" else 0
        padded = np.pad(image, options["padding"], constant_values=border)
        np.testing.assert_array_equal(shown(found, "image"), padded)
        np.testing.assert_allclose(shown(found, "output"), output, atol=0.06)
        if pool == "max" and np.isfinite(output[place]):
            dy = np.zeros(output.shape)
            dy[place] = 1
            route = max_pool2d_backward(dy[None, None], image[None, None], options.pop("size"), **options)[0, 0]
            assert winners(found) == (np.argwhere(route) + options["padding"]).tolist()
        else:
            assert winners(found) == []
        drawn += 1
    assert drawn > 10


def test_it_says_how_the_number_came_about(new_page):
    page = new_page("all.html")
    found = put(page, at=(1, 2))
    equation = found.locator(".equation")
    assert equation.inner_text() == "output[1, 2] = max(2, 2, −2, −5) = 2, 2 times; the first is marked"
    words = found.locator(".unseen").inner_text()
    assert words.endswith("The largest of 2, 2, minus 2, minus 5 is 2, the first of 2, at row 2, column 4.")
    found.get_by_role("combobox", name="pooling").select_option("average")
    assert equation.inner_text() == "output[1, 2] = (2 + 2 − 2 − 5) / 4 = −0.75"
    assert not found.get_by_role("group", name="dilation").is_visible()


def test_what_does_not_fit_is_said_and_survived(new_page):
    found = put(new_page("all.html"), np.ones((2, 3)), size=3, stride=1)
    assert "spans 3 pixels, more than the padded image has" in found.locator(".facts").inner_text()
    assert not found.locator(".frame").is_visible()
    found.get_by_role("button", name="more padding").click()
    np.testing.assert_array_equal(shown(found, "output"), np.ones((2, 3)))
    found.get_by_role("button", name="more padding").click()
    assert "more than half the window" in found.locator(".facts").inner_text()


def test_the_output_fills_as_the_window_visits(new_page):
    found = put(new_page("all.html"), predict=True)
    covered = lambda: found.locator(".grid.output td").all_inner_texts()  # noqa: E731
    assert covered() == ["5"] + ["?"] * 8
    found.get_by_role("button", name="Step").click()
    found.get_by_role("button", name="pixel plus 1").click()  # a pixel's change covers nothing again
    assert covered() == ["5", "5"] + ["?"] * 7
    found.get_by_role("button", name="Play").click()
    found.get_by_role("button", name="Pause").wait_for()
    found.get_by_role("button", name="Play").wait_for()
    assert state(found, "at") == [2, 2]
    assert "?" not in covered()


def test_attributes_choose_the_controls(new_page):
    found = element(new_page("few.html"), "few")
    assert found.get_by_role("slider", name="window").is_visible()
    assert found.get_by_role("combobox", name="pooling").is_visible()
    for name in ("size", "stride", "padding", "dilation", "shift", "pixel"):
        assert found.get_by_role("group", name=name).count() == 0
    assert found.get_by_role("spinbutton").count() == 0


# What the reader changes


def test_a_pixel_is_changed_by_keys_and_only_some_changes_alter_the_output(new_page):
    page = new_page("all.html")
    found = element(page, "all")
    said = found.locator(".changed")
    pixel = found.get_by_role("spinbutton", name="pixel")
    pixel.focus()
    page.keyboard.press("ArrowRight")
    assert pixel.get_attribute("aria-valuetext") == "row 0, column 1: minus 1"
    page.keyboard.press("+")
    assert said.inner_text() == "Pixel [0, 1] went from −1 to 0: no output changed."
    page.keyboard.type("8")  # a digit begins a new number
    page.keyboard.type(".5")
    assert said.inner_text() == "Pixel [0, 1] went from 8 to 8.5: 1 of 9 outputs changed."
    assert found.locator(".grid.output td.new").all_inner_texts() == ["8.5"]
    page.keyboard.press("Enter")
    page.keyboard.press("-")
    image = FIRST.copy()
    image[0, 1] = 7.5
    np.testing.assert_array_equal(state(found, "image"), image)
    np.testing.assert_array_equal(shown(found, "output"), pooled(image, "max", size=2, stride=2, dilation=1))
    found.get_by_role("button", name="Reset").click()
    np.testing.assert_array_equal(state(found, "image"), FIRST)
    assert said.inner_text() == ""


def test_a_click_chooses_a_pixel_and_a_drag_moves_the_window(new_page):
    page = new_page("all.html")
    found = element(page, "all")
    pixel = found.get_by_role("spinbutton", name="pixel")
    found.locator(".grid.image td").nth(6 * 4 + 3).click()
    assert pixel.get_attribute("aria-valuetext").startswith("row 4, column 3:")
    box = found.locator(".frame").bounding_box()
    cell = box["width"] / 2
    page.mouse.click(box["x"] + 1.5 * cell, box["y"] + 0.5 * cell)  # on the window: still a click
    assert pixel.get_attribute("aria-valuetext").startswith("row 0, column 1:")
    assert state(found, "at") == [0, 0]
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 5 + 2.1 * cell, box["y"] + 5 + 4.1 * cell, steps=4)
    page.mouse.up()
    assert state(found, "at") == [2, 1]
    assert pixel.get_attribute("aria-valuetext").startswith("row 0, column 1:")


def test_a_moved_image_gives_a_moved_output_only_at_whole_strides(new_page):
    found = put(new_page("all.html"), "stroke")
    said, more = found.locator(".changed"), found.get_by_role("button", name="more shift")
    more.click()
    np.testing.assert_array_equal(shown(found, "image"), np.roll(IMAGES["stroke"], 1, axis=1))
    want = pooling_playground("stroke", shift=1).output
    np.testing.assert_array_equal(shown(found, "output"), want)
    changed = int((want != pooling_playground("stroke").output).sum())
    assert said.inner_text() == (
        f"The image moved by 1: {changed} of 12 outputs changed, and the output is no moved copy of what it was."
    )
    more.click()
    assert said.inner_text() == "The image moved by 2: the output moved by 1, and is the same otherwise."
    found.locator(".grid.image td").nth(8 + 4).click()  # shows pixel [1, 2] of the image where it stood
    found.get_by_role("button", name="pixel plus 1").click()
    assert state(found, "image")[1][2] == 5


def test_arrow_keys_and_a_finger_move_the_window(new_page):
    page = new_page("all.html", width=360, has_touch=True, is_mobile=True)
    found = element(page, "all")
    window = found.get_by_role("slider", name="window")
    window.focus()
    for key, place in [("ArrowRight", [0, 1]), ("PageDown", [2, 1]), ("End", [2, 2]), ("ArrowUp", [1, 2])]:
        page.keyboard.press(key)
        assert state(found, "at") == place
    assert window.get_attribute("aria-valuetext") == "row 1, column 2"
    found.locator(".grid.output td").first.tap()
    assert state(found, "at") == [0, 0]
    touch = page.context.new_cdp_session(page)
    found.locator(".grid.image").scroll_into_view_if_needed()
    box = found.locator(".frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in [
        ("touchStart", [(x, y)]),
        *[("touchMove", [(x + box["width"] * k / 8, y)]) for k in range(1, 9)],
        ("touchEnd", []),
    ]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    assert state(found, "at") == [0, 1]


# The address, the page, Python, JupyterLab


def test_a_setup_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page("all.html")
    found = element(page, "all")
    found.get_by_role("spinbutton", name="pixel").press("+")
    found.get_by_role("combobox", name="pooling").select_option("average")
    found.get_by_role("button", name="more shift").click()
    page.wait_for_function("location.hash.includes('all.shift=1')")
    again = element(new_page("all.html" + page.evaluate("location.hash"), base=site), "all")
    image = FIRST.copy()
    image[0, 0] = 4
    np.testing.assert_array_equal(state(again, "image"), image)
    want = pooling_playground(image, "average", shift=1).output
    np.testing.assert_allclose(shown(again, "output"), want, atol=0.06)


@pytest.mark.parametrize("hash", ["#all.pool=mean&all.size=0", "#all.image=1,x", "#all.at=9,99&all.stride=-1"])
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("all.html" + hash), "all")
    assert shown(found, "output").shape[1] > 1


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "all.html")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-pooling .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() == []
        assert one.overflow() <= 0
    for name in ("size", "padding", "padding"):
        page.get_by_role("button", name=f"more {name}").click()
    inner = page.locator("cnn-pooling .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((17, 3))}, r"\(17, 3\), at most \(16, 16\)"),
        ({"image": "flower"}, "no image is called 'flower'.*signed, sixteen, negative, stroke"),
        ({"pool": "min"}, "min"),
        ({"controls": "kernel"}, r"no control is called \['kernel'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        pooling_playground(**wrong)


def test_in_jupyterlab_python_reads_what_was_changed(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import pooling_playground\nimage = np.arange(24).reshape(4, 6)",
        "p = pooling_playground(image, controls='window pixels pool stride')\np",
        "print(p.image[0].tolist(), p.stride, p.at, p.output.tolist())",
        "p.pool = 'average'",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("spinbutton", name="pixel").focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.type("50")
    found.get_by_role("button", name="more stride").click()
    found.get_by_role("slider", name="window").press("ArrowRight")
    image = np.arange(24.0).reshape(4, 6)
    image[0, 1] = 50
    output = pooled(image, "max", size=2, stride=3, dilation=1)
    opened.wait_for_print(2, f"{image[0].tolist()} 3 (0, 1) {output.tolist()}")
    opened.run_cell(3)
    found.get_by_text("/ 4 = ").first.wait_for()
    want = pooled(image, "average", size=2, stride=3, dilation=1)
    np.testing.assert_allclose(shown(found, "output"), want, atol=0.06)
