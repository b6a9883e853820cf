// The pooling playground: a window slides over an image and puts one number in the place of those it covers.
//
// The arithmetic is the first part. Change a pixel or move the image, and it says what that does to the output.

import { STYLE, chooser, colorMap, flagField, format, h, isDark, pairField, parseNumber, range, readMatrix, say, stepper, textField, wholeNumber, writeMatrix } from "./base.js";
import { WINDOW_STYLE, arrows, begin, button, grid, heading, inWords, keepInStep, makeStage, makeWalk, mount, nameOf, outputSize, placeBox, sizeSentence, steer, term, usesAlong } from "./window.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ pool: "max"|"average", size: number, stride: number, padding: number, dilation: number }} Options */

// The arithmetic

/** What a place beyond the edge counts: it must never win a maximum, and an average counts it as zero. */
const border = (pool) => (pool === "max" ? -Infinity : 0);

/** The places under the window, row by row: [row, column] of the image and the number there. @param {Options} options */
function windowAt(image, [row, column], { pool, size, stride, padding, dilation }) {
  const steps = Array.from({ length: size }, (_, k) => k * dilation - padding);
  return steps.flatMap((down) => steps.map((across) => {
    const [r, c] = [row * stride + down, column * stride + across];
    return { r, c, value: image[r]?.[c] ?? border(pool) };
  }));
}

/** One number for a window: of equal maxima the first wins, in an average nobody does. */
function reduce(places, pool) {
  if (pool === "average") return { value: places.reduce((sum, { value }) => sum + value, 0) / places.length };
  return places.reduce((best, place) => (place.value > best.value ? place : best));
}

/** torch.nn.functional.max_pool2d or avg_pool2d of one channel. @param {Matrix} image @param {Options} options */
function pool2d(image, options) {
  const [rows, columns] = [image.length, image[0].length].map((size) => outputSize(size, options.size, options));
  return grid(rows, columns, (r, c) => reduce(windowAt(image, [r, c], options), options.pool).value);
}

/** Why there is no output; nothing if there is one. */
function misfit(image, options) {
  const { size, padding, dilation } = options;
  const span = dilation * (size - 1) + 1;
  if (padding > span / 2) return `Padding ${padding} is more than half the window's ${span} pixels: PyTorch refuses it, for a window could lie in the padding as a whole.`;
  const fits = [image.length, image[0].length].every((pixels) => outputSize(pixels, size, options));
  return fits ? "" : `The window spans ${span} pixels, more than the padded image has: there is no output.`;
}

/** The image moved to the right; what leaves it there comes back on the left. */
const moved = (image, shift) => image.map((row) => row.map((_, c) => row.at((c - shift) % row.length)));

/** As format does, and −∞ too. */
const written = (value, width) => (value === -Infinity ? "−∞" : format(value, width));

/** The places where two outputs differ. */
const differences = (before, after) =>
  after.flatMap((row, r) => row.flatMap((value, c) => (value === before[r][c] ? [] : [[r, c]])));

/** By how many columns the output has moved, when the image has moved by `shift`; undefined if it is another output. */
function movedBy(before, after, shift, stride) {
  const isMoved = (m) => after.every((row, r) => row.every((value, c) => c < m || value === before[r][c - m]));
  const most = Math.min(Math.ceil(shift / stride), before[0].length - 1);
  return Array.from({ length: most + 1 }, (_, m) => m).find(isMoved);
}

/** @type {Object<string, Matrix>} */
const IMAGES = {
  signed: readMatrix("3 -1 0 2 -4 1; -2 5 5 -3 0 -1; -6 -2 4 1 2 2; -1 -3 0 7 -2 -5; 2 2 -4 -1 6 -2; -3 0 1 -6 3 4"),
  sixteen: grid(4, 4, (r, c) => 4 * r + c + 1),
  negative: grid(4, 4, (r, c) => -(4 * r + c + 1)),
  stroke: readMatrix("0 0 0 0 0 0 0 0; 0 0 4 9 0 0 0 0; 0 0 7 8 0 0 0 0; 0 2 9 5 0 0 0 0; 0 5 9 1 0 0 0 0; 0 0 0 0 0 0 0 0"),
};

/** Attributes of <cnn-pooling>, which are also the settings in the address. */
const FIELDS = {
  image: {
    read: (text) => IMAGES[text] ?? readMatrix(text, 16),
    write: (image) => nameOf(image, IMAGES) ?? writeMatrix(image),
    start: IMAGES.signed,
  },
  pool: { read: (text) => (text === "max" || text === "average" ? text : undefined), write: String, start: "max" },
  size: { ...wholeNumber(1, 5), start: 2 },
  stride: { ...wholeNumber(1, 5), start: 2 },
  padding: { ...wholeNumber(0, 2), start: 0 },
  dilation: { ...wholeNumber(1, 3), start: 1 },
  shift: { ...wholeNumber(0, 15), start: 0 },
  at: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "window pool" },
  predict: flagField,
  label: { ...textField, start: "Pooling playground" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const names = ["image", "pool", "size", "stride", "padding", "dilation", "shift"];
  const { controls, predict, read, given, set } = begin(model, names);
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + OWN_STYLE);

  let settings;
  let options; // the settings as the arithmetic takes them
  let pixels; // the image where it stands now
  let output;
  let pixel = [0, 0]; // the one that can be changed
  let editing = false; // a pixel is about to change
  let news; // what the last change of a pixel did: a sentence, and the outputs that changed
  const walk = makeWalk({ sizes: () => [output.length, output[0]?.length ?? 0], keep: (at) => set({ at }), draw });

  function pick([row, column]) {
    const within = (place, size) => Math.max(0, Math.min(size - 1, place));
    pixel = [within(row, pixels.length), within(column, pixels[0].length)];
    draw();
  }

  function change(value) {
    const [[row, column], before, old] = [pixel, output, pixels[pixel[0]][pixel[1]]];
    if (value === old) return;
    walk.stop();
    editing = true; // what was uncovered stays so
    set({ image: moved(pixels.map((line, r) => line.map((v, c) => (r === row && c === column ? value : v))), -settings.shift) });
    editing = false;
    const places = differences(before, output);
    const what = places.length ? `${places.length} of ${output.flat().length} outputs changed` : "no output changed";
    news = { places, text: `Pixel [${row}, ${column}] went from ${format(old)} to ${format(value)}: ${what}.` };
    draw();
  }

  view.connect({
    move: (place) => walk.moveTo(...place),
    moveBy: walk.moveBy,
    stepBy: walk.stepBy,
    play: walk.play,
    uncover: walk.uncover,
    tap: controls.has("pixels") && (([r, c]) => {
      pick([r - settings.padding, c - settings.padding]);
      view.pixel.focus({ preventScroll: true });
    }),
    pickBy: (rows, columns) => pick([pixel[0] + rows, pixel[1] + columns]),
    change,
    changeBy: (step) => change(pixels[pixel[0]][pixel[1]] + step),
    image: (name) => set({ image: IMAGES[name] ?? given.image, shift: 0, at: [0, 0] }),
    setting: (name, value) => set({ [name]: value }),
    reset: () => {
      walk.restart();
      set({ ...given, at: [0, 0] });
    },
  });

  /** What to say about the moved image, compared with the image where it stood. */
  function shiftNews() {
    if (!settings.shift || !output.length) return undefined;
    const before = pool2d(settings.image, options);
    const places = differences(before, output);
    const by = movedBy(before, output, settings.shift, settings.stride);
    const what = !places.length ? "the output stays as it is"
      : by === undefined ? `${places.length} of ${output.flat().length} outputs changed, and the output is no moved copy of what it was`
      : `the output moved by ${by}, and is the same otherwise`;
    return { places, text: `The image moved by ${settings.shift}: ${what}.` };
  }

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const state = { at: walk.at(), playing: walk.playing(), covered: walk.covered(predict), predict };
    view.draw({ ...settings, ...options, ...state, given, pixels, output, pixel, news: news ?? shiftNews() });
  }

  function update() {
    const next = read();
    if (!settings || names.some((name) => next[name] !== settings[name])) {
      settings = next;
      options = { ...next, dilation: next.pool === "max" ? next.dilation : 1 }; // torch's average knows no dilation
      pixels = moved(next.image, next.shift);
      output = misfit(pixels, options) ? [] : pool2d(pixels, options);
      news = undefined;
      if (!editing) walk.restart();
      pixel = [Math.min(pixel[0], pixels.length - 1), Math.min(pixel[1], pixels[0].length - 1)];
    }
    walk.stand(model.get("at"));
    draw();
  }

  const end = keepInStep({ model, host, update, draw });
  return () => {
    walk.restart();
    end();
  };
}

const NUMBERS_FIT = 24; // pixels: these are short numbers, and without them pooling shows nothing

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const has = (...names) => names.some((name) => controls.has(name));

  const stage = makeStage(has("window"));
  const { image, result, frame, beam } = stage;
  result.legend.element.remove(); // the same as the image's
  const pixel = h("div", { class: "pixel", tabindex: 0, role: "spinbutton", "aria-label": "pixel", "aria-describedby": "hint" });
  if (has("pixels")) frame.after(pixel);
  const hint = h("p", { class: "note hint", id: "hint" },
    has("window") ? "Drag the window, or focus it and use the arrow keys. " : "",
    has("pixels") ? "Click a pixel, then type a number or press + and −." : "");
  const equation = h("p", { class: "equation", "aria-hidden": "true" });
  const changed = h("p", { class: "changed", role: "status" });
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });

  const pickImage = chooser("image", (name) => act.image(name));
  const pickPool = chooser("pooling", (name) => act.setting("pool", name));
  const limits = { size: [1, 5], stride: [1, 5], padding: [0, 2], dilation: [1, 3], shift: [0, 15] };
  const steppers = Object.fromEntries(Object.entries(limits).map(([name, [low, high]]) => {
    const one = stepper(name, low, high, (value) => one.allows(value) && act.setting(name, value));
    return [name, one];
  }));

  const name = h("span");
  const input = h("input", {
    type: "text", inputmode: "text", autocomplete: "off", spellcheck: "false", "aria-label": "pixel's number",
    focus: () => input.select(),
    input: () => {
      const value = parseNumber(input.value);
      input.setAttribute("aria-invalid", String(Number.isNaN(value)));
      if (!Number.isNaN(value)) act.change(value);
    },
    blur: () => {
      input.removeAttribute("aria-invalid");
      input.value = input.current;
    },
  });
  steer(input, { ArrowUp: () => act.changeBy(1), ArrowDown: () => act.changeBy(-1), Enter: () => pixel.focus(), Escape: () => pixel.focus() });
  const editor = h("div", { class: "field", role: "group", "aria-label": "pixel" }, name, h("span", { class: "stepper" },
    button("−", () => act.changeBy(-1), { "aria-label": "pixel less 1" }), input,
    button("+", () => act.changeBy(1), { "aria-label": "pixel plus 1" })));

  const top = h("div", { class: "row" },
    has("image") ? pickImage.element : null,
    has("pool") ? pickPool.element : null,
    ...Object.keys(limits).filter((one) => has(one)).map((one) => steppers[one].element));
  const bottom = h("div", { class: "row middle" },
    ...stage.buttons,
    has("pixels") ? editor : null,
    stage.uncoverButton,
    controls.size ? button("Reset", () => act.reset()) : null);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    top, stage.element, equation, changed, bottom, has("window", "pixels") ? hint : null, words, facts);

  function connect(actions) {
    act = actions;
    stage.connect(act);
    if (!has("pixels")) return;
    if (!has("window")) image.grid.element.addEventListener("click", (event) => {
      const [box, cell] = [image.grid.element.getBoundingClientRect(), parseFloat(pixel.style.width)];
      act.tap([event.clientY - box.top, event.clientX - box.left].map((place) => Math.floor(place / cell)));
    });
    steer(pixel, { ...arrows(act.pickBy), "+": () => act.changeBy(1), "-": () => act.changeBy(-1), Enter: () => input.focus() });
    pixel.addEventListener("keydown", ({ key }) => /^\d$/.test(key) && input.focus()); // which takes the digit
  }

  function draw(state) {
    const { pixels, output, padding, size, dilation } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const [height, width] = [pixels.length + 2 * padding, pixels[0].length + 2 * padding];
    const cell = stage.fit(height, width, output.length, output[0]?.length ?? 0);
    const problem = misfit(pixels, state);
    const under = problem ? [] : windowAt(pixels, state.at, state);
    const map = colorMap(...range(pixels), dark);
    const span = dilation * (size - 1) + 1;
    root.classList.toggle("misfit", problem !== "");
    drawControls(state);
    drawImage(state, cell, map, under);
    drawOutput(state, cell, map);
    stage.place(state, { at: state.at, high: span, wide: span, stride: [state.stride, state.stride] });
    drawTaps(state, cell);
    drawPixel(state, cell);
    drawFacts(state, problem);
    if (problem) return say(words, problem);
    drawSum(state, under);
    beam.draw();
  }

  function drawControls({ image: matrix, pool, given, ...values }) {
    pickImage.show([...(nameOf(given.image, IMAGES) ? [] : ["as given"]), ...Object.keys(IMAGES), ...(nameOf(matrix, IMAGES, matrix === given.image) ? [] : ["your own"])],
      nameOf(matrix, IMAGES) ?? (matrix === given.image ? "as given" : "your own"));
    pickPool.show(["max", "average"], pool);
    for (const [one, { show }] of Object.entries(steppers)) show(values[one]);
    steppers.dilation.element.hidden = pool === "average";
  }

  function drawImage({ pixels, pool, size, stride, padding, dilation }, cell, map, under) {
    const inside = (r, c) => pixels[r - padding]?.[c - padding];
    const used = [pixels.length, pixels[0].length].map((pixel) => usesAlong(pixel, size, { stride, padding, dilation }));
    const isUsed = (r, c) => used[0][r - padding] && used[1][c - padding];
    const winner = pool === "max" && under.length ? reduce(under, pool) : {};
    heading(image.heading, "image", pixels.length, pixels[0].length, padding ? `padding ${padding}` : "");
    image.grid.draw({
      rows: pixels.length + 2 * padding, columns: pixels[0].length + 2 * padding, cell, numbersFrom: NUMBERS_FIT,
      color: (r, c) => (inside(r, c) === undefined || !isUsed(r, c) ? null : map.color(inside(r, c))),
      kind: (r, c) => {
        if (inside(r, c) === undefined) return "empty";
        return !isUsed(r, c) ? "skipped" : winner.r === r - padding && winner.c === c - padding ? "winner" : "";
      },
      text: (r, c, room) => (inside(r, c) === undefined ? (pool === "max" ? "−∞" : "0") : format(inside(r, c), room)),
      label: `image, ${pixels.length} rows, ${pixels[0].length} columns` + (padding ? `, padding ${padding}` : ""),
    });
    image.legend.draw(map);
  }

  function drawOutput({ output, covered, news }, cell, map) {
    const [rows, columns] = [output.length, output[0]?.length ?? 0];
    const isNew = (r, c) => news?.places.some(([row, column]) => row === r && column === c);
    heading(result.heading, "output", rows, columns);
    result.grid.draw({
      rows, columns, cell, numbersFrom: NUMBERS_FIT,
      color: (r, c) => (covered(r, c) ? null : map.color(output[r][c])),
      kind: (r, c) => (covered(r, c) ? "empty" : isNew(r, c) ? "new" : ""),
      text: (r, c, room) => (covered(r, c) ? "?" : written(output[r][c], room)),
      label: `output, ${rows} rows, ${columns} columns`,
    });
    say(changed, news?.text ?? "");
  }

  /** Where the window looks, if it leaves pixels out. */
  function drawTaps({ size, dilation }, cell) {
    frame.replaceChildren(...(dilation === 1 ? [] : grid(size, size, (k, l) => {
      const tap = h("span", { class: "tap" });
      placeBox(tap, cell, k * dilation, l * dilation, 1, 1);
      return tap;
    }).flat()));
  }

  function drawPixel({ pixels, padding, pixel: [row, column] }, cell) {
    const value = pixels[row][column];
    placeBox(pixel, cell, row + padding, column + padding, 1, 1);
    pixel.setAttribute("aria-valuenow", value);
    pixel.setAttribute("aria-valuetext", `row ${row}, column ${column}: ${inWords(format(value))}`);
    say(name, `pixel [${row}, ${column}]`);
    input.current = format(value, 6);
    if (!input.matches(":focus") || (parseNumber(input.value) !== value && input.getAttribute("aria-invalid") !== "true")) input.value = input.current;
  }

  function drawFacts({ pixels, size, stride, padding, dilation }, problem) {
    const sizes = [["rows", pixels.length], ["columns", pixels[0].length]];
    const sentences = problem ? [problem] : [];
    if (!problem && has("size", "stride", "padding", "dilation")) {
      const all = pixels.length * pixels[0].length;
      const [down, across] = sizes.map(([, pixel]) => usesAlong(pixel, size, { stride, padding, dilation }).filter(Boolean).length);
      sentences.push(...sizes.map(([axis, pixel]) => sizeSentence(axis, pixel, size, { stride, padding, dilation })));
      if (down * across < all) sentences.push(`Never used, and crossed out: ${all - down * across} of ${all} pixels.`);
    }
    facts.replaceChildren(...sentences.map((sentence) => h("span", {}, sentence)));
  }

  function drawSum({ pool, at, playing, covered }, under) {
    const answer = reduce(under, pool);
    const values = under.map(({ value }) => (written(value, 5)));
    const rivals = under.filter(({ value }) => value === answer.value).length;
    const sum = under.map(({ value }, k) => term(value, k)).join(" ");
    const long = under.length > 9;
    const parts = pool === "max" ? `max(${long ? `${under.length} numbers` : values.join(", ")})`
      : `${long ? `sum of ${under.length} numbers` : `(${sum})`} / ${under.length}`;
    const first = pool === "max" && rivals > 1 ? `, ${rivals} times; the first is marked` : "";
    say(equation, `output[${at.join(", ")}] = ${parts} = ${written(answer.value)}${first}`);
    if (playing) return;
    const what = pool === "max" ? "The largest" : "The average";
    const where = pool === "max" ? `, ${rivals > 1 ? `the first of ${rivals}, ` : ""}at row ${answer.r}, column ${answer.c}` : "";
    const list = long ? `${under.length} numbers` : values.map((value) => inWords(value).replace("∞", "infinity")).join(", ");
    say(words, `Window at row ${at[0]}, column ${at[1]}. ${what} of ${list} is ${inWords(written(answer.value))}${where}.`);
  }

  return { root, connect, draw, pixel };
}

const OWN_STYLE = `
.grid td.winner {
  background-image: radial-gradient(circle closest-side, transparent 74%, var(--mark-edge) 76% 80%, var(--mark) 82% 96%, transparent 98%);
  font-weight: 700;
}
.grid td.new { font-weight: 700; text-decoration: underline 2px; text-underline-offset: 3px; }
.pixel { position: absolute; pointer-events: none; outline: 2px dashed var(--action); outline-offset: -3px; border-radius: 4px; }
.pixel:focus { outline: 3px solid var(--action); outline-offset: -3px; }
.changed { text-align: center; margin-bottom: 10px; min-height: 1.4em; }
.equation { font-weight: 600; }
[role="group"] .stepper input { color: var(--text); width: 4em; min-height: 36px; border: 0; background: none; text-align: center; font-weight: 600; border-radius: 0; }
.stepper input[aria-invalid="true"] { box-shadow: inset 0 0 0 2px #d32f2f; text-decoration: underline wavy #d32f2f; }
[hidden] { display: none !important; }
@media (pointer: coarse) { .stepper input { min-height: 44px; } }
`;

export { FIELDS, IMAGES, misfit, movedBy, pool2d };
export default { render };
