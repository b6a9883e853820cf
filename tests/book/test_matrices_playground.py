"""Two matrices in a real browser: numbers against cnnlib.ops and torch, keys, a finger, address, JupyterLab."""

import json

import numpy as np
import pytest
import torch
import traitlets
from elements import computed, html, press, settle, state

from cnnlib.ops import conv2d
from cnnlib.playground import matrices_playground
from cnnlib.playground.matrices import IMAGES


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with the playground in two pages."""
    widgets = {"one": matrices_playground(name="one"), "few": matrices_playground(name="few", controls="image")}
    return new_site({f"{name}.md": f"# A page\n\n{html(widget)}\n\nText.\n" for name, widget in widgets.items()})


def element(page, name="one"):
    found = page.locator(f"cnn-matrices#{name}")
    found.locator(".playground").wait_for()
    return found


def pick(found, name, value):
    found.get_by_role("combobox", name=name, exact=True).select_option(value)


def maps(found):
    """What stands in the two small maps, as numbers."""
    rows = "tables => tables.map(table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent)))"
    return np.array(found.locator(".map table").evaluate_all(rows))


def pictures(found):
    """The pixels of the two matrices' pictures."""
    data = """all => all.map(one => {
        const copy = new OffscreenCanvas(36, 36).getContext("2d");
        copy.drawImage(one, 0, 0);
        return copy.getImageData(0, 0, 36, 36).data.join();
    })"""
    texts = found.locator(".matrix36 canvas").evaluate_all(data)
    return np.array(",".join(texts).split(","), int).reshape(2, 36, 36, 4)


def convolved(image, kernel):
    return conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]


def setups(count=16):
    """Random images and kernels, with options for attention."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        image, kernel = rng.uniform(0, 9, (6, 6)), rng.normal(size=(3, 3))
        options = {"temperature": float(10 ** rng.uniform(0, 3)), "bias": float(rng.choice([0, 0.3, 2, 1000]))}
        yield image, kernel, options | {"head": tuple(rng.integers(3, size=2).tolist())}


def head(image, ring, temperature, bias, head):
    """(16.1) and (16.2): a query (2x, -1) times a key (x, x^2), and what the place adds."""
    x = torch.from_numpy(image)
    keys = torch.nn.functional.pad(x, [ring] * 4)
    query = torch.stack([2 * x.ravel(), -torch.ones(36, dtype=x.dtype)], 1)
    key = torch.stack([keys.ravel(), keys.ravel() ** 2], 1)
    places = torch.cartesian_prod(*[torch.arange(6.0 + 2 * ring, dtype=x.dtype)] * 2)
    looked = torch.cartesian_prod(*[torch.arange(6.0, dtype=x.dtype)] * 2) + torch.tensor(head) - 1 + ring
    off = (looked[:, None] - places).pow(2).sum(2)
    return (query @ key.T / temperature - bias * off).softmax(1).numpy()


# The arithmetic


def test_the_matrices_are_the_library_s_convolution_and_a_softmax(new_page):
    cases = [(image.tolist(), kernel.tolist(), options) for image, kernel, options in setups()]
    body = """return JSON.stringify(values[0].map(([image, kernel, options]) => [m.convolutionMatrix(kernel),
        m.attentionMatrix(image, options), m.headsMatrix(image, kernel, options),
        m.convolutionMatrix(kernel).map(row => m.mix(row, image))]));"""
    answers = json.loads(computed(new_page("index.html"), "matrices", body, cases))
    for (image, kernel, options), (banded, attention, nine, mixed) in zip(setups(), answers, strict=True):
        want = convolved(image, kernel).ravel()
        np.testing.assert_allclose(np.array(banded) @ image.ravel(), want, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mixed, want, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.sum(attention, 1), 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(attention, head(image, 0, **options), rtol=0, atol=1e-12)
        widget = matrices_playground(image, kernel, **options)
        np.testing.assert_allclose(widget.convolution, banded, rtol=0, atol=1e-12)
        np.testing.assert_allclose(widget.attention, attention, rtol=0, atol=1e-12)
        widget.heads = 9
        np.testing.assert_allclose(widget.attention, nine, rtol=0, atol=1e-12)
        inner = np.pad(np.ones((6, 6), bool), 1).ravel()
        heads = [(kernel[k, l], options | {"head": (k, l)}) for k in range(3) for l in range(3)]
        want = sum(weight * head(image, 1, **one)[:, inner] for weight, one in heads)
        np.testing.assert_allclose(nine, want, rtol=0, atol=1e-12)


def test_with_a_strong_bias_a_head_is_a_shift_and_nine_are_the_convolution():
    rows, columns = np.divmod(np.arange(36), 6)
    for image, kernel, options in setups(9):
        k, l = options["head"]
        widget = matrices_playground(image, kernel, bias=100, temperature=2, head=(k, l))
        nearest = 6 * np.clip(rows + k - 1, 0, 5) + np.clip(columns + l - 1, 0, 5)  # the border has no more to look at
        np.testing.assert_allclose(widget.attention, np.eye(36)[nearest], rtol=0, atol=1e-12)
        widget.heads = 9
        np.testing.assert_allclose(widget.attention, widget.convolution, rtol=0, atol=1e-12)


# What the page shows, and what the reader does


def test_a_pixel_moves_the_right_matrix_alone_and_the_lit_rows_are_on_the_image(new_page):
    found = element(new_page())
    before = pictures(found)
    want = matrices_playground()
    for name, image in IMAGES.items():
        pick(found, "image", name)
        np.testing.assert_array_equal(state(found, "image"), image)
    press(found, "Reset")
    np.testing.assert_array_equal(pictures(found), before)
    shown = [[float(text.replace("\N{ALMOST EQUAL TO}", "")) for text in one.ravel()] for one in maps(found)]
    np.testing.assert_allclose(shown, [want.convolution[8], want.attention[8]], atol=0.005)
    found.locator(".grid.image td").nth(35).click()
    want.image = np.array(state(found, "image"))
    assert want.image[5, 5] == 4
    after = pictures(found)
    np.testing.assert_array_equal(after[0], before[0])
    changed = (after[1] != before[1]).any()
    moved = np.count_nonzero(np.abs(want.attention - matrices_playground().attention) > 0.001)
    assert changed
    assert f"moved 0 of convolution's 1,296 entries, and {moved} of attention's" in found.locator(".facts").inner_text()
    output = convolved(want.image, want.kernel)[1, 2], (want.attention @ want.image.ravel())[8]
    results = found.locator(".gives").all_inner_texts()
    assert [float(text.split()[-1]) for text in results] == pytest.approx(output, abs=1e-3)
    found.get_by_label("weight, row 0, column 1").fill("-5")
    assert (pictures(found)[0] != before[0]).any()
    np.testing.assert_array_equal(pictures(found)[1], after[1])
    assert "last change" not in found.locator(".facts").inner_text()


def test_the_bias_turns_heads_into_shifts_and_nine_into_the_convolution(new_page):
    found = element(new_page())
    facts = found.locator(".facts")
    assert not found.get_by_role("combobox", name="looks", exact=True).is_visible()
    assert "its entries add up to 1, and none is below 0" in facts.inner_text()
    pick(found, "position bias", "100")
    pick(found, "looks", "down left")
    assert "the head is a shift" in facts.inner_text()
    want = np.full((6, 6), "0")
    want[2, 1] = "1"  # from row 1, column 2
    np.testing.assert_array_equal(maps(found)[1], want)
    for bias in ("1", "100"):
        pick(found, "position bias", bias)
        pick(found, "shown", "nine heads")
        widget = matrices_playground(heads=9, bias=float(bias))
        gap = np.abs(widget.attention - widget.convolution).max()
        said = float(facts.inner_text().split("differ by ")[1].split()[0])
        assert said == pytest.approx(gap, abs=5e-5)
        assert (said == 0) == (bias == "100")
    np.testing.assert_array_equal(*pictures(found))
    np.testing.assert_array_equal(*maps(found))


def test_keys_mouse_and_finger_pick_and_change_pixels(new_page):
    page = new_page(width=360, has_touch=True, is_mobile=True)
    found = element(page)
    mark = found.get_by_role("slider", name="output pixel")
    mark.focus()
    for key, place in [("ArrowRight", [1, 3]), ("PageDown", [5, 3]), ("End", [5, 5]), ("ArrowUp", [4, 5])]:
        page.keyboard.press(key)
        assert state(found, "at") == place
    for key, value in [("7", 7), (" ", 9), ("Enter", 0)]:
        page.keyboard.press(key)
        assert state(found, "image")[4][5] == value
    assert mark.get_attribute("aria-valuetext") == "row 4, column 5, pixel 0"
    said = found.get_by_role("status").inner_text()
    assert said.startswith("Output pixel row 4, column 5. Convolution gives")
    found.locator(".map td").nth(36 + 7).tap()
    assert state(found, "at") == [1, 1]
    box = found.locator(".matrix36").first.bounding_box()
    page.touchscreen.tap(box["x"] + 50, box["y"] + box["height"] * 20.5 / 36)
    assert state(found, "at") == [3, 2]
    settle(page)
    lit = found.locator(".matrix36 .mark").first.bounding_box()
    assert (lit["y"] - box["y"]) / box["height"] == pytest.approx(20 / 36, abs=0.01)
    found.locator(".grid.image td").nth(2).tap()
    assert (state(found, "image")[0][2], state(found, "at")) == (4, [3, 2])


def test_the_mouse_drags_the_mark_and_controls_choose(new_page):
    page = new_page()
    found = element(page)
    box = found.locator(".frame").bounding_box()
    x, y = box["x"] + 10, box["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 2 * box["width"], y + 3 * box["height"], steps=4)
    page.mouse.up()
    assert state(found, "at") == [4, 4]
    assert state(found, "image") == IMAGES["patches"].tolist()  # a drag changes no pixel
    few = element(new_page("few.html"), "few")
    few.locator(".grid.image td").nth(8).click()
    assert state(few, "image")[1][2] == 9
    assert few.get_by_role("combobox").count() == 1
    assert few.get_by_role("slider").count() == 0


# The address, the page, Python, JupyterLab


def test_a_setup_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page()
    found = element(page)
    for name, value in {"entries": "edges", "temperature": "32", "position bias": "0.3", "looks": "up"}.items():
        pick(found, name, value)
    found.locator(".grid.image td").first.click()
    found.locator(".map td").last.click()
    page.wait_for_function("location.hash.includes('one.at=5,5')")
    again = element(new_page("one.html" + page.evaluate("location.hash"), base=site))
    names = ("image", "kernel", "temperature", "bias", "head", "heads", "at")
    assert [state(again, name) for name in names] == [state(found, name) for name in names]
    assert [state(again, name) for name in names[2:]] == [32, 0.3, [0, 1], 1, [5, 5]]
    np.testing.assert_array_equal(pictures(again), pictures(found))


def test_nonsense_in_the_address_does_no_harm(new_page):
    for text in ("image=1,2&one.kernel=1,x&one.heads=5&one.head=3,0", "image=toString&one.temperature=0&one.at=9,99"):
        found = element(new_page(f"one.html#one.{text}"))
        np.testing.assert_array_equal(state(found, "image"), IMAGES["patches"])
        assert [state(found, name) for name in ("temperature", "heads", "head")] == [8, 1, [1, 2]]
        assert maps(found).shape == (2, 6, 6)


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    found = element(page)
    pick(found, "entries", "edges")
    pick(found, "position bias", "0.1")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-matrices .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = found.locator(".playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]
    left, right = (one.bounding_box() for one in found.locator(".matrix36").all())
    assert left["y"] == right["y"]  # beside each other, on a phone too
    assert left["x"] + left["width"] < right["x"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image": np.zeros((5, 6))}, r"\(5, 6\): pass \(6, 6\)"),
        ({"image": np.full((6, 6), 255)}, "holds 255 to 255: its numbers go from 0 to 9"),
        ({"image": "flower"}, "no image is called 'flower'.*patches, stripes"),
        ({"kernel": np.zeros((3, 2))}, r"\(3, 2\): pass \(3, 3\)"),
        ({"temperature": 0}, "temperature"),
        ({"head": (3, 0)}, "head"),
        ({"controls": "stride"}, r"no control is called \['stride'\]"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        matrices_playground(**wrong)


def test_in_jupyterlab_python_reads_what_was_changed(notebook):
    opened = notebook(
        "from cnnlib.playground import matrices_playground",
        "m = matrices_playground(bias=100)\nm",
        "print(m.at, m.image[2, 2], m.bias, m.attention.shape, m.attention[14].argmax(), m.convolution[14].sum())",
        "m.heads = 9",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("slider", name="output pixel").focus()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("3")
    opened.wait_for_print(2, "(2, 2) 3.0 100.0 (36, 36) 15 1.0")
    opened.run_cell(3)
    found.get_by_text("is the sum of nine heads").first.wait_for()
