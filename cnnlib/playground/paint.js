// The paint playground: each pixel of the input paints the kernel, scaled by its number, onto the output: transposed convolution.
//
// The arithmetic is the first part. Counts of how often each output pixel is painted are the same painting, with ones.

import { NUMBERS_FROM, STYLE, chooser, colorMap, digitsThatFit, format, fraction, h, inkOn, isDark, makeGrid, makeLegend, makeRandom, matrixField, pairField, range, readMatrix, say, signed, stepper, textField, wholeNumber, writeMatrix } from "./base.js";
import { WINDOW_STYLE, begin, button, grid, heading, inWords, keepInStep, makeStage, makeWalk, mount, nameOf, outputSize, same } from "./window.js";
import { SUM_STYLE, WEIGHTS_STYLE, correlate, largest, makeMatrix, makeWeights } from "./weights.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ stride: number, padding: number, extra: number }} Axis  the options along one axis; extra is output_padding */

// The arithmetic

/** How many pixels are painted along one axis, before the padding is cut off. @param {Axis} axis */
const canvasSize = (size, taps, { stride, extra }) => (size - 1) * stride + taps + extra;

/**
 * The first `most` pixels of the image, row by row, paint the kernel, scaled by their number; what overlaps is added. With
 * all of them this is torch.nn.functional.conv_transpose2d with one channel and one filter.
 * @param {Matrix} image @param {Matrix} kernel @param {[Axis, Axis]} axes down and across @returns {Matrix}
 */
function paint(image, kernel, axes, most = Infinity) {
  const [down, across] = axes;
  const rows = canvasSize(image.length, kernel.length, down) - 2 * down.padding;
  const columns = canvasSize(image[0].length, kernel[0].length, across) - 2 * across.padding;
  const output = grid(rows, columns, () => 0);
  for (const [number, value] of image.flat().slice(0, most).entries()) {
    const top = Math.floor(number / image[0].length) * down.stride - down.padding;
    const left = (number % image[0].length) * across.stride - across.padding;
    for (const [k, weights] of kernel.entries()) {
      for (const [l, weight] of weights.entries()) if (output[top + k]?.[left + l] !== undefined) output[top + k][left + l] += value * weight;
    }
  }
  return output;
}

const ones = (matrix) => matrix.map((row) => row.map(() => 1));

/** How often each output pixel is painted. @returns {Matrix} */
const counts = (image, kernel, axes, most) => paint(ones(image), ones(kernel), axes, most);

/** Why there is no output; nothing if there is one. @param {[Axis, Axis]} axes */
function misfit(image, kernel, axes) {
  const sizes = [[image.length, kernel.length], [image[0].length, kernel[0].length]];
  for (const [k, [size, taps]] of sizes.entries()) {
    const { stride, padding, extra } = axes[k];
    if (extra >= stride) return `Output padding ${extra} is not below stride ${stride}: PyTorch refuses it.`;
    const canvas = canvasSize(size, taps, axes[k]);
    if (canvas <= 2 * padding) return `Padding cuts ${padding} off both ends of ${canvas} pixels: there is no output.`;
  }
  return "";
}

/** How often the pixels of one axis are painted in turn, away from the border, from the first output pixel on. */
const turns = (taps, { stride, padding }) =>
  Array.from({ length: stride }, (_, k) => Math.floor((taps - 1 - ((padding + k) % stride)) / stride) + 1);

const INSIDE = 10; // pixels a side of the maps that are compared, all away from the border

/** What a kernel paints from an image of ones, away from the border. @returns {Matrix} */
function paintConstant(kernel, stride) {
  const start = Math.ceil((kernel.length - 1) / stride) * stride;
  const count = Math.ceil((start + INSIDE) / stride) + 1;
  const axis = { stride, padding: 0, extra: 0 };
  const output = paint(grid(count, count, () => 1), kernel, [axis, axis]);
  return output.slice(start, start + INSIDE).map((row) => row.slice(start, start + INSIDE));
}

/** The same, if the image is first made larger, each pixel repeated, and a plain convolution follows. @returns {Matrix} */
function resizeConstant(kernel, stride) {
  const count = Math.ceil((INSIDE + kernel.length - 1) / stride);
  const resized = grid(count * stride, count * stride, () => 1); // what repeating ones gives
  return correlate(resized, kernel).slice(0, INSIDE).map((row) => row.slice(0, INSIDE));
}

/**
 * How many times the strongest place in the pattern of stride × stride is as strong as the weakest: root mean squares over the maps.
 * @param {Matrix[]} maps
 */
function unevenness(maps, stride) {
  const squares = grid(stride, stride, (r, c) => maps.reduce((sum, map) => sum + map[r][c] ** 2, 0));
  const [low, high] = range(squares);
  return Math.sqrt(high / low);
}

const KERNELS = 9; // of random weights

/** Nine kernels of normal random weights. @returns {Matrix[]} */
function randomKernels(draw, taps) {
  const { normal } = makeRandom(draw);
  return Array.from({ length: KERNELS }, () => grid(taps, taps, normal));
}

/** The size beside which this one is put: the next that the stride divides, or one that it does not. */
const rival = (taps, stride) => (taps % stride ? Math.ceil(taps / stride) * stride : taps - 1);

/** What a constant image becomes in three layers of random weights: [name, size of the kernel, maps]. */
function constantThrough(draw, taps, stride) {
  const other = stride > 1 ? rival(taps, stride) : 0;
  const sizes = other > 0 ? [taps, other] : [taps];
  const painted = sizes.map((size) => [`k = ${size}, s = ${stride}`, randomKernels(draw, size).map((kernel) => paintConstant(kernel, stride))]);
  const resized = randomKernels(draw, taps).map((kernel) => resizeConstant(kernel, stride));
  return [...painted, [`resize ${stride} ×, convolve`, resized]].map(([name, maps]) => ({ name, maps, ratio: unevenness(maps, stride) }));
}

// Images and kernels that have a name

/** @type {Object<string, Matrix>} */
const IMAGES = {
  ramp: grid(4, 5, (r, c) => 5 * r + c + 1),
  ones: grid(4, 5, () => 1),
  dot: grid(4, 5, (r, c) => (r === 1 && c === 2 ? 1 : 0)),
};

const KINDS = {
  ones: (rows, columns) => grid(rows, columns, () => 1),
  tent: (rows, columns) => grid(rows, columns, (k, l) => Math.min(k + 1, rows - k) * Math.min(l + 1, columns - l)),
  "1, 2, 3, …": (rows, columns) => grid(rows, columns, (k, l) => columns * k + l + 1),
};

/** The name of a kernel that has one. @param {Matrix} kernel */
const kindOf = (kernel) => Object.keys(KINDS).find((kind) => same(KINDS[kind](kernel.length, kernel[0].length), kernel));

const SHOWN = { values: "values", counts: "times painted" };

/** Attributes of <cnn-paint>, which are also the settings in the address. */
const FIELDS = {
  image: { read: (text) => IMAGES[text] ?? readMatrix(text, 8), write: (image) => nameOf(image, IMAGES) ?? writeMatrix(image), start: IMAGES.ramp },
  kernel: { ...matrixField(6), start: KINDS.ones(3, 3) },
  stride: { ...wholeNumber(1, 4), start: 2 },
  padding: { ...wholeNumber(0, 4), start: 0 },
  output_padding: { ...wholeNumber(0, 3), start: 0 },
  dimensions: { ...wholeNumber(1, 2), start: 2 },
  show: { read: (text) => (Object.hasOwn(SHOWN, text) ? text : undefined), write: String, start: "values" },
  draws: { ...wholeNumber(0, 99), start: 0 },
  at: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "window kernel size stride" },
  label: { ...textField, start: "Paint and overlap" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const names = ["image", "kernel", "stride", "padding", "output_padding", "dimensions"];
  const { controls, read, given, set } = begin(model, names);
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + WEIGHTS_STYLE + SUM_STYLE + OWN_STYLE);

  let settings;
  let now; // the image and the kernel as they are painted with: in one dimension, a row of each
  const walk = makeWalk({ sizes: () => (now.problem ? [0, 0] : [now.image.length, now.image[0].length]), keep: (at) => set({ at }), draw });

  function setSize(name, value) {
    const { kernel } = settings;
    const [rows, columns] = [name === "rows" ? value : kernel.length, name === "columns" ? value : kernel[0].length];
    set({ kernel: KINDS[kindOf(kernel)]?.(rows, columns) ?? grid(rows, columns, (k, l) => kernel[k]?.[l] ?? 0) });
  }

  view.connect({
    move: ([row, column]) => (now.flat ? walk.moveTo(0, row) : walk.moveTo(row, column)),
    moveBy: (rows, columns) => (now.flat ? walk.moveBy(0, rows || columns) : walk.moveBy(rows, columns)),
    stepBy: walk.stepBy,
    play: walk.play,
    paintAll: () => walk.stepBy(Infinity),
    constant: () => set({ draws: Number(model.get("draws") === 0) }),
    otherWeights: () => set({ draws: 1 + (model.get("draws") % 99) }),
    weight: (k, l, value) => {
      const row = now.flat ? settings.kernel.length >> 1 : k;
      set({ kernel: settings.kernel.with(row, settings.kernel[row].with(l, value)) });
    },
    kernel: (kind) => set({ kernel: KINDS[kind]?.(settings.kernel.length, settings.kernel[0].length) ?? given.kernel }),
    image: (name) => set({ image: IMAGES[name] ?? given.image }),
    setting: (name, value) => set({ [name]: value }),
    size: setSize,
    reset: () => {
      walk.restart();
      set({ ...given, show: "values", draws: 0, at: [0, 0] });
    },
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const { image, kernel, axes, problem } = now;
    const [row, column] = walk.at();
    const most = row * image[0].length + column + 1; // pixels that have painted
    const state = { at: [row, column], most, done: most === image.flat().length, playing: walk.playing(), show: model.get("show") };
    const answer = problem ? {} : {
      painted: paint(image, kernel, axes, most), counted: counts(image, kernel, axes, most),
      output: paint(image, kernel, axes), often: counts(image, kernel, axes),
    };
    view.draw({ ...now, ...state, ...answer, settings, given, draws: model.get("draws") });
  }

  function update() {
    const next = read();
    if (!settings || names.some((name) => next[name] !== settings[name])) {
      settings = next;
      const flat = next.dimensions === 1;
      const axis = { stride: next.stride, padding: next.padding, extra: next.output_padding };
      const axes = [flat ? { stride: 1, padding: 0, extra: 0 } : axis, axis];
      const [image, kernel] = flat ? [[next.image[0]], [next.kernel[next.kernel.length >> 1]]] : [next.image, next.kernel];
      now = { flat, image, kernel, axes, problem: misfit(image, kernel, axes) };
      walk.restart();
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

// Sentences

/** The output rows or columns that a pixel paints; nothing if the padding cuts all of them off. */
function spanText(name, place, taps, { stride, padding }, size) {
  const [first, last] = [Math.max(0, place * stride - padding), Math.min(size - 1, place * stride - padding + taps - 1)];
  if (first > last) return "";
  return first === last ? `${name} ${first}` : `${name}s ${first} to ${last}`;
}

function outputSentence(name, size, taps, { stride, padding, extra }) {
  const result = canvasSize(size, taps, { stride, extra }) - 2 * padding;
  return `Output ${name}s: (${size} − 1)·${stride} − 2·${padding} + ${taps} + ${extra} = ${result}.`;
}

/** From which sizes a convolution comes back to this one. */
function sizesSentence(name, size, taps, { stride, padding }) {
  const least = canvasSize(size, taps, { stride, extra: 0 }) - 2 * padding;
  const sizes = Array.from({ length: stride }, (_, k) => least + k).filter((one) => outputSize(one, taps, { stride, padding }) === size);
  if (sizes.length < 2) return "";
  return `A convolution with this kernel, stride and padding makes ${size} ${name}s out of ${sizes.slice(0, -1).join(", ")} or ${sizes.at(-1)}: output padding chooses.`;
}

/** How often output pixels are painted: `names` are rows, columns, or both. */
function turnsSentence(names, taps, axis) {
  const pattern = turns(taps, axis);
  const even = pattern.every((count) => count === pattern[0]);
  const how = even ? `${pattern[0]} ${pattern[0] === 1 ? "time" : "times"} each: stride ${axis.stride} divides ${taps}`
    : `${pattern.join(", ")} times in turn: stride ${axis.stride} does not divide ${taps}`;
  return `Away from the border, ${names} are painted ${how}.`;
}

const NUMBERS_FIT = 21; // pixels: these are short numbers
const BARS = 84; // pixels that the bars are high

/** The playground's elements, and how they show a state. It computes nothing but colors, sizes and sentences. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const has = (...names) => names.some((name) => controls.has(name));

  const stage = makeStage(has("window"), "input pixel");
  const { image: input, result, beam } = stage;
  const bars = h("div", { class: "bars", "aria-hidden": "true" });
  result.grid.element.after(bars);
  const hint = h("p", { class: "note hint", id: "hint" },
    "Drag the marked pixel, or focus it and use the arrow keys. The output holds what all pixels up to it have painted.");
  const pixel = h("b", { class: "total" });
  const place = h("span", { class: "heading" });
  const weights = has("kernel") ? makeWeights((k, l, value) => act.weight(k, l, value)) : makeMatrix("kernel", "kernel");
  const product = makeMatrix("painted", "painted");
  const sum = h("div", { class: "sum" },
    h("div", { class: "result" }, h("span", { class: "heading" }, "pixel"), pixel, place),
    h("div", { class: "part" }, h("span", { class: "sign" }, "×"), weights.element),
    h("div", { class: "part" }, h("span", { class: "sign" }, "="), product.element));
  const equation = h("p", { class: "equation", "aria-hidden": "true" });
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });
  const constant = makeConstant();

  const choices = {
    dimensions: chooser("in", (name) => act.setting("dimensions", Number(name[0]))),
    image: chooser("input", (name) => act.image(name)),
    kernel: chooser("kernel", (name) => act.kernel(name)),
    counts: chooser("show", (name) => act.setting("show", Object.keys(SHOWN).find((key) => SHOWN[key] === name))),
  };
  const limits = { rows: [1, 6], columns: [1, 6], stride: [1, 4], padding: [0, 4], output_padding: [0, 3] };
  const called = { rows: "kernel rows", columns: "kernel columns", output_padding: "output padding" };
  const isSize = (name) => name === "rows" || name === "columns";
  const steppers = Object.fromEntries(Object.entries(limits).map(([name, [low, high]]) => {
    const pick = (value) => one.allows(value) && (isSize(name) ? act.size(name, value) : act.setting(name, value));
    const one = stepper(called[name] ?? name, low, high, pick);
    return [name, one];
  }));
  const through = button("Send a constant through", () => act.constant(), { "aria-expanded": "false" });
  const others = button("Other weights", () => act.otherWeights());

  const top = h("div", { class: "row" },
    ...["dimensions", "image", "kernel"].filter((name) => has(name)).map((name) => choices[name].element),
    ...Object.keys(limits).filter((name) => has(isSize(name) ? "size" : name)).map((name) => steppers[name].element),
    has("counts") ? choices.counts.element : null);
  const bottom = h("div", { class: "row middle" },
    ...stage.buttons,
    has("window") ? button("Paint all", () => act.paintAll()) : null,
    controls.size ? button("Reset", () => act.reset()) : null);
  const last = h("div", { class: "row middle last" }, through, others);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    top, stage.element, equation, bottom, has("window") ? hint : null, sum, words, facts, has("constant") ? last : null, constant.element);

  function connect(actions) {
    act = actions;
    stage.connect(act);
  }

  function draw(state) {
    const { image, kernel, axes, problem, flat, show, output, often } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    root.classList.toggle("misfit", problem !== "");
    root.classList.toggle("flat", flat);
    drawControls(state);
    drawFacts(state);
    const taps = [kernel.length, kernel[0].length];
    constant.draw(has("constant") ? state.draws : 0, taps[1], state.settings.stride, dark);
    if (problem) return say(words, problem);
    const [height, width] = [image.length, image[0].length].map((size, k) => canvasSize(size, taps[k], axes[k]));
    const room = flat ? { rows: image[0].length, columns: 1, high: image[0].length + 1 } : { rows: image.length, columns: image[0].length, high: height };
    const cell = stage.fit(room.high, room.columns, room.high, width, flat);
    const [least, most] = range(show === "counts" ? often : output);
    const maps = { input: colorMap(...range(image), dark), output: colorMap(least, most, dark) };
    drawInput(state, cell, maps.input);
    drawOutput(state, cell, room.high, width, maps, dark);
    drawBars(state, cell, width);
    placeBoxes(state);
    drawSum(state, maps.input, dark);
    tell(state);
    beam.draw();
  }

  function drawControls({ settings, given, show, draws }) {
    const { image, kernel, dimensions, stride, padding, output_padding } = settings;
    const spaces = ["1 dimension", "2 dimensions"];
    choices.dimensions.show(spaces, spaces[dimensions - 1]);
    choices.image.show([...(nameOf(given.image, IMAGES) ? [] : ["as given"]), ...Object.keys(IMAGES)], nameOf(image, IMAGES, "as given"));
    const kind = kindOf(kernel) ?? (same(kernel, given.kernel) ? "as given" : "your own");
    choices.kernel.show([...new Set([...(kindOf(given.kernel) ? [] : ["as given"]), ...Object.keys(KINDS), kind])], kind);
    choices.counts.show(Object.values(SHOWN), SHOWN[show]);
    const values = { rows: kernel.length, columns: kernel[0].length, stride, padding, output_padding };
    for (const [name, value] of Object.entries(values)) steppers[name].show(value);
    through.setAttribute("aria-expanded", String(draws > 0));
    others.hidden = draws === 0;
    steppers.rows.element.hidden = dimensions === 1;
  }

  function drawInput({ image, flat }, cell, map) {
    const [rows, columns] = flat ? [image[0].length, 1] : [image.length, image[0].length];
    const value = (r, c) => (flat ? image[0][r] : image[r][c]);
    if (flat) input.heading.replaceChildren(h("b", {}, "input")); // its column is narrow
    else heading(input.heading, "input", rows, columns);
    input.grid.draw({
      rows, columns, cell, numbersFrom: NUMBERS_FIT,
      color: (r, c) => map.color(value(r, c)),
      text: (r, c, room) => format(value(r, c), room),
      label: `input, ${image.length} rows, ${image[0].length} columns`,
    });
    input.legend.draw(map);
    input.legend.element.hidden = flat;
  }

  /** The output within what the padding cuts off. In one dimension each input pixel has a row above it, with what it paints. */
  function drawOutput({ image, kernel, axes: [down, across], flat, painted, counted, show, most, done }, cell, rows, columns, maps, dark) {
    const strokes = colorMap(...range(image[0].map((value) => kernel[0].map((weight) => value * weight)).concat([[0]])), dark);
    const stroke = (r, c) => (r < most && r < image[0].length ? kernel[0][c - r * across.stride] : undefined);
    const isStroke = (r) => flat && r < rows - 1;
    const at = (matrix, r, c) => matrix[flat ? 0 : r - down.padding]?.[c - across.padding];
    const waits = (r, c) => !done && !at(counted, r, c); // for the first pixel that paints it
    const value = (r, c) => at(show === "counts" ? counted : painted, r, c);
    const cut = down.padding || across.padding ? `padding ${across.padding} cut off` : "";
    heading(result.heading, "output", painted.length, painted[0].length, cut);
    result.grid.draw({
      rows, columns, cell, numbersFrom: NUMBERS_FIT,
      color: (r, c) => {
        if (isStroke(r)) return stroke(r, c) === undefined ? null : strokes.color(image[0][r] * stroke(r, c));
        return value(r, c) === undefined || waits(r, c) ? null : maps.output.color(value(r, c));
      },
      kind: (r, c) => {
        if (isStroke(r)) return "";
        const kind = value(r, c) === undefined ? "empty" : done && !at(counted, r, c) ? "skipped" : "";
        return flat ? `total-row ${kind}`.trim() : kind;
      },
      text: (r, c, room) => {
        if (isStroke(r)) return stroke(r, c) === undefined ? "" : format(image[0][r] * stroke(r, c), room);
        if (value(r, c) === undefined || waits(r, c)) return "";
        return show === "counts" ? `${value(r, c)}×` : format(value(r, c), room);
      },
      label: flat ? `${rows - 1} rows with what each input pixel paints, and below them their sum: the output, ${painted[0].length} columns`
        : `output, ${painted.length} rows, ${painted[0].length} columns`,
    });
    result.legend.draw(maps.output, show === "counts" ? " times painted" : "");
  }

  /** In one dimension: what the pixels add to the output, one block on the other, what is negative below the line. */
  function drawBars({ image, kernel, axes: [, { stride, padding }], flat, painted, most, show }, cell, columns) {
    bars.hidden = !flat;
    if (!flat) return;
    const stacks = grid(columns, image[0].length, (c, i) => {
      const weight = kernel[0][c - i * stride];
      return weight === undefined ? 0 : show === "counts" ? 1 : image[0][i] * weight;
    });
    const reach = (values, sign) => values.reduce((sum, value) => sum + Math.max(0, sign * value), 0);
    const [above, below] = [1, -1].map((sign) => Math.max(...stacks.map((values) => reach(values, sign))));
    const scale = BARS / (above + below || 1);
    const block = (values, c, i) => {
      const bottom = values[i] > 0 ? reach(values.slice(0, i), 1) : -reach(values.slice(0, i + 1), -1);
      const box = { left: c * cell + 1, width: cell - 2, height: Math.abs(values[i]) * scale, bottom: (below + bottom) * scale };
      return h("i", { class: i === most - 1 ? "now" : i % 2 ? "odd" : "", style: Object.entries(box).map(([name, size]) => `${name}:${size}px`).join(";") });
    };
    const inside = (c) => painted[0][c - padding] !== undefined;
    const blocks = stacks.flatMap((values, c) => values.slice(0, most).flatMap((value, i) => (value && inside(c) ? [block(values, c, i)] : [])));
    Object.assign(bars.style, { width: `${columns * cell}px`, height: `${BARS}px` });
    bars.replaceChildren(...blocks, h("b", { style: `bottom:${below * scale}px` }));
  }

  function placeBoxes({ at, image, kernel, axes: [down, across], flat, playing }) {
    const state = { at, output: image, playing, predict: false }; // the places are the input's pixels
    const one = { high: 1, wide: 1, stride: [1, 1] };
    if (flat) stage.place(state, { ...one, at: [at[1], 0] }, { at: [at[1], at[1]], high: 1, wide: kernel[0].length, stride: [1, across.stride] });
    else stage.place(state, { ...one, at }, { at, high: kernel.length, wide: kernel[0].length, stride: [down.stride, across.stride] });
  }

  const nameOfPixel = (flat, [row, column]) => `input[${flat ? column : `${row}, ${column}`}]`;

  function drawSum({ image, kernel, at, flat }, map, dark) {
    const value = image[at[0]][at[1]];
    const room = digitsThatFit(root, root.clientWidth <= 420 ? 38 : 44, 14);
    const [heaviest, biggest] = [largest(kernel) || 1, largest(kernel) * largest(image) || 1];
    const color = map.color(value);
    say(pixel, format(value, 9));
    Object.assign(pixel.style, { backgroundColor: `rgb(${color})`, color: inkOn(color) });
    say(place, nameOfPixel(flat, at));
    weights.draw(kernel, (weight) => signed(weight / heaviest, dark), (weight) => fraction(weight, 6));
    const scaled = kernel.map((line) => line.map((weight) => value * weight));
    product.draw(scaled, (part) => signed(part / biggest, dark), (part) => format(part, room));
  }

  /** In a line below the stage, and to a screen reader: what the pixel paints where. */
  function tell({ image, kernel, at, axes, flat, painted, often, playing, done }) {
    const value = image[at[0]][at[1]];
    const spans = [spanText("row", at[0], kernel.length, axes[0], painted.length), spanText("column", at[1], kernel[0].length, axes[1], painted[0].length)];
    const where = spans.every(Boolean) ? `onto ${spans.slice(flat ? 1 : 0).join(", ")}` : "where the padding cuts everything off";
    say(equation, `${nameOfPixel(flat, at)} paints ${format(value, 6)} × the kernel ${where}`);
    if (playing) return;
    const [fewest, most] = done ? range(often) : [];
    const end = done ? ` All pixels have painted: each output pixel ${fewest === most ? most : `${fewest} to ${most}`} times.` : "";
    say(words, `Input pixel ${flat ? "" : `row ${at[0]}, `}column ${at[1]} paints ${inWords(format(value))} times the kernel ${where}.${end}`);
  }

  function drawFacts({ image, kernel, axes, problem, flat, done }) {
    const lines = [["row", image.length, kernel.length, axes[0]], ["column", image[0].length, kernel[0].length, axes[1]]].slice(flat ? 1 : 0);
    const sentences = problem ? [problem] : [];
    if (!problem && has("size", "stride", "padding", "output_padding")) sentences.push(...lines.map((line) => outputSentence(...line)));
    if (!problem && has("output_padding")) sentences.push(sizesSentence(...lines.at(-1)));
    if (!problem && done) {
      const alike = !flat && kernel.length === kernel[0].length;
      if (alike) sentences.push(turnsSentence("rows and columns", kernel.length, axes[0]));
      else sentences.push(...lines.map(([name, , taps, axis]) => turnsSentence(`${name}s`, taps, axis)));
      if (!flat) sentences.push("A pixel's count is its row's times its column's.");
    }
    facts.replaceChildren(...sentences.filter(Boolean).map((sentence) => h("span", {}, sentence)));
  }

  return { root, connect, draw };
}

/** What a constant image becomes in layers of random weights: for each layer its maps in one picture, and how uneven they are. */
function makeConstant() {
  const note = h("p", { class: "note" },
    `A constant image through one layer of random weights, ${KERNELS} kernels for each layer. Nothing here has been trained.`);
  const tiles = Array.from({ length: 3 }, () => {
    const [name, picture, says] = [h("p", { class: "heading" }), makeGrid("maps"), h("p", { class: "says" })];
    return { name, picture, says, element: h("div", { class: "tile" }, name, picture.element, says) };
  });
  const legend = makeLegend();
  const element = h("div", { class: "constant" }, h("div", { class: "tiles" }, ...tiles.map((tile) => tile.element)), legend.element, note);
  return {
    element,
    /** `draws` says which weights: 0 for none. */
    draw(draws, taps, stride, dark) {
      element.hidden = draws === 0;
      if (element.hidden) return;
      const layers = constantThrough(draws, taps, stride);
      const most = Math.max(...layers.flatMap(({ maps }) => maps.map(largest)));
      const map = colorMap(-most, most, dark);
      const side = 3 * INSIDE + 2; // pixels of the picture
      const cell = Math.max(1, Math.min(5, Math.floor((element.clientWidth - 12) / 3 / side))); // whole, so that all are alike
      for (const [k, { name, picture, says, element: tile }] of tiles.entries()) {
        tile.hidden = !layers[k];
        if (tile.hidden) continue;
        const { maps, ratio } = layers[k];
        const color = (r, c) => {
          const [down, across] = [r, c].map((one) => [Math.floor(one / (INSIDE + 1)), one % (INSIDE + 1)]);
          return down[1] === INSIDE || across[1] === INSIDE ? null : map.color(maps[3 * down[0] + across[0]][down[1]][across[1]]);
        };
        const uneven = ratio === Infinity ? "some places stay empty" : ratio < 1 + 1e-9 ? "all places equal" : `strongest place ${ratio.toFixed(1)} × the weakest`;
        name.replaceChildren(h("b", {}, layers[k].name));
        say(says, uneven);
        picture.draw({ rows: side, columns: side, cell, numbersFrom: Infinity, color, label: `${layers[k].name}: ${KERNELS} maps, ${uneven}` });
      }
      legend.draw({ ...map, low: Number(map.low.toPrecision(2)), high: Number(map.high.toPrecision(2)) });
    },
  };
}

const OWN_STYLE = `
[hidden] { display: none !important; }
.bars { position: relative; margin-top: 8px; }
.bars i { position: absolute; background: var(--action); opacity: 0.85; box-shadow: inset 0 0 0 0.5px var(--ground); }
.bars i.odd { opacity: 0.5; }
.bars i.now { background: var(--mark); opacity: 1; }
.bars b { position: absolute; left: 0; right: 0; height: 1px; background: var(--line); }
.grid td.total-row { border-top: 2px solid var(--text); font-weight: 600; }
.sum { align-items: start; }
.equation { margin-bottom: 10px; }
.flat .stage .heading { width: 0; }
.last { margin-top: 12px; }
.constant { margin-top: 12px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; justify-content: center; }
.tile .grid { outline: none; background: none; }
.tile .heading { white-space: normal; }
.says { font-size: 13.5px; max-width: 160px; }
.constant .legend { justify-content: center; }
.constant .note { text-align: center; }
@container (max-width: 559px) {
  .tiles { gap: 6px; }
  .tile { flex: 1 1 0; min-width: 0; }
  .tile .heading, .says { font-size: 12.5px; max-width: 98px; }
  .tile .heading { min-height: 2.8em; }
  .flat .stage .heading { font-size: 12.5px; }
}
@media (forced-colors: active) { .bars i { border: 1px solid CanvasText; } .bars i.now { border: 3px solid Highlight; } }
`;

export { FIELDS, IMAGES, KINDS, constantThrough, counts, misfit, paint, paintConstant, resizeConstant, turns, unevenness };
export default { render };
