// What each technique buys: the recorded runs of a whole recipe beside those of the same recipe without one technique.
//
// The arithmetic is the first part. Accuracies are shares, 0 to 1, in the record and percent from `select` on. A difference is
// the full recipe's mean minus the other's, in points. Everything that is uncertain has a word and a pattern of its own.

import { STYLE, chooser, flagField, h, isDark, say, stepper, textField, wholeNumber } from "./base.js";
import { button, keepInStep, mount } from "./window.js";

/** @typedef {{ plain: number[], tta?: number[], seconds?: number[] }} Arm  a list over the seeds of each result */
/** @typedef {{ runs: [number, number], means: [number, number], difference: number, least: number, low: number, high: number }} Compared */

const FULL = "full"; // the arm that is the whole recipe
const ACCURACIES = { plain: "plain", tta: "test-time augmentation" };

// The arithmetic

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The squared deviation from the mean, over n - 1: NaN for one value. */
function varianceOf(values) {
  const mean = meanOf(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

function medianOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * The number below which the size of a value from Student's t distribution stays with this probability, for any df >= 1.
 *
 * With t = sqrt(df) tan(a), the density becomes cos(a) ** (df - 1) on 0..pi/2. Its integral is taken by Simpson's rule, with
 * a = pi/2 sin(b), because for df < 2 the density is steep at the end.
 */
function tQuantile(probability, df) {
  const density = (b) => Math.cos((Math.PI / 2) * Math.sin(b)) ** (df - 1) * Math.cos(b);
  const integral = (end, steps = 400) => {
    let sum = density(0) + density(end);
    for (let k = 1; k < steps; k++) sum += (k % 2 ? 4 : 2) * density((k * end) / steps);
    return (sum * end) / (3 * steps);
  };
  const goal = probability * integral(Math.PI / 2);
  let [low, high] = [0, Math.PI / 2];
  for (let k = 0; k < 45; k++) {
    const middle = (low + high) / 2;
    if (integral(middle) < goal) low = middle;
    else high = middle;
  }
  return Math.sqrt(df) * Math.tan((Math.PI / 2) * Math.sin(low));
}

/**
 * Two lists of results: their means, the difference of the means, and its 95 % interval by Welch's t. `least` is the smallest
 * difference that so many runs can be expected to show: 2.8 s sqrt(1/m + 1/n), where s² is the mean of the two variances.
 * With one run on a side, and where no run differs from its neighbors, the spread is unknown: df, least, low and high are NaN.
 * @returns {Compared}
 */
function compareRuns(a, b) {
  const [mean, other] = [meanOf(a), meanOf(b)];
  const difference = mean - other;
  const [va, vb] = [varianceOf(a), varianceOf(b)];
  const [ea, eb] = [va / a.length, vb / b.length];
  const known = ea + eb > 1e-18 * mean * mean; // below that it is rounding
  const df = known ? (ea + eb) ** 2 / (ea ** 2 / (a.length - 1) + eb ** 2 / (b.length - 1)) : NaN;
  const least = known ? 2.8 * Math.sqrt((va + vb) / 2) * Math.sqrt(1 / a.length + 1 / b.length) : NaN;
  const half = known ? tQuantile(0.95, df) * Math.sqrt(ea + eb) : NaN;
  return { runs: [a.length, b.length], means: [mean, other], difference, df, least, low: difference - half, high: difference + half };
}

/** "helps", "hurts", "uncertain", or "unknown" where nothing is known of the spread. @param {Compared} compared */
function verdictOf({ difference, least, low, high }) {
  if (!Number.isFinite(least)) return "unknown";
  const shown = Math.abs(difference) >= least && (low > 0 || high < 0);
  return shown ? (difference > 0 ? "helps" : "hurts") : "uncertain";
}

/** Medians of the seconds of both, and whether their means differ surely: the interval leaves out 0. Undefined where none were recorded. */
function compareSeconds(a = [], b = []) {
  if (!a.length || !b.length) return undefined;
  const { low, high, runs } = compareRuns(a, b);
  return { runs, medians: [medianOf(a), medianOf(b)], ratio: medianOf(a) / medianOf(b), apart: low > 0 || high < 0 };
}

/** The first `seeds` results of an arm, accuracies in percent. @param {Arm} arm */
const select = (arm, accuracy, seeds) => arm[accuracy].slice(0, seeds).map((value) => 100 * value);

/** The arms beside the full recipe, each with what the first `seeds` runs of both say. */
function compareArms(runs, accuracy, seeds) {
  return Object.keys(runs).filter((arm) => arm !== FULL).map((arm) => ({
    arm,
    ...compareRuns(select(runs[FULL], accuracy, seeds), select(runs[arm], accuracy, seeds)),
    seconds: compareSeconds(runs[FULL].seconds?.slice(0, seeds), runs[arm].seconds?.slice(0, seeds)),
  }));
}

/**
 * The ends of an axis for all differences. It stays where it is while seeds are taken away, so it holds the differences of any number
 * of seeds, and the intervals of all. A difference over four times the median is cut off, so that it does not squeeze the others.
 */
function overviewEnds(runs, accuracy) {
  const most = mostSeeds(runs, accuracy);
  const all = Array.from({ length: most }, (_, k) => compareArms(runs, accuracy, k + 1));
  const limit = Math.max(0.1, 4 * medianOf(all.at(-1).map(({ difference }) => Math.abs(difference))));
  const values = [...all.flat().map(({ difference }) => difference), ...all.at(-1).flatMap(({ low, high }) => [low, high])].filter(Number.isFinite);
  const [low, high] = [Math.max(-limit, Math.min(0, ...values)), Math.min(limit, Math.max(0, ...values))];
  const room = 0.06 * (high - low || 1);
  return [low - room, high + room];
}

const mostSeeds = (runs, accuracy) => Math.max(1, ...Object.values(runs).map((arm) => arm[accuracy].length));

/** Round numbers between two ends, and how many digits they need. */
function ticksBetween(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough * (1 - 1e-9));
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: last - first + 1 }, (_, k) => [(first + k) * step, fixed((first + k) * step, digits)]);
}

// Words

/** A number with so many digits, and a real minus sign where it is not zero. */
function fixed(x, digits = 2) {
  const text = Math.abs(x).toFixed(digits);
  return (x < 0 && Number(text) !== 0 ? "\u2212" : "") + text;
}

const signedFixed = (x) => (x > 0 && Number(x.toFixed(2)) !== 0 ? "+" : "") + fixed(x);

/** no_label_smoothing: "no label smoothing". */
const labelOf = (arm) => arm.replaceAll("_", " ");

/** What an arm leaves out: "label smoothing". An arm that leaves nothing out keeps its label. */
const techniqueOf = (arm) => labelOf(arm).replace(/^(no|without) /, "");
const leavesOut = (arm) => /^(no|without)_/.test(arm);

/** A verdict in words, beside an arm. */
function wordOf(arm, verdict) {
  if (verdict === "uncertain") return "uncertain";
  if (verdict === "unknown") return "spread unknown";
  return leavesOut(arm) ? verdict : `full recipe ${verdict === "helps" ? "better" : "worse"}`;
}

/** Whether so many seeds can show a difference, as a sentence. @param {Compared} compared */
function tell(arm, compared) {
  const { difference, least, low, high, runs: [a, b] } = compared;
  const verdict = verdictOf(compared);
  const points = `${fixed(Math.abs(difference))} points`;
  const seeds = a === b ? `${a} seeds` : `${a} and ${b} seeds`;
  if (a === 1 && b === 1) return `${points}. One run each shows nothing about the spread.`;
  if (a === 1 || b === 1) return `${points}. A single run on one side shows nothing about its spread.`;
  if (verdict === "unknown") return `${points}. The runs on each side are all equal, so nothing is known about the spread.`;
  if (verdict !== "uncertain") {
    const end = leavesOut(arm) ? `It ${verdict}.` : `The full recipe is ${verdict === "helps" ? "better" : "worse"}.`;
    return `${points}${verdict === "hurts" && leavesOut(arm) ? " lower with it" : ""}, and ${seeds} can show ${fixed(least)}. ${end}`;
  }
  if (low > 0 || high < 0) return `${points}, less than the ${fixed(least)} that ${seeds} can show. The interval leaves out 0, but only just: uncertain.`;
  if (Math.abs(difference) < least) return `${points}. That is too small for ${seeds} to see: they can show ${fixed(least)}.`;
  return `${points}, but with only ${seeds} the interval still reaches past 0: uncertain.`;
}

/** The seconds that a technique buys or costs, as a sentence. */
function tellSeconds(arm, { runs, medians: [full, other], ratio, apart }) {
  const [withIt, without] = leavesOut(arm) ? ["with it", "without"] : ["for the full recipe", `for ${labelOf(arm)}`];
  const facts = `${fixed(full, 1)} s ${withIt} and ${fixed(other, 1)} s ${without}, ${fixed(ratio)} times as long`;
  if (Math.min(...runs) < 2) return `${facts}. One run each shows nothing about the spread.`;
  if (!apart) return `${facts}. These runs cannot tell which is quicker.`;
  return `${facts}. ${leavesOut(arm) ? "It" : "The full recipe"} ${ratio < 1 ? "saves" : "costs"} ${fixed(Math.abs(full - other), 1)} s a run.`;
}

// Runs as text

/** "full | plain 0.94 0.95 | seconds 60 61; no_flips | ..." as arms. Undefined if it is none. @returns {Object<string, Arm>|undefined} */
function readRuns(text) {
  const arms = text.split(";").map((arm) => {
    const [name, ...lists] = arm.split("|").map((part) => part.trim());
    return [name, Object.fromEntries(lists.map((list) => list.split(/\s+/)).map(([key, ...words]) => [key, words.map(Number)]))];
  });
  const good = ([, { plain, ...others }]) => plain?.length && [plain, ...Object.values(others)].flat().every(Number.isFinite);
  return arms.every(good) && arms.length > 1 && arms.some(([name]) => name === FULL) ? Object.fromEntries(arms) : undefined;
}

/** Attributes of <cnn-buys>; technique, accuracy and seeds are also the settings in the address. */
const FIELDS = {
  runs: { read: readRuns },
  technique: { read: (text) => (/^[\w-]+$/.test(text) ? text : undefined), write: String, start: "" }, // "": the first arm
  accuracy: { read: (text) => (Object.hasOwn(ACCURACIES, text) ? text : undefined), write: String, start: "plain" },
  seeds: { ...wholeNumber(1, 999), start: 999 }, // 999: all there are
  source: { ...textField, start: "" }, // where the runs come from
  controls: { ...textField, start: "technique accuracy seeds" },
  predict: flagField,
  label: { ...textField, start: "What each technique buys" },
};
const SETTINGS = ["technique", "accuracy", "seeds"];

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const given = Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);
  let covered = model.get("predict");

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  view.connect({ set, reset: () => set(given), uncover: () => draw((covered = false)) });

  /** The settings as far as the runs have them: the first technique in place of an unknown one, at most all seeds. */
  function settings() {
    const runs = model.get("runs");
    const arms = Object.keys(runs).filter((arm) => arm !== FULL);
    const kinds = Object.keys(ACCURACIES).filter((kind) => Object.values(runs).every((arm) => arm[kind]?.length));
    const accuracy = kinds.includes(model.get("accuracy")) ? model.get("accuracy") : kinds[0];
    const most = mostSeeds(runs, accuracy);
    const seeds = Math.min(model.get("seeds"), most);
    const technique = arms.includes(model.get("technique")) ? model.get("technique") : arms[0];
    return { runs, arms, kinds, accuracy, most, seeds, technique, source: model.get("source") };
  }

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    if (model.get("runs")) view.draw({ ...settings(), covered });
    else view.empty();
  }

  return keepInStep({ model, host, update: draw, draw });
}

const TASKS = {
  runs: "Look at how far apart the full recipe\u2019s runs lie: how large must a difference be before you believe it?",
  guess: "Before you uncover them: which technique buys the most, and which buys less than these seeds can show?",
  seeds: "Take seeds away one at a time: when does the sentence above stop being sure?",
  hatched: "Choose a technique whose bar is hatched: do its runs lie among the full recipe\u2019s?",
};

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  let armNamed = {}; // by the name of its technique
  const has = (name) => controls.has(name);
  const pickArm = chooser("technique", (name) => act.set({ technique: armNamed[name] }));
  const pickAccuracy = chooser("accuracy", (words) => act.set({ accuracy: Object.keys(ACCURACIES).find((kind) => ACCURACIES[kind] === words) }));
  let most = 1;
  const seedStepper = stepper("seeds", 1, 999, (value) => value >= 1 && value <= most && act.set({ seeds: value }));
  const seedsOf = h("span", { class: "note seeds-of" });
  const sentence = h("p", { class: "sentence", role: "status" });
  const [strip, facts, overview] = [makeStrip(), makeFacts(), makeOverview((arm) => act.set({ technique: arm }), has("technique"))];
  const uncoverButton = button("Show results", () => act.uncover(), { class: "main" });
  const source = h("p", { class: "note" });
  const [look, sort] = [h("p", { class: "note task" }), h("p", { class: "note task" })];
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, has("technique") ? pickArm.element : null, has("accuracy") ? pickAccuracy.element : null,
      ...(has("seeds") ? [seedStepper.element, seedsOf] : [])),
    strip.element, sentence, facts.element, look, overview.element, sort, source,
    h("div", { class: "row middle" }, uncoverButton, controls.size ? button("Reset", () => act.reset()) : null));

  function draw(state) {
    root.classList.toggle("dark", isDark(root.getRootNode().host));
    const { runs, arms, accuracy, seeds, technique, covered } = state;
    most = state.most;
    const compared = compareArms(runs, accuracy, seeds);
    const chosen = compared.find(({ arm }) => arm === technique);
    armNamed = Object.fromEntries(arms.map((arm) => [techniqueOf(arm), arm]));
    pickArm.show(Object.keys(armNamed), techniqueOf(technique));
    pickAccuracy.show(state.kinds.map((kind) => ACCURACIES[kind]), ACCURACIES[accuracy]);
    pickAccuracy.element.hidden = state.kinds.length === 1;
    seedStepper.show(seeds);
    for (const [k, one] of seedStepper.element.querySelectorAll("button").entries()) one.setAttribute("aria-disabled", seeds === (k ? most : 1));
    say(seedsOf, `of ${most}`);
    strip.draw(state);
    const name = techniqueOf(technique);
    say(sentence, covered ? "" : `${name[0].toUpperCase()}${name.slice(1)}: ${tell(technique, chosen)}`);
    facts.draw(chosen, covered);
    overview.draw(state, compared);
    say(look, `Each mark is the run of one seed${covered ? "" : ", and the thick line is their mean"}. ${covered ? TASKS.runs : has("seeds") ? TASKS.seeds : ""}`);
    say(sort, covered ? TASKS.guess : `A bar is the 95 % interval of a difference, full recipe minus the other. ${has("technique") ? TASKS.hatched : ""}`);
    say(source, state.source && `${state.source} Each interval stands for itself: of 20 techniques that buy nothing, about one would have an interval without 0.`);
    uncoverButton.hidden = !covered;
  }

  function empty() {
    say(source, "There are no runs to show.");
    uncoverButton.hidden = true;
  }

  return { root, connect: (actions) => (act = actions), draw, empty };
}

/** The runs of the full recipe and of one arm as marks on a shared axis. */
function makeStrip() {
  const lanes = ["full", "other"].map((kind) => {
    const [name, number] = [h("b"), h("span")];
    const marks = h("div", { class: `lane ${kind}` });
    return { name, number, marks, element: h("div", {}, h("p", { class: "heading" }, name, " ", number), marks) };
  });
  const [axis, unit] = [h("div", { class: "axis" }), h("p", { class: "note unit" })];
  const plot = h("div", { class: "plot", role: "img" }, ...lanes.map(({ element }) => element), axis, unit);

  function draw({ runs, accuracy, seeds, technique, covered }) {
    const arms = [FULL, technique];
    const all = arms.slice(0, covered ? 1 : 2).flatMap((arm) => select(runs[arm], accuracy)); // the axis stays while seeds are taken away
    const room = 0.08 * (Math.max(...all) - Math.min(...all)) || 0.5;
    const [low, high] = [Math.min(...all) - room, Math.max(...all) + room];
    const at = (value) => `${((100 * (value - low)) / (high - low)).toFixed(2)}%`;
    const texts = arms.map((arm, k) => drawLane(lanes[k], k ? labelOf(arm) : "full recipe", covered && k ? [] : select(runs[arm], accuracy, seeds), at));
    if (!covered) drawGap(lanes[1].marks, arms.map((arm) => meanOf(select(runs[arm], accuracy, seeds))), at);
    axis.replaceChildren(...ticksBetween(low, high, 6).map(([value, text]) => placed(h("span", {}, text), at(value))));
    say(unit, `test accuracy (%), ${accuracy === "tta" ? "with test-time augmentation" : "plain"}`);
    plot.setAttribute("aria-label", `test accuracy, seed by seed. ${texts.join(". ")}.`);
  }

  return { element: plot, draw };
}

function placed(element, left) {
  element.style.left = left;
  return element;
}

/** The marks of one arm's runs, a little below one another, and their mean. Returns it in words. */
function drawLane({ name, number, marks }, label, values, at) {
  const mean = values.length ? `${fixed(meanOf(values))} %` : "?";
  say(name, label);
  say(number, `mean ${mean}`);
  const height = (k) => 50 + 64 * ((k + 0.5) / values.length - 0.5);
  const dots = values.map((value, k) => {
    const dot = placed(h("span", { class: "run" }), at(value));
    dot.style.top = `${height(k)}%`;
    return dot;
  });
  marks.replaceChildren(...dots, ...(values.length ? [placed(h("span", { class: "mean" }), at(meanOf(values)))] : [h("span", { class: "hidden-runs" }, "?")]));
  return values.length ? `${label}: ${values.map((value) => fixed(value)).join(", ")}, mean ${mean}` : `${label}: hidden`;
}

/** In the lower lane: where the full recipe's mean is, and the way from one mean to the other. */
function drawGap(marks, [full, other], at) {
  const gap = placed(h("span", { class: "gap" }), at(Math.min(full, other)));
  gap.style.right = `calc(100% - ${at(Math.max(full, other))})`;
  marks.prepend(placed(h("span", { class: "mean theirs" }), at(full)), gap);
}

/** The numbers behind the sentence. */
function makeFacts() {
  const rows = ["difference", "seconds"].map((name) => {
    const value = h("dd");
    return { value, element: h("div", {}, h("dt", {}, name), value) };
  });
  const [difference, seconds] = rows;
  const element = h("dl", {}, ...rows.map((row) => row.element));
  return {
    element,
    draw(chosen, covered) {
      element.hidden = covered;
      const known = Number.isFinite(chosen.low);
      say(difference.value, `${signedFixed(chosen.difference)} points, ${known ? `95 % interval ${fixed(chosen.low)} to ${fixed(chosen.high)}` : "no interval"}`);
      seconds.element.hidden = !chosen.seconds;
      if (chosen.seconds) say(seconds.value, `${tellSeconds(chosen.arm, chosen.seconds)}`);
    },
  };
}

/** All arms by their difference, with bars for the intervals. */
function makeOverview(pick, picks) {
  const list = h("ul", { role: "list" });
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  const key = h("p", { class: "legend" }, h("span", { class: "swatch helps" }), "these seeds can show it", h("span", { class: "swatch uncertain" }), "uncertain");
  const title = h("p", { class: "heading" }, h("b", {}, "All techniques"), " points of accuracy that each buys, with 95 % intervals");
  let rows = {};

  function makeRow(arm) {
    const name = picks ? h("button", { type: "button", class: "name", click: () => pick(arm) }, techniqueOf(arm)) : h("span", { class: "name" }, techniqueOf(arm));
    const [bar, dot, text, word] = [h("span", { class: "bar" }), h("span", { class: "dot" }), h("span", { class: "value" }), h("span", { class: "word" })];
    const zero = h("span", { class: "zero" });
    return { name, bar, dot, zero, text, word, element: h("li", {}, name, h("span", { class: "track", "aria-hidden": "true" }, zero, bar, dot), text, " ", word) };
  }

  function draw({ runs, arms, accuracy, technique, covered }, compared) {
    if (arms.join() !== Object.keys(rows).join()) rows = Object.fromEntries(arms.map((arm) => [arm, makeRow(arm)]));
    const order = covered ? compared : compared.toSorted((a, b) => b.difference - a.difference);
    place(order.map(({ arm }) => rows[arm].element));
    const ends = overviewEnds(runs, accuracy);
    for (const one of compared) drawRow(rows[one.arm], one, one.arm === technique, covered, ends);
    const at = (value) => `${((100 * (value - ends[0])) / (ends[1] - ends[0])).toFixed(2)}%`;
    axis.replaceChildren(...(covered ? [] : ticksBetween(...ends, 5).map(([value, text]) => placed(h("span", {}, text), at(value)))));
    key.hidden = covered;
  }

  /** Puts the rows into this order; the focus stays where it is. */
  function place(wanted) {
    if (wanted.every((row, k) => row === list.children[k])) return;
    const focused = list.getRootNode().activeElement;
    list.replaceChildren(...wanted);
    if (list.contains(focused)) focused.focus({ preventScroll: true });
  }

  function drawRow({ name, bar, dot, zero, text, word, element }, one, chosen, covered, [low, high]) {
    const verdict = verdictOf(one);
    const share = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
    const known = !covered && Number.isFinite(one.low);
    const beyond = one.difference < low || one.difference > high; // then an arrow at that end stands for it
    const [from, to] = known ? [one.low, one.high] : [one.difference, one.difference];
    element.className = `${covered ? "covered" : verdict}${chosen ? " chosen" : ""}`;
    if (picks) name.setAttribute("aria-pressed", String(chosen));
    zero.style.left = `${100 * share(0)}%`;
    bar.hidden = covered || !(known || beyond);
    bar.className = `bar${from < low ? " cut-left" : ""}${to > high ? " cut-right" : ""}`;
    bar.style.left = `min(${100 * share(from)}%, 100% - 16px)`;
    bar.style.right = `min(${100 - 100 * share(to)}%, 100% - 16px)`;
    zero.hidden = covered;
    dot.hidden = covered || beyond;
    dot.style.left = `${100 * share(one.difference)}%`;
    say(text, covered ? "?" : signedFixed(one.difference) + (known ? ` (${fixed(one.low)} to ${fixed(one.high)})` : ""));
    say(word, covered ? "" : wordOf(one.arm, verdict));
  }

  return { element: h("div", { class: "overview" }, title, list, h("div", { class: "scale" }, axis), key), draw };
}

const OWN_STYLE = `
[hidden] { display: none !important; }
.playground { --full: #0b6170; --other: #a34a00; }
.playground.dark { --full: #74c7d3; --other: #ffae57; }
.plot { margin-top: 14px; }
.plot .heading { margin: 8px 0 2px; white-space: normal; }
.lane { position: relative; height: 62px; margin: 0 9px; border-bottom: 1px solid var(--faint); }
.lane span { position: absolute; }
.run { width: 11px; height: 11px; margin: -5.5px 0 0 -5.5px; border: 2px solid var(--full); border-radius: 50%; background: var(--full); }
.other .run { border-color: var(--other); border-radius: 2px; background: var(--ground); }
.mean { top: 3px; bottom: 3px; width: 4px; margin-left: -2px; border-radius: 2px; background: var(--full); opacity: 0.75; }
.other .mean { background: var(--other); }
.other .mean.theirs { width: 2px; margin-left: -1px; border-radius: 0; background: repeating-linear-gradient(var(--full) 0 4px, transparent 4px 7px); opacity: 1; }
.gap { bottom: 0; height: 5px; background: repeating-linear-gradient(90deg, var(--soft) 0 3px, transparent 3px 6px); }
.hidden-runs { left: 50%; top: 30%; color: var(--soft); }
@container (max-width: 480px) { .seeds-of { align-self: end; padding-bottom: 8px; } }
.axis { position: relative; height: 20px; margin: 3px 9px 0; font-size: 12.5px; color: var(--soft); }
.axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.unit { text-align: center; margin-top: -2px; }
.sentence { margin: 12px 0 6px; font-weight: 600; min-height: 1.4em; }
dl { margin: 0 0 6px; }
dl div { display: flex; flex-wrap: wrap; gap: 0 8px; margin: 2px 0; }
dt { color: var(--soft); min-width: 5.5em; }
dd { margin: 0; flex: 1 1 230px; }
.task { margin: 6px 0; }
.overview { margin-top: 18px; padding-top: 12px; border-top: 1px solid var(--faint); }
.overview .heading { white-space: normal; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 10em 1fr 11.6em 6em; gap: 0 10px; align-items: center; padding: 2px 6px; border-radius: 6px; }
li.chosen { background: var(--panel); box-shadow: inset 0 0 0 1.5px var(--action); }
.name { text-align: left; overflow-wrap: anywhere; line-height: 1.2; }
button.name { border-color: transparent; background: none; padding: 2px 4px; text-decoration: underline; text-underline-offset: 3px; text-decoration-color: var(--line); }
button.name[aria-pressed="true"] { box-shadow: none; font-weight: 600; }
.track { position: relative; height: 26px; }
.track span { position: absolute; }
.zero { top: 0; bottom: 0; border-left: 1.5px solid var(--line); }
.bar { top: 7px; height: 12px; min-width: 3px; border: 1.5px solid var(--full); border-radius: 3px; background: var(--full); }
.hurts .bar { border-color: var(--other); background: var(--other); }
.unknown .bar { border: 0; background: var(--soft); }
.uncertain .bar { border: 1.5px dashed var(--soft); background: repeating-linear-gradient(45deg, transparent 0 4px, var(--line) 4px 5.5px); }
.cut-left { clip-path: polygon(8px 0, 100% 0, 100% 100%, 8px 100%, 0 50%); }
.cut-right { clip-path: polygon(0 0, calc(100% - 8px) 0, 100% 50%, calc(100% - 8px) 100%, 0 100%); }
.cut-left.cut-right { clip-path: polygon(8px 0, calc(100% - 8px) 0, 100% 50%, calc(100% - 8px) 100%, 8px 100%, 0 50%); }
.dot { top: 3px; height: 20px; width: 2px; margin-left: -2px; background: var(--text); border: 1px solid var(--ground); box-sizing: content-box; border-radius: 2px; }
.unknown .dot { width: 9px; height: 9px; top: 8px; margin-left: -5px; border: 2px solid var(--soft); background: var(--ground); border-radius: 50%; }
.value { font-size: 14px; white-space: nowrap; }
.word { font-size: 14px; color: var(--soft); }
.helps .word, .hurts .word { font-weight: 600; color: var(--text); }
.scale { display: grid; grid-template-columns: 10em 1fr 11.6em 6em; gap: 0 10px; padding: 0 6px; }
.scale .axis { grid-column: 2; margin: 0; }
.swatch { width: 24px; height: 12px; border: 1.5px solid var(--full); border-radius: 3px; background: var(--full); }
.swatch.uncertain { margin-left: 10px; border: 1.5px dashed var(--soft); background: repeating-linear-gradient(45deg, transparent 0 4px, var(--line) 4px 5.5px); }
.row.middle { margin-top: 12px; }
@container (max-width: 620px) {
  li { grid-template-columns: 1fr auto; padding: 3px 6px; }
  li .name { grid-column: 1; }
  .word { grid-column: 2; grid-row: 1; text-align: right; }
  .track { grid-column: 1 / -1; margin: 0 9px; }
  .value { grid-column: 1 / -1; color: var(--soft); }
  .track { height: 22px; }
  .bar { top: 5px; }
  .dot { top: 1px; }
  .unknown .dot { top: 6px; }
  .value { padding-left: 4px; }
  .covered .track { display: none; }
  .covered .value { grid-area: 1 / 2; padding-right: 8px; }
  .scale { grid-template-columns: 1fr; }
  .scale .axis { grid-column: 1; margin: 0 9px; }
}
@media (prefers-reduced-motion: no-preference) { .bar, .dot { transition: left 0.25s, right 0.25s; } }
@media (forced-colors: active) { .helps .bar, .hurts .bar, .run, .mean, .dot, .swatch.helps { forced-color-adjust: none; background: CanvasText; } .other .run { background: Canvas; border-color: CanvasText; } }
`;

export { FIELDS, compareArms, compareRuns, compareSeconds, overviewEnds, readRuns, tQuantile, tell, tellSeconds, verdictOf };
export default { render };
