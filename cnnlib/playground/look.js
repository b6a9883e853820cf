// Where does it look? Cover parts of a digit and see the logit fall; a square slides, and the occlusion map builds; beside it the saliency map.
//
// The networks are in mnist.js. Here are the slopes of their logits, back to the pixels, and what covers an image.

import { STYLE, chooser, colorMap, format, h, isDark, makeGrid, makeLegend, say, stepper, textField, turn, wholeNumber } from "./base.js";
import { button, keepInStep, mount, outputSize } from "./window.js";
import { NETWORK } from "./digit_data.js";
import { EXAMPLES } from "./digit_examples.js";
import { SIDE, SURFACE_STYLE, correlate, digitNetwork, forward, likeMnist, makeFrame, makeSurface, paintLevels, percent, percentInWords, readWeights, verdict } from "./mnist.js";

// Slopes

/** The gradient before a dense layer: each input collects what its weights pass back. */
function carryBack(dy, weights) {
  const dx = new Float32Array(weights.length / dy.length);
  for (let f = 0, at = 0; f < dy.length; f++)
    for (let k = 0; k < dx.length; k++, at++) dx[k] += dy[f] * weights[at];
  return dx;
}

/** The gradient before the pooling of these maps: it goes to the largest of each 2 x 2, the first one if several are equal. */
function unpool(dy, { values, side }) {
  const [half, dx] = [side / 2, new Float32Array(values.length)];
  for (let j = 0; j < dy.length; j++) {
    const corner = 2 * Math.floor(j / half) * side + 2 * (j % half);
    let winner = corner;
    for (const at of [corner + 1, corner + side, corner + side + 1]) if (values[at] > values[winner]) winner = at;
    dx[winner] = dy[j];
  }
  return dx;
}

/** The gradient before ReLU and the convolution that made these maps: a convolution with turned kernels. */
function convolveBack(dy, { values, channels, side }, weights) {
  const open = dy.map((slope, k) => (values[k] > 0 ? slope : 0));
  const inputs = weights.length / (9 * channels);
  return correlate({ values: open, channels, side }, turn(weights, channels, inputs), new Float32Array(inputs)).values;
}

/**
 * How fast one logit changes with each pixel of the scaled image, in logits per unit of it.
 * @param found what `forward` found @param {number} target the logit's class @returns {Float32Array} 28 x 28
 */
function slopes({ conv1, conv2, pool2, fc1 }, target, { w }) {
  const rowOf = (weights) => weights.subarray((target * weights.length) / 10, ((target + 1) * weights.length) / 10);
  let dy;
  if (fc1) {
    const open = rowOf(w["fc2.weight"]).map((slope, k) => (fc1[k] > 0 ? slope : 0));
    dy = unpool(carryBack(open, w["fc1.weight"]), conv2, pool2);
  } else {
    const row = rowOf(w["fc.weight"]);
    const share = conv2.values.length / row.length; // of each mean 14 x 14 numbers have an equal part
    dy = Float32Array.from(conv2.values, (_, k) => row[Math.floor(k / share)] / share);
  }
  dy = unpool(convolveBack(dy, conv2, w["conv2.weight"]), conv1);
  return convolveBack(dy, conv1, w["conv1.weight"]);
}

// What covers an image

const PIXELS = SIDE * SIDE;
const NOTHING = "0".repeat(PIXELS / 4);

/** Which pixels are covered, from the text that holds four of them in each digit, and back. */
const readCover = (text) => Uint8Array.from({ length: PIXELS }, (_, k) => (parseInt(text[k >> 2] ?? "0", 16) >> (3 - (k & 3))) & 1);
const writeCover = (cover) =>
  NOTHING.replace(/0/g, (_, at) => cover.subarray(4 * at, 4 * at + 4).reduce((sum, bit) => 2 * sum + bit, 0).toString(16));

/** Where a square goes whose middle is asked for at this place: it stays on the image. */
const corner = (middle, size) => Math.min(SIDE - size, Math.max(0, Math.ceil(middle - size / 2 - 0.5)));

/** Sets the pixels of a square to a value. */
function fillSquare(pixels, top, left, size, value) {
  for (let r = top; r < top + size; r++) pixels.fill(value, r * SIDE + left, r * SIDE + left + size);
}

/** Chapter 11's clue: a white patch of 2 x 2 in rows 1 and 2, whose column tells a class. */
function plant(picture, told) {
  const planted = picture.slice();
  if (told >= 0) fillSquare(planted, 1, 4 + 2 * told, 2, 255);
  return planted;
}

/** By how much a logit falls when a square is covered with this level of gray. */
function fallAt(number, { picture, network, target, before, size, stride, fill }) {
  const columns = outputSize(SIDE, size, { stride });
  const covered = picture.slice();
  fillSquare(covered, stride * Math.floor(number / columns), stride * (number % columns), size, fill);
  return before.logits[target] - forward(covered, network).logits[target];
}

/** All that is asked of one image: the network's answer, the logit that is looked at, its slopes, and the falls, which are still to be measured. */
function inquire({ picture, network, target, size, stride, fill }) {
  const before = forward(picture, network);
  const asked = target < 0 ? verdict(before).digit : target;
  const falls = new Array(outputSize(SIDE, size, { stride }) ** 2).fill(null);
  return { picture, network, target: asked, size, stride, fill, before, falls, slopes: slopes(before, asked, network) };
}

// The state

const FILLS = { black: 0, gray: 128, white: 255 };
const SLICE = 6; // milliseconds of work in a frame
const FRAMES = 200; // that a square takes at least on its way over the whole image, unless one wants no motion

/** @returns {import("./mnist.js").Network} */
const ownNetwork = (own, mean, std) => ({ w: readWeights(own), mean, std });
const finite = (start) => ({ read: (text) => (Number.isFinite(Number(text)) ? Number(text) : undefined), start });
const digitOrNone = { read: (text) => (/^(-1|\d)$/.test(text) ? Number(text) : undefined), write: String, start: -1 };
const readPixels = (text) => {
  const levels = text.split(" ").map(Number);
  return levels.length === PIXELS && levels.every((level) => level >= 0 && level <= 255) ? levels : undefined;
};

/** Attributes of <cnn-look>, which are also the settings in the address, but for what is the learner's own. */
const FIELDS = {
  example: { read: (text) => (Object.hasOwn(EXAMPLES, text) ? text : undefined), write: (name) => name, start: "" },
  patch: digitOrNone,
  reader: { read: (text) => (["digits", "own"].includes(text) ? text : undefined), write: (name) => name, start: "digits" },
  target: digitOrNone,
  size: { ...wholeNumber(1, 14), start: 4 },
  stride: { ...wholeNumber(1, 14), start: 2 },
  fill: { ...wholeNumber(0, 255), start: 0 },
  painted: { read: (text) => (/^([0-9a-f]{196})?$/.test(text) ? text : undefined), write: (text) => text || NOTHING, start: "" },
  pixels: { read: readPixels, start: null },
  own: { ...textField, start: "" },
  called: { ...textField, start: "your network" },
  mean: finite(0),
  std: finite(1),
  controls: { ...textField, start: "image patch reader target size stride fill" },
  label: { ...textField, start: "Where does it look?" },
};
const ASKED = ["example", "pixels", "patch", "reader", "own", "mean", "std", "target", "size", "stride", "fill"];

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const view = makeView(new Set(model.get("controls").split(/\s+/)), model.get("label"));
  const host = mount(el, view.root, STYLE + SURFACE_STYLE + OWN_STYLE);
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  let settings = {};
  let inquiry; // the image, the network, and what was asked of it
  let own; // the learner's network, once it is read
  let next = 0; // the place of the square that is measured next
  let running = 0; // the animation frame that goes on with it
  let cover = readCover(""); // which pixels the reader has covered
  let brush = null; // where the brush was last, while it is down
  let earlier = []; // covers before each stroke
  const frame = makeFrame(draw);
  let now = null; // what the network finds in what it is shown, unless that has changed

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  /** What the network is shown: the image with what the reader has covered. */
  const shown = () => inquiry.picture.map((level, k) => (cover[k] ? settings.fill : level));

  function paintTo([x, y]) {
    const [fromX, fromY] = brush;
    const steps = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY)));
    for (let k = 1; k <= steps; k++) {
      const [atX, atY] = [fromX + ((x - fromX) * k) / steps, fromY + ((y - fromY) * k) / steps];
      fillSquare(cover, corner(atY, settings.size), corner(atX, settings.size), settings.size, 1);
    }
    brush = [x, y];
    now = null;
    frame.soon();
  }

  /** Tells the model what is covered now, and what the network answers. */
  function keep() {
    brush = null;
    now = forward(shown(), inquiry.network);
    set({ painted: cover.some(Boolean) ? writeCover(cover) : "", logits: [inquiry.before, now].map(({ logits }) => [...logits]) });
    frame.soon();
  }

  const rows = (values, columns) => Array.from({ length: values.length / columns }, (_, r) => [...values.slice(r * columns, (r + 1) * columns)]);

  /** Tells the model what was measured. */
  const keepMaps = () => set({ slopes: rows(inquiry.slopes.map(Math.abs), SIDE), falls: rows(inquiry.falls, Math.sqrt(inquiry.falls.length)) });

  /** Measures some places, for no longer than a slice of time. */
  function measure(most) {
    const until = performance.now() + SLICE;
    for (let k = 0; k < most && next < inquiry.falls.length; k++) {
      inquiry.falls[next] = fallAt(next, inquiry);
      next++;
      if (performance.now() > until) break;
    }
  }

  function slide() {
    const fresh = next === 0;
    measure(still.matches ? Infinity : Math.ceil(inquiry.falls.length / FRAMES));
    if (next === inquiry.falls.length) return pause();
    running = requestAnimationFrame(slide);
    if (still.matches) return;
    if (fresh) draw();
    else view.slide({ ...inquiry, next, running: true });
  }

  function pause() {
    cancelAnimationFrame(running);
    running = 0;
    keepMaps();
    draw();
  }

  view.connect({
    set: (name, value) => set({ [name]: value }),
    down(point) {
      earlier.push(cover.slice());
      brush = point;
      paintTo(point);
    },
    move: (points) => points.forEach(paintTo),
    up: () => brush && keep(),
    isDown: () => brush !== null,
    undo() {
      if (!earlier.length) return;
      cover = earlier.pop();
      keep();
    },
    clear() {
      if (cover.some(Boolean)) earlier.push(cover);
      cover = readCover("");
      keep();
    },
    main() {
      if (running) return pause();
      if (next === inquiry.falls.length) restart();
      running = requestAnimationFrame(slide);
      draw();
    },
    step() {
      if (running) return pause();
      if (next === inquiry.falls.length) restart();
      measure(1);
      pause();
    },
  });

  function restart() {
    cancelAnimationFrame(running);
    [running, next] = [0, 0];
    inquiry = inquire(inquiry);
  }

  /** The model has changed: if it asks for something else, everything is asked afresh. */
  function update() {
    const wanted = Object.fromEntries([...ASKED, "painted", "called"].map((name) => [name, model.get(name)]));
    wanted.pixels = wanted.pixels?.flat().join(" ") ?? ""; // a text can be compared
    const before = settings;
    settings = wanted;
    if (brush === null) cover = readCover(wanted.painted);
    if (wanted.own && (wanted.own !== before.own || wanted.mean !== before.mean || wanted.std !== before.std)) own = ownNetwork(wanted.own, wanted.mean, wanted.std);
    if (ASKED.some((name) => wanted[name] !== before[name])) {
      const drawing = EXAMPLES[wanted.example] ?? (wanted.pixels ? null : EXAMPLES["7"]);
      const picture = plant(drawing ? likeMnist(drawing) : Uint8Array.from(wanted.pixels.split(" "), Number), wanted.patch);
      inquiry = { ...wanted, picture, network: wanted.reader === "own" && own ? own : digitNetwork() };
      restart();
    }
    now = null;
    frame.soon();
  }

  function draw() {
    frame.cancel();
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    now ??= forward(shown(), inquiry.network);
    view.draw({ ...settings, ...inquiry, asked: settings.target, cover, next, running: running > 0, painting: brush !== null, now });
  }

  const leave = keepInStep({ model, host, update, draw });
  return () => {
    cancelAnimationFrame(running);
    frame.cancel();
    leave();
  };
}

/** A logit, or by how much one fell, with one decimal. */
const tenth = (value) => (Math.round(10 * value) / 10 || 0).toFixed(1).replace("-", "\u2212");
const fell = (fall) => (Math.abs(fall) < 0.05 ? "stays" : `${fall > 0 ? "falls" : "rises"} by ${tenth(Math.abs(fall))}`);

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  let mapPixel = 9; // of the maps, in pixels of the page
  let called; // the learner's network, by name
  const digits = Array.from({ length: 10 }, (_, digit) => String(digit));
  const whole = (name, title) => {
    const one = stepper(title, 1, 14, (value) => one.allows(value) && act.set(name, value));
    return one;
  };
  const numberOf = (text) => (digits.includes(text) ? Number(text) : -1);
  const choices = {
    image: chooser("image", (name) => act.set("example", Object.hasOwn(EXAMPLES, name) ? name : "")),
    patch: chooser("patch for", (text) => act.set("patch", numberOf(text))),
    reader: chooser("network", (name) => act.set("reader", name === called ? "own" : "digits")),
    target: chooser("logit of", (text) => act.set("target", numberOf(text))),
    size: whole("size", "square"),
    stride: whole("stride", "stride"),
    fill: chooser("covered with", (name) => act.set("fill", FILLS[name] ?? Number(name))),
  };
  const main = button("Slide", () => act.main(), { class: "main" });
  const [surface, square] = [makeSurface("the image, to be covered", { down: "covering", moving: "covering" }), h("div", { class: "square" })];
  surface.element.append(square);
  const [heading, change, answer, bar] = [h("p", { class: "heading" }), h("p", { class: "change" }), h("p", { class: "answer" }), h("span", { class: "now" })];
  const maps = { occlusion: makeMap("occlusion", "logits"), saliency: makeMap("saliency", "slopes") };
  const [words, progress, about] = [h("p", { class: "unseen", role: "status" }), h("p", { class: "note progress" }), h("p", { class: "note about" })];
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, ...Object.keys(choices).filter((name) => controls.has(name)).map((name) => choices[name].element)),
    h("div", { class: "sides" },
      h("div", { class: "paint" }, heading, surface.element),
      h("div", { class: "reading" },
        change, h("div", { class: "bar", "aria-hidden": "true" }, bar), answer,
        h("div", { class: "row" }, button("Uncover", () => act.clear()), button("Undo", () => act.undo())),
        h("p", { class: "note", id: "keys" }, "Cover with mouse or finger. Or by keyboard: arrow keys move the square, the space bar sets and lifts it, Delete uncovers."))),
    h("div", { class: "sides" }, maps.occlusion.element, maps.saliency.element),
    h("div", { class: "row" }, main, button("Step", () => act.step()), progress),
    words, about);

  function connect(actions) {
    act = actions;
    surface.connect(act, (text) => say(words, text));
  }

  function draw(state) {
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    called = state.called;
    const wide = root.clientWidth - 30;
    const pixel = wide >= 560 ? 9 : 10; // of the image, in pixels of the page
    mapPixel = wide >= 560 ? 9 : 4.75;
    root.style.setProperty("--image", `${SIDE * pixel}px`);
    drawControls(state);
    drawImage(state);
    drawSquare(state);
    drawReading(state);
    drawMaps(state, dark);
    if (!state.painting && !state.running) say(words, spoken(state));
  }

  function drawControls({ example, pixels, patch, reader, own, asked, size, stride, fill, running, next, falls, called: name }) {
    choices.image.show([...(pixels ? ["as given"] : []), ...Object.keys(EXAMPLES)], example || (pixels ? "as given" : "7"));
    choices.patch.show(["none", ...digits], patch < 0 ? "none" : String(patch));
    choices.reader.element.hidden = !own;
    choices.reader.show(["chapter 08's", name], reader === "own" && own ? name : "chapter 08's");
    choices.target.show(["its answer", ...digits], asked < 0 ? "its answer" : String(asked));
    choices.size.show(size);
    choices.stride.show(stride);
    const names = Object.keys(FILLS);
    const known = names.find((one) => FILLS[one] === fill);
    choices.fill.show([...names, ...(known ? [] : [String(fill)])], known ?? String(fill));
    surface.setBrush(size);
    say(main, running ? "Pause" : next === falls.length ? "Again" : next ? "Go on" : "Slide");
  }

  /** The square has moved on: only it and its map are drawn. */
  function slide(state) {
    drawSquare(state);
    drawOcclusion(state, root.classList.contains("dark"));
  }

  function drawImage({ picture, cover, fill }) {
    heading.replaceChildren(h("b", {}, "image"), " cover parts of it");
    surface.draw((pen) => {
      paintLevels(pen, picture.map((level, k) => (cover[k] ? fill : level)));
      pen.fillStyle = getComputedStyle(root).getPropertyValue("--beam").trim().replace(")", " / 0.45)");
      cover.forEach((on, k) => on && pen.fillRect(k % SIDE, Math.floor(k / SIDE), 1, 1));
    });
  }

  function drawSquare({ size, stride, falls, next, running }) {
    square.hidden = !next || (!running && next === falls.length);
    if (square.hidden) return;
    const columns = Math.sqrt(falls.length);
    const [top, left] = [Math.floor((next - 1) / columns), (next - 1) % columns].map((place) => `${(100 * place * stride) / SIDE}%`);
    Object.assign(square.style, { top, left, width: `${(100 * size) / SIDE}%`, height: `${(100 * size) / SIDE}%` });
  }

  function drawReading({ target, before, now, cover }) {
    const [first, logit] = [before.logits[target], now.logits[target]];
    change.replaceChildren(h("span", {}, `logit of ${target}`), h("b", {}, tenth(logit)), h("span", {}, cover.some(Boolean) ? `uncovered ${tenth(first)}: it ${fell(first - logit)}` : "nothing is covered"));
    bar.style.width = `${100 * Math.min(1, Math.max(0, logit / Math.max(first, logit, 1)))}%`;
    const { digit, probability } = verdict(now);
    say(answer, `The network says ${digit}, ${percent(probability)}.`);
  }

  function drawOcclusion({ falls, size, stride, next }, dark) {
    const columns = Math.sqrt(falls.length);
    const most = falls.slice(0, next).reduce((top, fall) => Math.max(top, Math.abs(fall)), 0);
    maps.occlusion.draw({
      columns, pixel: mapPixel, cell: stride * mapPixel, offset: ((size - stride) / 2) * mapPixel, values: falls,
      map: colorMap(-(most || 1), 0, dark), shown: next > 0, text: `by how much the logit falls, ${next} of ${falls.length} places`,
    });
    const last = next === falls.length ? `; the largest fall ${tenth(Math.max(...falls))}` : next ? `; fall ${tenth(falls[next - 1])}` : "; both maps appear as the square slides";
    say(progress, `${next} of ${falls.length} places${last}`);
  }

  function drawMaps(state, dark) {
    const { slopes, next, reader, own, called: name } = state;
    drawOcclusion(state, dark);
    const sizes = Array.from(slopes, (slope) => (next ? Math.abs(slope) : null)); // neither map answers before the reader asks
    maps.saliency.draw({
      columns: SIDE, pixel: mapPixel, cell: mapPixel, offset: 0, values: sizes,
      map: colorMap(0, Math.max(...sizes), dark), shown: next > 0, text: "size of the logit's slope at each pixel",
    });
    const trained = reader === "own" && own ? `${name} reads the image`
      : `Chapter 08's network, trained on ${NETWORK.trained_on.replace("mnist", "MNIST")}, reads the image`;
    say(about, `${trained}. Occlusion: red where the logit falls when the square is there, blue where it rises. Saliency: how fast the logit changes with each pixel, up or down, in logits per unit of the scaled image. Both maps are of the uncovered image, each on its own scale.`);
  }

  return { root, connect, draw, slide };
}

/** A map with its scale, laid out over 28 x 28 pixels of the image, so that its cells stand where they belong. */
function makeMap(name, unit) {
  const [grid, legend] = [makeGrid("map"), makeLegend()];
  const frame = h("div", { class: "frame" }, grid.element);
  return {
    element: h("div", { class: "side" }, h("p", { class: "heading" }, h("b", {}, name), ` ${unit}`), frame, legend.element),
    draw({ columns, pixel, cell, offset, values, map, shown, text }) {
      Object.assign(frame.style, { width: `${SIDE * pixel}px`, height: `${SIDE * pixel}px` });
      Object.assign(grid.element.style, { left: `${offset}px`, top: `${offset}px` });
      const color = (r, c) => (values[r * columns + c] === null ? null : map.color(values[r * columns + c]));
      grid.draw({ rows: columns, columns, cell, numbersFrom: Infinity, color, label: `${name} map, ${columns} × ${columns}: ${text}` });
      legend.element.style.visibility = shown ? "visible" : "hidden";
      legend.draw({ ...map, low: Number(map.low.toPrecision(3)), high: Number(map.high.toPrecision(3)) });
    },
  };
}

/** What a screen reader is told: the logit, the answer, and the map once it is complete. */
function spoken({ target, before, now, falls, next, size, stride }) {
  const { digit, probability } = verdict(now);
  const reading = `logit of ${target}: ${tenth(now.logits[target])}, uncovered ${tenth(before.logits[target])}. The network says ${digit}, ${percentInWords(probability)}.`;
  if (next < falls.length) return reading;
  const [columns, top] = [Math.sqrt(falls.length), falls.indexOf(Math.max(...falls))];
  const [row, column] = [Math.floor(top / columns), top % columns].map((place) => place * stride);
  return `${reading} The logit ${fell(falls[top])} with the square of ${size} at row ${row}, column ${column}: the most of all ${falls.length} places.`;
}

const OWN_STYLE = `
.row { margin-bottom: 8px; }
.sides { display: flex; flex-wrap: wrap; gap: 14px 24px; margin: 8px 0 12px; }
.surface { width: var(--image); height: var(--image); }
.surface .cross { width: calc(var(--brush) * 100% / 28); height: calc(var(--brush) * 100% / 28); margin: 0; transform: translate(-50%, -50%); border-radius: 0; }
.surface .cross.down { background: none; }
.square { position: absolute; pointer-events: none; box-shadow: 0 0 0 2px var(--mark), 0 0 0 3.5px var(--mark-edge); }
.reading { flex: 1 1 200px; min-width: 190px; max-width: 280px; align-self: center; }
.reading .row { margin: 12px 0; }
.change b { display: block; font-size: 38px; line-height: 1.2; }
.change { color: var(--soft); }
.change b, .answer { color: var(--text); }
.bar { height: 14px; margin: 6px 0 8px; border: 1px solid var(--line); border-radius: 3px; background: var(--panel); }
.bar .now { display: block; height: 100%; background: var(--action); transition: width 0.12s; }
.legend .bar { height: 10px; margin: 0; }
.frame { position: relative; overflow: hidden; outline: 1px solid var(--line); border-radius: 3px; background: repeating-linear-gradient(45deg, transparent 0 5px, var(--faint) 5px 6px); }
.frame .grid { position: absolute; outline: none; background: none; }
.about { margin-top: 4px; max-width: 70em; }
@container (max-width: 589px) {
  .sides { justify-content: center; gap: 14px; }
  .side { width: 133px; }
  .legend { font-size: 12px; gap: 4px; }
  .legend .bar { width: 40px; }
}
@media (prefers-reduced-motion: reduce) { .bar .now { transition: none; } }
@media (forced-colors: active) { .square, .surface .cross { border: 3px solid Highlight; } .bar .now { border-top: 14px solid CanvasText; } }
`;

export { FIELDS, fallAt, inquire, ownNetwork, plant, readCover, writeCover };
export default { render };
