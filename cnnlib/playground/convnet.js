// A small convolutional network that learns: forward, backward, a step of momentum, and the shapes to learn from.
//
// Whatever takes long is a generator that stops after each image, so that a page can do other things in between. Arrays of images
// are flat, in the order (N, C, H, W). Names are as in cnnlib.ops, against which all of this is tested.

import { turn } from "./base.js";

/** @typedef {{ channels: number, filters: number, side: number, w: Float64Array, scale: Float64Array, shift: Float64Array, mean: Float64Array, variance: Float64Array }} Block */
/** @typedef {{ blocks: Block[], head: { inputs: number, w: Float64Array, b: Float64Array }, classes: number, normalized: boolean }} Network */
/** @typedef {{ x: Float64Array, y: number[] }} Images  pixels, and the number of each image's class */

const [SIDE, EPSILON, KEPT] = [16, 1e-5, 0.1]; // pixels; of the variance; what a step moves the running statistics by
const FILTERS = [8, 16, 16]; // of the first, second and third convolution

/** A network of `depth` blocks: 3x3 convolution, batch normalization or bias, ReLU, 2x2 pooling. Then a dense layer. @returns {Network} */
function makeNetwork({ normal }, depth, classes, normalized) {
  const drawn = (length, variance) => Float64Array.from({ length }, () => Math.sqrt(variance) * normal());
  const blocks = FILTERS.slice(0, depth).map((filters, k) => {
    const channels = k ? FILTERS[k - 1] : 1;
    const of = (value) => new Float64Array(filters).fill(value);
    const w = drawn(filters * channels * 9, 2 / (9 * channels));
    return { channels, filters, side: SIDE >> k, w, scale: of(1), shift: of(0), mean: of(0), variance: of(1) };
  });
  const inputs = FILTERS[depth - 1] * (SIDE >> depth) ** 2;
  return { blocks, head: { inputs, w: drawn(classes * inputs, 1 / inputs), b: new Float64Array(classes) }, classes, normalized };
}

/** How many numbers a network learns. @param {Network} network */
const countParameters = ({ blocks, head, normalized }) =>
  blocks.reduce((sum, { w, filters }) => sum + w.length + filters * (normalized ? 2 : 1), head.w.length + head.b.length);

/** The planes of images with a frame of zeros, one pixel wide. */
function pad(x, side) {
  const wide = side + 2;
  const padded = new Float64Array((x.length / side ** 2) * wide ** 2);
  for (let row = 0; row * side < x.length; row++) {
    const to = Math.floor(row / side) * wide ** 2 + ((row % side) + 1) * wide + 1;
    for (let k = 0; k < side; k++) padded[to + k] = x[row * side + k];
  }
  return padded;
}

/** Correlates padded planes with 3x3 kernels (filters, channels, 3, 3); a plane is one long line, two numbers too many a row. */
function* correlate(padded, w, filters, channels, side) {
  const wide = side + 2;
  const [plane, length, count] = [wide ** 2, side * wide - 2, padded.length / (channels * wide ** 2)];
  const [line, y] = [new Float64Array(length), new Float64Array(count * filters * side ** 2)];
  for (let n = 0, to = 0; n < count; n++) {
    for (let f = 0; f < filters; f++) {
      line.fill(0);
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < 3; k++) {
          const at = (f * channels + c) * 9 + 3 * k;
          const [left, middle, right] = [w[at], w[at + 1], w[at + 2]];
          const from = (n * channels + c) * plane + k * wide;
          for (let q = 0; q < length; q++) line[q] += left * padded[from + q] + middle * padded[from + q + 1] + right * padded[from + q + 2];
        }
      }
      for (let r = 0; r < side; r++) for (let k = 0; k < side; k++) y[to++] = line[r * wide + k];
    }
    yield;
  }
  return y;
}

/** The gradient of the kernels: each weight meets each output's gradient with the pixel that it was multiplied by. */
function* kernelGradient(padded, paddedDy, filters, channels, side) {
  const wide = side + 2;
  const [plane, length, count] = [wide ** 2, side * wide - 2, padded.length / (channels * wide ** 2)];
  const dw = new Float64Array(filters * channels * 9);
  for (let n = 0; n < count; n++) {
    for (let f = 0; f < filters; f++) {
      const dy = (n * filters + f) * plane + wide + 1;
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < 3; k++) {
          const from = (n * channels + c) * plane + k * wide;
          let [left, middle, right] = [0, 0, 0];
          for (let q = 0; q < length; q++) {
            const slope = paddedDy[dy + q];
            left += slope * padded[from + q];
            middle += slope * padded[from + q + 1];
            right += slope * padded[from + q + 2];
          }
          const at = (f * channels + c) * 9 + 3 * k;
          dw[at] += left;
          dw[at + 1] += middle;
          dw[at + 2] += right;
        }
      }
    }
    yield;
  }
  return dw;
}

/** Calls back with each channel and where its plane begins and ends in each image. */
function eachPlane(length, channels, plane, visit) {
  for (let at = 0, k = 0; at < length; at += plane, k++) visit(k % channels, at, at + plane);
}

/** Normalizes z in place, by the batch's mean and variance in training, else by the running ones. Returns x_hat and 1 / std. */
function normalize(z, block, training) {
  const { filters, side, scale, shift } = block;
  const [plane, M] = [side ** 2, z.length / filters];
  const [sums, squares, factor] = [0, 0, 0].map(() => new Float64Array(filters));
  const each = (visit) => eachPlane(z.length, filters, plane, visit);
  const { mean, variance } = training ? { mean: sums, variance: squares } : block;
  if (training) {
    each((f, from, to) => { for (let j = from; j < to; j++) sums[f] += z[j] / M; });
    each((f, from, to) => { for (let j = from; j < to; j++) squares[f] += (z[j] - sums[f]) ** 2 / M; });
    for (let f = 0; f < filters; f++) {
      block.mean[f] += KEPT * (mean[f] - block.mean[f]);
      block.variance[f] += KEPT * ((variance[f] * M) / (M - 1) - block.variance[f]);
    }
  }
  for (let f = 0; f < filters; f++) factor[f] = 1 / Math.sqrt(variance[f] + EPSILON);
  const normal = new Float64Array(z.length);
  each((f, from, to) => {
    for (let j = from; j < to; j++) {
      normal[j] = (z[j] - mean[f]) * factor[f];
      z[j] = scale[f] * normal[j] + shift[f];
    }
  });
  return { normal, factor };
}

/** Turns dy in place into the gradient before the normalization, or before the shift alone. Returns those of scale and shift. */
function normalizeBackward(dy, { filters, side, scale }, trace) {
  const M = dy.length / filters;
  const [dScale, dShift] = [new Float64Array(filters), new Float64Array(filters)];
  const each = (visit) => eachPlane(dy.length, filters, side ** 2, visit);
  each((f, from, to) => { for (let j = from; j < to; j++) dShift[f] += dy[j]; });
  if (!trace.normal) return { scale: dScale, shift: dShift };
  const { normal, factor } = trace;
  each((f, from, to) => { for (let j = from; j < to; j++) dScale[f] += dy[j] * normal[j]; });
  each((f, from, to) => {
    for (let j = from; j < to; j++) dy[j] = scale[f] * factor[f] * (dy[j] - (dShift[f] + normal[j] * dScale[f]) / M);
  });
  return { scale: dScale, shift: dShift };
}

/** ReLU and 2x2 max pooling in one: what comes out, and where each number came from; -1 where all four were cut off. */
function reluAndPool(z, side) {
  const [half, y, winners] = [side / 2, new Float64Array(z.length / 4), new Int32Array(z.length / 4)];
  for (let j = 0; j < y.length; j++) {
    const row = Math.floor(j / half);
    const corner = 2 * row * side + 2 * (j % half);
    let [best, winner] = [0, -1];
    for (const at of [corner, corner + 1, corner + side, corner + side + 1]) if (z[at] > best) [best, winner] = [z[at], at];
    [y[j], winners[j]] = [best, winner];
  }
  return { y, winners };
}

/** What the network makes of images, and what the way back needs. Each block's `maps` are its numbers before the pooling. */
function* forward(network, x, training = false) {
  const traces = [];
  for (const block of network.blocks) {
    const padded = pad(x, block.side);
    const z = yield* correlate(padded, block.w, block.filters, block.channels, block.side);
    const trace = { padded, maps: z };
    if (network.normalized) Object.assign(trace, normalize(z, block, training));
    else eachPlane(z.length, block.filters, block.side ** 2, (f, from, to) => { for (let j = from; j < to; j++) z[j] += block.shift[f]; });
    const { y, winners } = reluAndPool(z, block.side);
    traces.push(Object.assign(trace, { winners }));
    x = y;
    yield;
  }
  const { inputs, w, b } = network.head;
  const logits = new Float64Array((x.length / inputs) * network.classes);
  for (let j = 0; j < logits.length; j++) {
    const [n, k] = [Math.floor(j / network.classes), j % network.classes];
    let sum = b[k];
    for (let i = 0; i < inputs; i++) sum += w[k * inputs + i] * x[n * inputs + i];
    logits[j] = sum;
  }
  return { traces, features: x, logits };
}

/** The mean of -ln(probability of the right class), and its gradient for the logits. */
function crossEntropy(logits, y, classes) {
  const slopes = new Float64Array(logits.length);
  let loss = 0;
  for (let n = 0; n < y.length; n++) {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    const top = Math.max(...row);
    const sum = row.reduce((total, value) => total + Math.exp(value - top), 0);
    loss += (Math.log(sum) + top - row[y[n]]) / y.length;
    for (let k = 0; k < classes; k++) slopes[n * classes + k] = (Math.exp(row[k] - top) / sum - (k === y[n] ? 1 : 0)) / y.length;
  }
  return { loss, slopes };
}

/** The gradients of everything that learns, in the network's own order. */
function* backward(network, { traces, features }, slopes) {
  const { inputs, w } = network.head;
  const [head, count] = [{ w: new Float64Array(w.length), b: new Float64Array(network.classes) }, features.length / inputs];
  let dy = new Float64Array(features.length);
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < network.classes; k++) {
      const slope = slopes[n * network.classes + k];
      head.b[k] += slope;
      for (let i = 0; i < inputs; i++) {
        head.w[k * inputs + i] += slope * features[n * inputs + i];
        dy[n * inputs + i] += slope * w[k * inputs + i];
      }
    }
  }
  yield;
  const blocks = [];
  for (let k = network.blocks.length - 1; k >= 0; k--) {
    const [block, trace] = [network.blocks[k], traces[k]];
    const dz = new Float64Array(4 * dy.length);
    trace.winners.forEach((winner, j) => { if (winner >= 0) dz[winner] = dy[j]; });
    const { scale, shift } = normalizeBackward(dz, block, trace);
    yield;
    const padded = pad(dz, block.side);
    const dw = yield* kernelGradient(trace.padded, padded, block.filters, block.channels, block.side);
    blocks[k] = { w: dw, scale, shift };
    if (k) dy = yield* correlate(padded, turn(block.w, block.filters, block.channels), block.channels, block.filters, block.side);
  }
  return { blocks, head };
}

/** Everything of a network, or of its gradients, that learns, as a list of arrays. */
const learned = ({ blocks, head }, normalized) =>
  [...blocks.flatMap(({ w, scale, shift }) => (normalized ? [w, scale, shift] : [w, shift])), head.w, head.b];

/** One step of descent with momentum on these images. Returns the loss before it. */
function* trainingStep({ network, velocity }, { x, y }, rate, momentum) {
  const found = yield* forward(network, x, true);
  const { loss, slopes } = crossEntropy(found.logits, y, network.classes);
  const gradients = learned(yield* backward(network, found, slopes), network.normalized);
  for (const [k, values] of learned(network, network.normalized).entries()) {
    for (let j = 0; j < values.length; j++) {
      velocity[k][j] = momentum * velocity[k][j] + gradients[k][j];
      values[j] -= rate * velocity[k][j];
    }
  }
  return loss;
}

// The images

const SHAPES = ["circle", "square", "triangle", "plus", "slash", "backslash"];

/** By how much a point, seen from a shape's center, is outside the ink of that shape of this radius. */
const OUTSIDE = {
  circle: (u, v, radius) => Math.abs(Math.hypot(u, v) - radius),
  square: (u, v, radius) => Math.abs(Math.max(Math.abs(u), Math.abs(v)) - 0.9 * radius),
  triangle: (u, v, radius) => Math.abs(Math.max(v - 0.6 * radius, 0.866 * Math.abs(u) - 0.5 * v - 0.6 * radius)),
  plus: (u, v, radius) => Math.max(Math.min(Math.abs(u), Math.abs(v)), Math.max(Math.abs(u), Math.abs(v)) - radius),
  slash: (u, v, radius) => Math.max(Math.abs(u + v) / Math.SQRT2, Math.abs(u - v) / Math.SQRT2 - 1.1 * radius),
  backslash: (u, v, radius) => OUTSIDE.slash(-u, v, radius),
};

/** Shapes drawn at random: the class by turns, its place, size, tilt, stroke and contrast, and noise. Pixels from about 0 to 1. @returns {Images} */
function drawShapes({ uniform, normal }, count) {
  const between = (low, high) => low + (high - low) * uniform();
  const [x, y] = [new Float64Array(count * SIDE ** 2), []];
  for (let n = 0; n < count; n++) {
    y.push(n % SHAPES.length);
    const [radius, tilt, stroke, contrast] = [between(3, 5.2), between(-0.3, 0.3), between(0.5, 0.9), between(0.5, 1)];
    const [row, column] = [between(5, 10), between(5, 10)];
    for (let k = 0; k < SIDE ** 2; k++) {
      const [down, right] = [Math.floor(k / SIDE) - row, (k % SIDE) - column];
      const [u, v] = [right * Math.cos(tilt) + down * Math.sin(tilt), down * Math.cos(tilt) - right * Math.sin(tilt)];
      const ink = Math.min(1, Math.max(0, 1 - (OUTSIDE[SHAPES[y[n]]](u, v, radius) - stroke)));
      x[n * SIDE ** 2 + k] = contrast * ink + 0.15 * normal();
    }
  }
  return { x, y };
}

/** Takes images of their list by number. @param {Images} images @returns {Images} */
function take({ x, y }, numbers) {
  const taken = { x: new Float64Array(numbers.length * SIDE ** 2), y: numbers.map((n) => y[n]) };
  for (const [k, n] of numbers.entries()) taken.x.set(x.subarray(n * SIDE ** 2, (n + 1) * SIDE ** 2), k * SIDE ** 2);
  return taken;
}

/** 0 to count - 1 in a random order. */
function shuffled({ uniform }, count) {
  const order = Array.from({ length: count }, (_, k) => k);
  for (let k = count - 1; k > 0; k--) {
    const other = Math.floor(uniform() * (k + 1));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

/** Images mirrored at random, or moved by up to 2 pixels, where the edge's pixels are repeated. @param {Images} images @returns {Images} */
function vary({ uniform }, { x, y }, { flip, shift }) {
  const varied = new Float64Array(x.length);
  const inside = (place) => Math.min(SIDE - 1, Math.max(0, place));
  for (let n = 0; n < y.length; n++) {
    const [mirror, down, right] = [flip && uniform() < 0.5, ...[0, 0].map(() => (shift ? Math.floor(5 * uniform()) - 2 : 0))];
    for (let k = 0; k < SIDE ** 2; k++) {
      const column = mirror ? SIDE - 1 - (k % SIDE) : k % SIDE;
      varied[n * SIDE ** 2 + k] = x[n * SIDE ** 2 + inside(Math.floor(k / SIDE) - down) * SIDE + inside(column - right)];
    }
  }
  return { x: varied, y };
}

export { SHAPES, SIDE, backward, countParameters, crossEntropy, drawShapes, forward, learned, makeNetwork, shuffled, take, trainingStep, vary };
