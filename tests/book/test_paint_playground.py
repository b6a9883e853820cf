"""The paint playground in a real browser: numbers against cnnlib.ops, steps, counts, keys, address, JupyterLab."""

import numpy as np
import pytest
import traitlets
from elements import computed, html, press, settle, state

from cnnlib.ops import conv2d, conv_transpose2d
from cnnlib.playground import paint_playground
from cnnlib.playground.paint import CONTROLS, IMAGES


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with playgrounds in two pages."""
    widgets = {"few": paint_playground(name="few"), "all": paint_playground(controls=CONTROLS, name="all")}
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name="all"):
    found = page.locator(f"cnn-paint#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, *arguments, **options):
    """Replaces the page's playground by another one."""
    page.evaluate(
        "text => { history.replaceState(null, '', location.pathname);"
        " document.querySelector('cnn-paint').outerHTML = text; }",
        html(paint_playground(*arguments, **{"controls": CONTROLS, "name": "put"} | options)),
    )
    return element(page, "put")


def shown(found, part="output"):
    """The texts of one of the playground's grids: input (image) or output."""
    rows = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    return np.array(found.locator(f".grid.{part} table").evaluate(rows))


def numbers(texts):
    """Texts as numbers, nan where nothing is written."""
    plain = [[text.replace("\N{MINUS SIGN}", "-").rstrip("×") or "nan" for text in row] for row in texts]
    return np.array(plain, float)


def painted(image, kernel, **options):
    return conv_transpose2d(image[None, None], kernel[None, None], **options)[0, 0]


def setups(count, seed):
    """Random images and kernels of unequal sizes, with options down and across; some are refused."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        image, kernel = (rng.normal(size=rng.integers(1, most, size=2)) for most in (9, 7))
        ranges = {"stride": (1, 5), "padding": (0, 4), "output_padding": (0, 3)}
        yield image, kernel, {name: tuple(rng.integers(*r, size=2).tolist()) for name, r in ranges.items()}


# The arithmetic


def test_the_numbers_are_those_of_the_library_and_what_it_refuses_is_refused(new_page):
    cases = [(*setup, k % 9) for k, setup in enumerate(setups(400, seed=0))]
    body = """return values[0].map(([image, kernel, axes, most]) => m.misfit(image, kernel, axes)
        || [m.paint(image, kernel, axes), m.paint(image, kernel, axes, most), m.counts(image, kernel, axes)]);"""
    sent = []
    for image, kernel, options, most in cases:
        axes = [
            dict(zip(("stride", "padding", "extra"), axis, strict=True)) for axis in zip(*options.values(), strict=True)
        ]
        sent.append([image.tolist(), kernel.tolist(), axes, most])
    refused = unequal = 0
    for (image, kernel, options, most), got in zip(
        cases, computed(new_page("index.html"), "paint", body, sent), strict=True
    ):
        try:
            want = painted(image, kernel, **options)
        except ValueError:
            assert isinstance(got, str), (image.shape, kernel.shape, options)
            refused += 1
            continue
        first = np.where(np.arange(image.size).reshape(image.shape) < most, image, 0)
        for one, x, w in ((0, image, kernel), (1, first, kernel), (2, np.ones_like(image), np.ones_like(kernel))):
            np.testing.assert_allclose(got[one], painted(x, w, **options), rtol=1e-12, atol=1e-12)
        unequal += image.shape[0] != image.shape[1] and want.shape[0] != want.shape[1]
    assert 50 < refused < 250
    assert unequal > 100


def test_it_is_the_adjoint_of_the_kernel_playgrounds_convolution(new_page):
    """For every y and x, the sum of conv(y) * x is that of y * paint(x); conv2d and the page's own say the same."""
    rng = np.random.default_rng(1)
    cases, wants = [], []
    while len(cases) < 100:
        y, kernel = rng.normal(size=rng.integers(4, 9, size=2)), rng.normal(size=rng.integers(1, 5, size=2))
        options = {"stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, 3))}
        folded = conv2d(y[None, None], kernel[None, None], **options)[0, 0]
        x = rng.normal(size=folded.shape)
        back = [
            (n - 1) * options["stride"] + k - 2 * options["padding"] for n, k in zip(x.shape, kernel.shape, strict=True)
        ]
        extra = [n - size for n, size in zip(y.shape, back, strict=True)]  # what the convolution's floor left over
        if min(back) < 1:
            continue
        cases.append([y.tolist(), kernel.tolist(), options, extra, x.tolist()])
        wants.append((folded * x).sum())
    body = """const dot = (a, b) => a.flat().reduce((sum, value, k) => sum + value * b.flat()[k], 0);
        return values[0].map(([y, kernel, options, extra, x]) => [
            dot(m.correlate(y, kernel, options), x),
            dot(y, m.paint(x, kernel, extra.map(extra => ({ ...options, extra })))),
        ]);"""
    got = np.array(computed(new_page("index.html"), "paint", body, cases))
    np.testing.assert_allclose(got, np.stack([wants, wants], 1), rtol=1e-12, atol=1e-12)


def test_pixels_are_painted_equally_often_exactly_if_the_stride_divides_the_kernel(new_page):
    cases = [(taps, stride, padding) for taps in range(1, 7) for stride in range(1, 5) for padding in range(3)]
    body = "return values[0].map(([taps, stride, padding]) => m.turns(taps, { stride, padding }));"
    for (taps, stride, padding), got in zip(cases, computed(new_page("index.html"), "paint", body, cases), strict=True):
        options = {"stride": (1, stride), "padding": (0, padding)}
        middle = painted(np.ones((1, 16)), np.ones((1, taps)), **options)[0, 6 * stride : 9 * stride]
        assert middle.tolist() == got * 3
        assert (len(set(got)) == 1) == (taps % stride == 0)


def test_a_constant_through_random_weights_is_what_the_library_makes_of_it(new_page):
    rng = np.random.default_rng(2)
    cases = [(rng.normal(size=(taps, taps)).tolist(), stride) for taps in range(1, 7) for stride in range(1, 5)]
    body = """return [
        values[0].map(([kernel, stride]) => [m.paintConstant(kernel, stride), m.resizeConstant(kernel, stride)]),
        [[3, 2], [4, 2]].map(([taps, stride]) => m.constantThrough(1, taps, stride))];"""
    maps, layers = computed(new_page("index.html"), "paint", body, cases)
    for (kernel, stride), (direct, resized) in zip(cases, maps, strict=True):
        whole = painted(np.ones((30, 30)), np.array(kernel), stride=stride)
        start = 6 * stride
        np.testing.assert_allclose(direct, whole[start : start + 10, start : start + 10], atol=1e-12)
        np.testing.assert_allclose(resized, np.full((10, 10), np.sum(kernel)), atol=1e-12)
    for one in layers:
        assert [layer["name"] for layer in one][2] == "resize 2 ×, convolve"
        for layer in one:
            squares = (np.array(layer["maps"])[:, :2, :2] ** 2).sum(0)
            assert layer["ratio"] == pytest.approx(np.sqrt(squares.max() / squares.min()))
            assert (layer["ratio"] > 1.1) == layer["name"].startswith("k")
    assert [layer["name"] for layer in layers[0]][:2] == [layer["name"] for layer in layers[1]][1::-1]


def test_images_have_the_same_pixels_in_javascript_and_in_python(new_page):
    found = element(new_page("all.html"))
    for name, pixels in IMAGES.items():
        found.get_by_role("combobox", name="input").select_option(name)
        np.testing.assert_array_equal(state(found, "image"), pixels)


# What the page shows


def test_each_step_adds_what_one_pixel_paints_and_the_border_is_cut_off(new_page):
    page = new_page("all.html")
    rng = np.random.default_rng(3)
    for stride, padding, output_padding in [(1, 0, 0), (2, 1, 1), (3, 2, 0), (4, 0, 2)]:
        image, kernel = (rng.integers(-9, 10, size=size).astype(float) for size in ((2, 3), (3, 4)))
        options = {"stride": stride, "padding": padding, "output_padding": output_padding}
        found = put(page, image, kernel, at=(0, 1), **options)
        for count in (2, 3, 6):
            some = np.where(np.arange(6).reshape(2, 3) < count, image, 0)
            often = painted((np.arange(6).reshape(2, 3) < count) * 1.0, np.ones_like(kernel), **options)
            want = np.where((often > 0) | (count == 6), painted(some, kernel, **options), np.nan)
            got = numbers(shown(found))
            np.testing.assert_array_equal(got, np.pad(want, padding, constant_values=np.nan))
            press(found, {2: "Step →", 3: "Paint all", 6: "Step →"}[count])
        found.get_by_role("combobox", name="show").select_option("times painted")
        np.testing.assert_array_equal(numbers(shown(found)), np.pad(often, padding, constant_values=np.nan))


def test_in_one_dimension_each_pixel_has_a_row_and_the_blocks_are_its_share(new_page):
    image, kernel = np.array([[2.0, -1, 3, 0], [9, 9, 9, 9]]), np.array([[7.0, 7, 7], [1, -2, 4], [7, 7, 7]])
    found = put(new_page("all.html"), image, kernel, dimensions=1, padding=1, at=(0, 2))
    rows = np.full((5, 9), np.nan)
    for i in range(3):
        rows[i, 2 * i : 2 * i + 3] = image[0, i] * kernel[1]
    rows[4, 1:7] = np.nansum(rows[:3], 0)[1:7]
    np.testing.assert_array_equal(numbers(shown(found)), rows)
    assert found.locator(".equation").inner_text() == "input[2] paints 3 × the kernel onto columns 3 to 5"
    tall = "bars => [...bars.querySelectorAll('i')].map(one => [one.offsetLeft, one.getBoundingClientRect().height])"
    blocks = found.locator(".bars").evaluate(tall)
    want = [abs(rows[i, c]) for c in range(1, 8) for i in range(3) if np.isfinite(rows[i, c])]
    heights = np.array([height for _, height in blocks])
    np.testing.assert_allclose(heights / heights.max(), np.array(want) / max(want), atol=0.02)
    press(found, "Paint all")
    want = paint_playground(image, kernel, dimensions=1, padding=1).output
    np.testing.assert_array_equal(numbers(shown(found))[-1, 1:-1], want[0])


def test_at_rest_it_counts_nothing_and_when_all_have_painted_it_says_whether_it_is_even(new_page):
    found = element(new_page("all.html"))
    facts = found.locator(".facts")
    assert "divide" not in facts.inner_text()
    assert np.isfinite(numbers(shown(found))).sum() == 9
    assert not found.locator(".constant").is_visible()
    assert "makes 5 columns out of 11 or 12: output padding chooses." in facts.inner_text()
    press(found, "Paint all")
    assert "rows and columns are painted 2, 1 times in turn: stride 2 does not divide 3." in facts.inner_text()
    assert (
        found.locator("[role=status]").inner_text().endswith("All pixels have painted: each output pixel 1 to 4 times.")
    )
    press(found, "more kernel columns")
    assert "columns are painted 2 times each: stride 2 divides 4." in facts.inner_text()
    np.testing.assert_array_equal(state(found, "kernel"), np.ones((3, 4)))
    press(found, "more output padding")
    press(found, "more output padding")
    assert "Output padding 2 is not below stride 2" in facts.inner_text()
    assert not found.locator(".frame").is_visible()


def test_a_constant_is_sent_through_when_asked(new_page):
    found = element(new_page("all.html"))
    press(found, "Send a constant through")
    assert found.locator(".tile:visible .heading").all_inner_texts() == [
        "k = 3, s = 2",
        "k = 4, s = 2",
        "resize 2 ×, convolve",
    ]
    before = found.locator(".says").all_inner_texts()
    assert "Nothing here has been trained" in found.locator(".constant").inner_text()
    assert [text[:9] for text in before] == ["strongest", "strongest", "all place"]
    press(found, "Other weights")
    assert found.locator(".says").all_inner_texts() != before
    assert state(found, "draws") == 2
    press(found, "Send a constant through")
    assert not found.locator(".constant").is_visible()


# What the reader does


def test_keys_and_a_finger_move_the_pixel(new_page):
    page = new_page("all.html", width=360, has_touch=True, is_mobile=True)
    found = element(page)
    pixel = found.get_by_role("slider", name="input pixel")
    pixel.focus()
    for key, place in [("ArrowRight", [0, 1]), ("PageDown", [3, 1]), ("End", [3, 4]), ("ArrowUp", [2, 4])]:
        page.keyboard.press(key)
        assert state(found, "at") == place
    assert pixel.get_attribute("aria-valuetext") == "row 2, column 4"
    found.locator(".grid.output td").first.tap()
    assert state(found, "at") == [0, 0]
    found.get_by_role("combobox", name="in", exact=True).select_option("1 dimension")
    settle(page)
    touch = page.context.new_cdp_session(page)
    found.locator(".grid.image").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    box = found.locator(".frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in [
        ("touchStart", [(x, y)]),
        *[("touchMove", [(x, y + 2 * box["height"] * k / 8)]) for k in range(1, 9)],
        ("touchEnd", []),
    ]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    assert state(found, "at") == [0, 2]
    pixel.press("ArrowDown")
    assert state(found, "at") == [0, 3]


def test_the_mouse_drags_the_pixel_and_a_click_on_the_output_finds_it(new_page):
    page = new_page("all.html")
    found = element(page)
    box = found.locator(".frame").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 5 + 2.1 * box["width"], box["y"] + 5 + 1.1 * box["height"], steps=4)
    page.mouse.up()
    assert state(found, "at") == [1, 2]
    cell = found.locator(".grid.output td").nth(11 + 9).bounding_box()
    page.mouse.click(cell["x"] + 5, cell["y"] + 5)  # the pixel whose kernel has its middle there
    assert state(found, "at") == [0, 4]


def test_it_plays_from_pixel_to_pixel(new_page):
    page = new_page("few.html", reduced_motion="no-preference")
    found = element(page, "few")
    press(found, "Play")
    page.wait_for_function(
        "document.querySelector('cnn-paint').firstChild.shadowRoot.querySelector('.mark').offsetLeft > 0"
    )
    press(found, "Pause")
    row, column = state(found, "at")
    assert 0 < 5 * row + column < 19
    assert found.get_by_role("group", name="padding").count() == 0


# The address, the page, Python, JupyterLab


def test_a_setup_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page("all.html")
    found = element(page)
    for name, value in {"in": "1 dimension", "input": "ones", "kernel": "tent", "show": "times painted"}.items():
        found.get_by_role("combobox", name=name, exact=True).select_option(value)
    for name in ("more padding", "more stride", "more output padding", "Send a constant through", "Step →"):
        press(found, name)
    page.wait_for_function("location.hash.includes('all.at=0,1')")
    again = element(new_page("all.html" + page.evaluate("location.hash"), base=site))
    names = ("image", "kernel", "stride", "padding", "output_padding", "dimensions", "show", "draws", "at")
    assert [state(again, name) for name in names] == [state(found, name) for name in names]
    assert [state(again, name) for name in names[2:]] == [3, 1, 1, 1, "counts", 1, [0, 1]]
    np.testing.assert_array_equal(shown(again), shown(found))


@pytest.mark.parametrize(
    "hash", ["#all.stride=0&all.padding=9&all.show=x", "#all.image=1,x&all.at=9,99&all.dimensions=7"]
)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("all.html" + hash))
    assert shown(found, "image").shape == (4, 5)


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "all.html")
    found = element(page)
    press(found, "Send a constant through")
    for space in ("1 dimension", "2 dimensions"):
        found.get_by_role("combobox", name="in", exact=True).select_option(space)
        for theme in ("light", "dark"):
            one.colors(theme)
            page.locator(f"cnn-paint .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
            assert one.violations() + one.too_faint() == []
        assert one.overflow() <= 0
        inner = page.locator("cnn-paint .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert inner[0] <= inner[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((9, 3))}, r"\(9, 3\), at most \(8, 8\)"),
        ({"image": "flower"}, "no image is called 'flower'.*ramp, ones, dot"),
        ({"kernel": np.zeros((2, 7))}, r"\(2, 7\), at most \(6, 6\)"),
        ({"show": "both"}, "both"),
        ({"controls": "dilation"}, r"no control is called \['dilation'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        paint_playground(**wrong)


def test_in_jupyterlab_python_reads_what_was_changed(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import paint_playground\nimage = np.arange(6).reshape(2, 3)",
        "p = paint_playground(image, [[1, 2], [3, 4]])\np",
        "print(p.stride, p.at, p.kernel.tolist(), p.output.shape, p.counts.max())",
        "p.dimensions = 1",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("slider", name="input pixel").focus()
    opened.page.keyboard.press("ArrowDown")
    press(found, "less stride")
    found.get_by_label("weight, row 0, column 1").fill("5")
    opened.wait_for_print(2, "1 (1, 0) [[1.0, 5.0], [3.0, 4.0]] (3, 4) 4.0")
    opened.run_cell(3)
    found.get_by_text("paints 0 × the kernel onto columns 0 to 1").first.wait_for()
    np.testing.assert_array_equal(numbers(shown(found))[-1, :2], [0, 0])
