"""Watch it learn, in a real browser: arithmetic against cnnlib.ops, its claims, what the reader does, Python."""

import json

import numpy as np
import pytest
from elements import computed, html, press, state

from cnnlib import ops
from cnnlib.playground import learn_playground

BASE = {"seed": 0, "depth": 2, "normalization": "batch", "labels": "true", "augmentation": "none"}
BASE |= {"rate": 0.05, "momentum": 0.9, "batch": 32}
DIGITS = np.random.default_rng(3).random((60, 16, 16)), np.arange(60) % 3


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a playground in three pages."""
    widgets = {
        "one": learn_playground(name="one"),
        "rate": learn_playground(controls="rate", name="rate"),
        "own": learn_playground(*DIGITS, names=["a", "b", "c"], batch=8, name="own"),
    }
    return new_site(
        {f"{name}.md": f"# A page\n\n{html(widget)}\n\n## Below\n\nText.\n" for name, widget in widgets.items()}
    )


def element(page, name="one"):
    found = page.locator(f"cnn-learn#{name}")
    found.locator(".playground").wait_for()
    return found


def wait_for_step(found, step):
    found.get_by_text(f"step {step}, epoch").wait_for()
    found.get_by_role("button", name="Pause").wait_for(state="detached")


# The arithmetic

STEPS = """
    const [setting, steps] = values;
    const run = m.setUp(setting);
    const { network } = run;
    const copy = () => ({
        learned: m.learned(network, network.normalized).map(list),
        running: network.blocks.map(({ mean, variance }) => [list(mean), list(variance)]),
    });
    const answer = [copy()];
    for (let k = 0; k < steps; k++) {
        const batch = m.nextBatch(run, setting);
        const found = m.finish(m.forward(structuredClone(network), batch.x, true));
        const { logits } = found;
        const back = m.finish(m.backward(network, found, m.crossEntropy(logits, batch.y, network.classes).slopes));
        const gradients = m.learned(back, network.normalized).map(list);
        const loss = m.finish(m.trainingStep(run, batch, setting.rate, setting.momentum));
        answer.push({ x: list(batch.x), y: batch.y, logits: list(logits), gradients, loss, ...copy() });
    }
    const seen = m.finish(m.forward(network, answer.at(-1).x));
    return { answer, seen: list(seen.logits) };"""


def arrays(lists, depth, normalized):
    """Flat lists as arrays: of each block w (F, C, 3, 3), scale, shift (F,), then the dense layer's w and b."""
    shapes, channels = [], 1
    for filters in (8, 16, 16)[:depth]:
        shapes += [(filters, channels, 3, 3), *([(filters,)] if normalized else []), (filters,)]
        channels = filters
    shapes += [(6, channels * (16 >> depth) ** 2), (6,)]
    return [np.array(values, float).reshape(shape) for values, shape in zip(lists, shapes, strict=True)]


def by_ops(learned, running, x, y, *, training=True):
    """Logits, loss and gradients of the network by cnnlib.ops; the running statistics move in place."""
    *blocks, (head, bias) = grouped(learned, len(running))
    traces = []
    for block, statistics in zip(blocks, running, strict=True):
        normalized = len(block) == 3
        z = ops.conv2d(x, block[0], None if normalized else block[1], padding=1)
        u = ops.batch_norm2d(z, block[1], block[2], *statistics, training=training) if normalized else z
        traces.append((x, z, u))
        x = ops.max_pool2d(ops.relu(u), 2)
    logits = ops.linear(flat := x.reshape(len(x), -1), head, bias)
    dy, dw, db = ops.linear_backward(ops.cross_entropy_backward(logits, y), flat, head)
    gradients, dy = [[dw, db]], dy.reshape(x.shape)
    for block, (x, z, u) in reversed(list(zip(blocks, traces, strict=True))):
        dy = ops.relu_backward(ops.max_pool2d_backward(dy, ops.relu(u), 2), u)
        moved = ()
        if len(block) == 3:
            dy, *moved = ops.batch_norm2d_backward(dy, z, block[1], training=True)
        dy, dw, db = ops.conv2d_backward(dy, x, block[0], padding=1)
        gradients.insert(0, [dw, *(moved or [db])])
    return logits, ops.cross_entropy(logits, y), [one for part in gradients for one in part]


def grouped(learned, depth):
    """The list of arrays as one list a block, and the dense layer's."""
    size = (len(learned) - 2) // depth
    return [learned[k * size : (k + 1) * size] for k in range(depth)] + [learned[-2:]]


@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_gradients_and_whole_steps_are_those_of_cnnlib_ops(new_page, depth, normalization):
    setting = BASE | {"depth": depth, "normalization": normalization, "batch": 6, "seed": 5}
    found = computed(new_page("index.html"), "learn", STEPS, setting, 3)
    first, *steps = found["answer"]
    normalized = normalization == "batch"
    learned = arrays(first["learned"], depth, normalized)
    running = [[np.array(values, float) for values in block] for block in first["running"]]
    velocity = [np.zeros_like(one) for one in learned]
    for step in steps:
        x, y = np.array(step["x"]).reshape(-1, 1, 16, 16), np.array(step["y"])
        logits, loss, gradients = by_ops(learned, running, x, y)
        np.testing.assert_allclose(step["logits"], logits.ravel(), rtol=1e-5, atol=1e-8)
        assert step["loss"] == pytest.approx(loss, rel=1e-5)
        for got, want in zip(arrays(step["gradients"], depth, normalized), gradients, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * abs(want).max())
        moved = [
            ops.sgd_step(w, dw, v, lr=0.05, momentum=0.9) for w, dw, v in zip(learned, gradients, velocity, strict=True)
        ]
        learned, velocity = (list(part) for part in zip(*moved, strict=True))
        for got, want in zip(arrays(step["learned"], depth, normalized), learned, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
        if normalized:
            np.testing.assert_allclose(np.ravel(step["running"][0]), np.ravel(running[0]), rtol=1e-5)
    logits, *_ = by_ops(learned, running, x, y, training=False)
    np.testing.assert_allclose(found["seen"], logits.ravel(), rtol=1e-5, atol=1e-6)


def test_images_are_mirrored_or_moved_by_two_pixels_at_most_and_edges_repeated(new_page):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 16, 16))
    body = """
        const [x, ways] = values;
        const images = { x: Float64Array.from(x), y: Array(40).fill(0) };
        return ways.map(way => list(m.vary(m.makeRandom(1), images, way).x));"""
    ways = [{"flip": True, "shift": False}, {"flip": False, "shift": True}]
    flipped, moved = computed(new_page("index.html"), "learn", body, x.ravel().tolist(), ways)
    turned = [np.array_equal(got, one[:, ::-1]) for got, one in zip(np.reshape(flipped, x.shape), x, strict=True)]
    same = [np.array_equal(got, one) for got, one in zip(np.reshape(flipped, x.shape), x, strict=True)]
    assert np.all(np.array(turned) != np.array(same))
    assert 8 < sum(turned) < 32
    seen = set()
    for got, one in zip(np.reshape(moved, x.shape), x, strict=True):
        framed = np.pad(one, 2, mode="edge")
        found = [(r, c) for r in range(5) for c in range(5) if np.array_equal(got, framed[r : r + 16, c : c + 16])]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) > 12


def test_shapes_come_by_turns_and_a_backslash_is_a_mirrored_slash(new_page):
    body = "const { x, y } = m.drawShapes(m.makeRandom(2), 600); return [list(x), y];"
    x, y = (np.array(one) for one in computed(new_page("index.html"), "learn", body))
    x = x.reshape(600, 16, 16)
    assert np.bincount(y).tolist() == [100] * 6
    mean = [x[y == k].mean(0) for k in range(6)]
    alike = [np.corrcoef(mean[4].ravel(), other.ravel())[0, 1] for other in (mean[5][:, ::-1], mean[5])]
    assert alike[0] > 0.9
    assert alike[1] < 0.7


TRAINED = """
    const [settings, steps] = values;
    return settings.map(setting => {
        const run = Object.assign(m.setUp(setting), { goal: steps });
        m.finish(m.train(run, setting));
        return [run.looks, run.losses.slice(-20)];
    });"""


def trained(page, steps, *changes):
    """Looks (L, 3) and the last losses of runs with these changes of the default setting."""
    return computed(page, "learn", TRAINED, [BASE | change for change in changes], steps)


def test_three_seeds_get_nine_tenths_right_within_120_steps(new_page):
    for looks, _ in trained(new_page("index.html"), 120, *({"seed": seed} for seed in range(3))):
        assert max(right for _, _, right in looks) >= 0.9


def test_with_flip_a_sixth_is_lost_and_with_shuffled_labels_everything(new_page):
    page = new_page("index.html")
    (flipped, _), (plain, _) = trained(page, 160, {"augmentation": "flip"}, {})
    assert flipped[-1][2] < 0.9 < plain[-1][2]
    [(looks, losses)] = trained(page, 300, {"labels": "shuffled"})
    assert looks[-1][2] < 0.35
    assert np.mean(losses) < 1.77 < np.log(6) < looks[-1][1]


# What the reader does


def test_a_run_is_trained_paused_and_goes_on_with_the_same_numbers(new_page):
    page = new_page("one.html#one.batch=8", reduced_motion="no-preference")
    found = element(page)
    press(found, "Train")
    found.get_by_text("images a second").wait_for()
    press(found, "Pause")
    found.get_by_role("button", name="Train", exact=True).wait_for()
    losses = state(found, "losses")
    assert losses
    press(found, "Step")
    wait_for_step(found, len(losses) + 1)
    press(found, "Reset")
    wait_for_step(found, 0)
    again = element(new_page("one.html#one.batch=8"))
    for step in range(50, len(losses) + 50, 50):
        press(again, "50 steps")
        wait_for_step(again, step)
    assert state(again, "losses")[: len(losses)] == losses


def test_words_kernels_gallery_and_curves_tell_one_run(new_page):
    found = element(new_page("one.html"))
    press(found, "50 steps")
    wait_for_step(found, 50)
    step, _, right = state(found, "looks")[-1]
    wrong = state(found, "wrong")
    assert step == 50
    assert len(wrong) == round(240 * (1 - right))
    assert f"{len(wrong)} wrong" in found.locator("[role=status]").inner_text()
    assert np.shape(state(found, "kernels")) == (8, 3, 3)
    picks = found.locator(".pick:visible")
    assert picks.count() == min(12, len(wrong))
    truth = picks.last.inner_text().split(", not ")[0]
    picks.last.click()
    assert picks.last.get_attribute("aria-pressed") == "true"
    assert found.get_by_role("img", name=f"held-out image {wrong[picks.count() - 1] + 1}, {truth}").count() == 1
    assert found.locator(".losses path.now").get_attribute("d").count("L") == 49
    press(found, "Reset")
    wait_for_step(found, 0)
    assert found.locator(".losses path.earlier").get_attribute("d").count("L") == 49
    assert not found.locator(".losses path.now").get_attribute("d")


def test_the_page_gets_its_turn_more_than_once_a_step(new_page):
    found = element(new_page("one.html#one.batch=128&one.depth=3"))
    found.evaluate("""() => {
        const { port1, port2 } = new MessageChannel();
        window.turns = 0;
        port1.onmessage = () => { window.turns++; port2.postMessage(null); };
        port2.postMessage(null);
    }""")
    press(found, "Step")
    wait_for_step(found, 1)
    before = found.evaluate("window.turns")
    press(found, "Step")
    wait_for_step(found, 2)
    assert found.evaluate("window.turns") - before > 2


def test_too_large_a_rate_is_said(new_page):
    found = element(new_page("one.html#one.rate=10&one.normalization=none&one.batch=8&one.depth=1&one.momentum=0.99"))
    for _ in range(2):
        press(found, "50 steps")
        found.get_by_role("button", name="Pause").wait_for(state="detached")
    assert "overflow" in found.locator("[role=status]").inner_text()
    playground = learn_playground()
    playground.set_state(json.loads(found.evaluate("e => JSON.stringify({ losses: e.model.get('losses') })")))
    assert np.isnan(playground.losses[-1])


def test_by_keyboard_alone(new_page):
    page = new_page("one.html")
    found = element(page)
    found.get_by_role("combobox", name="learning rate", exact=True).focus()
    names = []
    for _ in range(11):
        page.keyboard.press("Tab")
        active = "const a = e.firstChild.shadowRoot.activeElement"
        names.append(
            found.evaluate(f"e => {{ {active}; return a.ariaLabel || (a.labels?.[0] ?? a).firstChild.textContent; }}")
        )
    assert names[:6] == ["momentum", "batch size", "normalization", "augmentation", "convolutions", "labels"]
    assert names[6:] == ["less seed", "more seed", "50 steps", "Step", "Reset"]
    found.get_by_role("button", name="Step", exact=True).focus()
    page.keyboard.press("Enter")
    wait_for_step(found, 1)


def test_only_the_controls_that_were_asked_for_are_there(new_page):
    found = element(new_page("rate.html"), "rate")
    assert found.get_by_role("combobox").count() == 1
    assert found.get_by_role("combobox", name="learning rate").input_value() == "0.05"


def test_own_images_are_learned_and_the_last_fifth_is_held_out(new_page):
    found = element(new_page("own.html"), "own")
    press(found, "Step")
    wait_for_step(found, 1)
    about = found.locator(".about").inner_text()
    assert about.startswith("48 images to learn from, 12 held out; classes: a, b, c.")


# The address, files, the page around it


def test_a_setup_is_in_the_address_and_can_be_opened_again(new_page):
    page = new_page("one.html")
    found = element(page)
    picks = {"learning rate": "0.2", "augmentation": "shift and flip", "convolutions": "3", "labels": "shuffled"}
    for name, value in picks.items():
        found.get_by_role("combobox", name=name, exact=True).select_option(value)
    press(found, "more seed")
    page.wait_for_function("location.hash.includes('one.seed=1')")
    again = element(new_page("one.html" + page.evaluate("location.hash")))
    names = ("rate", "augmentation", "depth", "labels", "seed")
    assert [state(again, name) for name in names] == [0.2, "shift and flip", 3, "shuffled", 1]


def test_nonsense_in_the_address_does_no_harm(new_page):
    found = element(new_page("one.html#one.rate=x&one.depth=99&one.batch=0&one.labels=false&one.seed=-1"))
    assert [state(found, name) for name in ("rate", "depth", "batch", "labels", "seed")] == [0.05, 3, 2, "true", 0]
    press(found, "Step")
    wait_for_step(found, 1)


def test_it_lives_in_a_page_opened_from_a_file(new_page, site):
    found = element(new_page("one.html#one.batch=8", base=site))
    press(found, "Step")
    wait_for_step(found, 1)
    assert len(state(found, "losses")) == 1


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light")
    page = one.open(serve(site), "one.html#one.batch=8")
    found = element(page)
    press(found, "50 steps")
    wait_for_step(found, 50)
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-learn .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() + one.too_faint() == []
    assert one.overflow() <= 0
    inner = page.locator("cnn-learn .playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]


# Python


def test_the_element_holds_the_whole_set_up():
    text = html(learn_playground(rate=0.2, momentum=0, batch=8, augmentation="shift and flip", controls="", name="m"))
    parts = ('id="m"', 'rate="0.2"', 'momentum="0.0"', 'batch="8"', 'augmentation="shift+and+flip"', 'controls=" "')
    for part in (*parts, 'depth="2"', 'labels="true"', 'normalization="batch"'):
        assert part in text


X, Y = DIGITS


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X[:, :15], Y), {}, r"images have shape \(60, 15, 16\)"),
        ((X[:39], Y[:39]), {}, "40 to 1500 of them"),
        ((X * np.nan, Y), {}, "nan or infinite"),
        ((X * 0, Y), {}, "all the same"),
        ((X, Y[:50]), {}, "pass 60 whole numbers, one an image"),
        ((X, Y / 2), {}, "pass 60 whole numbers, one an image"),
        ((X, Y + 8), {}, "classes go from 8 to 10"),
        ((X, Y), {"names": ["a", "b"]}, "2 names for 3 classes"),
        ((X, Y), {"batch": 64}, "there are 48 images to learn from"),
        ((), {"controls": "rates"}, r"no control is called \['rates'\]"),
        ((), {"name": "1 st"}, "a letter, then letters"),
    ],
)
def test_a_wrong_argument_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        learn_playground(*arguments, **options)


# JupyterLab


def test_in_jupyterlab_python_reads_the_curves_and_brings_its_own_images(notebook):
    opened = notebook(
        "import numpy as np\nfrom cnnlib.playground import learn_playground\n"
        "x = np.random.default_rng(0).random((60, 16, 16))\n"
        "p = learn_playground(x, np.arange(60) % 3, batch=8)\np",
        "print(p.losses.shape, p.looks.shape, p.kernels.shape, p.depth)",
        "p.depth = 1",
    )
    found = opened.run_cell(0).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    press(found, "50 steps")
    wait_for_step(found, 50)
    opened.wait_for_print(1, "(50,) (6, 3) (8, 3, 3) 2")
    opened.run_cell(2)
    wait_for_step(found, 0)
    press(found, "Step")
    wait_for_step(found, 1)
    opened.wait_for_print(1, "(1,) (2, 3) (8, 3, 3) 1")
