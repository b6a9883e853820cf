"""The block builder in a real browser: costs and fields against cnnlib.ledger, keys, a phone, address, JupyterLab."""

import numpy as np
import pytest
import torch
from elements import computed, html, press, state
from torch import nn

from cnnlib.ledger import ledger, receptive_field
from cnnlib.playground import blocks_playground
from cnnlib.playground.blocks import KERNELS, START

INCEPTION = [[("conv", 8, 1)], [("conv", 4, 1), ("conv", 12, 3)], [("depthwise", 5)], [("pool", 3), ("conv", 2, 1)]]


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a block builder in two pages."""
    widgets = {
        "one": blocks_playground(name="one"),
        "covered": blocks_playground(INCEPTION, input=(6, 9, 12), name="covered", controls="parts", predict=True),
    }
    return new_site({f"{name}.md": f"# A page\n\n{html(widget)}\n\nText.\n" for name, widget in widgets.items()})


def element(page, name="one"):
    found = page.locator(f"cnn-blocks#{name}")
    found.locator(".playground").wait_for()
    return found


def pick(found, name, value):
    found.get_by_role("combobox", name=name, exact=True).select_option(value)


def type_in(found, name, value):
    found.get_by_role("textbox", name=name, exact=True).fill(value)
    found.get_by_role("textbox", name=name, exact=True).press("Enter")


def boxes(found):
    """What stands in the drawing, from top to bottom, branch by branch."""
    return [text.replace("\n", " ").strip() for text in found.locator(".box, .end").all_inner_texts()]


def meters(found):
    """Of each cost, what the block's and the plain convolution's row say, and how long their bars are."""
    rows = """table => [...table.rows].map(row => [row.cells[2].textContent,
        row.querySelector(".bar").getBoundingClientRect().width / row.cells[1].getBoundingClientRect().width])"""
    return [table.evaluate(rows) for table in found.locator("table.meter").all()]


# The arithmetic


class Block(nn.Module):
    """The block as a network. The branches' outputs are concatenated; there are no ReLUs, and no bias is left out."""

    def __init__(self, block, channels):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*modules(branch, channels)) for branch in block)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def modules(branch, channels):
    for kind, *numbers in branch:
        kernel = numbers[-1]
        if kind == "pool":
            yield nn.MaxPool2d(kernel, 1, kernel // 2)
        else:
            made = numbers[0] if kind == "conv" else channels
            yield nn.Conv2d(channels, made, kernel, padding=kernel // 2, groups=channels if kind == "depthwise" else 1)
            channels = made


def random_blocks(count):
    rng = np.random.default_rng(0)

    def part():
        kind, kernel = str(rng.choice(["conv", "conv", "depthwise", "pool"])), int(rng.choice(KERNELS))
        return (kind, int(rng.integers(1, 9)), kernel) if kind == "conv" else (kind, kernel)

    for _ in range(count):
        block = [[part() for _ in range(rng.integers(1, 5))] for _ in range(rng.integers(1, 5))]
        yield block, tuple(int(n) for n in (rng.integers(1, 6), *rng.integers(1, 9, size=2)))


def test_shapes_costs_and_fields_of_random_blocks_are_the_ledgers(new_page):
    cases = list(random_blocks(300))
    answers = computed(
        new_page("index.html"), "blocks", "return values[0].map(([b, input]) => m.costs(b, input));", cases
    )
    for (block, size), answer in zip(cases, answers, strict=True):
        model = Block(block, size[0])
        want = ledger(model, size)
        rows = [row for branch in answer["branches"] for row in branch]
        got = [(tuple(row["shape"]), row["parameters"], row["macs"], row["memory"]) for row in rows]
        assert got == [row[2:] for row in want], (block, size)
        assert (answer["parameters"], answer["macs"], answer["memory"]) == (want.parameters, want.macs, want.memory)
        assert tuple(answer["shape"]) == tuple(model(torch.zeros(1, *size)).shape[1:])
        fields = [[r["field"] for r in receptive_field([(p[-1],) for p in branch])] for branch in block]
        assert [[row["field"] for row in branch] for branch in answer["branches"]] == fields
        assert answer["field"] == max(branch[-1] for branch in fields)


def test_every_preset_is_a_block_and_gives_out_what_comes_in(new_page):
    body = """return Object.values(m.PRESETS).flatMap(make => values[0].map(c => {
        const block = make(c);
        const text = m.writeBlock(block);
        return [m.costs(block, [c, 5, 7]).shape[0], m.writeBlock(m.readBlock(text)) === text, block];
    }));"""
    answers = computed(new_page("index.html"), "blocks", body, [1, 3, 16, 50, 64, 192, 512])
    assert len(answers) == 6 * 7
    for (channels, same, block), given in zip(answers, [1, 3, 16, 50, 64, 192, 512] * 6, strict=True):
        assert same
        assert channels == given or (given < 8 and len(block) == 4)  # four branches have four channels at least
        assert len(blocks_playground(block).block) == len(block)  # Python takes it too


# What the page shows, and what the reader does


def test_at_rest_a_bottleneck_saves_two_costs_and_spends_a_third(new_page):
    found = element(new_page())
    assert boxes(found) == [
        "input 64×28×28", "1 × 1 16×28×28", "3 × 3 16×28×28", "1 × 1 64×28×28", "output 64×28×28",
    ]  # fmt: skip
    assert found.get_by_role("status").inner_text() == (
        "Beside a plain 3 × 3 convolution from 64 to 64 channels: 0.12 times the parameters, 0.12 times the MACs, "
        "1.5 times the memory, and the same field of 3 × 3 pixels."
    )
    assert [[text for text, _ in table] for table in meters(found)] == [
        ["4,448", "36,928"], ["3,411,968", "28,901,376"], ["75,264", "50,176"], ["3", "3"],
    ]  # fmt: skip
    want = [(4448 / 36928, 1), (4352 / 36864, 1), (1, 2 / 3), (1, 1)]
    np.testing.assert_allclose([[length for _, length in table] for table in meters(found)], want, atol=0.01)
    wires = [box["width"] for box in (one.bounding_box() for one in found.locator(".wire").all())]
    np.testing.assert_allclose(np.array(wires) / wires[0], [1, 0.25, 0.25, 1], atol=0.02)


def test_presets_follow_the_input_and_other_blocks_stay(new_page):
    found = element(new_page())
    pick(found, "block", "Inception")
    type_in(found, "input channels", "192")
    pick(found, "input size", "14 × 14")
    assert boxes(found)[-1] == "concatenated 192×14×14"
    assert boxes(found)[3] == "branch 2: 3 × 3 96×14×14"
    assert found.get_by_role("combobox", name="block").input_value() == "Inception"
    found.get_by_role("button", name="branch 2: 3 × 3").click()
    type_in(found, "output channels", "100")
    type_in(found, "input channels", "64")
    assert boxes(found)[-1] == "concatenated 196×14×14"
    assert found.get_by_role("combobox", name="block").input_value() == "your own"


def test_a_block_is_built_from_parts_by_keyboard_alone(new_page):
    found = element(new_page())
    first = found.get_by_role("button", name="1 × 1 16")
    first.focus()
    first.press("Enter")
    for name in ("Remove", "Remove", "+ Part", "+ Branch"):
        found.get_by_role("button", name=name, exact=True).press("Enter")
    assert state(found, "block") == [[["conv", 64, 1], ["conv", 64, 3]], [["conv", 64, 1]]]
    assert state(found, "part") == [1, 0]
    pick(found, "kind", "depthwise convolution")
    pick(found, "kernel", "7 × 7")
    assert not found.get_by_role("textbox", name="output channels").is_visible()
    assert state(found, "block")[1] == [["depthwise", 7]]
    assert (
        "3,200 parameters, 2,458,624 MACs, and it gives out 64 × 28 × 28 = 50,176"
        in found.locator(".playground").inner_text()
    )
    assert "a field of 7 × 7 pixels" in found.get_by_role("status").inner_text()
    box = found.get_by_role("button", name="branch 1: 3 × 3")
    box.press("Enter")  # the focus stays on the box that was chosen
    assert found.evaluate("e => e.firstChild.shadowRoot.activeElement.textContent") == "branch 1: 3 × 3 64×28×28"


def test_what_is_full_stays_full_and_the_last_part_stays(new_page):
    found = element(new_page())
    for name, times in (("+ Part", 3), ("+ Branch", 5)):
        for _ in range(times):
            found.get_by_role("button", name=name, exact=True).click(force=True)
    assert [len(branch) for branch in state(found, "block")] == [4, 1, 1, 1]
    for _ in range(9):
        found.get_by_role("button", name="Remove", exact=True).click(force=True)
    assert len(state(found, "block")) == len(state(found, "block")[0]) == 1
    press(found, "Reset")
    assert state(found, "block") == [[list(part) for part in START[0]]]


def test_nonsense_in_a_number_changes_nothing(new_page):
    found = element(new_page())
    for name, value in (("output channels", "16"), ("input channels", "64")):
        for text in ("eight", "0", "-3", "1.5", "99999", ""):
            type_in(found, name, text)
            assert found.get_by_role("textbox", name=name, exact=True).input_value() == value
    assert boxes(found)[:2] == ["input 64×28×28", "1 × 1 16×28×28"]


def test_predict_covers_the_block_s_costs_until_they_are_asked_for(new_page):
    found = element(new_page("covered.html"), "covered")
    assert {table[0][0] for table in meters(found)} == {"?"}
    assert found.get_by_role("status").inner_text() == ""
    assert "This part" not in found.locator(".playground").inner_text()
    found.get_by_role("button", name="branch 1: 1 × 1").click()
    assert {table[0][0] for table in meters(found)} == {"?"}
    press(found, "Show costs")
    model = Block(INCEPTION, 6)
    want = ledger(model, (6, 9, 12))
    assert [table[0][0] for table in meters(found)] == [f"{n:,}" for n in (want.parameters, want.macs, want.memory, 5)]
    assert found.get_by_role("combobox").count() == 2  # controls="parts": its kind, its kernel


# The address, the page, Python, JupyterLab


def test_a_block_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page()
    found = element(page)
    pick(found, "block", "Inception")
    pick(found, "input size", "7 × 7")
    page.wait_for_function("location.hash.includes('one.input=64,7,7')")
    again = element(new_page("one.html" + page.evaluate("location.hash"), base=site))
    assert again.get_by_role("combobox", name="block").input_value() == "Inception"
    assert boxes(again) == boxes(found)


def test_nonsense_in_the_address_does_no_harm(new_page):
    for text in (
        "block=conv,0,3",
        "block=conv,8,3;;&one.input=0,1,2",
        "part=9,9&one.block=toString,1",
        "block=conv,8,2",
    ):
        found = element(new_page(f"one.html#one.{text}"))
        assert boxes(found)[0::4] == ["input 64×28×28", "output 64×28×28"]


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light", has_touch=width == 360)
    page = one.open(serve(site), "one.html")
    found = element(page)
    pick(found, "block", "Inception")  # the most branches, and the longest numbers
    type_in(found, "input channels", "1024")
    pick(found, "input size", "224 × 224")
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-blocks .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() == []
        assert one.too_faint() == []
        assert one.overflow() <= 0
    inner = found.locator(".playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]
    if width == 360:
        found.get_by_role("button", name="branch 2: 3 × 3").tap()
        assert state(found, "part") == [1, 1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"block": [[("conv", 3)]]}, r'want \("conv", channels, kernel\)'),
        ({"block": [[("linear", 3)]]}, r'want \("conv", channels, kernel\)'),
        ({"block": [[("pool", 2)]]}, "its kernel is 2, not one of 1, 3, 5, 7"),
        ({"block": [[("conv", 0, 3)]]}, "channels is 0, not a whole number from 1 to 1024"),
        ({"block": [[("conv", 1.5, 3)]]}, "channels is 1.5"),
        ({"block": []}, "the block has 0 branches: there is room for 1 to 4"),
        ({"block": [[("pool", 3)], [("pool", 3)] * 5]}, "branch 2 has 5 parts: there is room for 1 to 4"),
        ({"input": (3, 0, 5)}, r"input is \(3, 0, 5\): pass \(C, H, W\)"),
        ({"controls": "window"}, r"no control is called \['window'\]"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        blocks_playground(**wrong)


def test_in_jupyterlab_python_reads_the_block_and_sets_it(notebook):
    opened = notebook(
        "from cnnlib.playground import blocks_playground",
        "p = blocks_playground([[('conv', 4, 3)], [('pool', 3)]], input=(2, 6, 7))\np",
        "print(p.block)",
        "p.block = [[('depthwise', 3), ('conv', 5, 1)]]",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    found.get_by_role("button", name="+ Part").click()
    opened.wait_for_print(2, "((('conv', 4, 3), ('conv', 4, 3)), (('pool', 3),))")
    opened.run_cell(3)
    found.get_by_text("depthwise 3 × 3").wait_for()
    assert boxes(found) == ["input 2×6×7", "depthwise 3 × 3 2×6×7", "1 × 1 5×6×7", "output 5×6×7"]
