// Two matrices: what each pixel of a 6 x 6 image takes from each other one, 36 x 36 weights: convolution's beside attention's.
//
// The arithmetic is the first part. Attention's tokens have one number each, the pixel. How alike two of them are is a query (2x, −1)
// times a key (x, x²): −(x − x')², but for x², which a row shares and its softmax does not see.

import { STYLE, chooser, colorMap, format, fraction, h, isDark, makeGrid, makeLegend, matrixField, pairField, parseNumber, range, readMatrix, say, signed, textField, writeMatrix } from "./base.js";
import { WINDOW_STYLE, arrows, begin, button, follow, grid, heading, inWords, keepInStep, mount, nameOf, placeBox, same, steer, tellPlace } from "./window.js";
import { WEIGHTS_STYLE, largest, makeMatrix, makeWeights } from "./weights.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ temperature: number, bias: number, head: [number, number] }} Options  head: the kernel entry whose place it looks at */

const [SIDE, PLACES] = [6, 36]; // rows and columns of the image, and its pixels
const [DARKEST, BRIGHTEST] = [0, 9];

// The arithmetic

const rowOf = (number, side = SIDE) => Math.floor(number / side);
const columnOf = (number, side = SIDE) => number % side;

/** (36, 36): row i holds the weights with which the 3 x 3 kernel, over zero padding, makes output pixel i. @returns {Matrix} */
const convolutionMatrix = (kernel) =>
  grid(PLACES, PLACES, (i, j) => kernel[rowOf(j) - rowOf(i) + 1]?.[columnOf(j) - columnOf(i) + 1] ?? 0);

/**
 * One head: row i holds the softmax over j of −(xᵢ − xⱼ)² / temperature − bias · d², where d is the distance between pixel j and the
 * place that the head looks at from pixel i. With a ring of zeros around the image there are 64 columns, without it 36.
 * @param {Matrix} image @param {Options} options @returns {Matrix}
 */
function attentionMatrix(image, { temperature, bias, head: [k, l] }, ring = 0) {
  const side = SIDE + 2 * ring;
  const tokens = grid(side, side, (r, c) => image[r - ring]?.[c - ring] ?? 0).flat();
  return image.flat().map((value, i) => {
    const [row, column] = [rowOf(i) + k - 1 + ring, columnOf(i) + l - 1 + ring]; // where it looks
    const logits = tokens.map((other, j) =>
      -((value - other) ** 2) / temperature - bias * ((rowOf(j, side) - row) ** 2 + (columnOf(j, side) - column) ** 2));
    const most = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - most));
    const sum = powers.reduce((all, power) => all + power, 0);
    return powers.map((power) => power / sum);
  });
}

/** (36, 36): nine heads, each times its kernel entry, added. The ring's 28 columns meet zeros only, and are left out. @returns {Matrix} */
function headsMatrix(image, kernel, options) {
  const sum = grid(PLACES, PLACES, () => 0);
  for (const [k, weights] of kernel.entries()) {
    for (const [l, weight] of weights.entries()) {
      const one = attentionMatrix(image, { ...options, head: [k, l] }, 1);
      for (const [i, row] of sum.entries()) for (const j of row.keys()) row[j] += weight * one[i][(rowOf(j) + 1) * (SIDE + 2) + columnOf(j) + 1];
    }
  }
  return sum;
}

/** What one row of a matrix makes of the image. @param {number[]} weights */
const mix = (weights, image) => weights.reduce((sum, weight, j) => sum + weight * image[rowOf(j)][columnOf(j)], 0);

const NOTICED = 0.001;

/** How many entries of two matrices differ by more than 0.001. */
const moved = (before, after) => after.flat().filter((value, n) => Math.abs(value - before[rowOf(n, PLACES)][columnOf(n, PLACES)]) > NOTICED).length;

// Images, kernels and heads that have a name

/** @type {Object<string, Matrix>} */
const IMAGES = {
  patches: grid(SIDE, SIDE, (r, c) => (r > 0 && r < 3 && c > 0 && c < 3) || (r > 2 && r < 5 && c > 3) ? 8 : 1),
  stripes: grid(SIDE, SIDE, (r, c) => (c % 2 ? 9 : 0)),
  cross: grid(SIDE, SIDE, (r, c) => (r === 2 || c === 3 ? 7 : 0)),
  constant: grid(SIDE, SIDE, () => 5),
};

/** @type {Object<string, Matrix>} */
const KERNELS = {
  tent: [[1, 2, 1], [2, 4, 2], [1, 2, 1]].map((row) => row.map((weight) => weight / 16)),
  mean: grid(3, 3, () => 1 / 9),
  edges: grid(3, 3, (k, l) => 1 - l),
  sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
};

const LOOKS = ["up left", "up", "up right", "left", "at itself", "right", "down left", "down", "down right"]; // head 3k + l
const SHOWN = { 1: "one head", 9: "nine heads" };
const [TEMPERATURES, BIASES] = [[2, 8, 32, 128, 512], [0, 0.1, 0.3, 1, 3, 10, 100]];

const isImage = (matrix) => matrix?.length === SIDE && matrix[0].length === SIDE && matrix.flat().every((value) => value >= DARKEST && value <= BRIGHTEST);
const isKernel = (matrix) => matrix?.length === 3 && matrix[0].length === 3;
const numberFrom = (low, high) => ({
  read: (text) => (parseNumber(text) >= low && parseNumber(text) <= high ? parseNumber(text) : undefined),
  write: String,
});

/** Attributes of <cnn-matrices>, which are also the settings in the address. */
const FIELDS = {
  image: {
    read: (text) => [Object.hasOwn(IMAGES, text) ? IMAGES[text] : readMatrix(text, SIDE)].find(isImage),
    write: (image) => nameOf(image, IMAGES) ?? writeMatrix(image),
    start: IMAGES.patches,
  },
  kernel: { ...matrixField(3), read: (text) => [readMatrix(text, 3)].find(isKernel), start: KERNELS.tent },
  temperature: { ...numberFrom(1, 1000), start: 8 },
  bias: { ...numberFrom(0, 1000), start: 0 },
  head: { ...pairField, read: (text) => [pairField.read(text)].find((pair) => pair?.every((k) => k < 3)), start: [1, 2] },
  heads: { read: (text) => (Object.hasOwn(SHOWN, text) ? Number(text) : undefined), write: String, start: 1 },
  at: { ...pairField, start: [1, 2] },
  controls: { ...textField, start: "pixel image kernel temperature bias heads" },
  label: { ...textField, start: "Two matrices" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const { controls, read, given, set } = begin(model, ["image", "kernel", "temperature", "bias", "head", "heads"]);
  const start = model.get("at");
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + WEIGHTS_STYLE + OWN_STYLE);

  let settings;
  let matrices; // convolution's and attention's
  let change; // how many entries of each the last change of the image moved
  const place = () => model.get("at").map((k) => Math.min(SIDE - 1, k));
  const setPixel = ([r, c], value) => set({ image: settings.image.with(r, settings.image[r].with(c, value)) });

  function moveTo(to) {
    const at = to.map((k) => Math.max(0, Math.min(SIDE - 1, k)));
    if (at.join() !== place().join()) set({ at });
  }

  view.connect({
    move: moveTo,
    moveBy: (rows, columns) => moveTo([place()[0] + rows, place()[1] + columns]),
    brighten([r, c] = place()) {
      const value = settings.image[r]?.[c];
      if (value !== undefined) setPixel([r, c], value >= BRIGHTEST ? DARKEST : Math.min(BRIGHTEST, value + 3));
    },
    write: (value) => setPixel(place(), value),
    weight: (k, l, value) => set({ kernel: settings.kernel.with(k, settings.kernel[k].with(l, value)) }),
    image: (name) => set({ image: IMAGES[name] ?? given.image }),
    kernel: (name) => set({ kernel: KERNELS[name] ?? given.kernel }),
    setting: (name, value) => set({ [name]: value }),
    reset: () => set({ ...given, at: start }),
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    view.draw({ ...settings, given, matrices, change, at: place() });
  }

  function update() {
    const [next, before] = [read(), settings];
    const names = before ? Object.keys(next).filter((name) => next[name] !== before[name]) : Object.keys(next);
    if (names.length) {
      settings = next;
      const old = matrices;
      const { image, kernel, heads } = settings;
      matrices = [convolutionMatrix(kernel), heads === 9 ? headsMatrix(image, kernel, settings) : attentionMatrix(image, settings)];
      change = old && names.join() === "image" ? matrices.map((matrix, k) => moved(old[k], matrix)) : undefined;
    }
    draw();
  }

  return keepInStep({ model, host, update, draw });
}

const placeWords = ([row, column]) => `row ${row}, column ${column}`;
const weightText = (weight, width) => (Math.abs(weight) > 1e-12 && Math.abs(weight) < 0.005 ? "≈0" : format(weight, width));
const indexOf = ([row, column]) => row * SIDE + column;

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const has = (name) => controls.has(name);
  const cells = {}; // pixels a side of a cell, of the image, a matrix and a map

  const input = { heading: h("p", { class: "heading" }), grid: makeGrid("image") };
  const frame = h("div", has("pixel")
    ? { class: "frame", tabindex: 0, role: "slider", "aria-label": "output pixel", "aria-describedby": "hint" } : { class: "frame" });
  input.grid.element.append(frame);
  const weights = has("kernel") ? makeWeights((k, l, value) => act.weight(k, l, value)) : makeMatrix("kernel", "kernel");
  const sides = ["convolution", "attention"].map((name) => {
    const one = { name, matrix: makeGrid("matrix36"), map: makeGrid("map"), legend: makeLegend(), row: h("div", { class: "mark" }), spot: h("div", { class: "mark" }) };
    const [title, mapTitle, result] = [h("p", { class: "heading" }, h("b", {}, name)), h("p", { class: "heading" }, "lit row, on the image"), h("p", { class: "gives" })];
    one.matrix.element.append(one.row);
    one.map.element.append(one.spot);
    const element = h("div", { class: "half" }, title, one.matrix.element, one.legend.element, mapTitle, one.map.element, result);
    return { ...one, result, element };
  });

  const pick = {
    image: chooser("image", (name) => act.image(name)),
    kernel: chooser("entries", (name) => act.kernel(name)),
    temperature: chooser("temperature", (text) => act.setting("temperature", Number(text))),
    bias: chooser("position bias", (text) => act.setting("bias", Number(text))),
    head: chooser("looks", (name) => act.setting("head", [rowOf(LOOKS.indexOf(name), 3), columnOf(LOOKS.indexOf(name), 3)])),
    heads: chooser("shown", (name) => act.setting("heads", name === SHOWN[9] ? 9 : 1)),
  };
  const hint = h("p", { class: "note hint", id: "hint" },
    "Drag the mark to pick an output pixel, click in a matrix or a map, or focus it and use the arrow keys." +
    (has("image") ? " Click a pixel of the image to change it, or type a digit from 0 to 9 while the mark is focused." : ""));
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });
  const group = (name, ...elements) => (elements.some(Boolean) ? h("div", { class: "settings", role: "group", "aria-label": name }, h("p", { class: "heading" }, h("b", {}, name)), ...elements) : null);
  const chosen = (control, ...names) => (has(control) ? names.map((name) => pick[name].element) : []);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "top" },
      h("div", {}, input.heading, input.grid.element, h("div", { class: "row under" }, ...chosen("image", "image"))),
      h("div", {}, weights.element, h("div", { class: "row under" }, ...chosen("kernel", "kernel"))),
      group("attention", ...chosen("temperature", "temperature"), ...chosen("bias", "bias", "head"), ...chosen("heads", "heads"))),
    h("div", { class: "halves" }, ...sides.map(({ element }) => element)),
    facts, words, has("pixel") ? hint : null,
    controls.size ? h("div", { class: "row middle last" }, button("Reset", () => act.reset())) : null);

  function connect(actions) {
    act = actions;
    const cellAt = (x, y) => [Math.floor(y / cells.image), Math.floor(x / cells.image)];
    if (has("pixel")) {
      const digits = Object.fromEntries(Array.from({ length: 10 }, (_, digit) => [String(digit), () => act.write(digit)]));
      steer(frame, { ...arrows(act.moveBy), ...(has("image") ? { ...digits, " ": () => act.brighten(), Enter: () => act.brighten() } : {}) });
      follow(input.grid.element, frame, { focus: frame, move: (x, y) => act.move(cellAt(x, y)), tap: has("image") && ((x, y) => act.brighten(cellAt(x, y))) });
      for (const { matrix, row, map, spot } of sides) {
        follow(matrix.element, row, { focus: frame, move: (x, y) => {
          const number = Math.max(0, Math.min(PLACES - 1, Math.floor(y / cells.matrix)));
          act.move([rowOf(number), columnOf(number)]);
        } });
        follow(map.element, spot, { focus: frame, move: (x, y) => act.move([Math.floor(y / cells.map), Math.floor(x / cells.map)]) });
      }
    } else if (has("image")) {
      input.grid.element.addEventListener("click", (event) => {
        const box = input.grid.element.getBoundingClientRect();
        act.brighten(cellAt(event.clientX - box.left, event.clientY - box.top));
      });
    }
  }

  function draw(state) {
    const { image, kernel, matrices, at } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const room = Math.min(root.clientWidth - 24, 620); // for the two matrices, and the gap between them
    cells.image = 34;
    cells.matrix = Math.max(2, Math.floor((room - 12) / PLACES) / 2);
    cells.map = Math.floor(Math.min(34, (PLACES * cells.matrix) / SIDE));
    drawControls(state);
    heading(input.heading, "image", SIDE, SIDE);
    const bright = colorMap(DARKEST, BRIGHTEST, dark);
    input.grid.draw({
      rows: SIDE, columns: SIDE, cell: cells.image,
      color: (r, c) => bright.color(image[r][c]), text: (r, c, width) => format(image[r][c], width), label: "image, 6 rows, 6 columns",
    });
    placeBox(frame, cells.image, ...at, 1, 1);
    if (has("pixel")) {
      tellPlace(frame, at, SIDE, SIDE);
      frame.setAttribute("aria-valuetext", `${placeWords(at)}, pixel ${inWords(format(image[at[0]][at[1]]))}`);
    }
    const heaviest = largest(kernel) || 1;
    weights.draw(kernel, (weight) => signed(weight / heaviest, dark), (weight) => fraction(weight, 6));
    for (const [k, side] of sides.entries()) drawSide(side, matrices[k], state, dark);
    tell(state);
  }

  function drawControls({ image, kernel, temperature, bias, head, heads, given }) {
    const named = (name, values, now) => {
      const current = nameOf(now, values) ?? (same(now, given[name]) ? "as given" : "your own");
      pick[name].show([...new Set([...(nameOf(given[name], values) ? [] : ["as given"]), ...Object.keys(values), current])], current);
    };
    named("image", IMAGES, image);
    named("kernel", KERNELS, kernel);
    for (const [name, values, now] of [["temperature", TEMPERATURES, temperature], ["bias", BIASES, bias]])
      pick[name].show([...new Set([...values, now])].sort((a, b) => a - b).map(String), String(now));
    pick.head.show(LOOKS, LOOKS[3 * head[0] + head[1]]);
    pick.head.element.hidden = heads === 9 || bias === 0; // there it makes no difference
    pick.heads.show(Object.values(SHOWN), SHOWN[heads]);
  }

  function drawSide({ name, matrix, map, legend, row, spot, result }, values, { image, at }, dark) {
    const colors = colorMap(...range(values), dark);
    const lit = values[indexOf(at)];
    matrix.draw({
      rows: PLACES, columns: PLACES, cell: cells.matrix, numbersFrom: Infinity, color: (i, j) => colors.color(values[i][j]),
      label: `${name}'s matrix: 36 output pixels down, 36 input pixels across`,
    });
    placeBox(row, cells.matrix, indexOf(at), 0, 1, PLACES);
    map.draw({
      rows: SIDE, columns: SIDE, cell: cells.map, numbersFrom: 16,
      color: (r, c) => colors.color(lit[indexOf([r, c])]),
      text: (r, c, width) => weightText(lit[indexOf([r, c])], Math.max(3, width)),
      label: `${name}: what the output pixel at ${placeWords(at)} takes from each pixel`,
    });
    placeBox(spot, cells.map, ...at, 1, 1);
    legend.draw({ ...colors, low: Number(colors.low.toPrecision(2)), high: Number(colors.high.toPrecision(2)) });
    say(result, `sum of weights ${format(lit.reduce((sum, weight) => sum + weight, 0), 6)}, output ${format(mix(lit, image), 6)}`);
  }

  /** To all readers what holds of the matrices, and to a screen reader what holds of the lit rows. */
  function tell({ image, at, matrices, bias, heads, change }) {
    const sentences = [];
    if (change) sentences.push(`The last change of the image moved ${change[0]} of convolution's 1,296 entries, and ${change[1].toLocaleString("en-US")} of attention's by more than ${NOTICED}.`);
    if (heads === 9) {
      const gap = largest(matrices[1].map((row, i) => row.map((value, j) => value - matrices[0][i][j])));
      sentences.push(`The two matrices differ by ${format(gap, 6)} at most. Attention's is the sum of nine heads, one for each place, times their kernel entries. Around the image lies a ring of zeros.`);
    } else {
      const spread = Math.max(...matrices[1].map((row) => 1 - Math.max(...row)));
      sentences.push(spread < NOTICED && bias ? "Every row of attention has one entry that counts: the head is a shift, at the border to the nearest pixel."
        : "Every row of attention is a softmax: its entries add up to 1, and none is below 0.");
    }
    sentences.push("Logits: −(difference of the two pixels)² / temperature − bias · (distance from where the head looks)².");
    facts.replaceChildren(...sentences.map((sentence) => h("span", {}, sentence)));
    const [convolved, attended] = matrices.map((matrix) => matrix[indexOf(at)]);
    const top = attended.reduce((best, weight, j) => (Math.abs(weight) > Math.abs(attended[best]) ? j : best), 0);
    say(words, inWords(`Output pixel ${placeWords(at)}. Convolution gives ${format(mix(convolved, image), 6)} from ${convolved.filter(Boolean).length} weights that are not zero. ` +
      `Attention gives ${format(mix(attended, image), 6)}; its largest weight, ${format(attended[top], 6)}, is at ${placeWords([rowOf(top), columnOf(top)])}.`));
  }

  return { root, connect, draw };
}

const OWN_STYLE = `
[hidden] { display: none !important; }
.top { display: flex; flex-wrap: wrap; gap: 14px 28px; justify-content: center; align-items: start; }
.row.under { margin-top: 10px; }
.settings { display: grid; grid-template-columns: minmax(0, 1fr); gap: 8px; justify-items: start; min-width: 190px; }
.halves { display: grid; grid-template-columns: auto auto; gap: 12px; justify-content: space-evenly; margin-top: 16px; }
.half > .legend { margin-bottom: 10px; }
.half > .heading { white-space: normal; }
.matrix36, .map { cursor: pointer; touch-action: manipulation; }
.matrix36 .mark { box-shadow: 0 0 0 1.5px var(--mark), 0 0 0 2.5px var(--mark-edge); border-radius: 1px; }
.map .mark { box-shadow: inset 0 0 0 2px var(--mark), 0 0 0 1px var(--mark-edge); }
.facts { text-align: center; }
.gives { font-size: 13.5px; margin-top: 6px; }
.last { margin-top: 12px; }
@container (max-width: 480px) {
  .top { column-gap: 14px; }
  .top > :first-child { flex: 1 0 100%; display: grid; justify-content: center; }
  .settings { flex: 1 1 0; min-width: 0; }
  .settings .field { flex-direction: column; align-items: start; gap: 2px; max-width: 100%; }
  .half { max-width: 146px; } .half > .legend { font-size: 12px; } .half > .legend .bar { width: 44px; }
}
@media (forced-colors: active) { .matrix36 .mark { border-width: 1px; } }
`;

export { FIELDS, IMAGES, KERNELS, LOOKS, attentionMatrix, convolutionMatrix, headsMatrix, mix, moved };
export default { render };
