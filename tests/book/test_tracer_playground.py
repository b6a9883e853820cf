"""The shape tracer in a real browser: its numbers against cnnlib.ledger, its code and its refusals against torch."""

import ast

import numpy as np
import pytest
import torch
from elements import html, state
from torch import nn

from cnnlib.ledger import ledger, receptive_field
from cnnlib.playground import tracer_playground
from cnnlib.playground.files import module
from cnnlib.playground.tracer import KINDS, USUAL, full

DASH = "\N{EN DASH}"
CLASSES = {"conv": nn.Conv2d, "maxpool": nn.MaxPool2d, "avgpool": nn.AvgPool2d, "linear": nn.Linear}


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a tracer in three pages."""
    widgets = {
        "one": tracer_playground(name="one"),
        "covered": tracer_playground(name="covered", controls="input", predict=True),
        "fits": tracer_playground(nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU()), input=(3, 9, 12), name="fits"),
    }
    return new_site({f"{name}.md": f"# A page\n\n{html(widget)}\n\nText.\n" for name, widget in widgets.items()})


def call(page, code, argument):
    """Calls a JavaScript function of (module, argument): the module as JupyterLab gets it."""
    load = "import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
    return page.evaluate(f"async ([text, argument]) => ({code})(await {load}, argument)", [module("tracer"), argument])


def element(page, name):
    found = page.locator(f"cnn-tracer#{name}")
    found.locator(".playground").wait_for()
    return found


def put(page, *arguments, **options):
    """Replaces the page's tracer by another one."""
    page.evaluate(
        """text => {
            history.replaceState(null, "", location.pathname);
            document.querySelector("cnn-tracer").outerHTML = text;
        }""",
        html(tracer_playground(*arguments, **{"name": "put"} | options)),
    )
    return element(page, "put")


def table(found):
    """The texts of the table's layers, row by row, without the input and the total."""
    rows = "table => [...table.tBodies[0].rows].slice(1).map(row => [...row.cells].map(cell => cell.textContent))"
    return found.locator("table.layers").evaluate(rows)


def said(found):
    return found.locator(".problem").first.inner_text()


def torch_layer(layer):
    """A tuple as torch's module; raises ValueError if torch refuses its options."""
    kind, *numbers = full(layer)
    if kind not in CLASSES:
        return {"relu": nn.ReLU, "flatten": nn.Flatten, "gap": lambda: nn.AdaptiveAvgPool2d(1)}[kind]()
    options = dict(zip([name for name, *_ in KINDS[kind]], numbers, strict=True))
    return CLASSES[kind](**options | ({"bias": bool(options["bias"])} if "bias" in options else {}))


def step(layer, x):
    """What a layer makes of x. Global pooling runs on vectors, over the batch: here that counts as refused."""
    if layer[0] == "gap" and x.dim() == 2:
        raise ValueError("no maps")
    return torch_layer(layer)(x)


def stacks(count, seed):
    """Random stacks on inputs of unequal sides, of which about half fit: not every layer is made for what comes."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shape = [int(rng.integers(1, 5)), *map(int, rng.integers(5, 33, size=2))]
        yield random_stack(rng, shape), shape


def random_stack(rng, shape):
    layers, x = [], torch.zeros(1, *shape)
    for kind in rng.choice(list(KINDS), size=rng.integers(1, 9), p=[0.3, 0.15, 0.1, 0.05, 0.15, 0.1, 0.15]):
        kernel, stride = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        comes = rng.random() < 0.93  # else the layer is made for something else
        channels = x.shape[1] if comes else x.shape[1] + int(rng.integers(1, 3))
        features = x.shape[-1] if comes else max(1, x.shape[-1] * int(rng.integers(1, 4)) // 2)
        groups, more = int(rng.choice([1, 1, 1, 2, min(channels, 64)])), rng.integers([0, 1], 3)
        layer = {
            "conv": (
                "conv",
                min(channels, 4096),
                groups * int(rng.integers(1, 4)),
                kernel,
                stride,
                *map(int, more),
                groups,
            ),
            "linear": ("linear", features, int(rng.integers(1, 9)), int(rng.integers(0, 2))),
            "maxpool": ("maxpool", kernel, stride, int(rng.integers(0, kernel // 2 + 1 + (not comes)))),
            "avgpool": ("avgpool", kernel, stride, int(rng.integers(0, kernel // 2 + 1))),
        }.get(str(kind), (str(kind),))
        layers.append(full(layer))
        try:
            x = step(layer, x)
        except (IndexError, RuntimeError, ValueError):
            break  # it does not fit, and nothing comes after it
    return layers


def fitting(count, seed):
    """Those stacks that torch runs, with the modules."""
    for layers, shape in stacks(count, seed):
        try:
            x = torch.zeros(1, *shape)
            for layer in layers:
                x = step(layer, x)
            model = nn.Sequential(*map(torch_layer, layers))
            yield layers, shape, model, list(ledger(model, shape))
        except (IndexError, RuntimeError, ValueError):
            continue


# The arithmetic


def test_shapes_parameters_and_macs_are_the_ledgers(new_page):
    cases = list(fitting(400, seed=0))
    assert len(cases) > 150
    code = "({ trace }, cases) => cases.map((one) => trace(...one))"
    answers = call(new_page("index.html"), code, [case[:2] for case in cases])
    for (layers, shape, _, rows), answer in zip(cases, answers, strict=True):
        assert answer["problem"] == "", layers
        got = [(tuple(row["shape"]), row["parameters"], row["macs"]) for row in answer["table"]]
        assert got == [(row.shape, row.parameters, row.macs) for row in rows], (layers, shape)


def windows(layers):
    """(kernel, stride, padding, dilation) of each convolution or pooling, and where in the stack it stands."""
    for n, (kind, *numbers) in enumerate(layers):
        if kind == "conv":
            yield n, tuple(numbers[2:6])
        elif kind.endswith("pool"):
            yield n, (*numbers, 1)


def test_fields_and_jumps_are_the_ledgers(new_page):
    cases = [case for case in fitting(300, seed=1) if not {"gap", "linear"} & {layer[0] for layer in case[0]}]
    assert len(cases) > 60
    code = "({ trace }, cases) => cases.map((one) => trace(...one).table)"
    for (layers, shape, *_), rows in zip(
        cases, call(new_page("index.html"), code, [c[:2] for c in cases]), strict=True
    ):
        places, layers_of_ledger = zip(*windows(layers), strict=True) if list(windows(layers)) else ((), ())
        want = receptive_field(layers_of_ledger, shape[1])
        assert [(rows[n]["field"], rows[n]["jump"]) for n in places] == [(row["field"], row["jump"]) for row in want]


def test_what_torch_refuses_is_explained_at_the_layer_that_it_refuses(new_page):
    cases, wrong = [], []
    for layers, shape in stacks(500, seed=2):
        x, works = torch.zeros(1, *shape), 0
        try:
            for layer in layers:
                x = step(layer, x)
                works += 1
        except (IndexError, RuntimeError, ValueError):
            cases.append([layers, shape])
            wrong.append(works)
    assert len(cases) > 80
    code = "({ trace }, cases) => cases.map((one) => trace(...one))"
    for n, answer in zip(wrong, call(new_page("index.html"), code, cases), strict=True):
        assert len(answer["table"]) == n
        assert answer["problem"].startswith(f"Layer {n + 1}, ")
        assert answer["problem"].endswith(".")
        assert "undefined" not in answer["problem"]
        assert "NaN" not in answer["problem"]


def test_the_code_that_it_writes_runs_in_torch_and_is_read_back(new_page):
    cases = list(fitting(150, seed=3))
    code = """({ writeCode, readCode }, cases) => cases.map(([layers, input]) => {
        const text = writeCode(layers, input);
        return [text, readCode(text)];
    })"""
    for (layers, shape, _, rows), (text, again) in zip(
        cases, call(new_page("index.html"), code, [c[:2] for c in cases]), strict=True
    ):
        assert [tuple(layer) for layer in again["layers"]] == layers
        assert again["input"] == shape
        room = {}
        exec(text, room)
        assert [tuple(row) for row in ledger(room["model"], shape)] == [tuple(row) for row in rows]


def test_a_stack_that_does_not_fit_is_written_with_the_place_and_read_back(new_page):
    code = """({ FIELDS, writeCode, readCode }, input) => {
        const text = writeCode(FIELDS.layers.start, input);
        return [text, readCode(text).layers];
    }"""
    text, layers = call(new_page("index.html"), code, [1, 28, 28])
    ast.parse(text)
    assert "    nn.MaxPool2d(2),  # 64 x 7 x 7\n" in text
    assert "    nn.Linear(1600, 10),  # does not fit\n" in text
    assert len(layers) == 8


CODE = [  # how people write layers, and what is read
    ("nn.Conv2d(in_channels=1, out_channels=32, kernel_size=(3, 3), padding='same')", [("conv", 1, 32, 3, 1, 1)]),
    (
        'nn.Conv2d(1, 8, 5, padding="valid", bias=False), nn.ReLU(inplace=True)',
        [("conv", 1, 8, 5, 1, 0, 1, 1, 0), ("relu",)],
    ),
    ("torch.nn.Linear(64 * 7 * 7, 1_000)", [("linear", 3136, 1000)]),
    (
        "x = nn.Sequential(nn.MaxPool2d(3, stride=None), nn.Sequential(nn.AvgPool2d(2, 1)))",
        [("maxpool", 3), ("avgpool", 2, 1)],
    ),
    ("nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1), nn.Flatten(start_dim=1)", [("gap",), ("flatten",), ("flatten",)]),
    (
        "self.conv1 = nn.Conv2d(3, 6, 5)  # a comment, nn.ReLU()\nself.pool = nn.MaxPool2d(2, 2)",
        [("conv", 3, 6, 5), ("maxpool", 2)],
    ),
    (
        'nn.Sequential(OrderedDict([("conv", nn.Conv2d(4, 8, 3, groups=4, dilation=2))]))',
        [("conv", 4, 8, 3, 1, 0, 2, 4)],
    ),
]


@pytest.mark.parametrize(("text", "layers"), CODE)
def test_code_as_people_write_it_is_read(new_page, text, layers):
    got = call(new_page("index.html"), "({ readCode }, text) => readCode(text).layers", text)
    assert [tuple(layer) for layer in got] == [full(layer) for layer in layers]


NO_CODE = [
    ("", "There is no layer in this code"),
    ("nn.BatchNorm2d(8)", "nn.BatchNorm2d is none of the layers"),
    ("class Net(nn.Module):\n    def forward(self, x):\n        return x", "This is a class"),
    ("nn.Conv2d(1, 32)", "kernel_size is missing"),
    ("nn.Conv2d(1, 32, (3, 5))", "has two sizes"),
    ("nn.Conv2d(1, 32, 3", "parenthesis is not closed"),
    ("nn.Conv2d(1, 32, k)", "kernel_size=k is no number"),
    ("nn.Conv2d(1, 32, 3, padding_mode='circular')", "padding_mode is not traced"),
    ("nn.Conv2d(1, 32, 4, padding='same')", "window of odd size"),
    ("nn.MaxPool2d(2, ceil_mode=True)", "ceil_mode=True is not traced"),
    ("nn.Flatten(0)", "start_dim=0 is not traced"),
    ("nn.AdaptiveAvgPool2d(7)", "output_size=7 is not traced"),
    ("nn.Conv2d(1, 0, 3)", "out of the range"),
    ("nn.ReLU(1, 2)", "too many arguments"),
    ("x = F.relu(x)\nnn.Flatten()", "F.relu is a function"),
    ("nn.Flatten()," * 25, "25 layers, and there is room for 24"),
]


@pytest.mark.parametrize(("text", "says"), NO_CODE)
def test_code_that_cannot_be_read_is_answered_with_a_sentence(new_page, text, says):
    code = "({ readCode }, text) => { try { readCode(text); } catch (error) { return error.message; } }"
    assert says in call(new_page("index.html"), code, text)


# The sentences


TWO_CONV = "conv 1 32 3 1 {p}; relu; maxpool 2; conv 32 64 3 1 {p}; relu; maxpool 2; flatten; linear {n} 10"
SENTENCES = [
    (
        TWO_CONV.format(p=1, n=1600),
        "64 maps of 7 × 7 are 3,136 numbers; this layer wants 1,600: 5 × 5 maps, from an input of 20 × 20 to 23 × 23 "
        "or no padding. For what arrives here, it needs in_features=3136.",
    ),
    (
        TWO_CONV.format(p=0, n=3136),
        "7 × 7 maps, from an input of 34 × 34 to 37 × 37 or convolutions that keep the size",
    ),
    (TWO_CONV.format(p=1, n=12544), "14 × 14 maps, from an input of 56 × 56 to 59 × 59 or one pooling fewer."),
    (TWO_CONV.format(p=1, n=64), "one number for each of 64 maps, from an input of 4 × 4 to 7 × 7 or global pooling"),
    (TWO_CONV.format(p=1, n=1568), "this layer wants 1,568: 32 maps. For what"),
    (TWO_CONV.format(p=1, n=1601), "this layer wants 1,601. For what"),
    ("conv 3 8 3; relu", "it wants 3 channels, but the image has 1. Its in_channels must be 1."),
    ("conv 1 8 3; relu; conv 16 8 3", "it wants 16 maps, but layer 1 makes 8. Its in_channels must be that layer's"),
    ("flatten; gap", "PyTorch would run it, and average over the images of the batch."),
    ("flatten; conv 1 8 3", "it wants maps, but a vector of 784 numbers arrives. Put it before the Flatten."),
    (
        "linear 784 10",
        "rows of 28 numbers but wants 784. The 1 map of 28 × 28 are 784 numbers, which is what it wants: put",
    ),
    ("flatten; linear 784 64; relu; linear 32 10", "it wants 32 numbers, but the layer before it gives 64."),
    ("maxpool 2 2 2", "its padding of 2 is more than half its window of 2"),
    ("maxpool 4; maxpool 4; conv 1 8 3", "its window spans 3 pixels, more than the maps that arrive: 1 × 1."),
    ("conv 1 9 3 1 1 1 2", "2 groups must divide both its 1 input map and its 9 filters."),
]


@pytest.mark.parametrize(("layers", "says"), SENTENCES)
def test_a_mismatch_is_explained(new_page, layers, says):
    code = "({ readLayers, trace }, text) => trace(readLayers(text), [1, 28, 28]).problem"
    assert says in call(new_page("index.html"), code, layers)


def test_what_a_sentence_proposes_gives_the_wanted_number(new_page):
    layers = [("conv", 1, 32, 3, 1, 1), ("maxpool", 2), ("conv", 32, 64, 3, 1, 1), ("maxpool", 2), ("flatten",)]
    code = "({ trace }, cases) => cases.map((one) => trace(...one).table.at(-1)?.shape)"
    flat = [(kind, *(numbers[:4] if kind == "conv" else numbers)) for kind, *numbers in layers]
    got = call(
        new_page("index.html"),
        code,
        [[list(map(full, layers)), [1, n, n]] for n in (20, 23)] + [[list(map(full, flat)), [1, 28, 28]]],
    )
    assert got == [[1600]] * 3


def test_a_linear_layer_on_maps_that_runs_is_warned_about(new_page):
    code = "({ trace }, layers) => trace(layers, [1, 28, 28])"
    answer = call(new_page("index.html"), code, [full(("linear", 28, 10))])
    assert answer["problem"] == ""
    assert "a Flatten before it is probably missing" in answer["warning"]


# What the page shows, and what the reader does


def test_at_rest_it_shows_the_first_mismatch_and_mends_it(new_page):
    found = element(new_page(), "one")
    assert "64 maps of 7 × 7 are 3,136 numbers; this layer wants 1,600: 5 × 5 maps" in said(found)
    rows = table(found)
    assert rows[5] == ["6. MaxPool2d 2×2", "64×7×7", "0", "0", "10"]
    assert rows[7] == ["8. Linear", DASH, DASH, DASH, DASH]
    assert found.get_by_role("row", name="so far").inner_text().split() == ["so", "far", "18,816", "3,838,464"]
    found.get_by_role("button", name="Take what arrives").click()
    assert said(found) == ""
    assert table(found)[7] == ["8. Linear", "10", "31,370", "31,360", "all"]
    assert not found.get_by_role("button", name="Take what arrives").is_visible()


def test_layers_are_added_for_what_arrives_changed_and_removed(new_page):
    found = put(new_page(), [("conv", 1, 8, 3)], input=(1, 12, 14))
    for word in ("ReLU", "Pooling", "Convolution", "Global pooling", "Flatten", "Linear"):
        found.get_by_role("button", name=f"+ {word}", exact=True).click()
    assert said(found) == ""
    assert [row[1] for row in table(found)] == ["8×10×12", "8×10×12", "8×5×6", "32×3×4", "32×1×1", "32", "10"]
    found.get_by_role("button", name="4. Conv2d").click()
    found.get_by_role("textbox", name="out_channels").fill("16")
    found.get_by_role("textbox", name="out_channels").press("Enter")
    assert said(found).startswith("Layer 7, Linear: 16 maps of 1 × 1 are 16 numbers; this layer wants 32")
    found.get_by_role("button", name="more padding").click()
    found.get_by_role("button", name="more stride").click()
    assert state(found, "layers")[3] == ["conv", 8, 16, 3, 2, 1, 1, 1, 1]
    found.get_by_role("combobox", name="kind").select_option("average pooling")
    assert state(found, "layers")[3] == ["avgpool", 2, 2, 0]
    for _ in range(9):
        found.get_by_role("button", name="Remove").click(force=True)
    assert len(state(found, "layers")) == 1


def test_nonsense_in_a_number_changes_nothing(new_page):
    found = put(new_page(), [("conv", 1, 8, 3)])
    box = found.get_by_role("textbox", name="out_channels")
    for text in ("eight", "0", "-3", "1.5", "99999", ""):
        box.fill(text)
        box.press("Enter")
        assert state(found, "layers") == [["conv", 1, 8, 3, 1, 0, 1, 1, 1]]
        assert box.input_value() == "8"


def test_code_is_read_from_the_page_and_its_faults_are_said(new_page):
    found = element(new_page(), "one")
    found.get_by_text("PyTorch code", exact=True).click()
    box = found.get_by_role("textbox", name="PyTorch code")
    assert "nn.Linear(1600, 10),  # does not fit" in box.input_value()
    box.fill("# input: (3, 32, 32)\nnn.Conv2d(3, 6, 5), nn.MaxPool2d(2), nn.BatchNorm2d(6)")
    found.get_by_role("button", name="Read this code").click()
    assert "nn.BatchNorm2d is none" in found.locator(".code .problem").inner_text()
    assert len(state(found, "layers")) == 8
    box.fill("# input: (3, 32, 32)\nnn.Conv2d(3, 6, 5), nn.MaxPool2d(2)")
    found.get_by_role("button", name="Read this code").click()
    assert [row[1] for row in table(found)] == ["6×28×28", "6×14×14"]
    assert "nn.MaxPool2d(2),  # 6 x 14 x 14" in box.input_value()


def test_predict_covers_all_numbers_until_they_are_asked_for(new_page):
    found = element(new_page("covered.html"), "covered")
    assert {cell for row in table(found) for cell in row[1:]} == {"?"}
    assert said(found) == ""
    assert found.locator(".block").count() == 1
    found.get_by_role("button", name="Show numbers").click()
    assert "64 maps of 7 × 7" in said(found)
    assert found.get_by_role("combobox").count() == 2  # controls="input"


def test_every_preset_is_a_stack_and_the_networks_of_the_book_fit(new_page):
    found = element(new_page(), "one")
    for name in call(found.page, "({ PRESETS }) => Object.keys(PRESETS)", None):
        found.get_by_role("combobox", name="stack").select_option(name)
        assert (said(found) == "") == (name != "does not fit")
    want = {"chapter 07": "54,410", "chapter 08": "421,642", "chapter 09": "93,322"}
    for name, parameters in want.items():
        found.get_by_role("combobox", name="stack").select_option(name)
        assert found.get_by_role("row", name="together").get_by_role("cell").nth(1).inner_text() == parameters


def test_the_input_is_chosen(new_page):
    found = element(new_page(), "one")
    found.get_by_role("combobox", name="input size").select_option("20 × 20")
    assert said(found) == ""
    found.get_by_role("combobox", name="input channels").select_option("3")
    assert "Are these color images" in said(found)


def test_a_tap_on_a_phone_chooses_a_layer(new_page):
    page = new_page(width=360, has_touch=True, is_mobile=True)
    found = element(page, "one")
    found.get_by_role("button", name="4. Conv2d").tap()
    assert state(found, "layer") == 4


# The address, the page, Python, JupyterLab


def test_a_stack_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page()
    found = element(page, "one")
    found.get_by_role("combobox", name="stack").select_option("chapter 09")
    found.get_by_role("combobox", name="input size").select_option("32 × 32")
    page.wait_for_function("location.hash.includes('one.input=1,32,32')")
    again = element(new_page("one.html" + page.evaluate("location.hash"), base=site), "one")
    assert again.get_by_role("combobox", name="stack").input_value() == "chapter 09"
    assert said(again) == said(found) != ""


NONSENSE = [
    "#one.layers=conv,0,3",
    "#one.layers=pool;x&one.input=1,2",
    "#one.layer=99&one.input=0,0,0",
    "#one.layers=toString",
]


@pytest.mark.parametrize("hash", NONSENSE)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    assert "64 maps of 7 × 7" in said(element(new_page("one.html" + hash), "one"))


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    page.get_by_text("PyTorch code", exact=True).click()
    for name in ("chapter 08", "does not fit"):
        page.get_by_role("combobox", name="stack").select_option(name)
        for theme in ("light", "dark"):
            one.colors(theme)
            page.locator(f"cnn-tracer .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
            assert one.violations() == []
            assert one.too_faint() == []
            assert one.overflow() <= 0
    inner = page.locator("cnn-tracer .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


def test_what_is_left_out_of_a_layer_is_filled_in():
    made = tracer_playground([("conv", 1, 8, 5), ("maxpool", 3), ("gap",), ("linear", 8, 10)])
    assert made.layers == (("conv", 1, 8, 5, 1, 0, 1, 1, 1), ("maxpool", 3, 3, 0), ("gap",), ("linear", 8, 10, 1))
    assert set(USUAL) >= {name for kind in KINDS.values() for name, *_ in kind} - {
        "in_channels", "out_channels", "kernel_size", "in_features", "out_features"
    }  # fmt: skip


def test_a_sequential_is_read_and_gives_the_same_layers_back():
    for layers, _, model, _ in fitting(60, seed=4):
        assert list(tracer_playground(model).layers) == layers
    nested = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Flatten())
    assert [layer[0] for layer in tracer_playground(nested).layers] == ["conv", "relu", "flatten"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": [("conv", 3)]}, "its out_channels is missing"),
        ({"layers": [("pool", 3)]}, "the kinds are conv, maxpool"),
        ({"layers": [("maxpool", 2, 2, 0, 1)]}, "the kinds are"),
        ({"layers": [("conv", 1, 8, 0)]}, "kernel_size is 0, not a whole number from 1 to 31"),
        ({"layers": []}, "0 layers: there is room for 1 to 24"),
        ({"layers": nn.Sequential(nn.BatchNorm2d(3))}, r"BatchNorm2d.* is none of the layers"),
        ({"layers": nn.Sequential(nn.Conv2d(1, 2, (3, 5)))}, "windows are square"),
        ({"layers": nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"))}, "padding is a number"),
        (
            {"layers": nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"))},
            "padding_mode is not traced",
        ),
        ({"layers": nn.Sequential(nn.MaxPool2d(2, ceil_mode=True))}, "ceil_mode is not traced"),
        ({"layers": nn.Sequential(nn.AdaptiveAvgPool2d(2))}, "output_size is not traced"),
        ({"controls": "window"}, r"no control is called \['window'\]"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        tracer_playground(**wrong)


def test_in_jupyterlab_python_reads_the_stack(notebook):
    opened = notebook(
        "from cnnlib.playground import tracer_playground\nfrom torch import nn",
        "p = tracer_playground(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), input=(1, 6, 7))\np",
        "print(p.layers)",
        "p.layers = nn.Sequential(nn.Linear(7, 2))",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("button", name="+ Linear").click()
    opened.wait_for_print(2, "(('conv', 1, 4, 3, 1, 0, 1, 1, 1), ('flatten',), ('linear', 80, 10, 1))")
    opened.run_cell(3)
    found.get_by_text("1. Linear").wait_for()
    assert table(found) == [["1. Linear", "1×6×2", "16", "84", DASH]]
