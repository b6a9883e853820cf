// The gradient playground: choose a pixel or a weight, and see from which outputs its gradient comes, and how it adds up.
//
// The arithmetic comes first: whatever met in a product on the way forward collects dy times the other one on the way back.

import { STYLE, chooser, colorMap, digitsThatFit, flagField, format, fraction, h, inkOn, isDark, makeGrid, matrixField, pairField, parseNumber, range, say, stepper, textField, wholeNumber } from "./base.js";
import { WINDOW_STYLE, arrows, button, follow, grid, heading, inWords, keepInStep, mount, outputSize, placeBox, same, steer } from "./window.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ layer?: string, stride?: number, padding?: number, dilation?: number }} Options */
/** @typedef {[number, number]} Place  a row and a column */

// The arithmetic

const POOLING = "max pooling";

/** How many rows and columns the output has; 0 and 0 if no window fits, or max pooling refuses the padding. @returns {Place} */
function outputShape(x, w, { layer, ...options } = {}) {
  const sizes = [outputSize(x.length, w.length, options), outputSize(x[0].length, w[0].length, options)];
  return sizes.includes(0) || (layer === POOLING && tooMuchPadding(w, options)) ? [0, 0] : sizes;
}

/** Whether the padding is more than half a window: some window might hold no number to win. */
const tooMuchPadding = (w, { padding = 0, dilation = 1 }) =>
  [w.length, w[0].length].some((taps) => padding > Math.floor((dilation * (taps - 1) + 1) / 2));

/**
 * Every meeting of a number of x with a weight: in which output, and the two numbers that were multiplied there.
 * Where the window hangs over the edge, x is undefined. In max pooling the weight is 1 for the winner, 0 for the others.
 * @returns {{ output: Place, pixel: Place, weight: Place, x: number|undefined, w: number, tied: boolean }[]}
 */
function meetings(x, w, options = {}) {
  const { layer, stride = 1, padding = 0, dilation = 1 } = options;
  const [rows, columns] = outputShape(x, w, options);
  return grid(rows, columns, (r, c) => {
    const window = w.flatMap((weights, k) => weights.map((value, l) => {
      const [i, j] = [r * stride - padding + k * dilation, c * stride - padding + l * dilation];
      return { output: [r, c], pixel: [i, j], weight: [k, l], x: x[i]?.[j], w: value, tied: false };
    }));
    return layer === POOLING ? compete(window) : window;
  }).flat(2);
}

/** The first of the largest numbers wins the window. */
function compete(window) {
  const largest = Math.max(...window.map((one) => one.x ?? -Infinity));
  const winner = window.find((one) => one.x === largest);
  return window.map((one) => ({ ...one, w: Number(one === winner), tied: one.x === largest && one !== winner }));
}

/**
 * The gradients of x and w from that of the output: cnnlib.ops.conv2d_backward, or max_pool2d_backward, of one channel.
 * @param {Matrix} dy @param {Matrix} x @param {Matrix} w @param {Options} options @returns {{ dx: Matrix, dw: Matrix }}
 */
function backward(dy, x, w, options = {}) {
  const [dx, dw] = [x, w].map((matrix) => grid(matrix.length, matrix[0].length, () => 0));
  for (const { output: [r, c], pixel: [i, j], weight: [k, l], ...met } of meetings(x, w, options)) {
    if (met.x === undefined) continue; // the padding is no pixel, and its zeros add nothing to dw
    dx[i][j] += met.w * dy[r][c];
    dw[k][l] += met.x * dy[r][c];
  }
  return { dx, dw };
}

/** dy cut, or filled with zeros, to the shape of the output. */
const fitted = (dy, [rows, columns]) => grid(rows, columns, (r, c) => dy[r]?.[c] ?? 0);

const PRESETS = {
  ones: ([rows, columns]) => grid(rows, columns, () => 1),
  "a single one": ([rows, columns]) =>
    grid(rows, columns, (r, c) => Number(r === rows >> 1 && c === columns >> 1)),
  random: ([rows, columns]) => grid(rows, columns, () => Math.round(18 * Math.random()) - 9),
};
const presetOf = (dy, shape) => ["ones", "a single one"].find((name) => same(PRESETS[name](shape), dy));

/** Attributes of <cnn-gradient>, which are also the settings in the address. */
const FIELDS = {
  layer: { read: (text) => ["convolution", POOLING].find((name) => name === text), write: String, start: "convolution" },
  x: { ...matrixField(8), start: grid(5, 5, (r, c) => 5 * r + c + 1) },
  w: { ...matrixField(5), start: [[1, 2], [3, 4]] },
  dy: { ...matrixField(12), start: grid(12, 12, () => 1) },
  stride: { ...wholeNumber(1, 3), start: 1 },
  padding: { ...wholeNumber(0, 2), start: 0 },
  dilation: { ...wholeNumber(1, 3), start: 1 },
  select: { read: (text) => ["x", "w"].find((name) => name === text), write: String, start: "x" },
  pixel: { ...pairField, start: [0, 0] },
  weight: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "pixel weight dy" },
  predict: flagField,
  label: { ...textField, start: "Gradient playground" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const names = Object.keys(FIELDS).filter((name) => FIELDS[name].write);
  const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const given = read();
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + OWN_STYLE);

  let state; // the fields, made to fit each other, and what follows from them
  let seen = new Set(); // pixels and weights whose gradient is shown, as "x 1,2"
  let asked = false; // whether what is chosen is also shown
  let chosen = [given.select, given.pixel, given.weight].join();
  let meaning = ""; // what decides which gradients there are to see

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  /** Chooses a pixel (of "x") or a weight (of "w"). */
  function choose(name, [row, column]) {
    const field = { x: "pixel", w: "weight" }[name];
    if (!controls.has(field)) return;
    const to = inside(state[name], [row, column]);
    if (state.select !== name || state[field].join() !== to.join()) return set({ select: name, [field]: to });
    if (asked) return;
    asked = true;
    draw();
  }

  view.connect({
    choose,
    moveBy(name, rows, columns) {
      const [row, column] = state[{ x: "pixel", w: "weight" }[name]];
      choose(name, state.select === name ? [row + rows, column + columns] : [row, column]);
    },
    type(row, column, value) {
      const dy = state.dy.map((values) => [...values]);
      dy[row][column] = value;
      set({ dy });
    },
    preset: (name) => set({ dy: PRESETS[name]?.(state.shape) ?? given.dy }),
    setting(name, value) {
      const shape = outputShape(state.x, state.w, { ...state, [name]: value });
      const preset = PRESETS[presetOf(state.dy, state.shape)];
      set(shape[0] && state.shape[0] ? { [name]: value, dy: preset?.(shape) ?? fitted(state.dy, shape) } : { [name]: value });
    },
    showAll() {
      for (const name of ["x", "w"]) state[name].forEach((row, r) => row.forEach((_, c) => seen.add(`${name} ${r},${c}`)));
      asked = true;
      draw();
    },
    reset() {
      set(given);
      cover();
      draw();
    },
  });

  /** Takes back what was shown. */
  function cover() {
    seen = new Set();
    asked = !model.get("predict");
  }

  function update() {
    const fields = read();
    const { layer, x, w, stride, padding, dilation } = fields;
    const shape = outputShape(x, w, fields);
    const dy = fitted(fields.dy, shape);
    state = {
      ...fields, dy, shape, given,
      select: layer === POOLING ? "x" : fields.select,
      pixel: inside(x, fields.pixel),
      weight: inside(w, fields.weight),
      meetings: meetings(x, w, fields),
      ...backward(dy, x, w, fields),
    };
    const now = [layer, stride, padding, dilation, x, w.length, w[0].length].join(" ");
    if (now !== meaning) cover();
    meaning = now;
    const choice = [fields.select, fields.pixel, fields.weight].join();
    asked ||= choice !== chosen;
    chosen = choice;
    draw();
  }

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    if (asked) seen.add(`${state.select} ${state.select === "x" ? state.pixel : state.weight}`);
    view.draw({ ...state, seen, asked });
  }

  return keepInStep({ model, host, update, draw });
}

/** The nearest place in a matrix. */
const inside = (matrix, [row, column]) =>
  [Math.max(0, Math.min(matrix.length - 1, row)), Math.max(0, Math.min(matrix[0].length - 1, column))];

/** The playground's elements, and how they show a state. It computes nothing but colors, sizes and sentences. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  let cell = 0; // pixels a side of a cell, the same in all grids but dy
  let frame = 0; // cells of padding around x
  const has = (name) => controls.has(name);

  const panels = {
    x: makePanel(makeGrid("x")),
    w: makePanel(makeGrid("w")),
    dy: makePanel(makeFields(has("dy"), (...typed) => act.type(...typed))),
    dx: makePanel(makeGrid("dx")),
    dw: makePanel(makeGrid("dw")),
  };
  const roads = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  roads.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  roads.setAttribute("aria-hidden", "true");
  const column = (...names) => h("div", { class: `column ${names[0]}` }, ...names.map((name) => panels[name].element));
  const stage = h("div", { class: "stage" }, column("x", "dx"), column("dy"), column("w", "dw"), roads);

  const equation = h("p", { class: "equation", "aria-hidden": "true" });
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });
  const pickLayer = chooser("layer", (name) => act.setting("layer", name));
  const pickPreset = chooser("dy", (name) => act.preset(name));
  const steppers = Object.fromEntries([["stride", 1, 3], ["padding", 0, 2], ["dilation", 1, 3]].map(([name, low, high]) => {
    const one = stepper(name, low, high, (value) => one.allows(value) && act.setting(name, value));
    return [name, one];
  }));
  const showAll = button("Show all", () => act.showAll());
  const hint = h("p", { class: "note hint" });
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" },
      has("layer") ? pickLayer.element : null,
      has("dy") ? pickPreset.element : null,
      ...Object.keys(steppers).filter(has).map((name) => steppers[name].element)),
    stage, equation, words, facts,
    h("div", { class: "row middle" }, controls.size ? showAll : null, controls.size ? button("Reset", () => act.reset()) : null),
    hint);

  function connect(actions) {
    act = actions;
    for (const [name, field] of [["x", "pixel"], ["w", "weight"]]) {
      if (!has(field)) continue;
      const { mark } = panels[name];
      for (const [key, value] of Object.entries({ tabindex: 0, role: "slider", "aria-label": `${field} of ${name}` }))
        mark.setAttribute(key, value);
      const stay = () => act.moveBy(name, 0, 0);
      steer(mark, { ...arrows((rows, columns) => act.moveBy(name, rows, columns)), " ": stay, Enter: stay });
      for (const [shown, margin] of [[name, () => (name === "x" ? frame : 0)], [`d${name}`, () => 0]]) {
        const move = (left, top) => act.choose(name, [top, left].map((pixels) => Math.floor(pixels / cell) - margin()));
        panels[shown].grid.element.classList.add("choice");
        follow(panels[shown].grid.element, panels[shown].mark, { focus: mark, move });
      }
    }
  }

  function draw(state) {
    const { layer, x, w, dy, dx, dw, shape, padding, seen } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const pooling = layer === POOLING;
    frame = padding;
    root.classList.toggle("pooling", pooling);
    root.classList.toggle("misfit", !shape[0]);
    fitCells(x[0].length + 2 * padding, pooling ? 0 : w[0].length, shape[1]);
    drawControls(state);

    const idle = (r, c) => !state.meetings.some(({ pixel: [i, j] }) => i === r && j === c);
    const hidden = (name) => (r, c) => !seen.has(`${name} ${r},${c}`);
    drawNumbers("x", x, dark, { margin: padding, skipped: idle });
    drawNumbers("w", w, dark, {});
    drawNumbers("dy", dy, dark, {});
    drawNumbers("dx", dx, dark, { skipped: idle, hidden: hidden("x") });
    drawNumbers("dw", dw, dark, { hidden: hidden("w") });
    drawChoice(state);
    drawFacts(state, x.flatMap((row, r) => row.filter((_, c) => idle(r, c))).length);
  }

  /** All side by side; or dy beside x, and the weights below; or one below the other. */
  function fitCells(x, w, dy) {
    const width = root.clientWidth - parseFloat(getComputedStyle(root).paddingLeft) * 2 - 1; // it may be rounded up
    const [all, two] = [(width - (w ? 88 : 44)) / (x + w + dy), (width - 16) / (x + dy)];
    const one = Math.max(x, 2 * w + 1, dy);
    stage.className = `stage ${all >= 36 ? "wide" : two >= 32 ? "" : "stacked"}`;
    cell = Math.floor(Math.min(46, all >= 36 ? all : two >= 32 ? two : Math.max(width / one, 20)));
    for (const panel of Object.values(panels)) panel.cell = cell;
    if (stage.classList.contains("stacked")) panels.dy.cell = Math.floor(Math.max(cell, Math.min(46, width / dy))); // it carries tags
  }

  function drawControls({ layer, dy, given, shape, x, w, seen, ...settings }) {
    pickLayer.show(["convolution", POOLING], layer);
    const [name, own] = [presetOf(dy, shape), same(dy, fitted(given.dy, shape)) ? "as given" : "your own"];
    const first = presetOf(fitted(given.dy, shape), shape) ? [] : ["as given"];
    pickPreset.show([...first, ...Object.keys(PRESETS), ...(name || own === "as given" ? [] : [own])], name ?? own);
    for (const [field, one] of Object.entries(steppers)) one.show(settings[field]);
    const all = [x, ...(layer === POOLING ? [] : [w])].flat(2).length;
    showAll.hidden = seen.size >= all;
    const what = [has("pixel") && "a pixel of x", has("weight") && layer !== POOLING && "a weight of w"].filter(Boolean);
    say(hint, what.length ? `Click ${what.join(" or ")}, or use Tab and the arrow keys.` : "");
  }

  function drawNumbers(name, matrix, dark, { margin = 0, skipped = () => false, hidden = () => false }) {
    const [rows, columns] = [matrix.length, matrix[0]?.length ?? 0];
    const map = colorMap(...range(matrix), dark);
    const value = (r, c) => matrix[r - margin]?.[c - margin];
    const outside = (r, c) => value(r, c) === undefined;
    const at = (test) => (r, c) => !outside(r, c) && test(r - margin, c - margin);
    const [crossed, covered] = [at(skipped), at(hidden)];
    heading(panels[name].heading, name, rows, columns);
    panels[name].grid.draw({
      rows: rows + 2 * margin, columns: columns + 2 * margin, cell: panels[name].cell, value, numbersFrom: 0,
      color: (r, c) => (outside(r, c) || covered(r, c) || crossed(r, c) ? null : map.color(value(r, c))),
      kind: (r, c) => (outside(r, c) || covered(r, c) ? "empty" : crossed(r, c) ? "skipped" : ""),
      text: (r, c, room) => (covered(r, c) ? "?" : outside(r, c) ? "0" : format(value(r, c), room)),
      label: `${name}, ${rows} rows, ${columns} columns${margin ? `, padding ${margin}` : ""}`,
    });
  }

  /** What was chosen, the outputs that its gradient comes from, and the sum. */
  function drawChoice(state) {
    const { select, layer, dy, padding, pixel, weight, asked } = state;
    const [chosen, other] = select === "x" ? ["pixel", "weight"] : ["weight", "pixel"];
    const place = state[chosen];
    const found = state.meetings.filter((one) => asked && one[chosen].join() === place.join());
    const terms = found.map((one) => [select === "x" ? one.w : one.x ?? 0, dy[one.output[0]][one.output[1]]]);
    const total = state[`d${select}`][place[0]][place[1]];

    for (const { lights } of Object.values(panels)) lights.replaceChildren();
    light(panels.dy, found.map((one, n) => [one.output, `×${fraction(terms[n][0], 5)}`, layer === POOLING && !one.w]));
    if (select === "w") light(panels.x, found.map(({ pixel: [i, j] }) => [[i + padding, j + padding]]));
    else if (layer !== POOLING) light(panels.w, found.map((one) => [one[other]]));
    for (const [name, [row, column], margin] of [["x", pixel, padding], ["w", weight, 0], ["dx", pixel, 0], ["dw", weight, 0]]) {
      const { mark } = panels[name];
      placeBox(mark, cell, row + margin, column + margin, 1, 1);
      mark.classList.toggle("off", !name.endsWith(select));
    }
    showPlace(panels.x.mark, state.x, pixel);
    showPlace(panels.w.mark, state.w, weight);
    drawRoads(found.filter((one) => layer !== POOLING || one.w), panels[`d${select}`], place);
    drawSum(state, { place, found, terms, total });
  }

  function light({ lights, cell: side }, places) {
    lights.replaceChildren(...places.map(([[row, column], tag, lost]) => {
      const box = h("span", { class: lost ? "light lost" : "light" }, tag ? h("i", {}, tag) : null);
      placeBox(box, side, row, column, 1, 1);
      return box;
    }));
  }

  function showPlace(mark, matrix, [row, column]) {
    const [now, max] = [row * matrix[0].length + column, matrix.flat().length - 1];
    const values = { valuemin: 0, valuemax: max, valuenow: now, valuetext: `row ${row}, column ${column}` };
    if (mark.hasAttribute("role")) for (const [name, value] of Object.entries(values)) mark.setAttribute(`aria-${name}`, value);
  }

  /** From each row or column of outputs a line to the number that collects: across the gap, then along the border of cells. */
  function drawRoads(found, target, [row, column]) {
    const origin = stage.getBoundingClientRect();
    const [from, to] = [panels.dy, target].map(({ grid: { element } }) => {
      const { left, top, right, bottom } = element.getBoundingClientRect();
      return [[left - origin.left, right - origin.left], [top - origin.top, bottom - origin.top]]; // across, down
    });
    const beside = from[0][0] >= to[0][1] || from[0][1] <= to[0][0];
    const [along, other] = beside ? [0, 1] : [1, 0]; // the axis of the gap between the grids, and the one on which outputs spread
    const after = from[along][0] >= to[along][1]; // the outputs come after the number, on the axis of the gap
    const [leave, enter] = after ? [from[along][0], to[along][1]] : [from[along][1], to[along][0]];
    const lines = [...new Set(found.map(({ output }) => output[1 - other]))];
    const starts = lines.map((line) => from[other][0] + (line + 0.5) * panels.dy.cell);
    const number = [column, row];
    const near = to[other][0] + number[other] * cell; // the border on this side of the number, or the one on its other side
    const border = starts[0] > near ? near + cell : near;
    const end = to[along][0] + (number[along] + (after ? 1 : 0)) * cell;
    const point = (a, b) => (beside ? `${a} ${b}` : `${b} ${a}`);
    roads.firstChild.setAttribute("d", starts.map((start) => `M${point(leave, start)}L${point(enter, border)}L${point(end, border)}`).join(""));
  }

  function drawSum({ select, layer, shape, asked }, { place, found, terms, total }) {
    const name = `d${select}[${place.join(", ")}]`;
    if (!asked) {
      equation.replaceChildren(`${name} = `, h("b", { class: "total" }, "?"));
      return say(words, `The gradient of the ${select === "x" ? "pixel" : "weight"} at row ${place[0]}, column ${place[1]} is not shown yet.`);
    }
    const [what, where] = [select === "x" ? "Pixel" : "Weight", `row ${place[0]}, column ${place[1]}`];
    const scale = Math.max(...terms.map(([a, b]) => Math.abs(a * b)), 0) || 1;
    const answer = format(total, 9, scale);
    if (!terms.length) {
      const reason = shape[0] ? "no window used this pixel" : "there is no output";
      equation.replaceChildren(`${name} = `, h("b", { class: "total" }, "0"), `, for ${reason}`);
      return say(words, `${what} at ${where}: ${reason}, its gradient is 0.`);
    }
    const bracket = (text) => (text.startsWith("\u2212") ? `(${text})` : text);
    const written = terms.map(([factor, d]) => `${bracket(fraction(factor, 5))}·${bracket(format(d, 5))}`);
    const shown = written.length > 36 ? [...written.slice(0, 35), `… (${written.length} terms)`] : written;
    equation.replaceChildren(`${name} = `, ...shown.flatMap((term, n) => [n ? " + " : "", h("span", {}, term)]), " = ",
      h("b", { class: "total" }, answer));
    const spoken = terms.map(([factor, d]) => `${format(factor, 5)} times ${format(d, 5)}`).join(", plus ");
    const windows = `${found.length} window${found.length === 1 ? "" : "s"}`;
    const [won, tied] = [found.filter((one) => one.w).length, found.filter((one) => one.tied).length];
    const story = layer === POOLING
      ? `lies in ${windows} and wins ${won}.${tied ? ` In ${tied} an equal number came first.` : ""}`
      : select === "x" ? `was used by ${windows}.` : `met ${found.length} numbers of x.`;
    const sum = `${terms.length <= 9 ? spoken : `${terms.length} products`} make${terms.length === 1 ? "s" : ""} ${answer}.`;
    say(words, `${what} at ${where} ${story} ${inWords(sum)}`);
  }

  function drawFacts({ layer, select, pixel, meetings: met, shape, x, w, padding, dilation, asked }, idle) {
    const sentences = [];
    if (!shape[0]) {
      const refused = layer === POOLING && tooMuchPadding(w, { padding, dilation });
      sentences.push(refused ? "Max pooling takes at most half a window of padding." : "The window is larger than the padded x: there is no output.");
    } else if (layer === POOLING) {
      const mine = met.filter((one) => one.pixel.join() === pixel.join());
      const tied = asked && mine.filter((one) => one.tied).length;
      sentences.push(`Windows of ${w.length} × ${w[0].length}: ×1 where the pixel won, ×0 where another did.`);
      if (tied) sentences.push(`In ${tied} of its windows an equal number came first, and took all.`);
    } else {
      sentences.push(select === "x" ? "dx: weight times dy, over all windows that used the pixel." : "dw: x times dy, over all windows.");
    }
    if (shape[0] && idle) sentences.push(`Crossed out: ${idle} of ${x.flat().length} pixels that no window used. Their gradient is 0.`);
    facts.replaceChildren(...sentences.map((sentence) => h("span", {}, sentence)));
  }

  return { root, connect, draw };
}

/** A grid with its name above it, places that light up, and a mark on the one that was chosen. */
function makePanel(grid) {
  const [heading, lights, mark] = [h("p", { class: "heading" }), h("div", { class: "lights", "aria-hidden": "true" }), h("div", { class: "mark off" })];
  grid.element.append(lights, mark);
  return { element: h("div", { class: "side" }, heading, grid.element), heading, lights, mark, grid, cell: 0 };
}

/** A grid whose numbers the reader writes. */
function makeFields(writable, onNumber) {
  const table = h("table");
  const element = h("div", { class: "grid dy" }, table);
  let shape = "";
  const field = (r, c) => {
    const input = h("input", {
      type: "text", autocomplete: "off", spellcheck: "false", readonly: !writable, tabindex: writable ? 0 : -1,
      "aria-label": `dy, row ${r}, column ${c}`,
      focus: () => input.select(),
      input: () => {
        const number = parseNumber(input.value);
        input.setAttribute("aria-invalid", String(Number.isNaN(number)));
        if (!Number.isNaN(number)) onNumber(r, c, number);
      },
      blur: () => {
        input.removeAttribute("aria-invalid");
        input.value = input.text;
      },
      keydown: (event) => {
        const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
        if (event.key === "Enter") input.select();
        if (!step || !writable) return;
        event.preventDefault();
        input.value = fraction(input.number + step);
        onNumber(r, c, input.number + step);
      },
    });
    return input;
  };
  return {
    element,
    draw({ rows, columns, cell, color, value, text, label }) {
      if (shape !== `${rows} ${columns}`) {
        shape = `${rows} ${columns}`;
        table.replaceChildren(h("tbody", {}, ...grid(rows, columns, (r, c) => h("td", {}, field(r, c))).map((row) => h("tr", {}, ...row))));
      }
      table.setAttribute("aria-label", label);
      element.style.setProperty("--cell", `${cell}px`);
      Object.assign(element.style, { width: `${columns * cell}px`, height: `${rows * cell}px` });
      const room = digitsThatFit(table, cell - 4, 14);
      for (const input of table.querySelectorAll("input")) {
        const { parentElement: { cellIndex: c, parentElement: { rowIndex: r } } } = input;
        Object.assign(input, { number: value(r, c), text: text(r, c, room) });
        const typing = input.matches(":focus") && parseNumber(input.value) === input.number;
        if (!typing && input.getAttribute("aria-invalid") !== "true") input.value = input.text;
        Object.assign(input.style, { backgroundColor: `rgb(${color(r, c)})`, color: inkOn(color(r, c)) });
      }
    },
  };
}

const OWN_STYLE = `
.stage { flex-wrap: wrap; gap: 16px; }
.stage.wide { gap: 44px; }
.column { display: flex; flex-wrap: wrap; flex-direction: column; gap: 14px; }
.stage:not(.stacked) .column.dy { align-self: flex-end; }
.stage.wide .column.w { align-self: stretch; justify-content: space-between; }
.stage:not(.wide) .column.w { flex-direction: row; gap: 16px; }
.pooling .column.w, .misfit .column.dy { display: none; }
.stage svg { z-index: 2; }
.stage .side { z-index: auto; }
.stage .column.dy .side { z-index: 3; }
.stage .heading { position: relative; z-index: 3; width: max-content; padding-right: 4px; background: var(--ground); }
.stage path { fill: none; stroke: var(--beam); stroke-width: 1.5; stroke-opacity: 0.8; }
.choice { cursor: pointer; }
.mark, .light { width: var(--cell); height: var(--cell); }
.misfit .mark[role] { display: block; }
.mark[role] { pointer-events: auto; touch-action: none; outline-offset: 5px; }
.mark.off { box-shadow: none; }
.lights { position: absolute; inset: 0; pointer-events: none; }
.light { position: absolute; box-shadow: inset 0 0 0 2px var(--mark), inset 0 0 0 3px var(--mark-edge); }
.light.lost { box-shadow: inset 0 0 0 1px var(--mark), inset 0 0 0 2px var(--mark-edge); }
.light.lost i { background: var(--panel); color: var(--soft); }
.light i {
  position: absolute; right: 0; bottom: 0; padding: 0 3px; border-radius: 4px 0 0 0; font-style: normal;
  background: var(--mark); color: var(--mark-ink); font-weight: 600;
  font-size: clamp(10px, calc(var(--cell) * 0.27), 11.5px); line-height: clamp(11px, calc(var(--cell) * 0.33), 14px);
}
.dy input { width: 100%; height: 100%; min-width: 0; border: 0; border-radius: 0; padding: 0 0 calc(var(--cell) * 0.34); text-align: center; font-size: clamp(12px, calc(var(--cell) * 0.34), 14px); display: block; }
.dy input:not([readonly]) { cursor: text; text-decoration: underline dotted 1px; text-underline-offset: 3px; }
.dy input[aria-invalid="true"] { box-shadow: inset 0 0 0 2px #d32f2f; text-decoration: underline wavy #d32f2f; }
.dy input:focus { outline: 3px solid var(--action); outline-offset: -1px; position: relative; }
.equation { padding-top: 12px; border-top: 1px solid var(--faint); min-height: 3.2em; line-height: 1.9; }
.equation span { white-space: nowrap; }
.total { padding: 3px 9px; border-radius: 7px; font-size: 19px; background: var(--mark); color: var(--mark-ink); }
.facts { margin: 8px 0 12px; text-align: center; }
@media (forced-colors: active) { .mark.off { border: 0; } .light, .total { border: 3px solid Highlight; } }
`;

export { FIELDS, backward, meetings, outputShape };
export default { render };
