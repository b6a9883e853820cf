"""The receptive field playground in a real browser: numbers against cnnlib.ledger, what a unit sees against torch."""

import numpy as np
import pytest
import torch
from elements import html, state
from torch.nn import functional as F

from cnnlib.ledger import receptive_field
from cnnlib.playground import field_playground
from cnnlib.playground.files import module

VGG = [("conv", 64, 3, 1, 1), ("conv", 64, 3, 1, 1), ("pool", 2)]


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a playground in three pages."""
    widgets = {
        "one": field_playground(name="one"),
        "tall": field_playground(VGG, input=(3, 20, 12), name="tall"),
        "covered": field_playground(name="covered", controls="unit", predict=True),
    }
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def call(page, code, argument):
    """Calls a JavaScript function of (module, argument): the module as JupyterLab gets it."""
    load = "import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
    return page.evaluate(f"async ([text, argument]) => ({code})(await {load}, argument)", [module("field"), argument])


def element(page, name):
    found = page.locator(f"cnn-field#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, *arguments, **options):
    """Replaces the page's playground by another one."""
    page.evaluate(
        """text => {
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-field").outerHTML = text;
        }""",
        html(field_playground(*arguments, **{"name": "put"} | options)),
    )
    return element(page, "put")


def table(found):
    """The texts of the table's layers, row by row, without the input and the total."""
    rows = "table => [...table.tBodies[0].rows].slice(1).map(row => [...row.cells].map(cell => cell.textContent))"
    return found.locator("table.layers").evaluate(rows)


def drawn(found):
    """The brightness of the image's pixels, (H, W), without the margin around it."""
    levels = """canvas => {
        const [H, W] = [canvas.height, canvas.width];
        const copy = new OffscreenCanvas(W, H).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const data = [...copy.getImageData(0, 0, W, H).data];
        return [H, W, ...[0, 3].map((channel) => data.filter((_, k) => k % 4 === channel))];
    }"""
    high, wide, red, alpha = found.locator(".grid.image canvas").evaluate(levels)
    inside = np.reshape(alpha, (high, wide)) > 0
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert inside.sum() == len(rows) * len(columns)
    return np.reshape(red, (high, wide))[rows][:, columns]


def stacks(count, seed):
    """Random stacks of up to five layers, an input of unequal sides, and a unit; some stacks do not fit."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        layers = []
        for _ in range(rng.integers(1, 6)):
            kernel, stride, dilation = (int(rng.integers(1, n)) for n in (5, 3, 4))
            if rng.random() < 0.6:
                layers.append(("conv", int(rng.integers(1, 5)), kernel, stride, int(rng.integers(0, 4)), dilation))
            else:
                layers.append(("pool", kernel, stride, int(rng.integers(0, kernel // 2 + 1))))
        yield layers, [int(rng.integers(1, 4)), *map(int, rng.integers(5, 25, size=2))], rng


def run(layers, shape, at=None):
    """The maps of torch's layers, all weights 1, and the gradient of one unit of the last; pooling adds up."""
    x = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
    maps, y, parameters = [], x, []
    for kind, *numbers in layers:
        if kind == "conv":
            channels, kernel, stride, padding, dilation = numbers
            layer = torch.nn.Conv2d(y.shape[1], channels, kernel, stride, padding, dilation).double()
            parameters.append(sum(p.numel() for p in layer.parameters()))
            torch.nn.init.ones_(layer.weight)
            y = layer(y)
        else:
            kernel, stride, padding = numbers
            parameters.append(0)
            y = kernel**2 * F.avg_pool2d(y, kernel, stride, padding)
        maps.append(list(y.shape[1:]))
    if at is not None:
        y[0, 0, at[0], at[1]].backward()
    return maps, parameters, x.grad


def fitting(count, seed):
    """Those stacks that torch accepts, each with a place in its last map."""
    for layers, shape, rng in stacks(count, seed):
        try:
            maps, parameters, _ = run(layers, shape)
        except RuntimeError:
            continue
        yield layers, shape, [int(rng.integers(n)) for n in maps[-1][1:]], maps, parameters


# The arithmetic


def test_shapes_and_parameters_are_torchs_and_fields_are_the_ledgers(new_page):
    cases = list(fitting(200, seed=0))
    assert len(cases) > 80
    code = "({ trace }, cases) => cases.map(([layers, shape]) => trace(layers, shape))"
    answers = call(new_page("index.html"), code, [case[:2] for case in cases])
    for (layers, shape, _, maps, parameters), answer in zip(cases, answers, strict=True):
        assert answer["problem"] == ""
        assert [row["shape"] for row in answer["table"]] == maps
        assert [row["parameters"] for row in answer["table"]] == parameters
        want = receptive_field(field_playground(layers).windows, shape[1])
        names = ("jump", "field", "start")
        got = [{"size": row["shape"][1]} | {name: row[name] for name in names} for row in answer["table"]]
        assert got == want


def test_what_torch_refuses_is_refused_in_a_sentence(new_page):
    cases, refused = [], 0
    for layers, shape, _ in stacks(200, seed=1):
        try:
            run(layers, shape)
        except RuntimeError:
            cases.append([layers, shape])
    answers = call(new_page("index.html"), "({ trace }, cases) => cases.map((case_) => trace(...case_))", cases)
    for answer in answers:
        refused += answer["problem"].endswith(".")
        assert answer["problem"].startswith(f"Layer {len(answer['table']) + 1}, ")
    assert refused == len(cases) > 20


def test_a_unit_sees_the_pixels_that_torchs_gradient_reaches_in_as_many_paths(new_page):
    cases = list(fitting(200, seed=2))
    code = """({ pathsAlong }, cases) => cases.map(([layers, [, H, W], [row, column]]) =>
        [pathsAlong(layers, H, row), pathsAlong(layers, W, column)])"""
    answers = call(new_page("index.html"), code, [case[:3] for case in cases])
    gaps = clipped = 0
    for (layers, shape, at, *_), (down, across) in zip(cases, answers, strict=True):
        *_, grad = run(layers, shape, at)
        mixed = np.prod([layer[1] for layer in layers if layer[0] == "conv"][:-1])  # channels on the way
        paths = np.outer(down, across) * mixed
        np.testing.assert_array_equal(grad[0, 0], paths, err_msg=str(layers))
        np.testing.assert_array_equal(field_playground(layers, input=shape, at=at).seen, paths > 0)
        rows, row = np.flatnonzero(down), receptive_field(field_playground(layers).windows, shape[1])[-1]
        if len(rows):
            first = row["start"] + at[0] * row["jump"]
            assert first <= rows[0] <= rows[-1] < first + row["field"]
            gaps += len(rows) < np.ptp(rows) + 1
            clipped += first < rows[0] or rows[-1] + 1 < first + row["field"]
    assert gaps > 5
    assert clipped > 20


# What the page shows


def test_the_drawing_is_the_gradients_mask(new_page):
    page = new_page("one.html")
    for layers, shape, at, maps, parameters in list(fitting(40, seed=3))[:12]:
        found = put(page, layers, input=shape, at=at)
        *_, grad = run(layers, shape, at)
        np.testing.assert_array_equal(drawn(found) > 128, grad[0, 0] > 0)
        rows = table(found)
        assert [row[1] for row in rows] == [" × ".join(map(str, sizes)) for sizes in maps]
        assert [int(row[2].replace(",", "")) for row in rows] == parameters
        found.get_by_role("button", name="How many paths?").click()
        order = np.argsort(grad[0, 0].ravel().numpy())
        assert (np.diff(drawn(found).ravel()[order]) >= 0).all()  # more paths, brighter


def test_it_says_what_a_unit_sees(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    said = found.locator(".equation")
    assert said.inner_text() == (
        "Unit [0, 0] sees 7 × 7 pixels, rows 0 to 6, columns 0 to 6, of 10 × 10; the others lie in the padding."
    )
    unit = found.get_by_role("slider", name="unit")
    unit.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert said.inner_text() == "Unit [1, 2] sees 10 × 10 pixels, rows 1 to 10, columns 5 to 14."
    assert unit.get_attribute("aria-valuetext") == "row 1, column 2"
    assert said.get_attribute("role") == "status"


def test_a_layer_that_does_not_fit_is_named_and_survived(new_page):
    found = put(new_page("one.html"), [*VGG, ("conv", 8, 11, 1, 0)], input=(3, 20, 12))
    said = found.locator(".problem")
    assert said.inner_text() == (
        "Layer 4, conv 11×11, does not fit: its window spans 11 pixels, more than its input has: 10 × 6. "
        "Try padding, or fewer layers."
    )
    assert table(found)[3][1:] == ["\N{EN DASH}"] * 4
    assert not found.locator(".stage").is_visible()
    for _ in range(3):
        found.get_by_role("button", name="more padding").click()
    assert said.inner_text() == ""
    assert table(found)[3][1] == "8 × 6 × 2"


def test_predict_covers_jump_field_and_drawing(new_page):
    found = element(new_page("covered.html"), "covered")
    assert [row[3:] for row in table(found)] == [["?", "?"]] * 4
    assert not found.locator(".stage").is_visible()
    found.get_by_role("button", name="Show numbers").click()
    assert [row[4] for row in table(found)] == ["3", "4", "8", "10"]
    assert found.locator(".stage").is_visible()
    assert found.get_by_role("combobox").count() == 0  # controls="unit"


# What the reader does


def test_layers_are_added_changed_and_removed(new_page):
    found = element(new_page("tall.html"), "tall")
    found.get_by_role("button", name="1. conv 3×3").click()
    found.get_by_role("button", name="+ Pooling").click()
    found.get_by_role("button", name="more kernel").click()
    assert state(found, "layers")[1] == ["pool", 3, 2, 0]
    assert len(state(found, "layers")) == 4
    found.get_by_role("combobox", name="kind").select_option("convolution")
    found.get_by_role("button", name="more dilation").click()
    found.get_by_role("combobox", name="channels", exact=True).select_option("128")
    assert state(found, "layers")[1] == ["conv", 128, 3, 2, 0, 2]
    for _ in range(5):
        found.get_by_role("button", name="Remove").click(force=True)
    assert len(state(found, "layers")) == 1
    for _ in range(9):
        found.get_by_role("button", name="+ Convolution").click(force=True)
    assert len(state(found, "layers")) == 8
    found.get_by_role("button", name="Reset").click()
    assert [layer[0] for layer in state(found, "layers")] == ["conv", "conv", "pool"]


def test_every_preset_fits_and_the_input_is_chosen(new_page):
    found = element(new_page("one.html"), "one")
    presets = call(found.page, "({ PRESETS }) => Object.keys(PRESETS)", None)
    for name in presets:
        found.get_by_role("combobox", name="stack").select_option(name)
        assert found.locator(".problem").inner_text() == ""
        assert found.get_by_role("combobox", name="stack").input_value() == name
    found.get_by_role("combobox", name="input size").select_option("64 × 64")
    found.get_by_role("combobox", name="input channels").select_option("3")
    assert state(found, "input") == [3, 64, 64]
    assert table(found)[0][1:3] == ["64 × 32 × 32", "9,472"]  # ResNet's first, a kernel of 7 and stride 2


def test_the_mouse_shows_a_unit_and_a_click_keeps_it(new_page):
    page = new_page("one.html")
    found = element(page, "one")
    said = found.locator(".equation")
    box = found.locator(".grid.output").bounding_box()
    unit = box["width"] / 7
    page.mouse.move(box["x"] + 3.5 * unit, box["y"] + 2.5 * unit)
    assert said.inner_text().startswith("Unit [2, 3]")
    page.mouse.move(box["x"] - 60, box["y"])
    assert said.inner_text().startswith("Unit [0, 0]")
    page.mouse.click(box["x"] + 5.5 * unit, box["y"] + 4.5 * unit)
    page.mouse.move(box["x"] - 60, box["y"])
    assert said.inner_text().startswith("Unit [4, 5]")
    found.get_by_role("button", name="1. conv 3×3").click()  # another map
    assert said.inner_text() == "Unit [4, 5] sees 3 × 3 pixels, rows 3 to 5, columns 4 to 6."


def test_a_tap_on_a_phone_chooses_a_unit(new_page):
    page = new_page("one.html", width=360, has_touch=True, is_mobile=True)
    found = element(page, "one")
    area = found.locator(".grid.output")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.touchscreen.tap(box["x"] + 4.5 * box["width"] / 7, box["y"] + 6.5 * box["height"] / 7)
    assert state(found, "at") == [6, 4]


# The address, the page, Python, JupyterLab


def test_a_stack_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page("one.html")
    found = element(page, "one")
    found.get_by_role("combobox", name="stack").select_option("start of VGG")
    found.get_by_role("button", name="5. conv 3×3").click()
    found.get_by_role("slider", name="unit").press("ArrowDown")
    page.wait_for_function("location.hash.includes('one.at=1,0')")
    again = element(new_page("one.html" + page.evaluate("location.hash"), base=site), "one")
    assert again.get_by_role("combobox", name="stack").input_value() == "start of VGG"
    assert (state(again, "layer"), state(again, "at")) == (5, [1, 0])
    assert again.locator(".equation").inner_text() == found.locator(".equation").inner_text()


NONSENSE = ["#one.layers=conv,0,3", "#one.layers=pool;x&one.input=1,2", "#one.at=99,99&one.layer=8"]


@pytest.mark.parametrize("hash", NONSENSE)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("one.html" + hash), "one")
    assert [row[4] for row in table(found)] == ["3", "4", "8", "10"]


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    page.get_by_role("combobox", name="stack").select_option("start of VGG")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-field .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() == []
        assert one.overflow() <= 0
    inner = page.locator("cnn-field .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


def test_what_is_left_out_of_a_layer_is_filled_in():
    made = field_playground([("conv", 8, 5), ("pool", 3), ("pool", 3, 2, 1)])
    assert made.layers == (("conv", 8, 5, 1, 0, 1), ("pool", 3, 3, 0), ("pool", 3, 2, 1))
    assert made.windows == [(5, 1, 0, 1), (3, 3, 0, 1), (3, 2, 1, 1)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": [("conv", 3)]}, r"layer \('conv', 3\): pass"),
        ({"layers": [("relu", 3)]}, "layer .*relu.*: pass"),
        ({"layers": [("pool", 2, 2, 0, 1)]}, "pass"),
        ({"layers": [("conv", 8, 3, 0)]}, "0 is not a whole number from 1 to 11"),
        ({"layers": [("pool", 2)] * 9}, "9 layers: there is room for 1 to 8"),
        ({"controls": "window"}, r"no control is called \['window'\]"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        field_playground(**wrong)


def test_in_jupyterlab_python_reads_the_stack(notebook):
    opened = notebook(
        "from cnnlib.playground import field_playground",
        "p = field_playground([('conv', 4, 3), ('pool', 2)], input=(1, 12, 14))\np",
        "print(p.layers, p.windows, p.at, p.seen.sum())",
        "p.layers = [('conv', 4, 5, 2, 2, 1)]",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("button", name="more kernel").click()
    found.get_by_role("slider", name="unit").press("ArrowRight")
    opened.wait_for_print(2, "(('conv', 4, 3, 1, 0, 1), ('pool', 3, 2, 0)) [(3, 1, 0, 1), (3, 2, 0, 1)] (0, 1) 25")
    opened.run_cell(3)
    found.get_by_text("1. conv 5×5, stride 2, padding 2").wait_for()
    assert table(found)[0][1:] == ["4 × 6 × 7", "104", "2", "5"]
