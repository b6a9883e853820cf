// The digit playground: draw a digit, and see every feature map of chapter 08's network, and what it answers.
//
// Images, network and drawing surface are in mnist.js.

import { STYLE, chooser, colorMap, format, h, isDark, makeGrid, makeLegend, onTheme, readMatrix, say, signed, stepper, textField } from "./base.js";
import { NETWORK } from "./digit_data.js";
import { EXAMPLES } from "./digit_examples.js";
import { PEN, SIDE, SURFACE_STYLE, digitNetwork, drawLevels, forward, likeMnist, makeFrame, makeSurface, paintLevels, percent, percentInWords, rasterize, verdict } from "./mnist.js";

// The state

const LAYERS = {
  conv1: { maps: 32, side: 28, from: "image", how: "3 × 3 kernels, ReLU" },
  pool1: { maps: 32, side: 14, from: "conv1", how: "the largest of each 2 × 2" },
  conv2: { maps: 64, side: 14, from: "pool1", how: "3 × 3 kernels over all 32, ReLU" },
  pool2: { maps: 64, side: 7, from: "conv2", how: "the largest of each 2 × 2" },
};

const readMap = (text) => {
  const [layer, k] = text.split(".");
  return Object.hasOwn(LAYERS, layer) && /^\d+$/.test(k) && Number(k) < LAYERS[layer].maps ? `${layer}.${Number(k)}` : undefined;
};

/** "3,4 5,6; 7,8 9,9" as strokes. @param {string} text @returns {Strokes|undefined} */
function readStrokes(text) {
  const strokes = text.split(";").map((stroke) => stroke.trim().split(/\s+/).map((point) => point.split(",").map(Number)));
  return strokes.flat().every((point) => point.length === 2 && point.every(Number.isFinite)) ? strokes : undefined;
}

/** 28 rows of 28 levels. @param {string} text @returns {number[][]|undefined} */
function readImage(text) {
  const matrix = readMatrix(text, SIDE);
  return matrix?.length === SIDE && matrix[0].length === SIDE ? matrix : undefined;
}

/** Attributes of <cnn-digit>, which are also the settings in the address; what is drawn by hand stays out of it. */
const FIELDS = {
  example: { read: (text) => (Object.hasOwn(EXAMPLES, text) ? text : undefined), write: (name) => name, start: "" },
  strokes: { read: readStrokes, start: [] },
  pixels: { read: readImage, start: null },
  center: { read: (text) => ({ on: true, off: false })[text], write: (on) => (on ? "on" : "off"), start: true },
  map: { read: readMap, write: (map) => map, start: "conv1.0" },
  label: { ...textField, start: "Draw a digit" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const view = makeView(model.get("label"));
  const host = h("div", { "data-lm-suppress-shortcuts": "true" }); // JupyterLab leaves our keys alone
  host.attachShadow({ mode: "open" }).append(h("style"), view.root);
  host.shadowRoot.firstChild.textContent = STYLE + SURFACE_STYLE + OWN_STYLE;
  el.append(host);

  let strokes = []; // what is drawn, as it is seen: points that still move are in it
  let stroke = null; // the one that is being drawn
  const frame = makeFrame(draw);

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  const keep = () => set({ example: "", pixels: null, strokes });

  view.connect({
    down(point) {
      if (stroke) this.up();
      stroke = [point];
      strokes = [...(model.get("pixels") ? [] : strokes), stroke];
      frame.soon();
    },
    move(points) {
      for (const point of points) {
        const [x, y] = stroke.at(-1);
        if (Math.hypot(point[0] - x, point[1] - y) >= 0.2) stroke.push(point);
      }
      frame.soon();
    },
    up() {
      if (!stroke) return;
      stroke = null;
      keep();
    },
    isDown: () => stroke !== null,
    undo() {
      stroke = null;
      strokes = model.get("pixels") ? [] : strokes.slice(0, -1);
      keep();
    },
    clear() {
      stroke = null;
      strokes = [];
      keep();
    },
    example: (name) => Object.hasOwn(EXAMPLES, name) && set({ example: name, pixels: null }),
    center: (on) => set({ center: on }),
    map: (layer, k) => set({ map: `${layer}.${Math.min(LAYERS[layer].maps - 1, Math.max(0, k))}` }),
  });

  function draw() {
    frame.cancel();
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const given = model.get("pixels") && !stroke ? Uint8Array.from(model.get("pixels").flat()) : null;
    const pictures = given ? { on: given, off: given } : { on: likeMnist(strokes), off: rasterize(strokes) };
    const results = { on: forward(pictures.on), off: forward(pictures.off) };
    const [layer, k] = model.get("map").split(".");
    view.draw({
      strokes, given, pictures, results, layer, k: Number(k), center: model.get("center"), drawing: stroke !== null,
      example: stroke ? "" : model.get("example"),
    });
  }

  function update() {
    if (!stroke) strokes = EXAMPLES[model.get("example")] ?? model.get("strokes");
    frame.soon();
  }

  model.on("change", update);
  const stopTheme = onTheme(() => draw());
  const sizes = new ResizeObserver(() => frame.soon());
  sizes.observe(host);
  update();
  draw();
  return () => {
    frame.cancel();
    model.off("change", update);
    stopTheme();
    sizes.disconnect();
    host.remove();
  };
}

/** The playground's elements, and how they show a state. */
function makeView(label) {
  let act; // what the reader can do: filled in by connect
  const button = (text, run) => h("button", { type: "button", click: () => run() }, text);

  const surface = makeSurface();
  const pick = chooser("example", (name) => act.example(name));
  const toggle = h("input", { type: "checkbox", role: "switch", change: () => act.center(toggle.checked) });
  const cards = { on: makeCard("like MNIST", "the drawing, centered and scaled"), off: makeCard("as drawn", "the drawing as it is") };
  const bars = makeBars();
  const answer = h("p", { class: "answer" });
  const words = h("p", { class: "unseen", role: "status" });
  const remark = h("p", { class: "note remark" });
  const atlases = Object.fromEntries(Object.entries(LAYERS).map(([name, { maps, side, how }]) =>
    [name, makeAtlas(name, maps, side, how, (k) => act.map(name, k))]));
  const units = makeStrip();
  const large = makeEnlarged((layer, k) => act.map(layer, k));

  const top = h("div", { class: "top" },
    h("div", { class: "draw" },
      surface.element,
      h("div", { class: "row" }, button("Clear", () => act.clear()), button("Undo", () => act.undo())), pick.element,
      h("p", { class: "note", id: "keys" }, "Draw with mouse, pen or finger. Or by keyboard: arrow keys move, the space bar sets and lifts the pen.")),
    h("div", { class: "shown" },
      h("label", { class: "field switch" }, toggle, h("span", {}, "center and scale like MNIST")),
      h("div", { class: "cards" }, cards.on.element, cards.off.element)),
    h("div", { class: "verdict" }, answer, bars.element));
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    top, remark, words,
    h("p", { class: "note shades" }, "Each map is shaded from 0, black, to its own largest value, white. Click one, or use the arrow keys, to see it in large."),
    h("div", { class: "layers" }, ...Object.values(atlases).map(({ element }) => element), units.element),
    large.element);

  function connect(actions) {
    act = actions;
    surface.connect(act, (text) => say(words, text));
  }

  function draw(state) {
    const { pictures, results, center, given, example, drawing, layer, k } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const now = results[center ? "on" : "off"];
    surface.draw((pen) => (given ? paintLevels(pen, given) : paintStrokes(pen, state.strokes)));
    pick.show([...(example ? [] : ["your own"]), ...Object.keys(EXAMPLES)], example || "your own");
    toggle.checked = center;
    for (const [name, card] of Object.entries(cards)) card.draw(pictures[name], results[name], (name === "on") === center, given);
    const { digit, probability } = verdict(now);
    answer.replaceChildren(h("span", { class: "lead" }, "The network reads "), h("b", {}, String(digit)), h("span", {}, percent(probability)));
    bars.draw(now, digit);
    const blank = pictures.on.every((level) => level === 0);
    say(remark, remarkOn(blank));
    const width = root.clientWidth - 30;
    for (const [name, atlas] of Object.entries(atlases)) atlas.draw(now[name], width, name === layer ? k : -1);
    units.draw(now.fc1, width);
    large.draw(now, pictures[center ? "on" : "off"], layer, k, dark);
    if (!drawing) say(words, spoken(results, blank, given));
  }

  return { root, connect, draw };
}

/** What the network has seen, and that it cannot say no. */
function remarkOn(blank) {
  const knows = `The network was trained on ${NETWORK.trained_on.replace("mnist", "MNIST")} and reads ${(100 * NETWORK.test_accuracy).toFixed(2)} % of the test images rightly.`;
  const must = "It has ten answers and must give one, however absurd the drawing: “no digit” is not among them.";
  return blank ? `${knows} ${must} Even now, with nothing drawn.` : `${knows} ${must}`;
}

function spoken(results, blank, given) {
  const reads = (result) => `${verdict(result).digit}, ${percentInWords(verdict(result).probability)}`;
  if (given) return `An image was put in. The network reads ${reads(results.on)}.`;
  if (blank) return "Nothing is drawn.";
  return `Centered and scaled like MNIST, the network reads ${reads(results.on)}. As drawn: ${reads(results.off)}.`;
}

/** Draws the strokes as lines, sharper than the network will see them. */
function paintStrokes(pen, strokes) {
  Object.assign(pen, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    for (const [x, y] of stroke) pen.lineTo(x, y);
    if (stroke.length === 1) pen.lineTo(stroke[0][0], stroke[0][1] + 0.001); // a dot
    pen.stroke();
  }
}

const larger = (a, b) => (a > b ? a : b);

/** Draws all maps of a layer side by side, each from 0 to its own largest value. @param {Maps} maps */
function drawMaps(canvas, { values, channels, side }, columns) {
  const size = side * side;
  const levels = new Uint8Array(channels * size);
  for (let k = 0; k < channels; k++) {
    const map = values.subarray(k * size, (k + 1) * size);
    const most = map.reduce(larger, 0) || 1;
    const corner = (Math.floor(k / columns) * side * columns + (k % columns)) * side;
    for (let r = 0, place = 0; r < side; r++)
      for (let at = corner + r * side * columns, end = at + side; at < end; at++, place++) levels[at] = (255 * map[place]) / most + 0.5;
  }
  drawLevels(canvas, columns * side, (channels / columns) * side, levels);
}

/** What the network is shown in one of two ways, and what it then answers. */
function makeCard(name, label) {
  const canvas = h("canvas", { role: "img" });
  const [heading, says] = [h("span"), h("b")];
  const element = h("figure", { class: "card" }, h("figcaption", {}, heading), canvas, says);
  return {
    element,
    draw(picture, result, chosen, given) {
      drawLevels(canvas, SIDE, SIDE, picture);
      canvas.setAttribute("aria-label", `${given ? "the image" : label}, ${SIDE} × ${SIDE} pixels`);
      say(heading, given ? "as given" : name);
      const { digit, probability } = verdict(result);
      say(says, `${digit}, ${percent(probability)}`);
      element.classList.toggle("chosen", chosen);
      element.hidden = Boolean(given) && !chosen;
    },
  };
}

/** Ten probabilities as bars, with the logits they come from. */
function makeBars() {
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const [bar, text, logit] = [h("span", { class: "fill" }), h("td", { class: "percent" }), h("td", { class: "logit" })];
    const row = h("tr", {}, h("th", { scope: "row" }, String(digit)), h("td", { class: "bar", "aria-hidden": "true" }, bar), text, logit);
    return { row, bar, text, logit };
  });
  const head = h("tr", {}, h("th", { scope: "col" }, "digit"), h("td", { "aria-hidden": "true" }),
    h("th", { scope: "col" }, "probability"), h("th", { scope: "col" }, "logit"));
  return {
    element: h("table", { class: "bars", "aria-label": "the answer" }, h("thead", {}, head), h("tbody", {}, ...rows.map(({ row }) => row))),
    draw({ probabilities, logits }, best) {
      for (const [digit, { row, bar, text, logit }] of rows.entries()) {
        bar.style.width = `${100 * probabilities[digit]}%`;
        say(text, percent(probabilities[digit]));
        say(logit, (Math.round(10 * logits[digit]) / 10 || 0).toFixed(1).replace("-", "\u2212"));
        row.classList.toggle("best", digit === best);
      }
    },
  };
}

/** How large a map can be drawn: as room allows, or a little less if then its pixels, 28, 14 or 7, are whole ones of the screen. */
function tileSize(width, columns) {
  const room = Math.floor(Math.min(58, width / columns) * devicePixelRatio);
  const whole = room - (room % 14);
  return (whole >= 0.9 * room ? whole : room - (room % 2)) / devicePixelRatio;
}

/** All maps of a layer in one picture; one of them is chosen by a click or the arrow keys. */
function makeAtlas(name, count, side, how, onPick) {
  const canvas = h("canvas");
  const mark = h("div", { class: "mark" });
  const lines = h("div", { class: "lines" });
  const area = h("div", {
    class: "atlas", tabindex: 0, role: "slider", "aria-label": `map of ${name}`, "aria-valuemin": 0, "aria-valuemax": count - 1,
  }, canvas, lines, mark);
  let [columns, tile, chosen] = [1, 1, -1];

  area.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / tile);
    const k = columns * Math.floor((event.clientY - box.top) / tile) + column;
    if (column >= 0 && column < columns && k >= 0 && k < count) onPick(k);
  });
  area.addEventListener("keydown", (event) => {
    const from = Math.max(0, chosen);
    const to = {
      ArrowLeft: from - 1, ArrowRight: from + 1, ArrowUp: from - columns, ArrowDown: from + columns, Home: 0, End: count - 1,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (to >= 0 && to < count) onPick(to);
  });

  function draw(maps, width, now) {
    chosen = now;
    const small = side === 7; // these are drawn half as large
    const wide = width >= 430 ? 16 : 8;
    columns = small ? 2 * wide : wide;
    tile = tileSize(width, wide) / (small ? 2 : 1);
    drawMaps(canvas, maps, columns);
    const scale = Math.round(tile * devicePixelRatio) / side; // pixels of the screen for one of the map
    canvas.style.imageRendering = Number.isInteger(scale) || scale > 2 ? "pixelated" : "auto";
    Object.assign(area.style, { width: `${columns * tile}px`, height: `${(count / columns) * tile}px` });
    lines.style.setProperty("--tile", `${tile}px`);
    mark.hidden = now < 0;
    Object.assign(mark.style, {
      left: `${(now % columns) * tile}px`, top: `${Math.floor(now / columns) * tile}px`, width: `${tile}px`, height: `${tile}px`,
    });
    area.setAttribute("aria-valuenow", Math.max(0, now));
    area.setAttribute("aria-valuetext", now < 0 ? "none of these is shown large" : `map ${now}`);
  }

  const heading = h("p", { class: "heading" }, h("b", {}, name), ` ${count} × ${side} × ${side}`, h("span", { class: "how" }, how));
  return { element: h("div", { class: "layer" }, heading, area), draw };
}

/** The 128 outputs of the dense layer as cells of a strip. */
function makeStrip() {
  const canvas = h("canvas", { role: "img" });
  const heading = h("p", { class: "heading" }, h("b", {}, "fc1"), " 128", h("span", { class: "how" }, "each weighs all 3,136 numbers of pool2, ReLU"));
  return {
    element: h("div", { class: "layer" }, heading, h("div", { class: "strip" }, canvas)),
    draw(values, width) {
      const top = Math.max(...values) || 1;
      const rows = width >= 430 ? 2 : 4;
      drawLevels(canvas, 128 / rows, rows, values.map((value) => Math.round((255 * value) / top)));
      const cell = tileSize(width, width >= 430 ? 16 : 8) / 4;
      Object.assign(canvas.style, { width: `${(128 / rows) * cell}px`, height: `${rows * cell}px` });
      canvas.setAttribute("aria-label", `the dense layer: ${values.filter((value) => value > 0).length} of its 128 outputs are above 0`);
    },
  };
}

/** One map in large, with what it was made from: its kernel and the image, or the map before the pooling. */
function makeEnlarged(onPick) {
  let current = ["conv1", 0];
  const layers = chooser("layer", (layer) => onPick(layer, Math.min(current[1], LAYERS[layer].maps - 1)));
  let steps = null; // a stepper for as many maps as the layer has
  const stepsOf = Object.fromEntries([32, 64].map((count) =>
    [count, stepper("map", 0, count - 1, (k) => k >= 0 && k < count && onPick(current[0], k))]));
  const bar = h("div", { class: "row" }, h("b", {}, "One map in large"), layers.element);
  const [source, result] = [makeGrid("source"), makeGrid("result")];
  const kernel = makeGrid("kernel");
  const bank = makeBank();
  const legend = makeLegend();
  const headings = Object.fromEntries(["source", "kernel", "result"].map((name) => [name, h("p", { class: "heading" })]));
  const explain = h("p", { class: "note" });
  const side = (name, ...parts) => h("div", { class: "side" }, headings[name], ...parts);
  const kernelSide = side("kernel", kernel.element, bank.element); // for conv1 one kernel, for conv2 one for each map
  const element = h("div", { class: "large" }, bar, explain,
    h("div", { class: "parts" }, side("source", source.element), kernelSide, side("result", result.element, legend.element)));

  function matrixOf({ values, side: n }, k) {
    return Array.from({ length: n }, (_, r) => Array.from(values.subarray((k * n + r) * n, (k * n + r + 1) * n)));
  }

  function drawGrid(grid, matrix, cell, map, name) {
    grid.draw({
      rows: matrix.length, columns: matrix.length, cell,
      color: (r, c) => map.color(matrix[r][c]),
      text: (r, c, room) => format(matrix[r][c], room),
      label: `${name}, ${matrix.length} × ${matrix.length}`,
    });
  }

  function draw(now, picture, layer, k, dark) {
    current = [layer, k];
    const { from, maps } = LAYERS[layer];
    if (steps !== stepsOf[maps]) {
      steps?.element.remove();
      bar.append((steps = stepsOf[maps]).element);
    }
    layers.show(Object.keys(LAYERS), layer);
    steps.show(k);
    const convolves = layer.startsWith("conv");
    const seen = layer === "conv1"
      ? Array.from({ length: SIDE }, (_, r) => Array.from(picture.subarray(r * SIDE, (r + 1) * SIDE)))
      : matrixOf(now[from], k);
    const made = matrixOf(now[layer], k);
    const most = (matrix) => Math.max(...matrix.map((row) => Math.max(...row)));
    const map = colorMap(0, most(made), dark);
    source.element.parentElement.hidden = layer === "conv2";
    if (layer !== "conv2") {
      const shared = convolves ? colorMap(0, 255, dark) : colorMap(0, most(seen), dark);
      drawGrid(source, seen, 168 / seen.length, shared, convolves ? "the image" : `map ${k} of ${from}`);
      headings.source.replaceChildren(h("b", {}, convolves ? "image" : `${from}, map ${k}`));
    }
    drawGrid(result, made, 224 / made.length, map, `map ${k} of ${layer}`);
    headings.result.replaceChildren(h("b", {}, `${layer}, map ${k}`));
    legend.draw(map);
    kernelSide.hidden = !convolves;
    const bias = convolves ? digitNetwork().w[`${layer}.bias`][k] : 0;
    if (convolves) drawKernels(now, layer, k, dark);
    say(explain, explained(layer, k, bias, most(made)));
  }

  function drawKernels(now, layer, k, dark) {
    const channels = layer === "conv1" ? 1 : 32;
    const weights = digitNetwork().w[`${layer}.weight`].subarray(9 * channels * k, 9 * channels * (k + 1));
    const top = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
    kernel.element.hidden = channels > 1;
    bank.element.hidden = channels === 1;
    headings.kernel.replaceChildren(h("b", {}, channels === 1 ? "kernel" : "maps of pool1 and their kernels"));
    if (channels > 1) return bank.draw(now.pool1, weights, top, dark);
    const matrix = [0, 3, 6].map((at) => Array.from(weights.subarray(at, at + 3)));
    drawGrid(kernel, matrix, 50, { color: (weight) => signed(weight / top, dark) }, "kernel");
  }

  return { element, draw };
}

/** What has happened to get this map, in a sentence or two. */
function explained(layer, k, bias, most) {
  if (layer.startsWith("pool")) return `Of each 2 × 2 of map ${k} of ${LAYERS[layer].from} the largest stays: a fourth of the numbers.`;
  const what = layer === "conv1"
    ? "The kernel slides over the image, scaled by MNIST's mean and standard deviation"
    : "Each kernel slides over one map of pool1, and the 32 results are added";
  const rest = `; then the bias ${format(bias, 6)} is added, and what is below 0 becomes 0.`;
  return what + rest + (most > 0 ? "" : " Here nothing is left: this map is silent.");
}

/** The 32 maps of pool1, and below them, in the same order, the kernels that one filter of conv2 has for them. */
function makeBank() {
  const canvases = ["32 maps of pool1, in four rows", "32 kernels of 3 × 3, in the same order"].map((label) =>
    h("canvas", { role: "img", "aria-label": label }));
  const boxes = canvases.map((canvas) => h("div", { class: "bank" }, canvas, h("div", { class: "lines" })));
  return {
    element: h("div", {}, ...boxes),
    draw(maps, weights, top, dark) {
      drawMaps(canvases[0], maps, 8);
      Object.assign(canvases[1], { width: 24, height: 12 });
      const pixels = new ImageData(24, 12);
      weights.forEach((weight, at) => {
        const [channel, place] = [Math.floor(at / 9), at % 9];
        const row = 3 * Math.floor(channel / 8) + Math.floor(place / 3);
        pixels.data.set([...signed(weight / top, dark), 255], 4 * (24 * row + 3 * (channel % 8) + (place % 3)));
      });
      canvases[1].getContext("2d").putImageData(pixels, 0, 0);
    },
  };
}

const OWN_STYLE = `
.top { display: flex; flex-wrap: wrap; gap: 14px 18px; justify-content: center; align-items: flex-start; }
.draw { width: 280px; }
.draw .row { margin: 8px 0; gap: 8px; }
.draw .row button { flex: 1; }
.draw .field { display: flex; margin-bottom: 8px; }
.draw select { flex: 1; min-width: 0; }
.shown { width: 136px; }
.switch { cursor: pointer; color: var(--text); line-height: 1.25; align-items: flex-start; }
.switch input {
  appearance: none; flex: none; position: relative; width: 40px; height: 22px; margin: 0; border: 1px solid var(--line);
  border-radius: 11px; background: var(--panel); cursor: pointer;
}
.switch input::before { content: ""; position: absolute; top: 2px; left: 2px; width: 16px; height: 16px; border-radius: 50%; background: var(--line); transition: left 0.12s; }
.switch input:checked { background: var(--action); border-color: var(--action); }
.switch input:checked::before { left: 20px; background: var(--on-action); }
.cards { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 10px; }
.card { margin: 0; padding: 6px 10px; border: 1px solid var(--faint); border-radius: 8px; width: 134px; color: var(--soft); text-align: center; }
.card figcaption { margin: 0; font-size: 13.5px; color: var(--soft); font-family: inherit; }
.card canvas { width: 112px; height: 112px; image-rendering: pixelated; margin: 3px 0; outline: 1px solid var(--faint); }
.card b { display: block; color: var(--text); font-size: 14px; white-space: nowrap; }
.card.chosen { border-color: var(--mark-edge); box-shadow: 0 0 0 3px var(--mark); }
.verdict { flex: 1 1 190px; min-width: 190px; max-width: 330px; }
.answer { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 12px; font-size: 18px; }
.answer b { font-size: 46px; line-height: 1.1; }
.answer .lead { flex-basis: 100%; color: var(--soft); font-size: 15px; }
.bars { width: 100%; margin-top: 6px; border-spacing: 0 1px; table-layout: auto; }
.bars th, .bars td { font-size: 13.5px; text-align: right; font-weight: 400; padding: 0 0 0 8px; height: 21px; line-height: 21px; white-space: nowrap; }
.bars th[scope="row"] { padding: 0; width: 1.4em; text-align: left; }
.bars thead th, .bars thead td { color: var(--soft); font-size: 12.5px; }
.bars thead th:first-child { padding: 0; }
.bars td.bar { width: 100%; padding: 2px 0 2px 4px; }
.bars .fill { display: block; height: 15px; min-width: 1px; background: var(--line); border-radius: 0 3px 3px 0; transition: width 0.12s; }
.bars .best .fill { background: var(--action); }
.bars .best th, .bars .best td { font-weight: 700; }
.bars .logit { color: var(--soft); }
.remark { margin: 12px auto 0; max-width: 70em; }
.shades { margin-top: 12px; padding-top: 12px; border-top: 1px solid var(--faint); }
.layers { margin-top: 10px; display: grid; gap: 10px; justify-content: center; }
.layer .heading { white-space: normal; margin-bottom: 4px; }
.how { margin-left: 0.8em; font-size: 13.5px; }
.atlas { position: relative; cursor: pointer; background: #000; }
.atlas canvas { width: 100%; height: 100%; }
.lines {
  position: absolute; inset: 0; pointer-events: none;
  background: linear-gradient(90deg, rgb(128 136 146 / 0.75) 1px, transparent 1px), linear-gradient(rgb(128 136 146 / 0.75) 1px, transparent 1px);
  background-size: var(--tile) var(--tile); outline: 1px solid rgb(128 136 146 / 0.75);
}
.mark { position: absolute; pointer-events: none; border-radius: 2px; box-shadow: 0 0 0 2.5px var(--mark), 0 0 0 4px var(--mark-edge); }
.strip { overflow: hidden; width: max-content; max-width: 100%; outline: 1px solid var(--faint); }
.strip canvas { image-rendering: pixelated; }
.large { margin-top: 14px; padding-top: 12px; border-top: 1px solid var(--faint); }
.large .note { margin-top: 6px; min-height: 2.8em; }
.parts { display: flex; flex-wrap: wrap; gap: 14px 30px; align-items: center; justify-content: center; margin-top: 8px; }
.large .heading { white-space: normal; }
.bank { position: relative; width: 224px; height: 112px; margin-bottom: 8px; --tile: 28px; }
.bank canvas { width: 100%; height: 100%; image-rendering: pixelated; }
@container (max-width: 641px) { .shown { order: 1; width: 280px; } }
@container (max-width: 510px) { /* one below the other: the answer follows the surface, and stays in sight while one draws */
  .top { flex-direction: column; align-items: center; gap: 10px; }
  .draw, .verdict { display: contents; }
  .draw > :not(.surface), .bars { order: 1; width: 280px; margin: 0; }
  .answer { width: 280px; justify-content: center; text-align: center; }
  .shown { order: 2; }
}
@container (max-width: 430px) {
  .parts { gap: 12px 16px; }
  .how { display: block; margin-left: 0; }
}
@media (pointer: coarse) { .switch { min-height: 44px; align-items: center; } }
@media (prefers-reduced-motion: reduce) { .bars .fill, .switch input::before { transition: none; } }
@media (forced-colors: active) { .mark, .cross, .card.chosen { border: 3px solid Highlight; } .bars .fill { border-top: 15px solid CanvasText; } .switch input { appearance: auto; } .switch input::before { content: none; } }
`;

export { FIELDS };
export default { render };
