// The generate playground: a point on a plane of two numbers, and the digit that the decoder of chapter 15's autoencoder
// paints from them.
//
// The decoder is the first part. Its weights come from cnnlib/pretrained: decoder_data.js is no file, files.py makes it.

import { STYLE, chooser, format, h, isDark, readMatrix, say, textField } from "./base.js";
import { arrows, begin, follow, inWords, keepInStep, mount, steer } from "./window.js";
import { DECODER } from "./decoder_data.js";
import { SIDE, dense, drawLevels, readWeights } from "./mnist.js";

// The decoder

let decoder; // its weights, once they are read

const relu = (values) => values.map((value) => Math.max(0, value));

/**
 * Each number paints a 4 x 4 kernel for each filter, every second pixel, and the outermost ring is cut off:
 * torch.nn.ConvTranspose2d(channels, filters, 4, stride=2, padding=1).
 * @param {Float32Array} weights (channels, filters, 4, 4) @returns {Float64Array} (filters, 2 side, 2 side)
 */
function paintMaps(values, side, weights, biases) {
  const [filters, wide] = [biases.length, 2 * side];
  const answer = new Float64Array(filters * wide * wide);
  for (let f = 0; f < filters; f++) answer.fill(biases[f], f * wide * wide, (f + 1) * wide * wide);
  for (const [number, value] of values.entries()) {
    if (value === 0) continue; // ReLU leaves many
    const [c, place] = [Math.floor(number / side ** 2), number % side ** 2];
    const [top, left] = [2 * Math.floor(place / side) - 1, 2 * (place % side) - 1];
    for (let f = 0; f < filters; f++) {
      for (let k = Math.max(0, -top); k < 4 && top + k < wide; k++) {
        const [from, to] = [16 * (c * filters + f) + 4 * k, (f * wide + top + k) * wide + left];
        for (let l = Math.max(0, -left); l < 4 && left + l < wide; l++) answer[to + l] += value * weights[from + l];
      }
    }
  }
  return answer;
}

/** The image that the decoder paints from two numbers: 28 x 28, from 0 to 1. @param {[number, number]} codes */
function decode(codes) {
  const w = (decoder ??= readWeights(DECODER));
  const small = relu(dense(codes, w["decoder.0.weight"], w["decoder.0.bias"])); // 32 maps of 7 x 7
  const middle = relu(paintMaps(small, SIDE / 4, w["decoder.3.weight"], w["decoder.3.bias"])); // 16 of 14 x 14
  return paintMaps(middle, SIDE / 2, w["decoder.5.weight"], w["decoder.5.bias"]).map((value) => 1 / (1 + Math.exp(-value)));
}

/** As levels of gray, 0 to 255. */
const levelsOf = (image) => Uint8Array.from(image, (value) => 255 * value + 0.5);

// The plane

const REACH = 3; // it goes from -3 to 3 in both directions
const TILES = 13; // digits in a row of the map

const clamp = (value) => Math.min(REACH, Math.max(-REACH, Math.round(100 * value) / 100 || 0));

/** The codes nearest to a point, the nearest first: [distance, class]. @param {number[][]} codes  x, y, class each */
const nearest = (codes, [x, y], count = 5) =>
  codes.map(([a, b, digit]) => [Math.hypot(a - x, b - y), digit]).sort((a, b) => a[0] - b[0]).slice(0, count);

function readPoint(text) {
  const numbers = text.split(",").map(Number);
  return numbers.length === 2 && numbers.every(Number.isFinite) ? numbers.map(clamp) : undefined;
}

const SHOWN = { nothing: "nothing", map: "decoded digits", codes: "codes of images" };

/** Attributes of <cnn-generate>, which are also the settings in the address, but for the codes. */
const FIELDS = {
  at: { read: readPoint, write: (at) => at.map(clamp).join(), start: [0, 0] },
  show: { read: (text) => (Object.hasOwn(SHOWN, text) ? text : undefined), write: String, start: "nothing" },
  codes: { read: (text) => readMatrix(text, 1000), start: [] },
  controls: { ...textField, start: "show" },
  label: { ...textField, start: "Digits from two numbers" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const { controls, read, set } = begin(model, ["at", "show", "codes"]);
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);

  const move = (point) => set({ at: point.map(clamp) });
  view.connect({
    move,
    moveBy: (rows, columns) => move([model.get("at")[0] + 0.1 * columns, model.get("at")[1] - 0.1 * rows]),
    show: (show) => set({ show }),
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const state = read();
    const at = state.at.map(clamp);
    view.draw({ ...state, at, image: decode(at) });
  }

  const end = keepInStep({ model, host, update: draw, draw });
  return () => {
    view.stop();
    end();
  };
}

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const map = makeMap();
  const numerals = makeNumerals();
  const handle = h("div", {
    class: "handle", tabindex: 0, role: "slider", "aria-label": "point", "aria-describedby": "hint", "aria-valuemin": -REACH, "aria-valuemax": REACH,
  });
  const tick = (side, value) => h("span", { class: side, style: `--at:${(value + REACH) / (2 * REACH)}` }, format(value));
  const ticks = [-REACH, 0, REACH].flatMap((value) => [tick("x", value), tick("y", value)]);
  const plane = h("div", { class: "plane" }, map.element, numerals.element, handle);
  const picture = h("canvas", { role: "img", "aria-label": `decoded image, ${SIDE} × ${SIDE} pixels` });
  const numbers = h("p", { class: "numbers" });
  const near = h("p", { class: "near" });
  const grays = h("p", { class: "note" });
  const words = h("p", { class: "unseen", role: "status" });
  const pick = chooser("on the plane", (name) => act.show(Object.keys(SHOWN).find((key) => SHOWN[key] === name)));

  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    controls.has("show") ? h("div", { class: "row" }, pick.element) : null,
    h("div", { class: "sides" },
      h("div", { class: "axes" }, plane, h("div", { "aria-hidden": "true" }, ...ticks)),
      h("div", { class: "result" }, h("p", { class: "heading" }, h("b", {}, "decoded image"), ` ${SIDE} × ${SIDE}`), picture, numbers, near, grays)),
    h("p", { class: "note", id: "hint" }, "Drag the point, or focus it and use the arrow keys. The first number grows to the right, the second one upward."),
    words);

  function connect(actions) {
    act = actions;
    steer(handle, arrows(act.moveBy));
    follow(plane, handle, { focus: handle, move: (x, y) => act.move([x, plane.clientHeight - y].map((k) => REACH * ((2 * k) / plane.clientWidth - 1))) });
  }

  function draw({ at, show, codes, image }) {
    root.classList.toggle("dark", isDark(root.getRootNode().host));
    pick.show(Object.keys(SHOWN).filter((key) => key !== "codes" || codes.length).map((key) => SHOWN[key]), SHOWN[show]);
    map.show(show === "map");
    numerals.draw(show === "codes" ? codes : []);
    const [x, y] = at.map((value) => (100 * (value + REACH)) / (2 * REACH));
    Object.assign(handle.style, { left: `${x}%`, bottom: `${y}%` });
    drawLevels(picture, SIDE, SIDE, levelsOf(image));
    const texts = at.map((value) => value.toFixed(2).replace("-", "\u2212"));
    handle.setAttribute("aria-valuenow", at[0]);
    handle.setAttribute("aria-valuetext", inWords(texts.join(", ")));
    say(numbers, `(${texts.join(", ")})`);
    const between = image.filter((value) => value > 0.1 && value < 0.9).length;
    say(grays, `${between} of ${image.length} pixels are gray, from 0.1 to 0.9.`);
    const found = nearest(codes, at);
    say(near, found.length ? `The nearest of ${codes.length} images: ${found.map(([, digit]) => digit).join(", ")}. The first is ${found[0][0].toFixed(2)} away.` : "");
    say(words, `Numbers ${inWords(texts.join(" and "))}. ${near.textContent} ${grays.textContent}`);
  }

  return { root, connect, draw, stop: () => map.show(false) };
}

/** What the decoder paints all over the plane: a picture of digits, made a row a frame when it is first asked for. */
function makeMap() {
  const element = h("canvas", { role: "img", "aria-label": `${TILES} × ${TILES} decoded digits, from all over the plane` });
  const wide = TILES * SIDE;
  const levels = new Uint8Array(wide * wide);
  let [rows, frame] = [0, 0]; // rows that are painted, and the frame in which the next one is

  function paintRow() {
    const place = (k) => REACH * ((2 * k + 1) / TILES - 1);
    for (let column = 0; column < TILES; column++) {
      const tile = levelsOf(decode([place(column), -place(rows)]));
      for (let r = 0; r < SIDE; r++) levels.set(tile.subarray(r * SIDE, (r + 1) * SIDE), (rows * SIDE + r) * wide + column * SIDE);
    }
    rows++;
    drawLevels(element, wide, wide, levels);
    frame = rows < TILES ? requestAnimationFrame(paintRow) : 0;
  }

  return {
    element,
    show(shown) {
      element.hidden = !shown;
      cancelAnimationFrame(frame);
      frame = shown && rows < TILES ? requestAnimationFrame(paintRow) : 0;
    },
  };
}

/** Each code as its class, written where it lies; what lies beyond the plane is not seen. */
function makeNumerals() {
  const make = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const element = make("svg", { class: "numerals", viewBox: [-REACH, -REACH, 2 * REACH, 2 * REACH], "aria-hidden": "true" });
  let shown = [];
  return {
    element,
    draw(codes) {
      if (codes !== shown) element.replaceChildren(...codes.map(([x, y, digit]) => make("text", { x, y: -y }, String(digit))));
      shown = codes;
    },
  };
}

const OWN_STYLE = `
[hidden] { display: none !important; }
canvas { display: block; }
.sides { display: flex; flex-wrap: wrap; gap: 14px 30px; margin: 12px 0 8px; align-items: center; justify-content: center; }
.axes { position: relative; padding: 0 0 22px 26px; color: var(--soft); font-size: 12.5px; }
.plane {
  position: relative; width: var(--plane); height: var(--plane); --plane: min(364px, calc(100cqw - 60px)); outline: 1px solid var(--line); border-radius: 3px;
  background: linear-gradient(var(--faint), var(--faint)) 50% 0 / 1px 100% no-repeat, linear-gradient(var(--faint), var(--faint)) 0 50% / 100% 1px no-repeat, var(--panel);
  touch-action: pan-y; cursor: crosshair;
}
.plane canvas, .numerals { position: absolute; inset: 0; width: 100%; height: 100%; }
.numerals { fill: var(--text); font-size: 0.22px; text-anchor: middle; dominant-baseline: central; overflow: hidden; }
.axes .x { position: absolute; bottom: 0; left: calc(26px + var(--at) * (100% - 26px)); transform: translateX(-50%); }
.axes .y { position: absolute; left: 0; width: 20px; text-align: right; bottom: calc(22px + var(--at) * (100% - 22px)); transform: translateY(50%); }
.handle {
  position: absolute; width: 22px; height: 22px; margin: 0 0 -11px -11px; border-radius: 50%; cursor: grab; touch-action: none;
  border: 4px solid var(--mark); box-shadow: 0 0 0 2px var(--mark-edge), inset 0 0 0 2px var(--mark-edge); outline-offset: 5px;
}
.handle:active { cursor: grabbing; }
.handle::before { content: ""; position: absolute; inset: -15px; }
.result canvas { width: 252px; height: 252px; image-rendering: pixelated; outline: 1px solid var(--line); border-radius: 3px; }
.result { width: 252px; }
.numbers { font-weight: 600; font-size: 19px; margin-top: 8px; }
.near { margin: 2px 0; }
@container (max-width: 480px) {
  .result { width: 100%; display: grid; grid-template: auto / 168px 1fr; grid-auto-rows: min-content; column-gap: 12px; }
  .result .heading { grid-column: 1 / 3; }
  .result canvas { grid-row: 2 / 6; width: 168px; height: 168px; }
  .numbers { margin: 0; }
}
@media (forced-colors: active) { .handle { border-color: Highlight; } }
`;

export { FIELDS, decode, nearest };
export default { render };
