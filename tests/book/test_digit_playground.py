"""The digit playground in a real browser: its network against torch's, its images against MNIST's form, and its pen."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from elements import draw_down, html, settle, state

from cnnlib.models import TwoConvCNN
from cnnlib.playground import DigitPlayground, digit_playground
from cnnlib.playground.digit import LAYERS, SIDE, examples, forward, like_mnist, rasterize
from cnnlib.playground.files import module, network, script
from cnnlib.recipes import RECIPES
from cnnlib.train import load_weights

DIGITS = [str(digit) for digit in range(10)]
RECIPE = RECIPES["two_conv"]


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is: a page with a playground, and an index without."""
    widget = digit_playground("3", name="digit", map="conv1.3")
    return new_site({"one.md": f"# A page\n\n<div>\n{html(widget)}\n</div>\n\nText.\n"})


@pytest.fixture(scope="module")
def shipped():
    """The shipped network as torch has it, in float32."""
    return load_weights(TwoConvCNN(), "two_conv").eval()


def call(page, code, argument=None):
    """Calls a JavaScript function of (module, argument): the module as JupyterLab gets it."""
    load = "import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
    return page.evaluate(f"async ([text, argument]) => ({code})(await {load}, argument)", [module("digit"), argument])


def element(page):
    found = page.locator("cnn-digit")
    found.locator(".playground").wait_for()
    return found


def answer(found):
    return int(found.locator(".answer b").inner_text())


def verdicts(found):
    """What is read in the drawing centered and scaled, and as drawn."""
    return [int(text.split(",")[0]) for text in found.locator(".card b").all_inner_texts()]


def spoken(found):
    """What a screen reader is told."""
    return found.locator("p[role=status]")


def draw(page, found, *strokes):
    """Draws with the mouse, points in the surface's 28 x 28."""
    found.locator(".surface").scroll_into_view_if_needed()
    box = found.locator(".surface").bounding_box()
    for stroke in strokes:
        for k, (x, y) in enumerate(stroke):
            page.mouse.move(box["x"] + x * box["width"] / SIDE, box["y"] + y * box["height"] / SIDE, steps=3)
            if k == 0:
                page.mouse.down()
        page.mouse.up()
    settle(page)


ONE = [(15, 4), (13.5, 24)]
SEVEN = [(8, 6), (19.5, 6), (16, 13), (13, 24)]
FOUR = [[(10, 5), (8, 15), (20, 14)], [(17, 5), (16, 24)]]
CORNER = [(2 + 0.4 * (x - 8), 2 + 0.4 * (y - 6)) for x, y in SEVEN]


# The network


def pictures():
    """Random images, blank and full ones, and drawings, shifted, stretched and trembling."""
    rng = np.random.default_rng(0)
    yield from rng.integers(0, 256, size=(6, SIDE, SIDE))
    yield np.zeros((SIDE, SIDE), int)
    yield np.full((SIDE, SIDE), 255)
    for strokes in examples().values():
        yield like_mnist(strokes)
        moved = [np.array(one) * rng.uniform(0.5, 1) + rng.uniform(-3, 8, 2) for one in strokes]
        yield rasterize([(one + rng.normal(0, 0.2, one.shape)).tolist() for one in moved])


def as_input(images):
    return torch.from_numpy((np.stack(images)[:, None] / 255 - RECIPE["mean"]) / RECIPE["std"]).float()


def test_the_logits_are_those_of_torch(new_page, shipped):
    images = [image.astype(int) for image in pictures()]
    got = call(
        new_page("index.html"),
        "({ forward }, images) => images.map((image) => [...forward(Uint8Array.from(image.flat())).logits])",
        [image.tolist() for image in images],
    )
    with torch.no_grad():
        want = shipped(as_input(images)).numpy()
    assert np.ptp(want) > 20
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def test_the_maps_shown_are_those_of_torch(new_page, shipped):
    image = like_mnist(examples()["5"])
    names = [*LAYERS, "fc1", "probabilities"]
    got = call(
        new_page("index.html"),
        """({ forward }, [image, names]) => {
            const all = forward(Uint8Array.from(image));
            return names.map((name) => [...(all[name].side ? all[name].values : all[name])]);
        }""",
        [image.ravel().tolist(), names],
    )
    with torch.no_grad():
        conv1 = F.relu(shipped.conv1(as_input([image])))
        pool1 = F.max_pool2d(conv1, 2)
        conv2 = F.relu(shipped.conv2(pool1))
        pool2 = F.max_pool2d(conv2, 2)
        fc1 = F.relu(shipped.fc1(pool2.flatten(1)))
        want = [conv1, pool1, conv2, pool2, fc1, F.softmax(shipped.fc2(fc1), 1)]
    for name, values, tensor in zip(names, got, want, strict=True):
        np.testing.assert_allclose(values, tensor.flatten().numpy(), rtol=0, atol=1e-4, err_msg=name)


def test_the_page_carries_the_shipped_weights_and_no_others(new_page, shipped):
    got = call(
        new_page("index.html"),
        "({ readWeights }) => Object.entries(readWeights()).map(([name, values]) => [name, [...values]])",
    )
    want = {name: tensor.flatten().tolist() for name, tensor in shipped.state_dict().items()}
    assert dict(got) == want


def test_the_network_in_python_is_torchs_too(shipped):
    images = list(pictures())
    with torch.no_grad():
        want = shipped(as_input(images)).numpy()
    np.testing.assert_allclose([forward(image) for image in images], want, rtol=0, atol=1e-4)


def test_images_are_normalized_as_the_recipe_says():
    assert {key: network("two_conv")[key] for key in ("mean", "std")} == {key: RECIPE[key] for key in ("mean", "std")}


# The image


def scribbles(count, seed):
    """Random strokes, some of a single point, some out of the surface's middle."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        middle, size = rng.uniform(4, 24, 2), rng.uniform(0.5, 4)
        yield [
            np.clip(middle + size * rng.normal(size=(rng.integers(1, 9), 2)), 0, SIDE).round(2).tolist()
            for _ in range(rng.integers(1, 4))
        ]


def test_javascript_and_python_draw_the_same_pixels(new_page):
    drawings = [[], *scribbles(40, seed=1), *examples().values()]
    got = call(
        new_page("index.html"),
        "({ likeMnist, rasterize }, all) => all.map((one) => [[...likeMnist(one)], [...rasterize(one)]])",
        drawings,
    )
    for strokes, images in zip(drawings, got, strict=True):
        np.testing.assert_array_equal(images[0], like_mnist(strokes).ravel())
        np.testing.assert_array_equal(images[1], rasterize(strokes).ravel())


def extent(image, axis):
    found = np.flatnonzero(image.any(axis))
    return found[0], found[-1] + 1


def test_the_longer_side_is_20_pixels_and_the_center_of_mass_in_the_middle():
    centered = 0
    for strokes in [*scribbles(200, seed=2), *examples().values()]:
        image = like_mnist(strokes).astype(float)
        (top, bottom), (left, right) = extent(image, 1), extent(image, 0)
        if len(np.unique(np.concatenate(strokes), axis=0)) > 1:
            assert max(bottom - top, right - left) == 20
        places = np.arange(SIDE)
        for mass, low, high in ((image.sum(1), top, bottom), (image.sum(0), left, right)):
            off = (mass * places).sum() / mass.sum() - SIDE / 2
            on_the_edge = low == 0 or high == SIDE  # farther it cannot be moved
            assert abs(off) <= 0.5 or on_the_edge
            centered += abs(off) <= 0.5
    assert centered > 400


def test_a_drawing_gives_the_same_image_wherever_and_however_large_it_is():
    want = like_mnist([SEVEN]).astype(int)
    for scale, shift in ((0.25, (1, 2)), (0.5, (0, 14)), (1.3, (-6, -5))):
        moved = [[(scale * x + shift[0], scale * y + shift[1]) for x, y in SEVEN]]
        assert np.abs(like_mnist(moved) - want).max() <= 32  # two of sixteen places, by rounding
        assert (rasterize(moved) != rasterize([SEVEN])).sum() > 50


def test_our_digits_hold_as_much_ink_as_mnists():
    """MNIST's mean gray level is the mean that the recipe subtracts."""
    images = np.stack([like_mnist(examples()[digit]) for digit in DIGITS])
    assert images.mean() / 255 == pytest.approx(RECIPE["mean"], rel=0.05)


def test_every_example_digit_is_read_rightly():
    answers = [digit_playground(digit).logits.argmax() for digit in DIGITS]
    assert answers == list(range(10))


def test_the_seven_in_a_corner_needs_centering():
    playground = digit_playground("7 in a corner")
    assert playground.logits.argmax() == 7
    playground.center = False
    assert playground.logits.argmax() == 6  # and chapter 08 says so
    assert 0.85 < playground.probabilities[6] < 0.9


# What the reader does


@pytest.mark.parametrize(
    ("digit", "strokes"), [(1, [ONE]), (7, [SEVEN]), (4, [[(10, 5), (8, 15), (20, 14)], [(17, 5), (16, 24)]])]
)
def test_a_digit_drawn_by_the_mouse_is_read(new_page, digit, strokes):
    page = new_page()
    found = element(page)
    found.get_by_role("button", name="Clear").click()
    draw(page, found, *strokes)
    assert answer(found) == digit
    assert verdicts(found) == [digit, digit]
    assert len(state(found, "strokes")) == len(strokes)
    assert found.get_by_role("combobox", name="example").input_value() == "your own"


def test_the_answer_follows_while_the_pen_moves(new_page):
    page = new_page()
    found = element(page)
    found.get_by_role("button", name="Clear").click()
    box = found.locator(".surface").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.mouse.down()
    seen = set()
    for k in range(10):
        page.mouse.move(box["x"] + 80 + 12 * k, box["y"] + 60 + 15 * max(0, k - 4))
        settle(page)
        seen.add(found.locator(".bars").inner_text())
    assert len(seen) >= 6  # a level line is the same image at every length
    assert state(found, "strokes") == []  # kept when the pen is lifted
    page.mouse.up()
    assert len(state(found, "strokes")) == 1


def test_a_small_seven_in_a_corner_is_misread_without_centering(new_page):
    page = new_page()
    found = element(page)
    found.get_by_role("button", name="Clear").click()
    draw(page, found, CORNER)
    centered, drawn = verdicts(found)
    assert answer(found) == centered == 7
    assert drawn != 7
    found.get_by_role("switch", name="center and scale like MNIST").click()
    settle(page)
    assert answer(found) == drawn
    assert found.locator(".card.chosen").inner_text().startswith("as drawn")
    assert "As drawn: " + str(drawn) in spoken(found).inner_text()


def test_a_digit_is_drawn_with_the_keyboard(new_page):
    page = new_page()
    found = element(page)
    surface = found.get_by_role("application", name="drawing surface")
    surface.focus()
    page.keyboard.press("Delete")
    words = spoken(found)
    for key in ["ArrowLeft"] * 5 + ["Space"]:
        page.keyboard.press(key)
    assert words.inner_text() == "pen down, column 9, row 6"
    for key in ["Shift+ArrowRight"] * 3 + ["End", "ArrowDown", "ArrowDown"] * 6:
        page.keyboard.press(key)
    assert words.inner_text() == "drawing, column 15, row 24"
    page.keyboard.press("Space")
    settle(page)
    assert answer(found) == 7
    assert state(found, "strokes")[0][0] == [9, 6]
    assert words.inner_text().startswith("Centered and scaled like MNIST, the network reads 7, ")
    page.keyboard.press("Backspace")
    settle(page)
    assert state(found, "strokes") == []
    assert words.inner_text() == "Nothing is drawn."


def test_a_finger_draws_and_the_page_stands_still(new_page):
    page = new_page(width=360, has_touch=True, is_mobile=True)
    found = element(page)
    found.get_by_role("button", name="Clear").tap()
    draw_down(page, found.locator(".surface"))
    assert answer(found) == 1
    assert len(state(found, "strokes")) == 1


def test_undo_takes_back_the_last_stroke_and_clear_all_of_them(new_page):
    page = new_page()
    found = element(page)
    found.get_by_role("combobox", name="example").select_option("4")
    settle(page)
    assert answer(found) == 4
    found.get_by_role("button", name="Undo").click()
    settle(page)
    assert len(state(found, "strokes")) == 1
    found.get_by_role("button", name="Clear").click()
    settle(page)
    assert state(found, "strokes") == []
    assert "nothing drawn" in found.locator(".remark").inner_text()


@pytest.mark.parametrize("width", [360, 480, 720])
def test_digit_and_probability_stand_at_the_surface(new_page, width):
    """Below it where there is no room beside it: one need not scroll to see what a stroke has changed."""
    found = element(new_page(width=width))
    box = {name: found.locator(name).bounding_box() for name in (".surface", ".answer", ".shown")}
    below = box[".answer"]["y"] - (box[".surface"]["y"] + box[".surface"]["height"])
    beside = box[".answer"]["x"] >= box[".surface"]["x"] + box[".surface"]["width"]
    assert 0 <= below < 20 or (beside and below < 0)
    assert box[".shown"]["y"] > box[".answer"]["y"] or width > 700
    assert found.locator(".answer").inner_text().split("\n")[-1].endswith("%")


def test_it_says_what_it_was_trained_on_and_that_it_must_answer(new_page):
    page = new_page()
    found = element(page)
    found.get_by_role("combobox", name="example").select_option("scribble")
    remark = found.locator(".remark").inner_text()
    assert "60,000 training images of MNIST" in remark
    assert "must give one" in remark
    assert sum(float(text.split()[-2]) for text in found.locator(".percent").all_inner_texts()) == pytest.approx(100, 1)


def test_bars_percents_and_logits_are_those_of_python(new_page):
    found = element(new_page())
    playground = digit_playground("3")
    shown = [float(text.replace("−", "-")) for text in found.locator(".logit").all_inner_texts()]
    np.testing.assert_allclose(shown, playground.logits, atol=0.0501)
    widths = found.locator(".fill").evaluate_all("all => all.map((one) => parseFloat(one.style.width) / 100)")
    np.testing.assert_allclose(widths, playground.probabilities, atol=1e-5)
    assert answer(found) == 3


# The maps


def large(found, part):
    rows = "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    texts = found.locator(f".large .{part} table").evaluate(rows)
    return np.array([[float(text.replace("−", "-").replace("≈", "")) for text in row] for row in texts])


def test_a_map_is_chosen_by_click_and_by_arrow_keys(new_page):
    page = new_page()
    found = element(page)
    atlas = found.get_by_role("slider", name="map of pool2")
    box = atlas.bounding_box()
    atlas.click(position={"x": 5.5 / 32 * box["width"], "y": 0.75 * box["height"]})
    settle(page)
    assert state(found, "map") == "pool2.37"
    for key, k in [("ArrowRight", 38), ("ArrowUp", 6), ("ArrowUp", 6), ("End", 63), ("ArrowRight", 63), ("Home", 0)]:
        page.keyboard.press(key)
        settle(page)
        assert state(found, "map") == f"pool2.{k}"
    assert atlas.get_attribute("aria-valuetext") == "map 0"
    assert (
        found.get_by_role("slider", name="map of conv1").get_attribute("aria-valuetext")
        == "none of these is shown large"
    )
    found.get_by_role("button", name="more map").click()
    settle(page)
    assert state(found, "map") == "pool2.1"
    found.get_by_role("combobox", name="layer").select_option("conv2")
    settle(page)
    assert state(found, "map") == "conv2.1"


def test_a_map_in_large_shows_its_kernel_and_its_numbers(new_page, shipped):
    page = new_page()
    found = element(page)
    kernel = shipped.conv1.weight[3, 0].detach().numpy()
    np.testing.assert_allclose(large(found, "kernel"), kernel, atol=0.006)
    page.evaluate("location.hash = 'digit.map=pool2.12'")
    found.get_by_text("pool2, map 12").wait_for()
    with torch.no_grad():
        x = F.max_pool2d(F.relu(shipped.conv1(as_input([like_mnist(examples()["3"])]))), 2)
        want = F.max_pool2d(F.relu(shipped.conv2(x)), 2)[0, 12].numpy()
    np.testing.assert_allclose(large(found, "result"), want, atol=0.06)
    assert want.max() > 0.2


def test_every_map_of_a_layer_is_drawn(new_page, shipped):
    found = element(new_page())
    canvas = found.get_by_role("slider", name="map of conv1").locator("canvas")
    levels = canvas.evaluate(
        """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return [canvas.width, [...data.filter((_, k) => k % 4 === 0)]];
        }"""
    )
    assert levels[0] == 16 * SIDE
    drawn = np.array(levels[1]).reshape(2, SIDE, 16, SIDE).transpose(0, 2, 1, 3).reshape(32, SIDE, SIDE)
    with torch.no_grad():
        maps = F.relu(shipped.conv1(as_input([like_mnist(examples()["3"])])))[0].numpy()
    tops = np.maximum(maps.max((1, 2), keepdims=True), 1e-12)
    np.testing.assert_allclose(drawn, 255 * maps / tops, atol=0.51)


# The address, the page around it


def test_map_and_example_are_in_the_address_and_a_drawing_is_not(new_page):
    page = new_page()
    found = element(page)
    found.get_by_role("combobox", name="example").select_option("7 in a corner")
    found.get_by_role("switch").click()
    found.get_by_role("slider", name="map of conv2").press("End")
    page.wait_for_function("location.hash.includes('conv2.63')")
    again = new_page("one.html" + page.evaluate("location.hash"))
    found = element(again)
    assert [state(found, name) for name in ("example", "center", "map")] == ["7 in a corner", False, "conv2.63"]
    found.get_by_role("button", name="Clear").click()
    again.wait_for_function("!location.hash.includes('example')")


@pytest.mark.parametrize(
    "hash", ["#digit.map=conv3.1&digit.example=toString", "#digit.map=conv1.32", "#digit.center=%E0"]
)
def test_nonsense_in_the_address_does_no_harm(new_page, hash):
    found = element(new_page("one.html" + hash))
    assert [state(found, name) for name in ("example", "center", "map")] == ["3", True, "conv1.3"]
    assert answer(found) == 3


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    page = new_page(base=site)
    found = element(page)
    assert answer(found) == 3
    draw(page, found, SEVEN)  # over the 3
    found.get_by_role("button", name="Clear").click()
    draw(page, found, SEVEN)
    assert answer(found) == 7


def test_only_the_page_with_the_playground_carries_the_weights(site):
    loads = {page.stem: "cnn-digit.js" in page.read_text(encoding="utf-8") for page in site.glob("*.html")}
    assert loads["one"] is True
    assert loads["index"] is False
    size = (site / "_static" / "cnn-digit.js").stat().st_size
    assert 1_124_000 < size < 1_250_000  # 843 kB in base64, and the code


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-digit .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    for layer in (*LAYERS,):
        page.locator("cnn-digit").get_by_role("combobox", name="layer").select_option(layer)
        settle(page)
        inner = page.locator("cnn-digit .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert inner[0] <= inner[1], layer


@pytest.mark.parametrize(("motion", "seconds"), [("reduce", "0s"), ("no-preference", "0.12s")])
def test_bars_glide_only_where_motion_is_welcome(new_page, motion, seconds):
    found = element(new_page(reduced_motion=motion))
    got = found.locator(".fill").first.evaluate("bar => getComputedStyle(bar).transitionDuration")
    assert got == seconds


# Python and JupyterLab


def test_python_sees_the_drawing_and_the_answer():
    playground = digit_playground(strokes=[SEVEN])
    assert playground.image.shape == (SIDE, SIDE)
    assert playground.image.dtype == np.uint8
    np.testing.assert_array_equal(playground.image, like_mnist([SEVEN]))
    assert playground.logits.argmax() == 7
    assert playground.probabilities.sum() == pytest.approx(1)
    assert repr(playground).startswith("DigitPlayground(read as 7, probability ")


def test_an_image_that_is_assigned_is_shown_as_it_is():
    playground = digit_playground("3")
    image = rasterize([ONE])
    playground.image = image
    np.testing.assert_array_equal(playground.image, image)
    assert playground.get_state(["pixels"]) == {"pixels": image.tolist()}
    playground.set_state({"example": "5", "pixels": None})  # what the page sends
    assert playground.logits.argmax() == 5


def test_what_is_assigned_last_is_shown():
    playground = digit_playground(image=rasterize([ONE]))
    playground.example = "5"
    assert playground.logits.argmax() == 5
    playground.strokes = [SEVEN]
    assert playground.logits.argmax() == 7
    playground.example = "5"
    playground.strokes = [ONE]
    assert [playground.example, playground.logits.argmax()] == ["", 1]


def test_the_element_holds_the_set_up(new_page):
    page = new_page()
    playground = digit_playground(strokes=[SEVEN], center=False, map="conv2.5", name="put")
    other = digit_playground(image=like_mnist([ONE]))
    page.evaluate(
        "texts => (document.querySelector('cnn-digit').outerHTML = texts.join(''))", [html(playground), html(other)]
    )
    first, second = page.locator("cnn-digit").all()
    second.locator(".answer").wait_for()
    assert state(first, "strokes") == [[list(point) for point in SEVEN]]
    assert [state(first, "center"), state(first, "map"), answer(first)] == [False, "conv2.5", 7]
    assert answer(second) == 1
    assert "An image was put in" in spoken(second).inner_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"example": "ten"}, "no example is called 'ten'"),
        ({"map": "conv1.32"}, "no map is called 'conv1.32'"),
        ({"map": "fc1"}, "no map is called 'fc1'"),
        ({"strokes": [(1, 2), (3, 4)]}, r"stroke 0 has shape \(2,\)"),
        ({"strokes": [[(1, np.nan)]]}, r"stroke 0 has shape \(1, 2\)"),
        ({"image": np.zeros((3, SIDE, SIDE))}, r"image has shape \(3, 28, 28\)"),
        ({"image": np.full((SIDE, SIDE), 0.5)}, "gray levels go from 0 to 255"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        digit_playground(**wrong)


def test_the_widget_sends_what_the_book_shows():
    assert DigitPlayground._esm == module("digit")
    assert script("digit").count(json.dumps(network("two_conv")["trained_on"])) == 1


def test_in_jupyterlab_the_drawing_is_an_array_and_an_array_is_read(notebook):
    book = notebook(
        "import numpy as np\nfrom cnnlib.playground import digit_playground\np = digit_playground(name='own')\np",
        "print(p.image.shape, p.image.any(), p.logits.argmax())",
        "q = digit_playground('7')\np.image = q.image",
    )
    page = book.page
    found = book.run_cell(0).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    draw(page, found, ONE)
    assert answer(found) == 1
    found.locator(".surface").focus()
    page.keyboard.press("x")  # in JupyterLab's command mode this would cut the cell
    book.wait_for_print(1, f"({SIDE}, {SIDE}) True 1")
    book.run_cell(2)
    found.locator(".card.chosen", has_text="as given").wait_for()
    assert answer(found) == 7
    book.wait_for_print(1, f"({SIDE}, {SIDE}) True 7")
