"""The depth playground in a real browser: arithmetic against torch, its claims over seeds, keyboard, address."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from elements import computed, html, press, state

from cnnlib.playground import depth_playground
from cnnlib.playground.files import module

KINDS = ("plain", "residual")


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a playground in two pages."""
    widgets = {"one": depth_playground(name="one"), "rate": depth_playground(controls="rate", name="rate")}
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name="one"):
    found = page.locator(f"cnn-depth#{name}")
    found.locator(".playground").wait_for()
    return found


def pick(found, name, value):
    found.get_by_role("combobox", name=name, exact=True).select_option(value)


def wait_for_step(found, step):
    found.get_by_text(f"step {step} of 300", exact=True).wait_for()
    found.get_by_role("button", name="Pause").wait_for(state="detached")


# The arithmetic

TRAINED = """
    const [setting, steps] = values;
    const { points, runs } = m.setUp(setting);
    const copy = layers => layers.map(({ w, scale, shift }) => [list(w), list(scale), list(shift)]);
    const answer = { points: Object.values(points).map(({ x, y }) => [list(x), list(y)]) };
    for (const [kind, run] of Object.entries(runs)) {
        const one = answer[kind] = { layers: copy(run.network.layers), gradients: [copy(run.gradients)] };
        for (let k = 0; k < steps; k++) one.gradients.push(copy(m.advance(run, setting.rate).gradients));
        Object.assign(one, { losses: Object.values(run.losses), norms: run.norms });
    }
    return answer;"""


def tensors(layers, depth):
    """The layers' lists as float64 tensors w (outputs, inputs), scale and shift."""
    shapes = [(8 if k < depth - 1 else 1, 8 if k else 2) for k in range(depth)]
    lists = zip(layers, shapes, strict=True)
    return [
        [torch.tensor(v, dtype=torch.float64).reshape(s) for v, s in zip(p, [s, s[:1], s[:1]], strict=True)]
        for p, s in lists
    ]


def batch_norm(z, scale, shift, statistics):
    """F.batch_norm with the statistics of z, which are appended, or with the first of those that are given."""
    if z.requires_grad:
        statistics.append((z.mean(0).detach(), z.var(0, unbiased=False).detach()))
        return F.batch_norm(z, None, None, scale, shift, training=True, eps=1e-5)
    return F.batch_norm(z, *statistics.pop(0), scale, shift, eps=1e-5)


def logits(layers, x, *, normalization, residual, statistics):
    """He et al.'s network with dense layers, written down block by block."""

    def layer(h, k):
        w, scale, shift = layers[k]
        return batch_norm(h @ w.T, scale, shift, statistics) if normalization == "batch" else h @ w.T + shift

    h = F.relu(layer(x, 0))
    for k in range(1, len(layers) - 1, 2):
        f = layer(F.relu(layer(h, k)), k + 1)
        h = F.relu(h + f if residual else f)
    w, _, shift = layers[-1]
    return (h @ w.T + shift)[:, 0]


def by_torch(layers, points, *, normalization, residual, rate, steps):
    """Losses (2, steps + 1) and the gradients at each step, trained by torch.optim.SGD."""
    (x, y), (new_x, new_y) = points
    flat = [p.requires_grad_() for layer in layers for p in layer]
    sgd = torch.optim.SGD(flat, lr=rate, momentum=0.9)
    losses, gradients = [], []
    for _ in range(steps + 1):
        options = {"normalization": normalization, "residual": residual, "statistics": []}
        loss = F.binary_cross_entropy_with_logits(logits(layers, x, **options), y)
        with torch.no_grad():
            new = F.binary_cross_entropy_with_logits(logits(layers, new_x, **options), new_y)
        sgd.zero_grad()
        loss.backward()
        losses.append([loss.item(), new.item()])
        gradients.append([[0 * p if p.grad is None else p.grad.clone() for p in layer] for layer in layers])
        sgd.step()
    return np.array(losses).T, gradients


@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize(("depth", "steps"), [(4, 8), (10, 5), (30, 1)])
def test_losses_and_gradients_are_those_of_torch(new_page, depth, steps, normalization):
    setting = {"depth": depth, "seed": 5, "normalization": normalization, "rate": 0.02}
    got = computed(new_page("index.html"), "depth", TRAINED, setting, steps)
    points = [
        [torch.tensor(x, dtype=torch.float64).reshape(-1, 2), torch.tensor(y, dtype=torch.float64)]
        for x, y in got["points"]
    ]
    assert got["plain"]["layers"] == got["residual"]["layers"]
    for kind in KINDS:
        options = {"normalization": normalization, "residual": kind == "residual", "rate": 0.02, "steps": steps}
        losses, gradients = by_torch(tensors(got[kind]["layers"], depth), points, **options)
        np.testing.assert_allclose(got[kind]["losses"], losses, rtol=1e-7)
        for got_step, want_step in zip(got[kind]["gradients"], gradients, strict=True):
            for got_layer, want_layer in zip(tensors(got_step, depth), want_step, strict=True):
                for one, want in zip(got_layer, want_layer, strict=True):
                    torch.testing.assert_close(one, want, rtol=1e-6, atol=1e-9 * max(1, want.abs().max().item()))
        norms = [layer[0].norm().item() for layer in gradients[-1]]
        np.testing.assert_allclose(got[kind]["norms"], norms, rtol=1e-6)


def mulberry(seed, count):
    """The generator by its published definition, in Python's whole numbers."""
    numbers = []
    for k in range(1, count + 1):
        a = (seed + k * 0x6D2B79F5) % 2**32
        t = (a ^ a >> 15) * (a | 1) % 2**32
        t ^= (t + (t ^ t >> 7) * (t | 61)) % 2**32
        numbers.append((t ^ t >> 14) / 2**32)
    return numbers


def test_the_generator_is_mulberry_and_its_normal_numbers_are_normal(new_page):
    body = (
        "const r = m.makeRandom(7); return values.map((length, k) => Array.from({ length }, k ? r.normal : r.uniform));"
    )
    uniform, normal = computed(new_page("index.html"), "depth", body, 50, 20000)
    assert uniform == mulberry(7, 50)
    for power, moment in enumerate([1, 0, 1, 0, 3]):  # six standard deviations of the fourth power's mean
        assert np.mean(np.array(normal) ** power) == pytest.approx(moment, abs=0.42 if power > 2 else 0.06)


# What the page claims

ENDS = """
    const [settings] = values;
    return settings.map(setting => {
        const { points, runs } = m.setUp(setting);
        const both = [runs.plain, runs.residual];
        const ratios = both.map(({ norms }) => norms[0] / norms.at(-1));
        for (let k = 0; k < 300; k++) for (const run of both) m.advance(run, setting.rate);
        return [both.map(({ losses }) => losses.training.at(-1)), ratios, both.map(({ losses }) => losses.training[0])];
    });"""


def ends(page, depth, seeds, **options):
    """Training loss after 300 steps, first / last gradient at the start, loss at the start: (seeds, 2) each."""
    settings = [{"depth": depth, "seed": s, "normalization": "batch", "rate": 0.03} | options for s in range(seeds)]
    answers = computed(page, "depth", ENDS, settings)
    return np.array([[[np.nan if v is None else v for v in row] for row in one] for one in answers]).transpose(1, 0, 2)


def test_four_and_sixteen_layers_learn_and_of_thirty_only_the_residual_ones(new_page):
    page = new_page("index.html")
    assert (ends(page, 4, 6)[0] < 0.1).all()
    assert (np.median(ends(page, 16, 6)[0], axis=0) < 0.1).all()  # one seed may be just in a peak of its curve
    losses, ratios, _ = ends(page, 30, 10)
    plain, residual = losses.T
    assert plain.min() > 0.2, plain
    assert np.median(plain) > 0.4, plain
    assert (residual < 0.02).all(), residual
    assert (ratios[:, 0] > 20).all(), ratios  # the plain gradient is no smaller at the first layer: it is larger
    assert ((ratios[:, 1] > 0.1) & (ratios[:, 1] < 10)).all(), ratios


def test_without_normalization_thirty_layers_learn_in_neither_network(new_page):
    losses, _, starts = ends(new_page("index.html"), 30, 6, normalization="none")
    assert not (losses < 0.1).any()
    assert (starts[:, 0] < 0.8).all()
    assert (starts[:, 1] > 1.2).all(), starts  # sums that grow from block to block


def test_the_same_seed_gives_the_same_curves_and_another_seed_others(new_page):
    page = new_page("one.html#one.depth=8&one.seed=3")
    found, seen = element(page), []
    for seed in ("3", "3", "4"):
        if seed == "4":
            press(found, "more seed")
        press(found, "Reset")
        press(found, "50 steps")
        wait_for_step(found, 50)
        seen.append(state(found, "losses"))
    assert seen[0] == seen[1] != seen[2]
    assert np.shape(seen[0]) == (2, 2, 51)


# What the reader does


def test_a_run_is_trained_to_its_end_and_written_down(new_page):
    found = element(new_page("one.html", reduced_motion="no-preference"))
    assert not found.locator(".log").is_visible()
    pick(found, "My guess: the plain network stops learning at", "20 layers")
    press(found, "Train")
    wait_for_step(found, 300)
    losses = np.array(state(found, "losses"))
    assert losses.shape == (2, 2, 301)
    assert (losses[:, 0, -1] < 0.1).all()
    row = found.locator(".log tbody tr").inner_text().split("\t")
    assert row[:2] == ["4", "batch, 0.03, seed 0"]
    assert [float(text) for text in row[2:]] == pytest.approx(losses[:, 0, -1], abs=6e-5)
    assert "plain at 4; residual at 4" in found.locator(".verdict").inner_text()
    assert "Your guess: plain fails from 20 layers on." in found.locator(".verdict").inner_text()
    press(found, "Again")
    press(found, "Pause")
    assert len(state(found, "losses")[0][0]) < 301
    assert found.locator(".log tbody tr").count() == 1


def test_steps_are_counted_and_a_new_setting_starts_afresh(new_page):
    found = element(new_page("one.html"))
    for step in (1, 2):
        press(found, "Step")
        wait_for_step(found, step)
    assert np.shape(state(found, "gradients")) == (2, 4)
    pick(found, "layers", "12")
    wait_for_step(found, 0)
    press(found, "50 steps")
    wait_for_step(found, 50)
    assert np.shape(state(found, "gradients")) == (2, 12)
    assert found.locator(".bars path.plain").get_attribute("d").count("M") == 12
    press(found, "Reset")
    wait_for_step(found, 0)


def test_the_words_and_the_page_tell_the_losses(new_page):
    found = element(new_page("one.html"))
    press(found, "50 steps")
    wait_for_step(found, 50)
    words = found.locator("p[role=status]").inner_text()
    assert words.startswith("4 layers, step 50 of 300. plain, loss: training 0.")
    told = [float(number) for number in re.findall(r"(?:training|held out) ([\d.]+)", words)]
    assert told == pytest.approx(np.array(state(found, "losses"))[:, :, -1].ravel(), abs=6e-5)
    facts = " ".join(found.locator(".facts").all_inner_texts())
    assert [float(number) for number in re.findall(r"0\.\d+", facts)] == told


def test_the_axis_holds_the_largest_loss(new_page):
    code = """async text => {
        const { axisEnd } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
        return [[0.3], [1], [1.53], [2, 0.1], [6.9], [7.1], [123, Infinity, NaN], []].map(values => axisEnd(values));
    }"""
    assert new_page("index.html").evaluate(code, module("depth")) == [1, 1, 2, 2, 7, 10, 150, 1]


def test_at_50_layers_no_curve_is_cut_off(new_page):
    found = element(new_page("one.html#one.depth=50"))
    found.get_by_role("button", name="Step", exact=True).click()
    found.page.wait_for_function("document.querySelector('#one').model.get('losses')?.[0][0].length === 2")
    losses = found.evaluate("e => e.model.get('losses')")  # of plain and residual, each in training and held out
    assert max(np.max(one) for one in losses) > 1.4
    chart = found.locator("svg.curves")
    ticks = chart.locator("text").all_text_contents()
    top = max(float(tick) for tick in ticks if re.fullmatch(r"[\d.]+", tick) and tick != "300")
    low, high = (chart.locator("line").nth(k).evaluate("one => Number(one.getAttribute('y1'))") for k in (0, -1))
    for (training, _), kind in zip(losses, ("plain", "residual"), strict=True):
        start = re.match(r"M\S+ (\S+?)L", chart.locator(f"path.{kind}:not(.held)").get_attribute("d"))[1]
        assert float(start) == pytest.approx(low + training[0] / top * (high - low), abs=0.1)
        assert min(low, high) <= float(start) <= max(low, high)


def test_the_map_shows_the_spirals_once_they_are_learned(new_page):
    page = new_page("one.html#one.depth=8")
    found = element(page)
    for step in range(50, 301, 50):
        press(found, "50 steps")
        wait_for_step(found, step)
    code = """(canvas, places) => {
        const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const at = v => Math.round((v / 1.2 + 1) / 2 * width);
        return places.map(([x, y]) => 4 * (at(-y) * width + at(x))).map(j => Number(data[j] > data[j + 2]));
    }"""
    radius = np.linspace(0.3, 0.95, 12)
    angle = 2.5 * np.pi * radius
    arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    for canvas in found.locator(".map canvas").all():
        red = np.array(canvas.evaluate(code, np.concatenate([-arm, arm]).tolist()))
        assert red[:12].mean() > 0.8  # class 1 is the arm that starts on the left
        assert red[12:].mean() < 0.2


def test_numbers_that_overflow_are_said(new_page):
    found = element(new_page("one.html#one.depth=50&one.normalization=none&one.rate=0.3&one.seed=5"))
    press(found, "50 steps")
    wait_for_step(found, 50)
    assert "overflow" in found.locator("p[role=status]").inner_text()
    playground = depth_playground()
    playground.set_state(json.loads(found.evaluate("e => JSON.stringify({ losses: e.model.get('losses') })")))
    assert playground.losses.shape == (2, 2, 51)
    assert np.isnan(playground.losses).any()


def test_by_keyboard_alone(new_page):
    page = new_page("one.html")
    found = element(page)
    found.get_by_role("combobox", name="layers", exact=True).focus()
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        active = "const a = e.firstChild.shadowRoot.activeElement"
        names.append(
            found.evaluate(f"e => {{ {active}; return a.ariaLabel || (a.labels?.[0] ?? a).firstChild.textContent; }}")
        )
    guess = "My guess: the plain network stops learning at"
    assert names == ["normalization", "learning rate", "less seed", "more seed", guess, "50 steps", "Step", "Reset"]
    found.get_by_role("button", name="50 steps").focus()
    page.keyboard.press("Enter")
    wait_for_step(found, 50)


def test_a_finger_trains_it(new_page):
    found = element(new_page("one.html", width=360, has_touch=True, is_mobile=True))
    found.get_by_role("button", name="50 steps").tap()
    wait_for_step(found, 50)


def test_nothing_moves_while_it_trains_if_motion_is_unwanted(new_page):
    watch_curve = """e => {
        const path = e.firstChild.shadowRoot.querySelector(".curves path.residual");
        window.drawn = new Set([path.getAttribute("d")]);
        new MutationObserver(() => window.drawn.add(path.getAttribute("d"))).observe(path, { attributes: true });
    }"""
    for motion, name, step in [("reduce", "50 steps", 50), ("no-preference", "Train", 300)]:
        page = new_page("one.html", reduced_motion=motion)
        found = element(page)
        found.evaluate(watch_curve)
        press(found, name)
        wait_for_step(found, step)
        assert (page.evaluate("drawn.size") == 2) == (motion == "reduce")  # the curve before and the curve after


def test_only_the_controls_that_were_asked_for_are_there(new_page):
    found = element(new_page("rate.html"), "rate")
    assert found.get_by_role("combobox").count() == 1
    assert found.get_by_role("combobox", name="learning rate").input_value() == "0.03"


# The address, files, the page around it


def test_a_setup_is_in_the_address_and_can_be_opened_again(new_page):
    page = new_page("one.html")
    found = element(page)
    for name, value in [("layers", "20"), ("normalization", "none"), ("learning rate", "0.1")]:
        pick(found, name, value)
    press(found, "more seed")
    page.wait_for_function("location.hash.includes('one.seed=1')")
    again = element(new_page("one.html" + page.evaluate("location.hash")))
    assert [state(again, name) for name in ("depth", "normalization", "rate", "seed")] == [20, "none", 0.1, 1]


@pytest.mark.parametrize(
    ("hash", "depth", "rate"),
    [
        ("#one.depth=x&one.rate=0", 4, 0.03),
        ("#one.depth=999&one.seed=-1", 50, 0.03),
        ("#one.depth=7&one.rate=1e", 6, 0.03),
    ],
)
def test_nonsense_in_the_address_does_no_harm(new_page, hash, depth, rate):
    found = element(new_page("one.html" + hash))
    assert (state(found, "depth"), state(found, "rate"), state(found, "seed")) == (depth, rate, 0)
    press(found, "Step")
    wait_for_step(found, 1)


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    found = element(new_page("one.html#one.depth=12", base=site))
    press(found, "Step")
    wait_for_step(found, 1)
    assert np.shape(state(found, "gradients")) == (2, 12)


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html")
    found = element(page)
    for step in range(50, 301, 50):
        press(found, "50 steps")
        wait_for_step(found, step)
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-depth .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-depth .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


# Python


def test_the_element_holds_the_whole_set_up():
    text = html(depth_playground(30, normalization="none", rate=0.1, seed=0, controls="", name="mine"))
    for part in ('id="mine"', 'depth="30"', 'normalization="none"', 'rate="0.1"', 'seed="0"', 'controls=" "'):
        assert part in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": 7}, "depth 7 is odd"),
        ({"controls": "depths"}, r"no control is called \['depths'\]"),
        ({"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        depth_playground(**wrong)


# JupyterLab


def test_in_jupyterlab_python_reads_the_curves_and_sets_the_depth(notebook):
    opened = notebook(
        "from cnnlib.playground import depth_playground\np = depth_playground(8, seed=2)\np",
        "print(p.losses.shape, p.gradients.shape, p.depth)",
        "p.depth = 12",
    )
    found = opened.run_cell(0).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    press(found, "50 steps")
    wait_for_step(found, 50)
    opened.wait_for_print(1, "(2, 2, 51) (2, 8) 8")
    opened.run_cell(2)
    wait_for_step(found, 0)
    press(found, "Step")
    wait_for_step(found, 1)
    opened.wait_for_print(1, "(2, 2, 2) (2, 12) 12")
