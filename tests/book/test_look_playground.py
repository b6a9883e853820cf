"""Where does it look? In a real browser: its maps against cnnlib.explain, what the reader covers, address, Python."""

import numpy as np
import pytest
import torch
from elements import computed, draw_down, html, press, settle, state

from cnnlib import explain
from cnnlib.clues import ClueNet, place
from cnnlib.models import TwoConvCNN
from cnnlib.playground import look_playground
from cnnlib.playground.digit import SIDE, examples, like_mnist
from cnnlib.playground.look import packed
from cnnlib.recipes import RECIPES
from cnnlib.train import load_weights, seeded

SCALE = {"two_conv": (RECIPES["two_conv"]["mean"], RECIPES["two_conv"]["std"])}
NOISE = np.random.default_rng(4).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)


def shipped(name):
    """A shipped network, in float64."""
    kinds = {"two_conv": TwoConvCNN, "place_flatten": lambda: ClueNet("flatten"), "sign_mean": lambda: ClueNet("mean")}
    return load_weights(kinds[name](), name).double()


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a playground in three pages."""
    patched = {"patch": 2, "network": shipped("place_flatten"), "called": "patch reader"}
    widgets = {
        "one": look_playground("7", name="one", **patched),
        "given": look_playground(NOISE, size=7, stride=7, fill=128, target=3, controls="size", name="given"),
        "plain": look_playground("3", stride=4, name="plain"),
    }
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name="one"):
    found = page.locator(f"cnn-look#{name}")
    found.locator(".playground").wait_for()
    settle(page)
    return found


def pick(found, name, value):
    found.get_by_role("combobox", name=name, exact=True).select_option(value)
    settle(found.page)


def surface(found):
    return found.get_by_role("application")


def cover(found, *points):
    """Drags with the mouse from point to point, given as (column, row) of the image."""
    page = found.page
    surface(found).scroll_into_view_if_needed()
    box = surface(found).bounding_box()
    for k, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"] / SIDE, box["y"] + y * box["height"] / SIDE)
        if k == 0:
            page.mouse.down()
    page.mouse.up()
    settle(page)


def slide(found):
    press(found, "Slide")
    found.get_by_role("button", name="Again", exact=True).wait_for()


def number(text):
    return float(text.replace("−", "-"))


def shown_logit(found):
    return number(found.locator(".change b").inner_text())


# The arithmetic

MAPS = """
    const [own, mean, std, picture, settings] = values;
    const network = m.ownNetwork(own, mean, std);
    return settings.map(setting => {
        const asked = m.inquire({ picture: Uint8Array.from(picture), network, ...setting });
        return [asked.target, list(asked.slopes), asked.falls.map((_, k) => m.fallAt(k, asked))];
    });"""


@pytest.mark.parametrize("name", ["two_conv", "place_flatten", "sign_mean"])
@pytest.mark.parametrize("picture", ["noise", "digit"])
def test_both_maps_are_those_of_cnnlib_explain(new_page, name, picture):
    mean, std = SCALE.get(name, (0.0, 1.0))
    image = NOISE if picture == "noise" else np.maximum(like_mnist(examples()["4"]), NOISE // 8)  # no ties in poolings
    net = shipped(name)
    x = torch.from_numpy((image / 255 - mean) / std)[None, None]
    settings = [
        {"target": -1, "size": 5, "stride": 3, "fill": 0},
        {"target": 6, "size": 14, "stride": 1, "fill": 200},
        {"target": 2, "size": 2, "stride": 11, "fill": 128},
    ]
    found = computed(new_page("index.html"), "look", MAPS, packed(net), mean, std, image.ravel().tolist(), settings)
    for setting, (target, slopes, falls) in zip(settings, found, strict=True):
        assert target == (net(x).argmax().item() if setting["target"] < 0 else setting["target"])
        square = {"size": setting["size"], "stride": setting["stride"], "fill": (setting["fill"] / 255 - mean) / std}
        for got, want in (
            (np.abs(slopes), explain.saliency(net, x, target)),
            (falls, explain.occlusion(net, x, target, **square)),
        ):
            want = want[0].numpy()
            np.testing.assert_allclose(np.reshape(got, want.shape), want, rtol=0, atol=1e-5 * abs(want).max())


def test_the_sign_of_a_slope_is_right_too(new_page):
    net, x = shipped("place_flatten"), torch.from_numpy(NOISE / 255)[None, None]
    setting = {"target": 5, "size": 14, "stride": 14, "fill": 0}
    values = packed(net), 0.0, 1.0, NOISE.ravel().tolist(), [setting]
    [(_, slopes, _)] = computed(new_page("index.html"), "look", MAPS, *values)
    want = (explain.gradient_times_input(net, x, 5) / x[:, 0])[0].numpy()
    known = NOISE > 0
    np.testing.assert_allclose(
        np.reshape(slopes, (SIDE, SIDE))[known], want[known], rtol=0, atol=1e-5 * abs(want[known]).max()
    )


def test_the_patch_is_the_one_of_the_clues(new_page):
    body = "return values[0].map(told => list(m.plant(new Uint8Array(784), told)));"
    got = computed(new_page("index.html"), "look", body, [*range(10), -1])
    black = np.zeros((10, SIDE, SIDE), np.uint8)
    np.testing.assert_array_equal(np.reshape(got[:10], black.shape), place(black, np.arange(10)))
    assert not any(got[10])
    np.testing.assert_array_equal(look_playground(black[0], patch=7).image, place(black[:1], [7])[0])


def test_what_is_covered_is_written_and_read_back_as_in_python(new_page):
    mask = np.random.default_rng(0).random((SIDE, SIDE)) < 0.3
    playground = look_playground()
    assert not playground.cover.any()
    playground.cover = mask
    body = "const bits = m.readCover(values[0]); return [list(bits), m.writeCover(bits)];"
    bits, text = computed(new_page("index.html"), "look", body, playground.painted)
    np.testing.assert_array_equal(np.reshape(bits, mask.shape), mask)
    assert text == playground.painted
    np.testing.assert_array_equal(playground.cover, mask)


# What chapter 11 says


def falls(image, net, mean, std, level, target):
    x = torch.from_numpy((image / 255 - mean) / std)[None, None]
    found = explain.occlusion(net, x, target, size=4, stride=2, fill=(level / 255 - mean) / std)
    return found[0].numpy(), explain.saliency(net, x, target)[0].numpy(), net(x)[0, target].item()


def test_the_numbers_of_the_chapter():
    image, net, scale = look_playground("7", patch=2).image, shipped("two_conv"), SCALE["two_conv"]
    found, slopes, logit = falls(image, net, *scale, 0, 7)
    assert [logit, found.max()] == pytest.approx([18.9, 7.8], abs=0.05)
    assert np.unravel_index(found.argmax(), found.shape) == (10, 6)  # rows 20 to 23
    assert found[0].max() == pytest.approx(0.7, abs=0.05)
    assert slopes[image == 0].sum() / slopes.sum() == pytest.approx(0.63, abs=0.005)
    assert found[5, 5] == 0
    assert falls(image, net, *scale, 255, 7)[0][5, 5] == pytest.approx(5.6, abs=0.05)
    found, _, logit = falls(image, shipped("place_flatten"), 0.0, 1.0, 0, 2)
    assert [logit, logit - found.max()] == pytest.approx([11.8, -2.4], abs=0.05)
    assert np.unravel_index(found.argmax(), found.shape)[0] == 0
    assert abs(found[2:]).max() < 0.5


@pytest.mark.parametrize(("digit", "level", "read"), [("6", 0, 5), ("9", 0, 4), ("4", 255, 9)])
def test_one_square_is_enough_to_change_the_answer(digit, level, read):
    image, (mean, std) = look_playground(digit).image, SCALE["two_conv"]
    covered = np.repeat(image[None], 625, 0)
    for k, one in enumerate(covered):
        one[k // 25 : k // 25 + 4, k % 25 : k % 25 + 4] = level
    with torch.no_grad():
        answers = shipped("two_conv")(torch.from_numpy((covered[:, None] / 255 - mean) / std)).argmax(1)
    assert read in answers
    assert shipped("two_conv")(torch.from_numpy((image / 255 - mean) / std)[None, None]).argmax() == int(digit)


# What the reader does


def test_what_the_mouse_covers_is_covered_and_the_logit_falls(new_page):
    found = element(new_page("plain.html"), "plain")
    before = shown_logit(found)
    cover(found, (8, 6), (20, 6))
    playground = look_playground("3")
    playground.painted = state(found, "painted")
    want = np.zeros((SIDE, SIDE), bool)
    want[4:8, 6:22] = True
    np.testing.assert_array_equal(playground.cover, want)
    net, (mean, std) = shipped("two_conv"), SCALE["two_conv"]
    images = np.stack([playground.image, np.where(want, 0, playground.image)])
    logits = net(torch.from_numpy((images[:, None] / 255 - mean) / std)).detach().numpy()
    np.testing.assert_allclose(state(found, "logits"), logits, atol=1e-4)
    assert before == pytest.approx(logits[0, 3], abs=0.051)
    assert shown_logit(found) == pytest.approx(logits[1, 3], abs=0.051)
    assert logits[1, 3] < logits[0, 3] - 1
    assert f"falls by {logits[0, 3] - logits[1, 3]:.1f}" in found.locator(".change").inner_text()
    press(found, "Undo")
    settle(found.page)
    assert shown_logit(found) == before
    cover(found, (8, 6), (20, 20))
    press(found, "Uncover")
    settle(found.page)
    assert shown_logit(found) == before
    assert state(found, "painted") == ""


def test_only_the_patch_reader_looks_at_the_patch(new_page):
    found = element(new_page("one.html"))
    falls = {}
    for network in ("chapter 08's", "patch reader"):
        pick(found, "network", network)
        before = shown_logit(found)
        cover(found, (9, 2))
        falls[network] = before - shown_logit(found)
        press(found, "Uncover")
        settle(found.page)
    assert abs(falls["chapter 08's"]) < 1 < 5 < falls["patch reader"]
    assert "logit of 2" in found.locator(".change").inner_text()


def test_the_square_slides_over_the_image_and_the_map_builds(new_page):
    page = new_page("one.html", reduced_motion="no-preference")
    found = element(page)
    page.evaluate("""() => {
        window.places = new Set();
        const root = document.querySelector("cnn-look").firstChild.shadowRoot;
        const look = () => { places.add(root.querySelector(".progress").textContent); requestAnimationFrame(look); };
        look();
    }""")
    slide(found)
    assert page.evaluate("places.size") > 20
    assert found.locator(".progress").inner_text().startswith("169 of 169 places")
    playground = look_playground("7", patch=2)
    net, (mean, std) = shipped("two_conv"), SCALE["two_conv"]
    x = torch.from_numpy((playground.image / 255 - mean) / std)[None, None]
    want = explain.occlusion(net, x, 7, size=4, stride=2, fill=-mean / std)[0].numpy()
    np.testing.assert_allclose(state(found, "falls"), want, atol=1e-4)
    top, left = (2 * int(k) for k in np.unravel_index(want.argmax(), want.shape))
    told = f"falls by {want.max():.1f} with the square of 4 at row {top}, column {left}"
    assert told in found.locator("[role=status]").inner_text()


def test_it_is_paused_goes_on_and_is_stepped(new_page):
    page = new_page("one.html#one.stride=1", reduced_motion="no-preference")
    found = element(page)
    press(found, "Slide")
    page.wait_for_function(
        "parseInt(document.querySelector('cnn-look').firstChild.shadowRoot.querySelector('.progress').textContent) > 5"
    )
    press(found, "Pause")
    found.get_by_role("button", name="Go on", exact=True).wait_for()
    count = int(found.locator(".progress").inner_text().split()[0])
    assert 5 < count < 625
    press(found, "Step")
    assert found.locator(".progress").inner_text().startswith(f"{count + 1} of 625")
    assert sum(fall is not None for row in state(found, "falls") for fall in row) == count + 1
    pick(found, "logit of", "1")
    assert found.locator(".progress").inner_text().startswith("0 of 625")


def test_with_reduced_motion_nothing_moves_and_the_map_is_complete(new_page):
    page = new_page("one.html#one.stride=1")
    found = element(page)
    page.evaluate("""() => {
        window.places = new Set();
        const root = document.querySelector("cnn-look").firstChild.shadowRoot;
        const note = () => places.add(root.querySelector(".progress").textContent);
        new MutationObserver(note).observe(root, { subtree: true, childList: true, characterData: true });
    }""")
    slide(found)
    assert len(page.evaluate("[...places]")) <= 2
    assert np.array(state(found, "falls"), float).shape == (25, 25)
    assert found.locator(".bar .now").evaluate("e => getComputedStyle(e).transitionDuration") == "0s"


def test_the_page_gets_its_turn_while_the_square_slides(new_page):
    found = element(new_page("one.html#one.stride=1"))
    found.evaluate("""() => {
        const { port1, port2 } = new MessageChannel();
        window.turns = 0;
        port1.onmessage = () => { window.turns++; setTimeout(() => port2.postMessage(null)); };
        port2.postMessage(null);
    }""")
    slide(found)
    assert found.evaluate("window.turns") > 20


def test_by_keyboard_alone(new_page):
    page = new_page("plain.html")
    found = element(page, "plain")
    surface(found).focus()
    words = found.locator("[role=status]")
    for key in ["Shift+ArrowUp", "Shift+ArrowLeft", "ArrowUp"]:
        page.keyboard.press(key)
    assert words.inner_text() == "column 10, row 2"  # the square stays on the image
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert words.inner_text() == "covering, column 11, row 2"
    page.keyboard.press("Space")
    settle(page)
    playground = look_playground()
    playground.painted = state(found, "painted")
    want = np.zeros((SIDE, SIDE), bool)
    want[:4, 8:13] = True
    np.testing.assert_array_equal(playground.cover, want)
    assert words.inner_text().startswith("logit of 3: ")
    page.keyboard.press("Delete")
    settle(page)
    assert state(found, "painted") == ""
    found.get_by_role("button", name="Slide", exact=True).focus()
    page.keyboard.press("Enter")
    found.get_by_role("button", name="Again", exact=True).wait_for()


def test_a_finger_covers_and_the_page_stands_still(new_page):
    page = new_page("plain.html", width=360, has_touch=True, is_mobile=True)
    found = element(page, "plain")
    draw_down(page, surface(found))
    playground = look_playground()
    playground.painted = state(found, "painted")
    assert playground.cover[4:24, 12:16].all()
    assert not playground.cover[:, :12].any()


# The address, files, the page around it


def test_a_setup_is_in_the_address_and_can_be_opened_again(new_page):
    page = new_page("one.html")
    found = element(page)
    for name, value in {"image": "4", "patch for": "9", "network": "patch reader", "covered with": "gray"}.items():
        pick(found, name, value)
    pick(found, "logit of", "3")
    press(found, "more square")
    press(found, "less stride")
    cover(found, (10, 10))
    page.wait_for_function("location.hash.includes('one.painted')")
    again = element(new_page("one.html" + page.evaluate("location.hash")))
    names = ("example", "patch", "reader", "target", "size", "stride", "fill", "painted")
    assert [state(again, name) for name in names[:-1]] == ["4", 9, "own", 3, 5, 1, 128]
    assert state(again, "painted") == state(found, "painted") != ""
    assert shown_logit(again) == shown_logit(found)


def test_nonsense_in_the_address_does_no_harm(new_page):
    nonsense = "one.example=toString&one.patch=12&one.reader=x&one.size=99&one.stride=0&one.painted=zz&one.target=x"
    found = element(new_page(f"one.html#{nonsense}"))
    names = ("example", "patch", "reader", "target", "size", "stride", "painted")
    assert [state(found, name) for name in names] == ["7", 2, "digits", -1, 14, 1, ""]
    slide(found)


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    found = element(new_page("one.html", base=site))
    slide(found)
    assert np.isfinite(np.array(state(found, "falls"), float)).all()


def test_a_given_image_is_shown_and_only_the_controls_that_were_asked_for(new_page):
    found = element(new_page("given.html"), "given")
    assert found.get_by_role("combobox").count() == 0
    assert found.get_by_role("group", name="square").count() == 1
    assert "logit of 3" in found.locator(".change").inner_text()
    slide(found)
    assert np.shape(state(found, "falls")) == (4, 4)


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    found = element(page)
    cover(found, (10, 10))
    slide(found)
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-look .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-look .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


# Python


def test_the_element_holds_the_whole_set_up():
    text = html(look_playground("4", patch=1, target=9, size=3, stride=1, fill=128, controls="", name="m"))
    parts = ('id="m"', 'example="4"', 'patch="1"', 'target="9"', 'size="3"', 'stride="1"', 'fill="128"', 'controls=" "')
    for part in (*parts, 'reader="digits"'):
        assert part in text
    assert "own=" not in text


def test_weights_that_16_bits_cannot_hold_travel_in_32(new_page):
    net = seeded(lambda: ClueNet("mean"), 3)
    body = "return list(m.ownNetwork(values[0], 0, 1).w['conv1.weight']);"
    got = computed(new_page("index.html"), "look", body, packed(net))
    assert got == net.conv1.weight.detach().ravel().tolist()
    assert packed(net) == packed(net.state_dict())
    assert len(packed(net)) > 1.8 * len(packed(shipped("sign_mean")))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("ten",), {}, "no image is called 'ten'"),
        (("",), {}, "image is ''"),
        ((np.zeros((3, SIDE, SIDE)),), {}, r"image has shape \(3, 28, 28\)"),
        ((), {"network": ClueNet("mean", classes=3)}, r"TwoConvCNN, ClueNet\(\"flatten\"\)"),
        ((), {"network": {"conv1.weight": np.zeros(3)}}, "each with 10 classes"),
        ((), {"network": {k: w * np.nan for k, w in ClueNet("mean").state_dict().items()}}, "nan or infinite"),
        ((), {"reader": "own"}, "there is no network of yours"),
        ((), {"std": 0}, "std above 0"),
        ((), {"controls": "sizes"}, r"no control is called \['sizes'\]"),
        ((), {"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        look_playground(*arguments, **options)


def test_a_wrong_cover_is_named():
    with pytest.raises(ValueError, match=r"cover is float64 \(28, 28\): pass bool"):
        look_playground().cover = np.zeros((SIDE, SIDE))


# JupyterLab


def test_in_jupyterlab_python_reads_the_maps_and_brings_image_and_network(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.clues import ClueNet\nfrom cnnlib.playground import look_playground\n"
        "x = np.random.default_rng(0).integers(0, 256, (28, 28))\n"
        'p = look_playground(x, network=ClueNet("flatten"), reader="own", stride=4)\np',
        "print(p.slopes.shape, p.falls.shape, np.isfinite(p.falls).sum(), p.cover.sum(), p.logits.shape)",
        "p.size = 14\np.cover = x > 128",
    )
    found = opened.run_cell(0).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    slide(found)
    cover(found, (10, 10))
    opened.wait_for_print(1, "(28, 28) (7, 7) 49 16 (2, 10)")
    opened.run_cell(2)
    found.get_by_text("0 of 16 places").wait_for()
    press(found, "Step")
    opened.wait_for_print(
        1, f"(28, 28) (4, 4) 1 {(np.random.default_rng(0).integers(0, 256, (28, 28)) > 128).sum()} (2, 10)"
    )
