// The field playground: stack layers; see the shape, the parameters and the view of each, and which pixels a unit sees.
//
// The arithmetic is the first part. A layer is a list, [kind, channels, kernel, stride, padding, dilation], in torch's
// order: ["conv", 16, 3, 1, 1, 1] or ["pool", 2, 2, 0] (kernel, stride, padding).

import { STYLE, chooser, flagField, gray, h, isDark, makeGrid, pairField, say, stepper, textField, wholeNumber } from "./base.js";
import { WINDOW_STYLE, arrows, button, follow, heading, keepInStep, makeBeam, mount, outputSize, placeBox, steer } from "./window.js";

/** @typedef {(string|number)[]} Layer */

const MOST_LAYERS = 8;
const MOST = { channels: 512, kernel: 11, stride: 4, padding: 5, dilation: 8 };

// The arithmetic

/** A layer by the names of its numbers. @param {Layer} layer */
function named([kind, ...numbers]) {
  if (kind === "conv") {
    const [channels, kernel, stride, padding, dilation] = numbers;
    return { kind, channels, kernel, stride, padding, dilation };
  }
  const [kernel, stride, padding] = numbers;
  return { kind, kernel, stride, padding, dilation: 1 };
}

const unnamed = ({ kind, channels, kernel, stride, padding, dilation }) =>
  kind === "conv" ? [kind, channels, kernel, stride, padding, dilation] : [kind, kernel, stride, padding];

/** Why a layer does not fit on a map; nothing if it does. */
function misfit(layer, [, rows, columns]) {
  const { kind, kernel, stride, padding, dilation } = named(layer);
  const span = dilation * (kernel - 1) + 1;
  if (kind === "pool" && 2 * padding > kernel) return `its padding, ${padding}, is more than half its window of ${kernel}, and PyTorch refuses that.`;
  if ([rows, columns].every((size) => outputSize(size, kernel, { stride, padding, dilation }))) return "";
  const map = `${rows} × ${columns}${padding ? ` and padding ${padding}` : ""}`;
  return `its window spans ${span} pixels, more than its input has: ${map}. Try padding, or fewer layers.`;
}

/**
 * Follow shape, parameters, jump and field through a stack. The unit i of a layer sees at most the `field` pixels from
 * start + i * jump on. Stops at the first layer that does not fit, and says why in `problem`.
 * @param {Layer[]} layers @param {[number, number, number]} shape of the input: channels, rows, columns
 */
function trace(layers, shape) {
  const table = [];
  let [jump, field, start] = [1, 1, 0];
  for (const layer of layers) {
    const problem = misfit(layer, shape);
    if (problem) return { table, problem: `Layer ${table.length + 1}, ${nameOfLayer(layer)}, does not fit: ${problem}` };
    const { kind, channels, kernel, stride, padding, dilation } = named(layer);
    const parameters = kind === "conv" ? channels * (shape[0] * kernel ** 2 + 1) : 0; // weights, and a bias for each channel
    const sizes = shape.slice(1).map((size) => outputSize(size, kernel, { stride, padding, dilation }));
    shape = [kind === "conv" ? channels : shape[0], ...sizes];
    field += dilation * (kernel - 1) * jump;
    start -= padding * jump;
    jump *= stride; // last: the layer's own stride counts for those after it
    table.push({ shape, parameters, jump, field, start });
  }
  return { table, problem: "" };
}

/**
 * The number of paths from each pixel along one axis to unit `place` of the last layer: 0 where it does not see. Goes back layer by
 * layer, from a unit to the numbers under its window; what lies in a padding is left out.
 */
function pathsAlong(layers, size, place) {
  const sizes = [size];
  for (const layer of layers) sizes.push(outputSize(sizes.at(-1), named(layer).kernel, named(layer)));
  let paths = new Array(sizes.at(-1)).fill(0);
  paths[place] = 1;
  for (let n = layers.length - 1; n >= 0; n--) {
    const { kernel, stride, padding, dilation } = named(layers[n]);
    const before = new Array(sizes[n]).fill(0);
    for (const [i, count] of paths.entries()) {
      for (let k = 0; count && k < kernel; k++) {
        const pixel = i * stride - padding + k * dilation;
        if (pixel >= 0 && pixel < before.length) before[pixel] += count;
      }
    }
    paths = before;
  }
  return paths;
}

// Layers as text

const nameOfLayer = (layer) => `${layer[0]} ${named(layer).kernel}×${named(layer).kernel}`;

/** "conv 16 3 1 1; pool 2" as layers: stride, padding and dilation may be left out. Undefined if it is no stack. */
function readLayers(text) {
  const layers = text.split(";").map((part) => {
    const [kind, ...words] = part.trim().split(/[\s,]+/);
    const numbers = words.map((word) => (/^\d+$/.test(word) ? Number(word) : NaN));
    const [channels, [kernel, stride = kind === "conv" ? 1 : kernel, padding = 0, dilation = 1]] =
      kind === "conv" ? [numbers[0], numbers.slice(1)] : [1, numbers];
    const limits = [[channels, 1, MOST.channels], [kernel, 1, MOST.kernel], [stride, 1, MOST.kernel], [padding, 0, MOST.padding], [dilation, 1, MOST.dilation]];
    const good = ["conv", "pool"].includes(kind) && limits.every(([value, low, high]) => value >= low && value <= high);
    return good && numbers.length <= (kind === "conv" ? 5 : 3) ? unnamed({ kind, channels, kernel, stride, padding, dilation }) : undefined;
  });
  return layers.every(Boolean) && layers.length <= MOST_LAYERS ? layers : undefined;
}

const writeLayers = (layers) => layers.map((layer) => layer.join(",")).join(";");

const PRESETS = {
  "conv, pool, twice": "conv 32 3 1 1; pool 2; conv 64 3 1 1; pool 2",
  "two 3 × 3, then pool": "conv 32 3 1 1; conv 32 3 1 1; pool 2",
  "one 7 × 7": "conv 1 7 1 3",
  "three 3 × 3": "conv 1 3 1 1; conv 1 3 1 1; conv 1 3 1 1",
  "dilated 1, 2, 4": "conv 1 3 1 1 1; conv 1 3 1 2 2; conv 1 3 1 4 4",
  "strides, no pooling": "conv 32 3 2 1; conv 64 3 2 1; conv 128 3 2 1",
  "start of VGG": "conv 64 3 1 1; conv 64 3 1 1; pool 2; conv 128 3 1 1; conv 128 3 1 1; pool 2; conv 256 3 1 1; conv 256 3 1 1",
  "start of ResNet": "conv 64 7 2 3; pool 3 2 1; conv 64 3 1 1; conv 64 3 1 1",
};

/** Attributes of <cnn-field>, which are also the settings in the address. */
const FIELDS = {
  layers: { read: readLayers, write: writeLayers, start: readLayers(PRESETS["conv, pool, twice"]) },
  input: {
    read: (text) => {
      const shape = text.split(/[\s,]+/).map(Number);
      return /^\d+[\s,]+\d+[\s,]+\d+$/.test(text) && shape.every((n) => n >= 1 && n <= 64) ? shape : undefined;
    },
    write: String,
    start: [1, 28, 28],
  },
  layer: { ...wholeNumber(0, MOST_LAYERS), start: 0 }, // the one that is looked at, counted from 1; 0 is the last
  at: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "unit layers presets input paths" },
  predict: flagField,
  label: { ...textField, start: "Receptive field playground" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const names = ["layers", "input", "layer", "at"];
  const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const given = read();
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + OWN_STYLE);

  let settings;
  let result; // the table, and what does not fit
  let hover; // the unit under the mouse
  let covered = model.get("predict");
  let counting = false; // shade the pixels by the number of paths

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  /** The number of the layer that is looked at, from 0 on. */
  const chosen = () => Math.max(0, Math.min(settings.layers.length, settings.layer || settings.layers.length) - 1);
  const within = ([row, column]) => {
    const [, rows, columns] = result.table[chosen()]?.shape ?? [1, 1, 1];
    return [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
  };

  /** Puts other layers in the place of `count` layers from `from` on, and looks at the first of them. */
  function replace(from, count, ...layers) {
    const next = [...settings.layers.slice(0, from), ...layers, ...settings.layers.slice(from + count)];
    if (!next.length || next.length > MOST_LAYERS) return;
    set({ layers: next, layer: Math.min(from + 1, next.length) });
  }

  view.connect({
    move: (place) => controls.has("unit") && set({ at: within(place) }),
    moveBy: (rows, columns) => set({ at: within([within(settings.at)[0] + rows, within(settings.at)[1] + columns]) }),
    hover: (place) => {
      if (String(place) === String(hover)) return;
      hover = place;
      draw();
    },
    look: (layer) => set({ layer: layer + 1 }),
    number: (name, value) => replace(chosen(), 1, unnamed({ ...named(settings.layers[chosen()]), [name]: value })),
    kind: (kind) => {
      const { kernel, stride, padding } = named(settings.layers[chosen()]);
      replace(chosen(), 1, unnamed({ kind, channels: 32, kernel, stride, padding, dilation: 1 }));
    },
    add: (layer) => replace(chosen() + 1, 0, layer),
    remove: () => replace(chosen(), 1),
    preset: (name) => set({ layers: PRESETS[name] ? readLayers(PRESETS[name]) : given.layers, layer: 0 }),
    input: (input) => set({ input }),
    count: () => draw((counting = !counting)),
    uncover: () => draw((covered = false)),
    reset: () => {
      covered = model.get("predict");
      set(given);
    },
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const at = within(hover ?? settings.at);
    view.draw({ ...settings, ...result, given, at, chosen: chosen(), covered, counting });
  }

  function update() {
    settings = read();
    result = trace(settings.layers, settings.input);
    draw();
  }

  return keepInStep({ model, host, update, draw });
}

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const has = (...names) => names.some((name) => controls.has(name));

  const image = { heading: h("p", { class: "heading" }), grid: makeGrid("image") };
  const map = { heading: h("p", { class: "heading" }), grid: makeGrid("output") };
  const frame = h("div", { class: "frame" });
  const border = h("div", { class: "border" });
  const mark = h("div", has("unit")
    ? { class: "mark", tabindex: 0, role: "slider", "aria-label": "unit", "aria-describedby": "hint" }
    : { class: "mark" });
  const beam = makeBeam(frame, mark);
  image.grid.element.append(border, frame);
  map.grid.element.append(mark);
  const stage = h("div", { class: "stage" },
    h("div", { class: "side" }, image.heading, image.grid.element),
    h("div", { class: "side" }, map.heading, map.grid.element), ...beam.elements);
  const words = h("p", { class: "equation", role: "status" });
  const hint = h("p", { class: "note hint", id: "hint" }, "Move over a unit of the map, click it, or focus it and use the arrow keys.");
  const problem = h("p", { class: "problem", role: "status" });

  const [rows, total] = [h("tbody"), h("tr")];
  const table = h("table", { class: "layers", "aria-label": "layers" }, h("thead", {}, h("tr", {},
    ...["layer", "output", "parameters", "jump", "field"].map((name) => h("th", { scope: "col" }, name)))), rows, h("tfoot", {}, total));

  const pickPreset = chooser("stack", (name) => act.preset(name));
  const pickSize = chooser("input size", (size) => act.input([shown.input[0], ...size.split(" × ").map(Number)]));
  const pickDepth = chooser("input channels", (channels) => act.input([Number(channels), ...shown.input.slice(1)]));
  const pickKind = chooser("kind", (kind) => act.kind(kind === "convolution" ? "conv" : "pool"));
  const pickChannels = chooser("channels", (channels) => act.number("channels", Number(channels)));
  const limits = { kernel: [1, MOST.kernel], stride: [1, MOST.stride], padding: [0, MOST.padding], dilation: [1, MOST.dilation] };
  const steppers = Object.fromEntries(Object.entries(limits).map(([name, [low, high]]) => {
    const one = stepper(name, low, high, (value) => one.allows(value) && act.number(name, value));
    return [name, one];
  }));
  const which = h("b");
  const [addConv, addPool, remove] = [
    button("+ Convolution", () => act.add(["conv", lastChannels(), 3, 1, 1, 1])),
    button("+ Pooling", () => act.add(["pool", 2, 2, 0])),
    button("Remove", () => act.remove()),
  ];
  const editor = h("div", { class: "editor", role: "group", "aria-label": "the layer that is looked at" },
    h("div", { class: "row" }, which, pickKind.element, pickChannels.element, ...Object.values(steppers).map((one) => one.element)),
    h("div", { class: "row" }, addConv, addPool, remove));
  const countButton = button("How many paths?", () => act.count(), { "aria-pressed": "false" });
  const uncoverButton = button("Show numbers", () => act.uncover());

  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, has("presets") ? pickPreset.element : null,
      ...(has("input") ? [pickSize.element, pickDepth.element] : [])),
    table, has("layers") ? editor : null, problem, stage, words, has("unit") ? hint : null,
    h("div", { class: "row middle" }, has("paths") ? countButton : null, uncoverButton,
      controls.size ? button("Reset", () => act.reset()) : null));

  let shown; // the state on the page
  let [cell, unit] = [0, 0]; // pixels a side of a pixel of the image, of a unit of the map
  const lastChannels = () => shown.layers.slice(0, shown.chosen + 1).map((layer) => named(layer).channels).findLast(Boolean) ?? 32;

  function connect(actions) {
    act = actions;
    if (!has("unit")) return;
    steer(mark, arrows(act.moveBy));
    const area = map.grid.element;
    const place = (x, y) => [Math.floor(y / unit), Math.floor(x / unit)];
    follow(area, mark, { focus: mark, move: (x, y) => act.move(place(x, y)) });
    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect();
      if (event.pointerType === "mouse" && !event.buttons) act.hover(place(event.clientX - box.left, event.clientY - box.top));
    });
    for (const end of ["pointerleave", "pointerdown"]) area.addEventListener(end, () => act.hover(undefined));
  }

  function draw(state) {
    shown = state;
    root.classList.toggle("dark", isDark(root.getRootNode().host));
    drawTable(state);
    drawControls(state);
    say(problem, state.problem);
    const row = state.table[state.chosen];
    root.classList.toggle("misfit", !row || state.covered);
    if (row) drawStage(state, row);
  }

  function drawTable({ layers, input, table: results, chosen, covered }) {
    const about = (layer) => {
      const { kind, kernel, stride, padding, dilation } = named(layer);
      const more = [["stride", stride, kind === "conv" ? 1 : kernel], ["padding", padding, 0], ["dilation", dilation, 1]];
      return [nameOfLayer(layer), ...more.filter(([, value, usual]) => value !== usual).map(([name, value]) => `${name} ${value}`)].join(", ");
    };
    const cells = (values) => values.map((value) => h("td", {}, value));
    const shape = (sizes) => sizes.join(" × ");
    const hidden = (value) => (covered ? "?" : String(value));
    const lines = [["input", shape(input), "", "1", "1"], ...layers.map((layer, n) => {
      const { shape: sizes, parameters, jump, field } = results[n] ?? {};
      return [about(layer), ...(sizes ? [shape(sizes), parameters.toLocaleString("en-US"), hidden(jump), hidden(field)] : ["–", "–", "–", "–"])];
    })];
    const all = results.reduce((sum, { parameters }) => sum + parameters, 0);
    const key = JSON.stringify([lines, chosen]);
    if (rows.dataset.key === key) return;
    const focused = rows.contains(rows.getRootNode().activeElement);
    rows.dataset.key = key;
    rows.replaceChildren(...lines.map(([name, ...values], n) => {
      const look = n === 0 ? name
        : button(`${n}. ${name}`, () => act.look(n - 1), { class: "look", "aria-pressed": String(n - 1 === chosen) });
      return h("tr", { class: n - 1 === chosen ? "chosen" : "" }, h("th", { scope: "row" }, look), ...cells(values));
    }));
    total.replaceChildren(h("th", { scope: "row" }, "together"), ...cells(["", all.toLocaleString("en-US"), "", ""]));
    if (focused) rows.querySelector(".chosen button").focus();
  }

  function drawControls({ layers, input, given, chosen, covered, counting }) {
    const text = writeLayers(layers);
    const known = Object.keys(PRESETS).find((name) => writeLayers(readLayers(PRESETS[name])) === text);
    const isGiven = text === writeLayers(given.layers);
    const own = known ?? (isGiven ? "as given" : "your own");
    pickPreset.show([...new Set([own, ...Object.keys(PRESETS)])], own);
    const [channels, ...size] = input;
    const sizes = [8, 12, 16, 20, 24, 28, 32, 48, 64].map((n) => `${n} × ${n}`);
    pickSize.show([...new Set([size.join(" × "), ...sizes])], size.join(" × "));
    pickDepth.show([...new Set([channels, 1, 3])].map(String), String(channels));
    const layer = named(layers[chosen]);
    say(which, `Layer ${chosen + 1}`);
    pickKind.show(["convolution", "pooling"], layer.kind === "conv" ? "convolution" : "pooling");
    pickChannels.show([...new Set([layer.channels, 1, 8, 16, 32, 64, 128, 256])].filter(Boolean).map(String), String(layer.channels));
    for (const [name, { show }] of Object.entries(steppers)) show(layer[name]);
    for (const { element } of [pickChannels, steppers.dilation]) element.hidden = layer.kind === "pool";
    for (const add of [addConv, addPool]) add.setAttribute("aria-disabled", layers.length >= MOST_LAYERS);
    remove.setAttribute("aria-disabled", layers.length <= 1);
    countButton.setAttribute("aria-pressed", String(counting));
    uncoverButton.hidden = !covered;
  }

  function drawStage({ layers, input: [, height, width], chosen, at, counting }, { shape, jump, field, start }) {
    const [channels, high, wide] = shape;
    const overhang = (size, count) => Math.max(-start, start + (count - 1) * jump + field - size, 0);
    const margin = Math.min(Math.ceil(Math.max(height, width) / 2), Math.max(overhang(height, high), overhang(width, wide)));
    fitCells(height + 2 * margin, width + 2 * margin, high, wide);

    const stack = layers.slice(0, chosen + 1);
    const [down, across] = [[height, at[0]], [width, at[1]]].map(([size, place]) => pathsAlong(stack, size, place));
    const paths = (r, c) => (down[r - margin] ?? 0) * (across[c - margin] ?? 0);
    const most = Math.max(...down) * Math.max(...across);
    const inside = (r, c) => r >= margin && r < height + margin && c >= margin && c < width + margin;
    heading(image.heading, "image", height, width);
    image.grid.draw({
      rows: height + 2 * margin, columns: width + 2 * margin, cell, numbersFrom: Infinity,
      color: (r, c) => (!inside(r, c) ? null : gray(paths(r, c) === 0 ? 0.12 : counting ? 0.3 + (0.7 * paths(r, c)) / most : 0.95)),
      label: `image, ${height} rows, ${width} columns; seen pixels are bright`,
    });
    placeBox(border, cell, margin, margin, height, width);
    placeBox(frame, cell, margin + start + at[0] * jump, margin + start + at[1] * jump, field, field);
    heading(map.heading, `map of layer ${chosen + 1}`, high, wide, channels > 1 ? "one of " + channels : "");
    map.grid.draw({
      rows: high, columns: wide, cell: unit, numbersFrom: Infinity,
      color: () => gray(0.45), label: `map of layer ${chosen + 1}, ${high} rows, ${wide} columns`,
    });
    border.classList.toggle("lines", cell >= 5);
    placeBox(mark, unit, ...at, 1, 1);
    const values = { min: 0, max: high * wide - 1, now: at[0] * wide + at[1], text: `row ${at[0]}, column ${at[1]}` };
    for (const [name, value] of Object.entries(values)) if (has("unit")) mark.setAttribute(`aria-value${name}`, value);
    say(words, sentence(at, down, across, field, counting && most));
    beam.draw();
  }

  /** The image as large as there is room for; the map as large as the image, so that a unit stands where it looks. */
  function fitCells(height, width, high, wide) {
    const available = stage.clientWidth - 2;
    const stacked = available < 480;
    stage.classList.toggle("stacked", stacked);
    const room = stacked ? available : (available - 44) / 2;
    const fit = (rows, columns, tall, most) => {
      const size = Math.min(room / columns, tall / rows, most);
      return size < 2 ? size : Math.floor(2 * size) / 2;
    };
    cell = fit(height, width, 330, 24);
    unit = fit(high, wide, stacked ? 220 : 330, 36); // so that a phone shows both
  }

  return { root, connect, draw };
}

/** What a unit sees, in words. */
function sentence(at, down, across, field, most) {
  const [rows, columns] = [down, across].map((paths) => [...paths.keys()].filter((k) => paths[k]));
  const from = (places) => (places.length === 1 ? `${places[0]}` : `${places[0]} to ${places.at(-1)}`);
  const name = `Unit [${at.join(", ")}]`;
  if (!rows.length || !columns.length) return `${name} sees no pixel: its field lies in the padding.`;
  const whole = [rows, columns].every((places) => places.length === field);
  const gaps = [rows, columns].some((places) => places.at(-1) - places[0] + 1 > places.length);
  const why = whole ? "" : `, of ${field} × ${field}; ${gaps ? "the others lie between those or in the padding" : "the others lie in the padding"}`;
  const loud = most ? ` Up to ${most.toLocaleString("en-US")} ${most > 1 ? "paths lead" : "path leads"} to it from one pixel (channels not counted).` : "";
  return `${name} sees ${rows.length} × ${columns.length} pixels, rows ${from(rows)}, columns ${from(columns)}${why}.${loud}`;
}

const OWN_STYLE = `
.layers { width: 100%; margin: 12px 0; table-layout: auto; font-size: 14px; }
.layers th, .layers td { padding: 3px 6px; border-bottom: 1px solid var(--faint); text-align: right; font-weight: 400; white-space: nowrap; height: auto; }
.layers thead th { color: var(--soft); }
.layers th:first-child { text-align: left; white-space: normal; }
.layers .look { border: 0; background: none; padding: 2px 4px; min-height: 32px; text-align: left; }
.layers .chosen { background: var(--panel); }
.layers .look[aria-pressed="true"] { box-shadow: none; font-weight: 600; }
.layers tr.chosen th:first-child { box-shadow: inset 4px 0 0 var(--action); }
.editor { display: grid; gap: 10px; margin-bottom: 14px; }
.problem:not(:empty) { margin: 12px 0; font-weight: 600; }
.misfit .stage, .misfit .equation, .misfit .hint { display: none; }
.grid.image { overflow: hidden; touch-action: auto; }
.grid { background: repeating-linear-gradient(45deg, transparent 0 5px, var(--faint) 5px 6px); }
.output::after { inset: 0; --lines: rgb(0 0 0 / 0.5); }
.border { --lines: rgb(128 128 128 / 0.5); position: absolute; outline: 1px solid var(--line); pointer-events: none; }
.mark { pointer-events: auto; cursor: grab; touch-action: none; }
.mark::before { content: ""; position: absolute; inset: min(0px, (100% - 44px) / 2); }
.frame { box-shadow: inset 0 0 0 2px var(--mark); }
.output::after, .border.lines {
  content: ""; position: absolute; pointer-events: none;
  background: linear-gradient(90deg, var(--lines) 1px, transparent 1px) 0 0 / var(--cell) var(--cell), linear-gradient(var(--lines) 1px, transparent 1px) 0 0 / var(--cell) var(--cell);
}
[hidden] { display: none !important; }
@container (max-width: 480px) {
  .layers { font-size: 12.5px; }
  .layers th, .layers td { padding: 2px 3px; }
  .layers .look { padding: 2px; }
}
@media (pointer: coarse) { .layers .look { min-height: 44px; } }
`;

export { FIELDS, PRESETS, misfit, readLayers, trace, pathsAlong, writeLayers };
export default { render };
