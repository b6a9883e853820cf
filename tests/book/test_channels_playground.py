"""The channels playground in a real browser: numbers against cnnlib.ops, groups, keys, touch, address, JupyterLab."""

import numpy as np
import pytest
import traitlets
from elements import computed, html, press, state
from test_pooling_playground import number

from cnnlib.ops import conv2d
from cnnlib.playground import channels_playground
from cnnlib.playground.channels import FILTERS, IMAGE

ALL = "window weights filters bias stride padding groups"
FOUR = np.random.default_rng(7).integers(-3, 4, (4, 5, 6)).astype(float)  # channels
KERNELS = np.random.default_rng(8).integers(-2, 3, (4, 4, 2, 3)).astype(float)


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with playgrounds in three pages."""
    widgets = {
        "few": channels_playground(name="few", controls="window"),
        "all": channels_playground(bias=[0.5, 7], controls=ALL, names="red green blue", name="all"),
        "four": channels_playground(FOUR, KERNELS, controls=ALL, groups=2, padding=1, name="four"),
    }
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name):
    found = page.locator(f"cnn-channels#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, *arguments, **options):
    """Replaces the page's playground by another one."""
    page.evaluate(
        """text => {
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-channels").outerHTML = text;
        }""",
        html(channels_playground(*arguments, **{"controls": ALL, "name": "put"} | options)),
    )
    return element(page, "put")


def shown(found, part):
    """The numbers in each of the grids of one kind that can be seen: image, part or output."""
    rows = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    tables = [grid for grid in found.locator(f".grid.{part} table").all() if grid.is_visible()]
    return [np.array([[number(one) for one in row] for row in table.evaluate(rows)]) for table in tables]


def want(image, filters, bias, *, groups=1, **options):
    """conv2d's answer, and the partial sums of each filter, each by a layer of one channel."""
    each, channels = len(filters) // groups, len(image) // groups
    first = [f // each * channels for f in range(len(filters))]
    w = np.stack([kernels[c : c + channels] for kernels, c in zip(filters, first, strict=True)])
    parts = [
        [
            conv2d(image[None, c : c + 1], filters[None, f, c : c + 1], **options)[0, 0]
            for c in range(start, start + channels)
        ]
        for f, start in enumerate(first)
    ]
    return conv2d(image[None], w, np.array(bias, float), groups=groups, **options)[0], parts


def setups(count, seed):
    """Random layers in whole numbers, of unequal sizes; some of them do not fit."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        C, F, groups = rng.integers(1, 5, size=3)
        groups = groups if rng.random() < 0.5 else np.gcd(C, F)
        image = rng.integers(-4, 5, size=(C, *rng.integers(2, 7, size=2))).astype(float)
        filters = rng.integers(-3, 4, size=(F, C, *rng.integers(1, 5, size=2))).astype(float)
        options = {"stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, 3)), "groups": int(groups)}
        yield image, filters, rng.integers(-9, 10, size=F) / 2, options


# The arithmetic


def test_the_numbers_are_those_of_the_library_and_what_it_refuses_is_refused(new_page):
    cases = list(setups(400, seed=0))
    got = computed(
        new_page("index.html"),
        "channels",
        """return values[0].map(([image, filters, bias, options]) => {
            const parts = () => filters.map((_, f) => m.partialSums(image, filters, f, options));
            return m.misfit(image, { filters, ...options }) || [m.convolve(image, filters, bias, options), parts()];
        });""",
        [[*(part.tolist() for part in case[:3]), case[3]] for case in cases],
    )
    refused = 0
    for (*layer, options), answer in zip(cases, got, strict=True):
        playground = channels_playground(*layer, **options)
        try:
            output = playground.output
        except ValueError:
            assert isinstance(answer, str), (playground, answer)
            refused += 1
        else:
            right, parts = want(*layer, **options)
            np.testing.assert_array_equal(output, right)
            np.testing.assert_allclose(answer[0], right, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(answer[1], parts, rtol=1e-12, atol=1e-12)
    assert 50 < refused < 350


def test_an_element_without_attributes_is_the_one_that_python_makes_without_arguments(new_page):
    page = new_page("all.html")
    page.evaluate("document.querySelector('cnn-channels').outerHTML = '<cnn-channels id=\"bare\"></cnn-channels>'")
    found = element(page, "bare")
    np.testing.assert_array_equal(state(found, "image"), IMAGE)
    np.testing.assert_array_equal(state(found, "filters"), FILTERS)
    np.testing.assert_array_equal(shown(found, "output"), channels_playground().output)


# What the page shows


def test_images_partial_sums_and_outputs_are_shown_over_many_setups(new_page):
    page = new_page("all.html")
    drawn = 0
    for *layer, options in setups(30, seed=1):
        try:
            output = channels_playground(*layer, **options).output
        except ValueError:
            continue
        f, p = len(layer[1]) - 1, options["padding"]
        found = put(page, *layer, filter=f, at=tuple(n - 1 for n in output.shape[1:]), **options)
        np.testing.assert_array_equal(shown(found, "image"), np.pad(layer[0], ((0, 0), (p, p), (p, p))))
        np.testing.assert_array_equal(shown(found, "part"), want(*layer, **options)[1][f])
        np.testing.assert_allclose(shown(found, "output"), output, atol=0.5)
        numbers = found.locator(".equation").inner_text().split("= ")[-1]
        assert number(numbers) == output[f, -1, -1]
        drawn += 1
    assert drawn > 10


def test_it_says_how_the_number_came_about_for_the_filter_that_is_chosen(new_page):
    found = element(new_page("all.html"), "all")
    equation, words = found.locator(".equation"), found.locator(".unseen")
    assert equation.inner_text() == "Filter 1 at [0, 0]: −6 + 18 + 10 + 0.5 (bias) = 22.5"
    press(found, "filter 2")
    assert equation.inner_text() == "Filter 2 at [0, 0]: 5 + 0 − 10 + 7 (bias) = 2"
    assert words.inner_text() == (
        "Window at row 0, column 0. Filter 2: red 5, green 0, blue minus 10, bias 7, makes 2."
    )
    assert found.get_by_role("button", name="filter 2").get_attribute("aria-pressed") == "true"
    assert found.locator(".facts").inner_text().endswith("Numbers to learn: 2 · (3 · 3 · 3 + 1) = 56.")


def test_groups_that_do_not_divide_are_refused_and_those_that_do_hide_kernels(new_page):
    found = element(new_page("all.html"), "all")
    facts = found.locator(".facts")
    press(found, "more groups")
    press(found, "more groups")
    assert facts.inner_text() == "2 filters cannot be shared out among 3 groups: PyTorch refuses it."
    assert shown(found, "part") == shown(found, "output") == []
    press(found, "more filters")
    assert facts.inner_text().endswith("Numbers to learn: 3 · (3 / 3 · 3 · 3 + 1) = 30.")
    copy = np.zeros((1, 3, 3, 3))
    copy[:, :, 1, 1] = 1
    right, _ = want(IMAGE, np.concatenate([FILTERS, copy]), [0.5, 7, 0], groups=3)
    np.testing.assert_array_equal(shown(found, "output"), right)
    for f, own in enumerate(["red", "green", "blue"]):
        press(found, f"filter {f + 1}")
        assert found.get_by_role("table", name="kernel,").count() == 1
        assert found.get_by_role("table", name=f"kernel, {own}").is_visible()
        np.testing.assert_array_equal(shown(found, "part")[0], right[f] - [0.5, 7, 0][f])
    press(found, "less filters")
    press(found, "less groups")
    press(found, "less groups")
    assert len(shown(found, "part")) == 3


def test_the_outputs_fill_as_the_window_visits(new_page):
    found = put(new_page("all.html"), predict=True)
    covered = lambda: found.locator(".grid td.empty:visible").count()  # noqa: E731
    assert covered() == 5 * 3  # of three partial sums and two outputs
    press(found, "Step →")
    assert covered() == 5 * 2
    press(found, "filter 2")  # shows other partial sums, and covers nothing again
    assert covered() == 5 * 2
    press(found, "Show all")
    assert covered() == 0


def test_attributes_choose_the_controls(new_page):
    found = element(new_page("few.html"), "few")
    assert found.get_by_role("slider", name="window").is_visible()
    for name in ("filters", "bias", "stride", "padding", "groups"):
        assert found.get_by_role("group", name=name).count() == 0
    assert found.get_by_role("textbox").first.get_attribute("readonly") is not None


# What the reader changes


def test_weights_and_bias_change_the_filter_that_is_shown(new_page):
    page = new_page("all.html")
    found = element(page, "all")
    press(found, "filter 2")
    found.get_by_role("textbox", name="weight, green, row 0, column 2").focus()
    page.keyboard.type("-2")
    press(found, "more bias")
    filters = FILTERS.copy()
    filters[1, 1, 0, 2] = -2
    np.testing.assert_array_equal(state(found, "filters"), filters)
    assert state(found, "bias") == [0.5, 8]
    np.testing.assert_array_equal(shown(found, "output"), want(IMAGE, filters, [0.5, 8])[0])
    press(found, "Reset")
    np.testing.assert_array_equal(shown(found, "output"), want(IMAGE, FILTERS, [0.5, 7])[0])


def test_arrow_keys_move_the_window_and_any_window_or_output_can_be_dragged(new_page):
    page = new_page("four.html", has_touch=True)
    found = element(page, "four")
    window = found.get_by_role("slider", name="window")
    window.focus()
    for key, place in [("ArrowRight", [0, 1]), ("PageDown", [5, 1]), ("End", [5, 5]), ("ArrowUp", [4, 5])]:
        page.keyboard.press(key)
        assert state(found, "at") == place
    assert window.get_attribute("aria-valuetext") == "row 4, column 5"
    found.locator(".grid.output:visible").nth(2).locator("td").nth(2).tap()
    assert state(found, "at") == [0, 2]
    found.locator(".frame").nth(3).scroll_into_view_if_needed()
    box = found.locator(".frame").nth(3).bounding_box()
    cell = box["height"] / 2
    x, y = box["x"] + 5, box["y"] + 5
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - cell, y + 3 * cell, steps=4)
    page.mouse.up()
    assert state(found, "at") == [3, 1]
    touch = page.context.new_cdp_session(page)
    box = found.locator(".frame").nth(2).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in [
        ("touchStart", [(x, y)]),
        *[("touchMove", [(x + cell * k / 4, y)]) for k in range(1, 9)],
        ("touchEnd", []),
    ]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    assert state(found, "at") == [3, 3]


# The address, the page, Python, JupyterLab


def test_a_setup_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page("all.html")
    found = element(page, "all")
    found.get_by_role("textbox", name="weight, red, row 2, column 1").fill("-0.25")
    for name in ("more padding", "more filters", "more stride", "filter 2", "more bias"):
        press(found, name)
    page.wait_for_function("location.hash.includes('all.bias=0.5,8,0')")
    again = element(new_page("all.html" + page.evaluate("location.hash"), base=site), "all")
    for name in ("filters", "bias", "padding", "stride", "filter", "at"):
        assert state(again, name) == state(found, name)
    assert state(again, "filters")[0][0][2][1] == -0.25
    right, parts = want(IMAGE, np.array(state(again, "filters")), [0.5, 8, 0], padding=1, stride=2)
    np.testing.assert_allclose(shown(again, "output"), right, atol=0.5)
    np.testing.assert_allclose(shown(again, "part"), parts[1], atol=0.5)


@pytest.mark.parametrize(
    "hash",
    ["#all.filters=1,2;3&all.bias=x", "#all.filters=1;;2", "#all.bias=1,2,3&all.filter=3", "#all.at=9,99&all.groups=9"],
)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("all.html" + hash), "all")
    assert len(shown(found, "image")) == 3
    assert "NaN" not in found.locator(".playground").inner_text()


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    for name in ("all", "four"):
        page = one.open(serve(site), f"{name}.html")
        for theme in ("light", "dark"):
            one.colors(theme)
            page.locator(f"cnn-channels .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
            assert one.violations() == []
            assert one.too_faint() == []
            assert one.overflow() <= 0
        inner = page.locator("cnn-channels .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert inner[0] <= inner[1]


@pytest.mark.parametrize("padding", [0, 1])
def test_numbers_can_be_read_on_a_phone(new_page, padding):
    found = element(new_page("all.html", width=360), "all")
    for _ in range(padding):
        press(found, "more padding")
    right, parts = want(IMAGE, FILTERS, [0.5, 7], padding=padding)
    np.testing.assert_array_equal(shown(found, "part"), parts[0])
    np.testing.assert_allclose(shown(found, "output"), right, atol=0.5)
    cut = """cells => cells.filter(cell => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getBoundingClientRect().width > cell.clientWidth;
    }).map(cell => cell.textContent)"""
    assert found.locator(".grid td:visible").evaluate_all(cut) == []
    sizes = found.locator(".grid table").evaluate_all(
        "tables => tables.map(t => parseFloat(getComputedStyle(t).fontSize))"
    )
    assert min(sizes) >= 12


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((3, 9, 3))}, r"image has shape \(9, 3\), at most \(8, 8\)"),
        ({"image": np.zeros((4, 4))}, "image has shape .*: pass channels, rows and columns"),
        ({"filters": np.zeros((2, 3, 3))}, "filters has shape .*: pass filters, channels, rows and columns"),
        ({"filters": np.zeros((2, 4, 3, 3))}, "image has 3 channels, a filter has 4 kernels"),
        ({"filters": np.full((2, 3, 3, 3), np.nan)}, "9 numbers that are nan"),
        ({"image": np.zeros((5, 3, 3))}, r"image has shape \(5, 3, 3\), at most 4 channels"),
        ({"bias": [1, 2, 3]}, "bias has 3 numbers for 2 filters"),
        ({"groups": 5}, "groups"),
        ({"controls": "kernel"}, r"no control is called \['kernel'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        channels_playground(**wrong)


def test_python_refuses_groups_that_divide_nothing():
    with pytest.raises(ValueError, match="2 groups cannot share 3 channels and 2 filters"):
        channels_playground(groups=2).output  # noqa: B018


def test_in_jupyterlab_python_reads_what_was_changed(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import channels_playground\nimage = np.arange(40).reshape(2, 4, 5)",
        f"p = channels_playground(image, np.ones((2, 2, 3, 3)), controls={ALL!r})\np",
        "print(p.filters[1, 0].tolist(), p.bias.tolist(), p.groups, p.at, p.output.tolist())",
        "p.padding = 1",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    press(found, "filter 2")
    press(found, "more bias")
    found.get_by_role("textbox", name="weight, channel 1, row 0, column 1").fill("5")
    press(found, "more groups")
    found.get_by_role("slider", name="window").press("ArrowRight")
    filters = np.ones((2, 2, 3, 3))
    filters[1, 0, 0, 1] = 5
    image = np.arange(40.0).reshape(2, 4, 5)
    right, _ = want(image, filters, [0, 1], groups=2)
    opened.wait_for_print(2, f"{filters[1, 0].tolist()} [0.0, 1.0] 2 (0, 1) {right.tolist()}")
    opened.run_cell(3)
    found.get_by_text("padding 1").first.wait_for()
    np.testing.assert_allclose(shown(found, "part")[0], want(image, filters, [0, 1], groups=2, padding=1)[1][1][0])
