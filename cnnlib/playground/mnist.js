// Digits drawn in the page: from strokes to an image like MNIST's, the networks that read it, and the surface one draws on.
//
// All in plain loops. The weights come from cnnlib/pretrained: digit_data.js is no file, files.py makes it when a
// playground is put together.

import { h } from "./base.js";
import { NETWORK } from "./digit_data.js";

/** @typedef {[number, number]} Point  x to the right, y down, in pixels of an image of 28 x 28 */
/** @typedef {Point[][]} Strokes */
/** @typedef {{ values: Float32Array, channels: number, side: number }} Maps  channels one after the other, rows within */
/** @typedef {{ w: Object<string, Float32Array>, mean: number, std: number }} Network  weights by name, and how pixels from 0 to 1 are scaled */

// From strokes to an image

const SIDE = 28; // pixels: of an MNIST image
const BOX = 20; // of the longer side of a digit in it
const PEN = 2.7; // how wide the pen is: our ten digits then hold as much ink as MNIST's, 13 % of the image
const FINE = 4; // each pixel is looked at in 4 x 4 places: covered by ink or not

/**
 * Draw strokes with a round pen on 28 x 28 pixels: 255 times the part of each pixel that is covered.
 * @param {Strokes} strokes @returns {Uint8Array}
 */
function rasterize(strokes) {
  const fine = SIDE * FINE;
  const ink = new Uint8Array(fine * fine);
  for (const stroke of strokes) {
    for (let k = 0; k < Math.max(1, stroke.length - 1) && stroke.length; k++)
      inkSegment(ink, fine, stroke[k], stroke[k + 1] ?? stroke[k]);
  }
  const picture = new Uint8Array(SIDE * SIDE);
  for (let r = 0; r < SIDE; r++) {
    for (let c = 0; c < SIDE; c++) {
      let count = 0;
      for (let k = 0; k < FINE; k++)
        for (let l = 0; l < FINE; l++) count += ink[(r * FINE + k) * fine + c * FINE + l];
      picture[r * SIDE + c] = Math.floor((255 * count) / (FINE * FINE) + 0.5);
    }
  }
  return picture;
}

/** Marks every fine place that is no farther from the line between two points than half the pen. */
function inkSegment(ink, fine, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy || 1;
  const place = (x) => Math.min(fine, Math.max(0, Math.floor(x * FINE)));
  const [top, bottom] = [place(Math.min(ay, by) - PEN / 2), place(Math.max(ay, by) + PEN / 2 + 1)];
  const [left, right] = [place(Math.min(ax, bx) - PEN / 2), place(Math.max(ax, bx) + PEN / 2 + 1)];
  for (let r = top; r < bottom; r++) {
    for (let c = left; c < right; c++) {
      const [x, y] = [(c + 0.5) / FINE - ax, (r + 0.5) / FINE - ay];
      const t = Math.min(1, Math.max(0, (x * dx + y * dy) / length)); // how far along the line the nearest point is
      if ((x - t * dx) ** 2 + (y - t * dy) ** 2 <= (PEN * PEN) / 4) ink[r * fine + c] = 1;
    }
  }
}

/**
 * Draw strokes as MNIST's digits are: the longer side 20 pixels, the center of mass at pixel (14, 14), met to half a pixel
 * because the image moves by whole pixels. The pen is as wide as MNIST's, however large the drawing was.
 * @param {Strokes} strokes @returns {Uint8Array}
 */
function likeMnist(strokes) {
  const points = strokes.flat();
  if (!points.length) return new Uint8Array(SIDE * SIDE);
  const lowest = (axis) => points.reduce((least, point) => Math.min(least, point[axis]), Infinity);
  const highest = (axis) => points.reduce((most, point) => Math.max(most, point[axis]), -Infinity);
  const [left, top] = [lowest(0), lowest(1)];
  const longest = Math.max(highest(0) - left, highest(1) - top);
  const scale = longest > 0 ? (BOX - PEN) / longest : 1;
  const picture = rasterize(strokes.map((stroke) =>
    stroke.map(([x, y]) => [(x - left) * scale + PEN / 2, (y - top) * scale + PEN / 2])));
  return toMiddle(picture);
}

/** Moves an image by whole pixels, down and to the right, until its center of mass is in the middle; no ink gets lost. */
function toMiddle(picture) {
  const [rows, columns] = [new Float64Array(SIDE), new Float64Array(SIDE)]; // how much ink there is in each
  picture.forEach((level, place) => {
    rows[Math.floor(place / SIDE)] += level;
    columns[place % SIDE] += level;
  });
  const [down, right] = [rows, columns].map((mass) => {
    const center = mass.reduce((sum, ink, k) => sum + ink * k, 0) / mass.reduce((sum, ink) => sum + ink, 0);
    const last = mass.reduce((found, ink, k) => (ink ? k : found), 0);
    return Math.min(SIDE - 1 - last, Math.max(0, Math.floor(SIDE / 2 - center + 0.5))) || 0;
  });
  const moved = new Uint8Array(SIDE * SIDE);
  picture.forEach((level, place) => {
    if (level) moved[place + down * SIDE + right] = level;
  });
  return moved;
}

// The networks

/** Weights by name, at first the shipped ones. A safetensors file is a length, a table in JSON, and the numbers, here of 16 bits or of 32. */
function readWeights(base64 = NETWORK.weights) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const start = 8 + new DataView(bytes.buffer).getUint32(0, true);
  const table = JSON.parse(text.slice(8, start));
  const values = Float32Array.from({ length: 1 << 16 }, (_, bits) => halfToNumber(bits)); // of all there are
  const weights = {};
  for (const [name, { dtype, data_offsets: [from, to] }] of Object.entries(table).filter(([name]) => name !== "__metadata__")) {
    const part = bytes.buffer.slice(start + from, start + to);
    weights[name] = dtype === "F32" ? new Float32Array(part) : new Float32Array(new Uint16Array(part)).map((half) => values[half]);
  }
  return weights;
}

/** The number that 16 bits stand for: a sign, five bits of exponent, ten of fraction. */
function halfToNumber(bits) {
  const exponent = (bits >> 10) & 31;
  const part = (bits & 1023) / 1024;
  const size = exponent ? 2 ** (exponent - 15) * (1 + part) : 2 ** -14 * part;
  return bits & 0x8000 ? -size : size;
}

/**
 * 3 x 3 kernels with padding 1, then the bias.
 *
 * The image gets its border of zeros first, so that no window needs a special case. One kernel after the other slides over
 * a whole map, its nine weights at hand.
 * @param {Maps} x @param {Float32Array} weights (F, C, 3, 3) @param {Float32Array} biases (F) @returns {Maps}
 */
function correlate({ values, channels, side }, weights, biases) {
  const wide = side + 2;
  const padded = new Float32Array(channels * wide * wide);
  for (let c = 0; c < channels; c++) {
    for (let r = 0; r < side; r++) {
      const row = (c * side + r) * side;
      padded.set(values.subarray(row, row + side), (c * wide + r + 1) * wide + 1);
    }
  }
  const filters = biases.length;
  const size = side * side;
  const answer = new Float32Array(filters * size);
  for (let f = 0; f < filters; f++) {
    answer.fill(biases[f], f * size, (f + 1) * size);
    for (let c = 0; c < channels; c++) addCorrelation(answer, f * size, padded, c * wide * wide, side, weights, 9 * (f * channels + c));
  }
  return { values: answer, channels: filters, side };
}

/** A convolution as above, then ReLU. */
function convolve(x, weights, biases) {
  const maps = correlate(x, weights, biases);
  for (let k = 0; k < maps.values.length; k++) if (maps.values[k] < 0) maps.values[k] = 0;
  return maps;
}

/**
 * Adds to the map of `y` that starts at `to` what the kernel that starts at `at` makes of the channel of `x` that starts
 * at `from`. Of the nine numbers under the window, six stay when it moves: only three are read.
 */
function addCorrelation(y, to, x, from, side, weights, at) {
  const a = weights[at], b = weights[at + 1], c = weights[at + 2];
  const d = weights[at + 3], e = weights[at + 4], f = weights[at + 5];
  const g = weights[at + 6], h = weights[at + 7], i = weights[at + 8];
  const wide = side + 2;
  for (let row = 0; row < side; row++) {
    let p = from + row * wide, q = p + wide, r = q + wide; // the three rows under the window
    let p0 = x[p++], p1 = x[p++], q0 = x[q++], q1 = x[q++], r0 = x[r++], r1 = x[r++];
    for (let place = to + row * side, end = place + side; place < end; place++) {
      const p2 = x[p++], q2 = x[q++], r2 = x[r++];
      y[place] += a * p0 + b * p1 + c * p2 + d * q0 + e * q1 + f * q2 + g * r0 + h * r1 + i * r2;
      p0 = p1, q0 = q1, r0 = r1;
      p1 = p2, q1 = q2, r1 = r2;
    }
  }
}

/** The largest of each 2 x 2. @param {Maps} x @returns {Maps} */
function pool({ values, channels, side }) {
  const half = side / 2;
  const answer = new Float32Array(channels * half * half);
  for (let row = 0, place = 0; row < channels * half; row++) {
    for (let column = 0; column < half; column++, place++) {
      const at = 2 * row * side + 2 * column; // channels lie one below the other, each an even number of rows
      answer[place] = Math.max(values[at], values[at + 1], values[at + side], values[at + side + 1]);
    }
  }
  return { values: answer, channels, side: half };
}

/** Each output weighs and adds all inputs. @param {Float32Array} x */
function dense(x, weights, biases) {
  return biases.map((bias, f) => {
    let sum = bias;
    for (let k = 0, at = f * x.length; k < x.length; k++, at++) sum += weights[at] * x[k];
    return sum;
  });
}

/** @param {Float32Array} logits @returns {number[]} */
function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** The mean of each map. @param {Maps} x */
const means = ({ values, channels, side }) =>
  Float32Array.from({ length: channels }, (_, c) => values.subarray(c * side ** 2, (c + 1) * side ** 2).reduce((sum, value) => sum + value, 0) / side ** 2);

let shipped; // chapter 08's network, once its weights are read

/** @returns {Network} */
const digitNetwork = () => (shipped ??= { w: readWeights(), mean: NETWORK.mean, std: NETWORK.std });

/**
 * Everything that a network computes from an image: chapter 08's, or chapter 11's ClueNet, which has one dense layer, `fc`,
 * behind its last maps or behind the mean of each.
 * @param {Uint8Array} picture 28 x 28 levels, 0 to 255 @param {Network} network
 */
function forward(picture, { w, mean, std } = digitNetwork()) {
  const image = { values: Float32Array.from(picture, (level) => (level / 255 - mean) / std), channels: 1, side: SIDE };
  const conv1 = convolve(image, w["conv1.weight"], w["conv1.bias"]); // 32 maps of 28 x 28
  const pool1 = pool(conv1); // 32 of 14 x 14
  const conv2 = convolve(pool1, w["conv2.weight"], w["conv2.bias"]); // 64 of 14 x 14
  const found = { image, conv1, pool1, conv2 };
  if (w["fc.weight"]) {
    const whole = w["fc.weight"].length > 10 * conv2.channels;
    found.logits = dense(whole ? conv2.values : means(conv2), w["fc.weight"], w["fc.bias"]);
  } else {
    found.pool2 = pool(conv2); // 64 of 7 x 7
    found.fc1 = dense(found.pool2.values, w["fc1.weight"], w["fc1.bias"]).map((value) => Math.max(0, value)); // 128
    found.logits = dense(found.fc1, w["fc2.weight"], w["fc2.bias"]); // 10
  }
  return { ...found, probabilities: softmax(found.logits) };
}

/** The answer and how sure the network is of it. */
function verdict({ probabilities }) {
  const digit = probabilities.indexOf(Math.max(...probabilities));
  return { digit, probability: probabilities[digit] };
}

// On the page

/** A probability in percent; what rounds to 0 or 100 is not said to be so. */
function percent(p) {
  if (p >= 0.9995) return "> 99.9 %";
  return p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`;
}

const percentInWords = (p) => percent(p).replace(">", "more than").replace("<", "less than").replace("%", "percent");

/**
 * Draws at the next frame, once however often `soon` is called: a pen tells of more points than a screen can show.
 * `cancel` takes that back, for what draws at once.
 */
function makeFrame(draw) {
  let frame = 0; // the number of the animation frame that comes next
  return {
    soon() {
      frame ||= requestAnimationFrame(draw);
    },
    cancel() {
      cancelAnimationFrame(frame);
      frame = 0;
    },
  };
}

/** The surface to draw on, with a brush for mouse and finger and one for the keyboard. `words`: what its keys do, as they are told. */
function makeSurface(label = "drawing surface", words = { down: "pen down", moving: "drawing" }) {
  const canvas = h("canvas");
  const cross = h("div", { class: "cross" });
  const element = h("div", {
    class: "surface", tabindex: 0, role: "application", "aria-label": label, "aria-describedby": "keys",
  }, canvas, cross);
  let brush = 2; // pixels
  let [x, y] = [SIDE / 2, 6]; // where the keyboard's brush is
  const inside = (place) => Math.min(SIDE - Math.floor(brush / 2), Math.max(Math.ceil(brush / 2), place));

  const STEPS = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
  };

  function connect(act, tell) {
    let pointer = null; // the one that draws
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      const rounded = (share) => Math.round(100 * SIDE * Math.min(1, Math.max(0, share))) / 100;
      return [rounded((event.clientX - box.left) / box.width), rounded((event.clientY - box.top) / box.height)];
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || pointer !== null) return;
      pointer = event.pointerId;
      element.setPointerCapture(pointer);
      event.preventDefault(); // no text is selected
      element.focus({ preventScroll: true, focusVisible: false });
      element.classList.remove("keyboard");
      act.down(point(event));
    });
    element.addEventListener("pointermove", (event) => {
      if (event.pointerId !== pointer) return;
      const between = event.getCoalescedEvents?.() ?? [];
      act.move((between.length ? between : [event]).map(point));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, (event) => {
        if (event.pointerId !== pointer) return;
        pointer = null;
        act.up();
      });
    }
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) return;
      const where = () => `column ${x}, row ${y}`;
      if (STEPS[event.key]) {
        const far = event.shiftKey ? 4 : 1;
        [x, y] = [[x, 0], [y, 1]].map(([place, axis]) => inside(place + far * STEPS[event.key][axis]));
        if (act.isDown()) act.move([[x, y]]);
        tell(`${act.isDown() ? `${words.moving}, ` : ""}${where()}`);
      } else if (event.key === " " || event.key === "Enter") {
        if (event.repeat) return event.preventDefault();
        if (act.isDown()) act.up();
        else {
          act.down([x, y]);
          tell(`${words.down}, ${where()}`);
        }
      } else if (event.key === "Escape" && act.isDown()) act.up();
      else if (event.key === "Backspace") act.undo();
      else if (event.key === "Delete") act.clear();
      else return;
      event.preventDefault();
      element.classList.add("keyboard");
      placeCross(act.isDown());
    });
    element.addEventListener("blur", () => {
      if (pointer === null) act.up();
      element.classList.remove("keyboard");
    });
    element.addEventListener("focus", () => {
      element.classList.toggle("keyboard", element.matches(":focus-visible"));
      placeCross(false);
    });
  }

  function placeCross(down) {
    const place = (middle) => `${(100 * (Math.floor(middle - brush / 2) + brush / 2)) / SIDE}%`;
    [cross.style.left, cross.style.top] = [x, y].map(place);
    cross.classList.toggle("down", down);
  }

  /** Clears the surface, and has `paint` draw on it, in pixels of the image. */
  function draw(paint) {
    const size = Math.round(canvas.clientWidth * devicePixelRatio) || 280;
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const pen = canvas.getContext("2d");
    pen.setTransform(size / SIDE, 0, 0, size / SIDE, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    paint(pen);
  }

  /** Another width of the brush: what the keyboard moves stays on the surface. */
  function setBrush(width) {
    brush = width;
    [x, y] = [x, y].map(inside);
    element.style.setProperty("--brush", brush);
    placeCross(cross.classList.contains("down"));
  }

  return { element, connect, draw, setBrush };
}

/** Paints an image's gray levels, 0 to 255, onto a surface. */
function paintLevels(pen, levels) {
  const small = (paintLevels.canvas ??= h("canvas"));
  drawLevels(small, SIDE, SIDE, levels);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, SIDE, SIDE);
}

/** Writes gray levels, 0 to 255, into a canvas, one pixel each. @param {Uint8Array} levels */
function drawLevels(canvas, width, height, levels) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer); // a byte each for red, green, blue and how opaque
  for (let k = 0; k < words.length; k++) words[k] = 0xff000000 | (levels[k] * 0x010101);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

const SURFACE_STYLE = `
canvas { display: block; }
[hidden] { display: none !important; }
.surface { position: relative; width: 280px; height: 280px; border-radius: 3px; outline: 1px solid var(--line); cursor: crosshair; touch-action: none; overflow: hidden; }
.surface:focus-visible { outline: 3px solid var(--action); outline-offset: 2px; }
.surface canvas { width: 100%; height: 100%; }
.cross { display: none; position: absolute; width: 27px; height: 27px; margin: -13.5px 0 0 -13.5px; border: 3px solid var(--mark); border-radius: 50%; box-shadow: 0 0 0 1.5px var(--mark-edge), inset 0 0 0 1.5px var(--mark-edge); pointer-events: none; }
.cross.down { background: var(--mark); }
.keyboard .cross { display: block; }
`;

export { PEN, SIDE, SURFACE_STYLE, convolve, correlate, dense, digitNetwork, drawLevels, forward, likeMnist, makeFrame, makeSurface, paintLevels, percent, percentInWords, pool, rasterize, readWeights, softmax, verdict };
