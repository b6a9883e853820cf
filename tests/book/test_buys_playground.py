"""What each technique buys, in a real browser: arithmetic against NumPy, words, patterns, keys, phone, JupyterLab."""

import json
import math
import re

import numpy as np
import pytest
from elements import computed, html, press, settle, state

from cnnlib.playground import buys_playground
from cnnlib.playground.buys import runs_of

# A study with invented numbers, in the form that recipes.run_study writes. Real ones are in runs/.
PLAIN = {
    "full": [0.9400, 0.9412, 0.9396, 0.9405, 0.9402],
    "no_whitening": [0.9311, 0.9324, 0.9330, 0.9318, 0.9322],
    "no_orthogonal_updates": [0.9262, 0.9284, 0.9270, 0.9291, 0.9268],
    "no_label_smoothing": [0.9391, 0.9388, 0.9401, 0.9383, 0.9396],
    "no_alternating_flips": [0.9393, 0.9404, 0.9398, 0.9406, 0.9389],
    "no_flips": [0.9341, 0.9329, 0.9350, 0.9334, 0.9336],
    "no_crop": [0.9420, 0.9431, 0.9424, 0.9418, 0.9427],
    "no_small_images": [0.9407, 0.9399, 0.9411, 0.9395, 0.9409],
    "with_dropout": [0.9350, 0.9361, 0.9344, 0.9353, 0.9358],
    "no_schedule": [0.7712, 0.7850, 0.7533, 0.7921, 0.7688],
}
SECONDS = {"full": 300, "no_small_images": 381, "no_orthogonal_updates": 289}
STUDY = {
    "name": "an_invented_study",
    "train_images": 50000,
    "test_images": 10000,
    "hardware": {"device": "cpu", "processor": "a machine"},
    "arms": {
        arm: {
            "change": {},
            "parameters": 1000,
            "seed": list(range(5)),
            "test_accuracy": plain,
            "tta_accuracy": [value + (0.003 if arm == "full" else 0.0045) for value in plain],
            "seconds": [SECONDS.get(arm, 300) + shift for shift in (2.5, -1.0, 0.5, 0.0, -2.0)],
            "train_accuracy": [0.98] * 5,
        }
        for arm, plain in PLAIN.items()
    },
}
T_975 = (  # of Student's t with 1 to 30 degrees of freedom, from a printed table
    "12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145 2.131 "
    "2.120 2.110 2.101 2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048 2.045 2.042"
)


def study(**arms):
    """A study of these arms' test accuracies."""
    return {"name": "small", "arms": {arm: {"test_accuracy": values} for arm, values in arms.items()}}


@pytest.fixture(scope="module")
def site(new_site):
    """A small book, built as ours is, with a playground in each of three pages."""
    one_run = study(full=[0.94], no_flips=[0.93], no_crop=[0.95])
    widgets = {
        "one": buys_playground(STUDY, name="one"),
        "covered": buys_playground(STUDY, name="covered", controls="technique seeds", predict=True),
        "single": buys_playground(one_run, name="single", controls=""),
    }
    pages = {f"{name}.md": f"# A page\n\n<div>{html(widget)}</div>\n\nText.\n" for name, widget in widgets.items()}
    return new_site(pages)


def element(page, name="one"):
    found = page.locator(f"cnn-buys#{name}")
    found.locator(".playground").wait_for()
    return found


def pick(found, name, value):
    found.get_by_role("combobox", name=name, exact=True).select_option(value)


def sentence(found):
    return found.locator(".sentence[role=status]").inner_text()


def rows(found):
    """Of each row of the overview, from the top: its technique, its numbers, its word."""
    return [
        tuple(row.locator(part).inner_text() for part in (".name", ".value", ".word"))
        for row in found.get_by_role("listitem").all()
    ]


def row(found, technique):
    return found.get_by_role("listitem").filter(has=found.page.get_by_text(technique, exact=True))


# The arithmetic


def test_t_quantiles_are_those_of_the_table(new_page):
    body = "return values[0].map(df => m.tQuantile(0.95, df));"
    got = computed(new_page("index.html"), "buys", body, [*range(1, 31)])
    np.testing.assert_allclose(got, [float(text) for text in T_975.split()], atol=6e-4)


def share_within(t, df):
    """The probability that Student's t with df degrees of freedom lies between -t and t, by the trapezoid rule."""
    x = np.linspace(0, t, 40_001)
    constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    return 2 * np.trapezoid(np.exp(constant - (df + 1) / 2 * np.log1p(x * x / df)), x)


def random_pairs(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        m, n = rng.integers(2, 13, size=2)
        spreads = 10 ** rng.uniform(-2, 0.5, size=2)
        centers = rng.normal(94, 1, size=2)
        yield [rng.normal(*one).round(2).tolist() for one in zip(centers, spreads, (m, n), strict=True)]


def test_means_intervals_and_visible_differences_of_random_runs_are_numpys(new_page):
    pairs = [pair for pair in random_pairs(310) if max(map(np.ptp, pair)) > 0][:300]
    assert len(pairs) == 300
    body = "return values[0].map(([a, b]) => [m.compareRuns(a, b), m.verdictOf(m.compareRuns(a, b))]);"
    for (a, b), (got, verdict) in zip(pairs, computed(new_page("index.html"), "buys", body, pairs), strict=True):
        errors = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
        df = sum(errors) ** 2 / (errors[0] ** 2 / (len(a) - 1) + errors[1] ** 2 / (len(b) - 1))
        spread = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
        least = 2.8 * spread * math.sqrt(1 / len(a) + 1 / len(b))
        np.testing.assert_allclose(got["means"], [np.mean(a), np.mean(b)])
        np.testing.assert_allclose([got["difference"], got["df"], got["least"]], [np.mean(a) - np.mean(b), df, least])
        np.testing.assert_allclose((got["low"] + got["high"]) / 2, got["difference"])
        half = (got["high"] - got["low"]) / 2
        assert share_within(half / math.sqrt(sum(errors)), df) == pytest.approx(0.95, abs=2e-5)
        seen = abs(got["difference"]) >= least and abs(got["difference"]) > half
        assert verdict == (("helps" if got["difference"] > 0 else "hurts") if seen else "uncertain")


def test_for_equal_numbers_of_runs_the_visible_difference_is_the_books(new_page):
    a, b = [94.0, 94.4, 93.9], [93.0, 93.1, 93.5]
    got = computed(new_page("index.html"), "buys", "return m.compareRuns(...values);", a, b)
    s = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    assert got["least"] == pytest.approx(2.8 * s * math.sqrt(2 / 3))


def test_where_the_spread_is_unknown_nothing_is_claimed(new_page):
    cases = [([94.0], [93.0]), ([94.0], [93.0, 93.5]), ([94.0, 94.0], [93.1, 93.1]), ([94.03] * 3, [94.03] * 3)]
    body = "return values[0].map(pair => m.verdictOf(m.compareRuns(...pair)));"
    assert computed(new_page("index.html"), "buys", body, cases) == ["unknown"] * 4


HIGH, LOW = [94.0, 94.1, 94.2], [93.2, 93.3, 93.4]
TOLD = [
    ("no_flips", HIGH, LOW, "0.80 points, and 3 seeds can show 0.23. It helps."),
    ("no_flips", LOW, HIGH, "0.80 points lower with it, and 3 seeds can show 0.23. It hurts."),
    ("with_dropout", HIGH, LOW, "0.80 points, and 3 seeds can show 0.23. The full recipe is better."),
    ("wrong_std", LOW, HIGH, "0.80 points, and 3 seeds can show 0.23. The full recipe is worse."),
    ("no_flips", HIGH, [93.9, 94.0, 94.1], "0.10 points. That is too small for 3 seeds to see: they can show 0.23."),
    ("no_flips", [94.0, 94.2], [93.6, 93.8],
     "0.40 points, but with only 2 seeds the interval still reaches past 0: uncertain."),
    ("no_flips", [94.0, 94.2] * 6, [93.9, 94.1] * 6,
     "0.10 points, less than the 0.12 that 12 seeds can show. The interval leaves out 0, but only just: uncertain."),
    ("no_flips", [94.0], [93.0], "1.00 points. One run each shows nothing about the spread."),
    ("no_flips", [94.0, 94.2], [93.0], "1.10 points. A single run on one side shows nothing about its spread."),
    ("no_flips", [94.0] * 2, [93.0] * 2,
     "1.00 points. The runs on each side are all equal, so nothing is known about the spread."),
    ("no_flips", HIGH, [93.2, 93.4], "0.80 points, and 3 and 2 seeds can show 0.31. It helps."),
]  # fmt: skip


def test_the_sentence_says_whether_so_many_seeds_can_show_it(new_page):
    body = "return values[0].map(([arm, a, b]) => m.tell(arm, m.compareRuns(a, b)));"
    assert computed(new_page("index.html"), "buys", body, [case[:3] for case in TOLD]) == [case[3] for case in TOLD]


def test_seconds_are_bought_paid_or_uncertain(new_page):
    cases = [
        ("no_flips", [10, 12, 11], [20, 22, 21]),
        ("no_flips", [20, 22], [10, 12]),
        ("no_flips", [10, 12, 11], [11, 13, 10]),
        ("no_flips", [10], [20]),
        ("with_dropout", [10, 12, 11], [20, 22, 21]),
    ]
    body = "return values[0].map(([arm, a, b]) => m.tellSeconds(arm, m.compareSeconds(a, b)));"
    assert computed(new_page("index.html"), "buys", body, cases) == [
        "11.0 s with it and 21.0 s without, 0.52 times as long. It saves 10.0 s a run.",
        "21.0 s with it and 11.0 s without, 1.91 times as long. It costs 10.0 s a run.",
        "11.0 s with it and 11.0 s without, 1.00 times as long. These runs cannot tell which is quicker.",
        "10.0 s with it and 20.0 s without, 0.50 times as long. One run each shows nothing about the spread.",
        "11.0 s for the full recipe and 21.0 s for with dropout, 0.52 times as long. "
        "The full recipe saves 10.0 s a run.",
    ]


def test_runs_come_back_from_their_text(new_page):
    playground = buys_playground(STUDY)
    text = re.search(r' runs="([^"]*)"', html(playground))[1]
    got = computed(new_page("index.html"), "buys", "return m.readRuns(values[0]);", text)
    assert list(got) == list(STUDY["arms"])
    for arm, results in runs_of(STUDY).items():
        for name, values in results.items():
            np.testing.assert_allclose(got[arm][name], values, rtol=2e-6)


# What the page shows, and what the reader does


def test_at_rest_the_first_technique_is_shown_with_all_seeds(new_page):
    found = element(new_page())
    assert sentence(found) == "Whitening: 0.82 points, and 5 seeds can show 0.12. It helps."
    assert found.locator(".full .run").count() == found.locator(".other .run").count() == 5
    label = found.locator(".plot").get_attribute("aria-label")
    assert "full recipe: 94.00, 94.12, 93.96, 94.05, 94.02, mean 94.03 %. no whitening: 93.11," in label
    assert "difference +0.82 points, 95 % interval 0.72 to 0.92" in found.locator("dl").inner_text().replace("\n", " ")
    assert found.get_by_text("an_invented_study (50,000 training images, a machine)").is_visible()
    means = [found.locator(f".{lane} .mean:not(.theirs)").bounding_box()["x"] for lane in ("full", "other")]
    assert means[0] > means[1]  # to the right is better


def test_the_marks_stand_where_the_axis_says(new_page):
    found = element(new_page())
    middle = "e => { const box = e.getBoundingClientRect(); return box.left + box.width / 2; }"
    ticks = found.locator(".plot .axis span").all()
    texts = [float(tick.inner_text()) for tick in ticks]
    places = [tick.evaluate(middle) for tick in ticks]
    for lane, arm in (("full", "full"), ("other", "no_whitening")):
        got = [one.evaluate(middle) for one in found.locator(f".{lane} .run").all()]
        want = np.polyval(np.polyfit(texts, places, 1), 100 * np.array(PLAIN[arm]))
        np.testing.assert_allclose(got, want, atol=1.5)


def test_the_overview_is_sorted_and_says_what_is_uncertain(new_page):
    found = element(new_page())
    assert [(name, word) for name, _, word in rows(found)] == [
        ("schedule", "helps"), ("orthogonal updates", "helps"), ("whitening", "helps"), ("flips", "helps"),
        ("with dropout", "full recipe better"), ("label smoothing", "uncertain"), ("alternating flips", "uncertain"),
        ("small images", "uncertain"), ("crop", "hurts"),
    ]  # fmt: skip
    assert rows(found)[-1][1] == "\u22120.21 (\u22120.29 to \u22120.13)"
    look = """e => [getComputedStyle(e).borderTopStyle, getComputedStyle(e).backgroundImage.includes("repeating")]"""
    looks = {name: row(found, name).locator(".bar").evaluate(look) for name, _, _ in rows(found)}
    assert looks["whitening"] == looks["crop"] == ["solid", False]
    assert looks["small images"] == looks["label smoothing"] == ["dashed", True]  # a pattern, not only a color


def test_a_difference_that_is_far_larger_is_cut_off_and_says_so(new_page):
    found = element(new_page())
    bars = {name: row(found, name).locator(".bar") for name in ("schedule", "whitening")}
    assert "cut-right" in bars["schedule"].get_attribute("class")
    assert "cut" not in bars["whitening"].get_attribute("class")
    widest = row(found, "whitening").locator(".track").bounding_box()["width"]
    assert bars["whitening"].bounding_box()["width"] > 0.03 * widest  # the others are not squeezed


def test_with_fewer_seeds_less_can_be_shown_and_with_one_nothing(new_page):
    found = element(new_page())
    pick(found, "technique", "flips")
    assert sentence(found).endswith("It helps.")
    found.get_by_role("button", name="less seeds").click(click_count=3)
    assert state(found, "seeds") == 2
    assert "2 seeds" in sentence(found)
    found.get_by_role("button", name="less seeds").click()
    assert sentence(found) == "Flips: 0.59 points. One run each shows nothing about the spread."
    assert {word for _, _, word in rows(found)} == {"spread unknown"}
    assert found.locator(".bar:visible").count() == 1  # the arrow of what lies beyond the end
    assert "no interval" in found.locator("dl").inner_text()
    found.get_by_role("button", name="less seeds").click(force=True)
    assert state(found, "seeds") == 1
    for _ in range(6):
        found.get_by_role("button", name="more seeds").click(force=True)
    assert state(found, "seeds") == 5


def test_test_time_augmentation_changes_the_runs_and_the_words(new_page):
    found = element(new_page())
    pick(found, "technique", "label smoothing")
    before = sentence(found)
    pick(found, "accuracy", "test-time augmentation")
    assert state(found, "accuracy") == "tta"
    assert sentence(found) != before
    assert "full recipe: 94.30, 94.42" in found.locator(".plot").get_attribute("aria-label")


def test_a_technique_is_chosen_in_the_overview_by_keyboard(new_page):
    found = element(new_page())
    name = found.get_by_role("button", name="crop", exact=True)
    name.focus()
    name.press("Enter")
    assert state(found, "technique") == "no_crop"
    assert sentence(found) == "Crop: 0.21 points lower with it, and 5 seeds can show 0.10. It hurts."
    assert name.get_attribute("aria-pressed") == "true"
    less = found.get_by_role("button", name="less seeds")
    less.focus()
    for _ in range(4):
        less.press("Enter")
    assert found.evaluate("e => e.firstChild.shadowRoot.activeElement.ariaLabel") == "less seeds"
    select = found.get_by_role("combobox", name="technique")
    select.focus()
    select.press("ArrowDown")
    assert state(found, "technique") == "no_small_images"
    press(found, "Reset")
    assert [state(found, name) for name in ("technique", "accuracy", "seeds")] == ["no_whitening", "plain", 5]


def test_predict_hides_the_results_until_they_are_asked_for(new_page):
    page = new_page("covered.html")
    found = element(page, "covered")
    techniques = [arm.removeprefix("no_").replace("_", " ") for arm in PLAIN if arm != "full"]
    assert rows(found) == [(name, "?", "") for name in techniques]  # not yet sorted
    assert sentence(found) == ""
    assert not found.locator("dl").is_visible()
    assert found.locator(".full .run").count() == 5
    assert found.locator(".other .run, .bar:visible, .dot:visible").count() == 0
    found.get_by_role("button", name="crop", exact=True).click()
    assert "no crop: hidden" in found.locator(".plot").get_attribute("aria-label")
    assert not re.search(r"93\.[0-8]|94\.2|points lower", found.locator(".playground").inner_text())
    press(found, "Show results")
    assert sentence(found).endswith("It hurts.")
    assert rows(found)[0][0] == "schedule"
    assert found.get_by_role("combobox").count() == 1  # controls="technique seeds"


def test_one_run_each_and_no_controls(new_page):
    found = element(new_page("single.html"), "single")
    assert sentence(found) == "Flips: 1.00 points. One run each shows nothing about the spread."
    assert [word for _, _, word in rows(found)] == ["spread unknown"] * 2
    assert found.get_by_role("button").count() == found.get_by_role("combobox").count() == 0
    assert "seconds" not in found.locator("dl").inner_text()


# The address, the page, Python, JupyterLab


def test_the_state_is_in_the_address_and_opens_from_a_file(new_page, site):
    page = new_page()
    found = element(page)
    pick(found, "technique", "alternating flips")
    pick(found, "accuracy", "test-time augmentation")
    found.get_by_role("button", name="less seeds").click()
    page.wait_for_function("location.hash.includes('one.seeds=4')")
    again = element(new_page("one.html" + page.evaluate("location.hash"), base=site))
    assert [state(again, name) for name in ("technique", "accuracy", "seeds")] == ["no_alternating_flips", "tta", 4]
    assert sentence(again) == sentence(found)


@pytest.mark.parametrize(
    "text", ["technique=no_such", "accuracy=both", "seeds=0", "seeds=-3", "seeds=many", "seeds=9999", "technique=full"]
)
def test_nonsense_in_the_address_does_no_harm(new_page, text):
    found = element(new_page(f"one.html#one.{text}"))
    want = "Whitening: 0.89 points. One run each" if text == "seeds=0" else "Whitening: 0.82 points, and 5 seeds"
    assert sentence(found).startswith(want)


@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_and_nothing_hangs_over(watch, serve, site, width):
    one = watch(viewport={"width": width, "height": 900}, color_scheme="light", has_touch=width == 360)
    page = one.open(serve(site), "one.html")
    found = element(page)
    pick(found, "technique", "orthogonal updates")  # the longest name
    for theme in ("light", "dark"):
        one.colors(theme)
        page.locator(f"cnn-buys .playground{'.dark' if theme == 'dark' else ':not(.dark)'}").wait_for()
        assert one.violations() == []
        assert one.too_faint() == []
        assert one.overflow() <= 0
    inner = found.locator(".playground").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert inner[0] <= inner[1]
    if width == 360:
        found.get_by_role("button", name="flips", exact=True).tap()
        assert state(found, "technique") == "no_flips"
        assert min(one.bounding_box()["height"] for one in found.get_by_role("button").all()) >= 44


@pytest.mark.parametrize(("motion", "seconds"), [("reduce", "0s"), ("no-preference", "0.25s, 0.25s")])
def test_bars_move_only_where_motion_is_wanted(new_page, motion, seconds):
    found = element(new_page(reduced_motion=motion))
    settle(found.page)
    assert row(found, "crop").locator(".bar").evaluate("e => getComputedStyle(e).transitionDuration") == seconds


def test_without_a_script_the_runs_are_a_table(watch, site):
    page = watch(java_script_enabled=False).page
    page.goto((site / "one.html").as_uri())
    cells = [[cell.inner_text() for cell in line.locator("th, td").all()] for line in page.locator("tr").all()]
    assert cells[:3] == [
        ["recipe", "runs", "mean (%)", "full minus it (points)", "can be shown (points)", "remark"],
        ["full", "5", "94.03", "", "", ""],
        ["no whitening", "5", "93.21", "+0.82", "0.12", ""],
    ]
    assert cells[-3] == ["no small images", "5", "94.04", "-0.01", "0.11", "too small to see"]
    page.goto((site / "covered.html").as_uri())
    assert not page.locator("table").is_visible()  # it would answer what is asked above it
    page.get_by_text("The results as a table").click()
    assert page.locator("table").is_visible()


@pytest.mark.parametrize(
    ("record", "options", "message"),
    [
        ("fast_ablation", {}, r'want a study with an arm "full" and others, got str: pass load_record'),
        ({"runs": []}, {}, r'want a study with an arm "full"'),
        (study(full=[0.9]), {}, r"got \['full'\]"),
        (study(no_flips=[0.9], no_crop=[0.9]), {}, r"got \['no_crop', 'no_flips'\]"),
        (study(full=[94.0], no_crop=[93.0]), {}, r"arm full: test_accuracy is \[94.0\], want numbers from 0 to 1"),
        (study(full=[0.9], no_crop=[float("nan")]), {}, "arm no_crop: test_accuracy"),
        (study(full=[0.9], no_crop=[]), {}, "arm no_crop has no test_accuracy"),
        ({"arms": {"full": {"test_accuracy": [0.9]}, "a;b": {"test_accuracy": [0.9]}}}, {}, "an arm is called 'a;b'"),
        ({"arms": {"full": {"test_accuracy": [0.9], "seconds": [1, 2]}, "no_crop": {"test_accuracy": [0.9]}}}, {},
         "arm full has 2 values of seconds but 1 of test_accuracy"),
        (STUDY, {"technique": "no_luck"}, "no technique is called 'no_luck': there are no_whitening, "),
        (STUDY, {"technique": "full"}, "no technique is called 'full'"),
        (STUDY, {"seeds": 6}, "seeds is 6: the record has 5, choose from 1 to 5"),
        (STUDY, {"seeds": 0}, "seeds is 0"),
        (STUDY, {"controls": "arms"}, r"no control is called \['arms'\]"),
        (study(full=[0.9], no_crop=[0.9]), {"accuracy": "tta"}, "full has no tta_accuracy"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(record, options, message):
    with pytest.raises(ValueError, match=message):
        buys_playground(record, **options)


def test_arms_are_taken_from_the_record_whatever_they_are():
    playground = buys_playground(study(full=[0.9, 0.91], no_luck=[0.8, 0.82], another_2=[0.7, 0.71]))
    assert list(playground.runs) == ["full", "no_luck", "another_2"]
    assert playground.technique == "no_luck"
    assert playground.difference == pytest.approx(9.5)
    playground.seeds = 1
    assert playground.difference == pytest.approx(10)


def test_in_jupyterlab_python_reads_the_choice_and_sets_it(notebook):
    opened = notebook(
        f"import json\nfrom cnnlib.playground import buys_playground\nstudy = json.loads({json.dumps(STUDY)!r})",
        "p = buys_playground(study, technique='no_flips', seeds=3)\np",
        "print(p.technique, p.accuracy, p.seeds, round(p.difference, 2))",
        "p.technique, p.seeds = 'no_whitening', 3",
    )
    opened.run_cell(0)
    found = opened.run_cell(1).locator(".jp-OutputArea-output")
    found.locator(".playground").wait_for()
    pick(found, "technique", "crop")
    found.get_by_role("button", name="more seeds").click()
    found.get_by_role("button", name="more seeds").click()
    opened.wait_for_print(2, "no_crop plain 5 -0.21")
    opened.run_cell(3)
    found.get_by_text("Whitening: 0.81 points").wait_for()
