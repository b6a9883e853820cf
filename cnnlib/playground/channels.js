// The channels playground: a layer with several channels and filters. Each filter's kernels make partial sums, which are added.
//
// The arithmetic is the first part. One filter is shown at a time, with its partial sums; the outputs of all are beside it.

import { STYLE, colorMap, flagField, format, h, isDark, makeGrid, makeLegend, pairField, range, readMatrix, say, signed, stepper, textField, wholeNumber, writeMatrix } from "./base.js";
import { WINDOW_STYLE, arrows, begin, button, follow, grid, heading, inWords, keepInStep, makeWalk, mount, outputSize, placeBox, sizeSentence, steer, tellPlace, term } from "./window.js";
import { WEIGHTS_STYLE, correlate, largest, makeWeights } from "./weights.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ stride: number, padding: number, groups: number }} Options */

// The arithmetic

const MOST = 4; // channels, and filters

/** The channels that filter f sees: those of its own group. @returns {number[]} */
function seenBy(f, filters, groups) {
  const each = filters[0].length / groups; // channels a group
  const first = Math.floor(f / (filters.length / groups)) * each;
  return Array.from({ length: each }, (_, c) => first + c);
}

/** One map for each channel that filter f sees. @param {Matrix[]} image @param {Matrix[][]} filters @param {Options} options */
const partialSums = (image, filters, f, options) =>
  seenBy(f, filters, options.groups).map((c) => correlate(image[c], filters[f][c], options));

/** torch.nn.functional.conv2d of one image, where a filter's kernels outside its group are left out. @returns {Matrix[]} */
function convolve(image, filters, bias, options) {
  return filters.map((_, f) => {
    const parts = partialSums(image, filters, f, options);
    return parts[0].map((row, r) => row.map((_, c) => parts.reduce((sum, part) => sum + part[r][c], bias[f])));
  });
}

/** Why there is no output; nothing if there is one. */
function misfit(image, { filters, groups, ...options }) {
  for (const [count, what] of [[image.length, "channel"], [filters.length, "filter"]]) {
    if (count % groups) return `${count} ${what}s cannot be shared out among ${groups} groups: PyTorch refuses it.`;
  }
  const [K, L] = [filters[0][0].length, filters[0][0][0].length];
  const fits = outputSize(image[0].length, K, options) && outputSize(image[0][0].length, L, options);
  return fits ? "" : "The window is larger than the padded image: there is no output.";
}

// The layer as text: rows are joined by ";", channels by ";;", filters by ";;;"

const alike = (parts, sizes) => parts.every((part) => part && sizes(part).join() === sizes(parts[0]).join());

/** "1 2; 3 4;; 5 6; 7 8" as matrices of one size; undefined if it is none. @returns {Matrix[]|undefined} */
function readStack(text, most) {
  const stack = text.split(/;\s*;/).map((one) => readMatrix(one, most));
  return stack.length <= MOST && alike(stack, (one) => [one.length, one[0].length]) ? stack : undefined;
}

/** @returns {Matrix[][]|undefined} */
function readFilters(text) {
  const filters = text.split(/;\s*;\s*;/).map((one) => readStack(one, 5));
  return filters.length <= MOST && alike(filters, (one) => [one.length, one[0].length, one[0][0].length]) ? filters : undefined;
}

/** A list of numbers, one for each filter. @returns {number[]|undefined} */
function readList(text) {
  const rows = readMatrix(text, MOST);
  return rows?.length === 1 ? rows[0] : undefined;
}

const writeStack = (stack) => stack.map(writeMatrix).join(";;");

/** Attributes of <cnn-channels>, which are also the settings in the address. */
const FIELDS = {
  image: { read: (text) => readStack(text, 8), start: readStack("0 1 2 3; 4 5 6 7; 8 9 10 11; 12 13 14 15;; 2 2 2 2; 2 2 2 2; 2 2 2 2; 2 2 2 2;; 10 0 0 0; 0 10 0 0; 0 0 10 0; 0 0 0 10", 8) },
  filters: {
    read: readFilters,
    write: (filters) => filters.map(writeStack).join(";;;"),
    start: readFilters("1 0 -1; 1 0 -1; 1 0 -1;; 1 1 1; 1 1 1; 1 1 1;; 0 0 0; 0 1 0; 0 0 0;;; 0 0 0; 0 1 0; 0 0 0;; 0 0 0; 0 0 0; 0 0 0;; 0 0 0; 0 -1 0; 0 0 0"),
  },
  bias: { read: readList, write: (bias) => bias.join(","), start: [0, 0] },
  stride: { ...wholeNumber(1, 3), start: 1 },
  padding: { ...wholeNumber(0, 2), start: 0 },
  groups: { ...wholeNumber(1, MOST), start: 1 },
  filter: { ...wholeNumber(0, MOST - 1), start: 0 },
  at: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "window weights bias" },
  names: { ...textField, start: "" },
  predict: flagField,
  label: { ...textField, start: "Channels playground" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const fields = ["image", "filters", "bias", "stride", "padding", "groups"];
  const { controls, predict, read, given, set } = begin(model, fields);
  const view = makeView(controls, model.get("label"), model.get("names").split(/\s+/).filter(Boolean));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + WEIGHTS_STYLE + OWN_STYLE);

  let settings;
  let problem;
  let outputs; // one map for each filter
  let filter; // the one whose partial sums are shown
  const walk = makeWalk({ sizes: () => [outputs[0]?.length ?? 0, outputs[0]?.[0]?.length ?? 0], keep: (at) => set({ at }), draw });

  /** As many filters as asked for: the last ones go, and a new one copies what it sees. */
  function setCount(count) {
    const copy = (matrix) => grid(matrix.length, matrix[0].length, (k, l) => Number(k === matrix.length >> 1 && l === matrix[0].length >> 1));
    const { filters, bias } = settings;
    const fresh = Array.from({ length: Math.max(0, count - filters.length) }, () => filters[0].map(copy));
    set({ filters: [...filters.slice(0, count), ...fresh], bias: [...bias.slice(0, count), ...fresh.map(() => 0)] });
  }

  view.connect({
    move: (place) => walk.moveTo(...place),
    moveBy: walk.moveBy,
    stepBy: walk.stepBy,
    play: walk.play,
    uncover: walk.uncover,
    show: (f) => set({ filter: f }),
    weight: (channel, k, l, value) => {
      const kernels = settings.filters[filter].with(channel, settings.filters[filter][channel].with(k, settings.filters[filter][channel][k].with(l, value)));
      set({ filters: settings.filters.with(filter, kernels) });
    },
    bias: (value) => set({ bias: settings.bias.with(filter, value) }),
    count: setCount,
    setting: (name, value) => set({ [name]: value }),
    reset: () => {
      walk.restart();
      set({ ...given, filter: 0, at: [0, 0] });
    },
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const parts = problem ? [] : partialSums(settings.image, settings.filters, filter, settings);
    const state = { at: walk.at(), playing: walk.playing(), covered: walk.covered(predict), predict };
    view.draw({ ...settings, ...state, problem, outputs, parts, filter });
  }

  function update() {
    const next = read();
    if (!settings || fields.some((name) => next[name] !== settings[name])) {
      const { image, filters, bias } = next;
      const whole = filters[0].length === image.length && bias.length === filters.length;
      settings = whole ? next : { ...next, ...given }; // an address may hold a part of another layer
      problem = misfit(settings.image, settings);
      outputs = problem ? [] : convolve(settings.image, settings.filters, settings.bias, settings);
      walk.restart();
    }
    filter = Math.min(model.get("filter"), settings.filters.length - 1);
    walk.stand(model.get("at"));
    draw();
  }

  const end = keepInStep({ model, host, update, draw });
  return () => {
    walk.restart();
    end();
  };
}

const NUMBERS_FIT = 21; // pixels: the numbers are short
const FOR_THREE = 26; // pixels a cell needs for a sign and two digits
const FOR_SIGNS = 168; // pixels: signs and gaps in one line of the layer

/** The playground's elements, and how they show a state. It computes nothing but colors, sizes and sentences. */
function makeView(controls, label, names) {
  let act; // what the reader can do: filled in by connect
  let sizes = { image: 1, output: 1, weight: 1, high: 1, wide: 1, stride: 1 }; // of cells in pixels, and of the window
  const has = (...some) => some.some((name) => controls.has(name));
  const nameOf = (c) => names[c] ?? `channel ${c + 1}`;
  const sign = (text) => h("span", { class: "sign", "aria-hidden": "true" }, text);
  const piece = (kind, text, ...parts) => h("div", { class: `piece ${kind}` }, text ? sign(text) : null, h("div", {}, ...parts));

  const channels = Array.from({ length: MOST }, (_, c) => makeChannel(c));
  const frame = channels[0].frame; // the one that keys move
  const results = Array.from({ length: MOST }, (_, f) => makeResult(f));
  const outputs = h("div", { class: "outputs" }, ...results.map(({ element }) => element));
  const layer = h("div", { class: "layer" }, ...channels.flatMap(({ pieces }) => pieces), outputs);
  const legends = [makeLegend(), makeLegend()];

  function makeChannel(c) {
    const image = { heading: h("p", { class: "heading" }), grid: makeGrid("image") };
    const part = { heading: h("p", { class: "heading" }), grid: makeGrid("part") };
    const slider = { tabindex: 0, role: "slider", "aria-label": "window", "aria-describedby": "hint" };
    const box = h("div", { class: has("window") ? "frame movable" : "frame", ...(c === 0 && has("window") ? slider : {}) });
    const mark = h("div", { class: "mark" });
    const weights = makeWeights((k, l, value) => act.weight(c, k, l, value), nameOf(c));
    const blind = h("p", { class: "note blind" }, "not in this filter's group");
    image.grid.element.append(box);
    part.grid.element.append(mark);
    const pieces = [
      piece("source", "", image.heading, image.grid.element),
      piece("weights", "×", weights.element, blind),
      piece("partial", "=", part.heading, part.grid.element),
    ];
    return { image, part, frame: box, mark, weights, blind, pieces };
  }

  function makeResult(f) {
    const one = { pick: button(`filter ${f + 1}`, () => act.show(f), { class: "pick" }), note: h("span", { class: "heading" }) };
    const [map, mark] = [makeGrid("output"), h("div", { class: "mark" })];
    map.element.append(mark);
    return { ...one, map, mark, element: piece("result", "=", h("p", { class: "row" }, one.pick, one.note), map.element) };
  }

  const limits = { filters: [1, MOST], bias: [-99, 99], stride: [1, 3], padding: [0, 2], groups: [1, MOST] };
  const steppers = Object.fromEntries(Object.entries(limits).map(([name, [low, high]]) => {
    const one = stepper(name, low, high, (value) => {
      if (!one.allows(value)) return;
      if (name === "filters") act.count(value);
      else if (name === "bias") act.bias(value);
      else act.setting(name, value);
    });
    return [name, one];
  }));
  const playButton = button("Play", () => act.play(), { class: "main" });
  const uncoverButton = button("Show all", () => act.uncover());
  const hint = h("p", { class: "note hint", id: "hint" }, "Drag a window, or focus the first and use the arrow keys. Click a filter's name to see its partial sums.");
  const equation = h("p", { class: "equation", "aria-hidden": "true" });
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, ...Object.keys(limits).filter((name) => has(name)).map((name) => steppers[name].element)),
    layer, equation,
    h("div", { class: "row middle" },
      ...(has("window") ? [playButton, button("← Back", () => act.stepBy(-1)), button("Step →", () => act.stepBy(1))] : []),
      uncoverButton,
      controls.size ? button("Reset", () => act.reset()) : null),
    has("window") ? hint : null, words, facts, h("div", { class: "row middle" }, ...legends.map(({ element }) => element)));

  function connect(actions) {
    act = actions;
    if (!has("window")) return;
    steer(frame, { ...arrows(act.moveBy), " ": () => act.play() });
    for (const { image, frame: box } of channels) {
      const place = (pixels, window) => Math.round((pixels / sizes.image - window / 2) / sizes.stride);
      follow(image.grid.element, box, { focus: frame, move: (x, y) => act.move([place(y, sizes.high), place(x, sizes.wide)]) });
    }
    for (const { map, mark } of results) {
      const place = (pixels) => Math.floor(pixels / sizes.output);
      follow(map.element, mark, { focus: frame, move: (x, y) => act.move([place(y), place(x)]) });
    }
  }

  function draw(state) {
    const { image, filters, bias, groups, filter, outputs: answers, parts, problem, covered, predict, playing } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const [rows, columns] = [answers[0]?.length ?? 0, answers[0]?.[0].length ?? 0];
    fit(state, columns);
    for (const [name, { show }] of Object.entries(steppers)) show({ ...state, filters: filters.length, bias: bias[filter] }[name]);
    say(playButton, playing ? "Pause" : "Play");
    uncoverButton.hidden = !(predict && grid(rows, columns, covered).flat().some(Boolean));
    root.classList.toggle("misfit", problem !== "");
    const input = colorMap(...range(image.flat()), dark);
    const answer = colorMap(...range(problem ? [[0]] : [...answers, ...parts].flat()), dark);
    const shown = { input, answer, rows, columns, heaviest: Math.max(...filters[filter].map(largest)) || 1, dark };
    const seen = problem ? image.map((_, c) => c) : seenBy(filter, filters, groups);
    for (const [c, one] of channels.entries()) drawChannel(state, shown, c, one, seen);
    for (const [f, one] of results.entries()) drawResult(state, shown, f, one);
    legends[0].draw(input, " in the image");
    legends[1].draw(answer, " in the sums");
    drawFacts(state);
    if (has("window") && !problem) tellPlace(frame, state.at, rows, columns);
    drawSum(state, seen);
  }

  /** How large the cells are, and whether the partial sums have a line of their own. */
  function fit({ image, filters, stride, padding }, columns) {
    const [high, wide] = [filters[0][0].length, filters[0][0][0].length];
    const [available, width, places] = [layer.clientWidth, image[0][0].length + 2 * padding, Math.max(columns, 2)];
    const cell = Math.floor(Math.min(38, (available - FOR_SIGNS - 40 * wide) / (width + 2 * places)));
    const narrow = cell < 27;
    const across = Math.min(image.length, (available - 48) / 3 / places < FOR_THREE ? 2 : 3);
    const below = (share, gap, cells) => Math.floor(Math.min(38, (available * share - gap) / cells));
    sizes = narrow
      ? { image: below(0.64, 0, width), weight: below(0.36, 26, wide), part: below(1 / across, 16, places), output: below(1 / 2, 22, places), across }
      : { image: cell, weight: 40, part: cell, output: cell, across: 1 };
    Object.assign(sizes, { high, wide, stride });
    layer.classList.toggle("narrow", narrow);
    layer.style.setProperty("--weight", `${sizes.weight}px`);
    outputs.style.gridArea = narrow ? `${image.length + 1 + Math.ceil(image.length / across)} / 1 / auto / span 6` : `1 / 4 / span ${image.length} / auto`;
  }

  function drawChannel({ image, filters, filter, padding, parts, at, covered, stride, problem }, { input, answer, rows, columns, heaviest, dark }, c, one, seen) {
    const [there, sees, narrow] = [c < image.length, seen.includes(c), layer.classList.contains("narrow")];
    for (const element of one.pieces) element.hidden = !there;
    if (!there) return;
    const [pixels, part] = [image[c], parts[seen.indexOf(c)]];
    const span = 6 / sizes.across;
    const areas = narrow
      ? [`${c + 1} / 1 / auto / span 4`, `${c + 1} / 5 / auto / span 2`, `${image.length + 1 + Math.floor(c / sizes.across)} / ${1 + span * (c % sizes.across)} / auto / span ${span}`]
      : [1, 2, 3].map((column) => `${c + 1} / ${column}`);
    for (const [k, area] of areas.entries()) one.pieces[k].style.gridArea = area;
    const inside = (r, k) => pixels[r - padding]?.[k - padding];
    const [high, wide] = [pixels.length + 2 * padding, pixels[0].length + 2 * padding];
    heading(one.image.heading, nameOf(c), pixels.length, pixels[0].length, padding ? `padding ${padding}` : "");
    one.image.grid.draw({
      rows: high, columns: wide, cell: sizes.image, numbersFrom: NUMBERS_FIT,
      color: (r, k) => (inside(r, k) === undefined ? null : input.color(inside(r, k))),
      kind: (r, k) => (inside(r, k) === undefined ? "empty" : ""),
      text: (r, k, room) => format(inside(r, k) ?? 0, Math.max(3, room)),
      label: `${nameOf(c)}, ${pixels.length} rows, ${pixels[0].length} columns` + (padding ? `, padding ${padding}` : ""),
    });
    placeBox(one.frame, sizes.image, at[0] * stride, at[1] * stride, sizes.high, sizes.wide);
    one.weights.draw(filters[filter][c], (value) => signed(value / heaviest, dark));
    for (const field of one.weights.element.querySelectorAll("input")) field.readOnly = !has("weights");
    one.weights.element.hidden = !sees;
    one.blind.hidden = sees;
    one.pieces[2].hidden = !sees || problem !== "";
    if (one.pieces[2].hidden) return;
    say(one.pieces[2].firstChild, !narrow ? "=" : c === seen[0] ? "" : "+");
    one.part.heading.textContent = `${nameOf(c)}'s sum`;
    one.part.grid.draw(numbers(part, rows, columns, sizes.part, answer, covered, `partial sums of ${nameOf(c)}`));
    placeBox(one.mark, sizes.part, ...at, 1, 1);
  }

  const numbers = (matrix, rows, columns, cell, map, covered, name) => ({
    rows, columns, cell, numbersFrom: NUMBERS_FIT,
    color: (r, c) => (covered(r, c) ? null : map.color(matrix[r][c])),
    kind: (r, c) => (covered(r, c) ? "empty" : ""),
    text: (r, c, room) => (covered(r, c) ? "?" : format(matrix[r][c], Math.max(cell < 30 ? 3 : 4, room))),
    label: `${name}, ${rows} rows, ${columns} columns`,
  });

  function drawResult({ filters, bias, filter, outputs: answers, at, covered, problem }, { answer, rows, columns }, f, one) {
    one.element.hidden = f >= filters.length || problem !== "";
    if (one.element.hidden) return;
    one.pick.setAttribute("aria-pressed", String(f === filter));
    say(one.note, `+ bias ${format(bias[f], 6)}`);
    one.element.classList.toggle("other", f !== filter);
    one.map.draw(numbers(answers[f], rows, columns, sizes.output, answer, covered, `output of filter ${f + 1}`));
    placeBox(one.mark, sizes.output, ...at, 1, 1);
  }

  function drawFacts({ image, filters, stride, padding, groups, problem }) {
    const [F, C, K, L] = [filters.length, image.length, filters[0][0].length, filters[0][0][0].length];
    const options = { stride, padding, dilation: 1 };
    const sentences = problem ? [problem] : [
      ...(has("stride", "padding") ? [sizeSentence("rows", image[0].length, K, options), sizeSentence("columns", image[0][0].length, L, options)] : []),
      `Numbers to learn: ${F} · (${groups > 1 ? `${C} / ${groups}` : C} · ${K} · ${L} + 1) = ${F * ((C / groups) * K * L + 1)}.`,
    ];
    facts.replaceChildren(...sentences.map((sentence) => h("span", {}, sentence)));
  }

  function drawSum({ bias, filter, outputs: answers, parts, at: [row, column], playing, problem }, seen) {
    if (problem) return say(words, problem);
    const [values, total] = [parts.map((part) => part[row][column]), format(answers[filter][row][column], 9)];
    const sum = [...values, bias[filter]].map(term).join(" ");
    say(equation, `Filter ${filter + 1} at [${row}, ${column}]: ${sum} (bias) = ${total}`);
    if (playing) return;
    const spoken = values.map((value, k) => `${nameOf(seen[k])} ${inWords(format(value, 5))}`).join(", ");
    say(words, `Window at row ${row}, column ${column}. Filter ${filter + 1}: ${spoken}, bias ${inWords(format(bias[filter], 6))}, makes ${inWords(total)}.`);
  }

  return { root, connect, draw };
}

const OWN_STYLE = `
.layer { display: grid; grid-template-columns: repeat(4, auto); gap: 14px 10px; justify-content: center; align-items: center; margin: 14px 0; }
.layer.narrow { grid-template-columns: repeat(6, 1fr); gap: 12px 0; }
.piece { display: flex; align-items: center; gap: 8px; }
.piece > .sign { font-size: 22px; color: var(--soft); padding-top: 24px; }
.narrow .piece { gap: 4px; }
.narrow .piece > .sign { font-size: 16px; }
.narrow .partial, .narrow .result { align-items: start; }
.narrow .partial > .sign, .narrow .result > .sign { padding-top: 28px; }
.narrow .partial .heading { font-size: 13px; }
.outputs { display: flex; flex-direction: column; gap: 14px; align-items: start; }
.narrow .outputs { flex-flow: row wrap; justify-content: space-between; }
.result .row { margin-bottom: 5px; gap: 4px 8px; }
.result .heading { margin: 0; }
.narrow .result .row { flex-direction: column; align-items: start; }
.equation { margin-bottom: 10px; }
.pick { padding: 2px 8px; min-height: 30px; }
.other .sign { visibility: hidden; }
.layer .matrix td { width: var(--weight); height: min(36px, var(--weight)); }
.blind { max-width: 8em; }
.frame.movable { pointer-events: auto; }
.misfit .legend { visibility: hidden; }
[hidden] { display: none !important; }
@media (pointer: coarse) { .pick { min-height: 44px; } }
`;

export { FIELDS, convolve, misfit, partialSums, readFilters, readStack };
export default { render };
