"""The generate playground in a real browser: images against torch's, map, codes, keys, address, JupyterLab."""

import numpy as np
import pytest
import torch
import traitlets
from elements import computed, html, settle, state
from safetensors.torch import load_file

from cnnlib.models import DigitAutoencoder
from cnnlib.playground import generate_playground
from cnnlib.playground.files import PRETRAINED, module, script
from cnnlib.playground.generate import decode

RNG = np.random.default_rng(0)
CODES, LABELS = RNG.normal(size=(200, 2)), RNG.integers(0, 10, 200)
COPY = """const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);"""
PIXELS = f"canvas => {{ {COPY} return Array.from({{ length: data.length / 4 }}, (_, k) => data[4 * k]); }}"
DONE = f"""canvas => {{ {COPY}
    return canvas.width === 364 && data.slice(-4 * 364 * 20).some((level, k) => k % 4 < 3 && level > 99); }}"""


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with playgrounds in two pages."""
    widgets = {"plain": generate_playground(name="plain"), "codes": with_codes(name="codes")}
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


@pytest.fixture(scope="module")
def decoder():
    """The shipped autoencoder's decoder, as torch runs it."""
    net = DigitAutoencoder()
    net.load_state_dict(load_file(PRETRAINED / "autoencoder.safetensors"))
    net.eval()

    def images(codes):
        with torch.no_grad():
            return net.decoder(torch.tensor(codes, dtype=torch.float32))[:, 0].numpy()

    return images


def with_codes(**options):
    return generate_playground(codes=CODES, labels=LABELS, **options)


def element(page, name="plain"):
    found = page.locator(f"cnn-generate#{name}")
    found.locator(".playground").wait_for()
    return found


def picture(found):
    """The image on the page, as levels of gray."""
    settle(found.page)
    return np.reshape(found.locator(".result canvas").evaluate(PIXELS), (28, 28))


def choose(found, name):
    found.get_by_role("combobox", name="on the plane").select_option(name)


# The decoder


def test_the_images_are_those_of_torch(new_page, decoder):
    corners = [[x, y] for x in (-3, 0, 3) for y in (-3, 0, 3)]
    codes = np.concatenate([corners, np.random.default_rng(1).uniform(-3, 3, size=(200, 2))])
    want = decoder(codes)
    assert want.std(0).max() > 0.2  # they differ
    got = computed(
        new_page("index.html"), "generate", "return values[0].map(codes => list(m.decode(codes)));", codes.tolist()
    )
    np.testing.assert_allclose(np.reshape(got, want.shape), want, atol=1e-5)
    np.testing.assert_allclose(decode(codes), want, atol=1e-5)


def test_a_page_carries_the_decoder_and_nothing_else_of_the_network():
    assert len(script("generate")) < 150_000
    assert "decoder.0.weight" not in module("generate").split("const DECODER")[0]
    assert len(module("generate").split('const DECODER = "')[1].split('"')[0]) < 40_000


def test_the_nearest_images_are_named_with_their_classes(new_page):
    found = element(new_page("codes.html"), "codes")
    found.get_by_role("slider", name="point").press("ArrowRight")
    away = np.hypot(*(CODES.round(3) - [0.1, 0]).T)
    five = away.argsort()[:5]
    digits = ", ".join(str(LABELS[k]) for k in five)
    want = f"The nearest of 200 images: {digits}. The first is {away[five[0]]:.2f} away."
    assert found.locator(".near").inner_text() == want
    assert want in found.locator("[role=status]").inner_text()
    choose(found, "codes of images")
    numerals = found.locator(".numerals text")
    assert numerals.all_text_contents() == [str(digit) for digit in LABELS]
    places = numerals.evaluate_all("all => all.map(one => [Number(one.getAttribute('x')), -one.getAttribute('y')])")
    np.testing.assert_allclose(places, CODES, atol=6e-4)


# The plane


def test_the_point_is_dragged_and_the_image_is_the_decoders(new_page, decoder):
    page = new_page("plain.html")
    found = element(page)
    assert found.get_by_role("combobox", name="on the plane").input_value() == "nothing"
    assert not found.locator(".plane canvas").is_visible()
    before = picture(found)
    np.testing.assert_allclose(before, 255 * decoder([[0, 0]])[0], atol=0.51)
    box = found.locator(".plane").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 4, box["y"] + box["height"] / 2 + 4)  # off the handle's middle
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 5 / 6 + 4, box["y"] + box["height"] * 3 / 4 + 4, steps=5)
    page.mouse.up()
    np.testing.assert_allclose(state(found, "at"), [2, -1.5], atol=0.02)
    after = picture(found)
    np.testing.assert_allclose(after, 255 * decoder([state(found, "at")])[0], atol=0.51)
    assert np.abs(after - before).mean() > 20
    x, y = (
        value.replace("\N{MINUS SIGN}", "-") for value in found.locator(".numbers").inner_text().strip("()").split(", ")
    )
    assert [float(x), float(y)] == state(found, "at")
    gray = ((after > 25.5) & (after < 229.5)).sum()
    assert abs(int(found.locator(".note").first.inner_text().split()[0]) - gray) <= 3
    page.mouse.click(box["x"] + 1, box["y"] + 1)
    np.testing.assert_allclose(state(found, "at"), [-3, 3], atol=0.03)


def test_keys_and_a_finger_move_the_point_and_it_stays_on_the_plane(new_page):
    page = new_page("plain.html", width=360, has_touch=True, is_mobile=True)
    found = element(page)
    point = found.get_by_role("slider", name="point")
    for key, place in [
        ("ArrowRight", [0.1, 0]),
        ("ArrowDown", [0.1, -0.1]),
        ("End", [3, -0.1]),
        ("ArrowRight", [3, -0.1]),
    ]:
        point.press(key)
        assert state(found, "at") == place
    assert point.get_attribute("aria-valuetext") == "3.00, minus 0.10"
    found.locator(".plane").scroll_into_view_if_needed()
    plane, box = found.locator(".plane").bounding_box(), point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    before = page.evaluate("scrollY")
    for kind, points in [
        ("touchStart", [(x, y)]),
        *[("touchMove", [(x - plane["width"] * k / 24, y - plane["height"] * k / 24)]) for k in range(1, 9)],
        ("touchEnd", []),
    ]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
    np.testing.assert_allclose(state(found, "at"), [1, 1.9], atol=0.05)
    assert page.evaluate("scrollY") == before


def test_the_map_is_what_the_decoder_paints_all_over_the_plane(new_page, decoder):
    found = element(new_page("plain.html"))
    choose(found, "decoded digits")
    tiles = found.locator(".plane canvas")
    found.page.wait_for_function(DONE, arg=tiles.element_handle())
    got = np.reshape(tiles.evaluate(PIXELS), (13, 28, 13, 28)).swapaxes(1, 2)
    steps = 6 * (np.arange(13) + 0.5) / 13 - 3
    codes = [[x, -y] for y in steps for x in steps]
    np.testing.assert_allclose(got.reshape(169, 28, 28), 255 * decoder(codes), atol=0.51)
    choose(found, "nothing")
    assert not tiles.is_visible()


# The address, the page, Python, JupyterLab


def test_a_setup_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page("codes.html")
    found = element(page, "codes")
    choose(found, "codes of images")
    for key in ("ArrowLeft", "PageUp"):
        found.get_by_role("slider", name="point").press(key)
    page.wait_for_function("location.hash.includes('codes.at=-0.1,3')")
    again = element(new_page("codes.html" + page.evaluate("location.hash"), base=site), "codes")
    assert [state(again, name) for name in ("at", "show")] == [[-0.1, 3], "codes"]
    np.testing.assert_array_equal(picture(again), picture(found))


def test_nonsense_in_the_address_does_no_harm(new_page):
    found = element(new_page("plain.html#plain.at=9,-99&plain.show=toString"))
    assert [state(found, name) for name in ("at", "show")] == [[3, -3], "nothing"]
    assert state(element(new_page("plain.html#plain.at=1,x")), "at") == [0, 0]


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "codes.html")
    found = element(page, "codes")
    for shown in ("codes of images", "decoded digits"):
        choose(found, shown)
        for theme in ("light", "dark"):
            one.colors(theme)
            page.locator(f"cnn-generate .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
            assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-generate .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


def test_the_element_holds_the_whole_set_up():
    text = html(generate_playground((1, -2.5), show="map", controls="", name="m", codes=CODES[:1], labels=[7]))
    for part in ('id="m"', 'at="1,-2.5"', 'show="map"', 'controls=" "', f'codes="{CODES[0, 0]:.3f}'):
        assert part in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"at": (0, 4)}, "two numbers from -3 to 3"),
        ({"codes": CODES}, "pass both, or neither"),
        ({"codes": CODES, "labels": LABELS[1:]}, r"\(200, 2\) and labels \(199,\): want \(M, 2\) and \(M,\)"),
        ({"codes": np.zeros((1001, 2)), "labels": np.zeros(1001)}, r"\(1001, 3\): want \(M, 3\), M from 1 to 1000"),
        ({"codes": CODES, "labels": LABELS + 5}, "a class that is not 0 to 9"),
        ({"show": "all"}, "all"),
        ({"controls": "map"}, r"no control is called \['map'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises((ValueError, traitlets.TraitError), match=message):
        generate_playground(**wrong)


def test_in_jupyterlab_python_reads_the_point_and_moves_it(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import generate_playground\n"
        "p = generate_playground(codes=np.zeros((3, 2)), labels=[1, 2, 3])\np",
        "print(p.at, p.image.shape, p.image.mean().round(3))",
        "p.at = (-1, 2)",
    )
    found = opened.run_cell(0).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("slider", name="point").focus()
    opened.page.keyboard.press("ArrowUp")
    opened.wait_for_print(1, f"(0.0, 0.1) (28, 28) {decode(np.array([[0, 0.1]])).mean().round(3)}")
    opened.run_cell(2)
    found.get_by_text("(−1.00, 2.00)").wait_for()
    assert "The nearest of 3 images: 1, 2, 3. The first is 2.24 away." in found.locator(".near").inner_text()
