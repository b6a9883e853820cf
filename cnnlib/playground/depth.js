// The depth playground: a plain and a residual network of the same depth and the same first weights learn side by side.
//
// The arithmetic comes first: points, networks, forward, backward and the update, in the order in which a step needs them.

import { STYLE, axisEnd, chooser, format, h, isDark, makeChart, makeRandom, say, signed, stepper, textField, wholeNumber } from "./base.js";
import { button, keepInStep, mount } from "./window.js";

/** @typedef {{ x: Float64Array, y: Float64Array }} Points  two coordinates a point, one after the other; the class, 0 or 1 */
/** @typedef {{ inputs: number, outputs: number, w: Float64Array, scale: Float64Array, shift: Float64Array }} Layer */
/** @typedef {{ layers: Layer[], normalized: boolean, residual: boolean }} Network */
/** @typedef {{ input: Float64Array, output: Float64Array, normal?: Float64Array, mean?: Float64Array, factor?: Float64Array }} Trace */

// The arithmetic

const [WIDTH, TRAINING, HELD_OUT, STEPS] = [8, 160, 80, 300]; // units a layer, points, points, updates in a run
const [MOMENTUM, EPSILON] = [0.9, 1e-5];
const DEPTHS = [4, 8, 12, 16, 20, 24, 30, 40, 50];
const KINDS = ["plain", "residual"];

/** Two spirals, one inside the other, each a turn long. @returns {Points} */
function spirals({ uniform, normal }, count) {
  const [x, y] = [new Float64Array(2 * count), new Float64Array(count)];
  for (let n = 0; n < count; n++) {
    const radius = Math.sqrt(0.04 + 0.96 * uniform());
    const angle = 2.5 * Math.PI * radius + (n % 2) * Math.PI;
    x[2 * n] = radius * Math.cos(angle) + 0.05 * normal();
    x[2 * n + 1] = radius * Math.sin(angle) + 0.05 * normal();
    y[n] = n % 2;
  }
  return { x, y };
}

/** Dense layers 2 -> 8 -> ... -> 8 -> 1. The weights start with He's rule, the last layer's with deviation 1/sqrt(8). @returns {Layer[]} */
function makeLayers({ normal }, depth) {
  return Array.from({ length: depth }, (_, k) => {
    const [inputs, outputs, gain] = [k ? WIDTH : 2, k < depth - 1 ? WIDTH : 1, k < depth - 1 ? 2 : 1];
    const w = Float64Array.from({ length: outputs * inputs }, () => Math.sqrt(gain / inputs) * normal());
    return { inputs, outputs, w, scale: new Float64Array(outputs).fill(1), shift: new Float64Array(outputs) };
  });
}

/** Layers 1 and 2, 3 and 4, ... are blocks; the first layer and the last stand alone. */
const opens = (k, depth) => k % 2 === 1 && k < depth - 1;
const closes = (k, depth) => k > 0 && k % 2 === 0 && k < depth - 1;

/**
 * What each layer makes of the points, and what the way back will need. The mean and spread of each unit are those of
 * these points; or, for points that are not learned from, those of `known`, the traces of the training points.
 * @param {Network} network @returns {Trace[]}
 */
function forward({ layers, normalized, residual }, x, known) {
  const traces = [];
  let [h, shortcut] = [x, x];
  for (const [k, layer] of layers.entries()) {
    const trace = { input: h, output: times(h, layer) };
    const last = k === layers.length - 1;
    if (normalized && !last) Object.assign(trace, normalize(trace.output, layer, known?.[k]));
    const { output } = trace;
    for (const [o, shift] of layer.shift.entries())
      for (let j = o; j < output.length; j += layer.outputs) output[j] = layer.scale[o] * output[j] + shift;
    if (opens(k, layers.length)) shortcut = h;
    if (residual && closes(k, layers.length)) for (let j = 0; j < output.length; j++) output[j] += shortcut[j];
    if (!last) for (let j = 0; j < output.length; j++) if (output[j] < 0) output[j] = 0; // ReLU, after the sum
    traces.push(trace);
    h = output;
  }
  return traces;
}

/** Each point times the weights. */
function times(h, { inputs, outputs, w }) {
  const z = new Float64Array((h.length / inputs) * outputs);
  for (let at = 0, j = 0; at < h.length; at += inputs) {
    for (let o = 0; o < outputs; o++, j++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += w[o * inputs + i] * h[at + i];
      z[j] = sum;
    }
  }
  return z;
}

/** Each unit shifted to mean 0 and scaled to deviation 1 over the points, or as `known` says. */
function normalize(z, { outputs }, known) {
  const [mean, factor, normal] = [new Float64Array(outputs), new Float64Array(outputs), new Float64Array(z.length)];
  for (let o = 0; o < outputs; o++) {
    let [sum, squares] = [0, 0];
    for (let j = o; j < z.length; j += outputs) sum += z[j];
    const middle = (mean[o] = known ? known.mean[o] : (outputs * sum) / z.length);
    for (let j = o; j < z.length; j += outputs) squares += (z[j] - middle) ** 2;
    const by = (factor[o] = known ? known.factor[o] : 1 / Math.sqrt((outputs * squares) / z.length + EPSILON));
    for (let j = o; j < z.length; j += outputs) normal[j] = (z[j] - middle) * by;
  }
  return { normal, mean, factor, output: normal.slice() };
}

/** The mean of -ln(probability of the right class); z is the logit of class 1. */
function lossOf(z, y) {
  const one = (logit) => Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit)));
  return z.reduce((sum, logit, n) => sum + one(logit) - y[n] * logit, 0) / y.length;
}

/** The gradient of the loss for the weights, scales and shifts of each layer, from the last to the first. @param {Network} network */
function backward({ layers, normalized, residual }, traces, y) {
  const gradients = [];
  let dy = traces.at(-1).output.map((logit, n) => (1 / (1 + Math.exp(-logit)) - y[n]) / y.length);
  let around; // the gradient that takes the shortcut
  for (let k = layers.length - 1; k >= 0; k--) {
    const [layer, trace, last] = [layers[k], traces[k], k === layers.length - 1];
    if (!last) for (let j = 0; j < dy.length; j++) if (trace.output[j] <= 0) dy[j] = 0;
    if (closes(k, layers.length)) around = dy.slice();
    const { scale, shift } = normalizeBackward(dy, layer, normalized && !last ? trace : undefined);
    const { dx, w } = timesBackward(dy, layer, trace.input);
    if (residual && opens(k, layers.length)) for (let j = 0; j < dx.length; j++) dx[j] += around[j];
    gradients[k] = { w, scale, shift };
    dy = dx;
  }
  return gradients;
}

/** The gradients of a layer's scales and shifts. Where it normalizes, turns dy into the gradient before that. */
function normalizeBackward(dy, layer, trace) {
  const { outputs } = layer;
  const [scale, shift] = [new Float64Array(outputs), new Float64Array(outputs)];
  for (let o = 0; o < outputs; o++) {
    let [sum, product] = [0, 0];
    for (let j = o; j < dy.length; j += outputs) sum += dy[j];
    shift[o] = sum;
    if (!trace) continue;
    const { normal, factor } = trace;
    for (let j = o; j < dy.length; j += outputs) product += dy[j] * normal[j];
    scale[o] = product;
    const [by, share] = [layer.scale[o] * factor[o], outputs / dy.length];
    for (let j = o; j < dy.length; j += outputs) dy[j] = by * (dy[j] - share * (sum + normal[j] * product));
  }
  return { scale, shift };
}

/** The gradients of what was multiplied: dx, a point's inputs, and w. */
function timesBackward(dy, { inputs, outputs, w: weights }, input) {
  const [dx, w] = [new Float64Array(input.length), new Float64Array(weights.length)];
  for (let i = 0; i < inputs; i++) {
    for (let from = 0, to = i; to < dx.length; from += outputs, to += inputs) {
      let sum = 0;
      for (let o = 0; o < outputs; o++) sum += dy[from + o] * weights[o * inputs + i];
      dx[to] = sum;
    }
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let from = o, to = i; to < dx.length; from += outputs, to += inputs) sum += dy[from] * input[to];
      w[o * inputs + i] = sum;
    }
  }
  return { dx, w };
}

/** Points, and a plain and a residual network with the same first weights, before the first step. */
function setUp({ seed, depth, normalization }) {
  const random = makeRandom(seed);
  const points = { training: spirals(random, TRAINING), heldOut: spirals(random, HELD_OUT) };
  const layers = makeLayers(random, depth);
  const runs = Object.fromEntries(KINDS.map((kind) => {
    const network = { layers: structuredClone(layers), normalized: normalization === "batch", residual: kind === "residual" };
    const velocity = layers.map(({ w, scale, shift }) => ({ w: w.map(() => 0), scale: scale.map(() => 0), shift: shift.map(() => 0) }));
    return [kind, measure({ network, points, velocity, losses: { training: [], heldOut: [] } })];
  }));
  return { points, runs };
}

/** Writes down the losses and the gradients that belong to a run's weights. */
function measure(run) {
  const { network, points: { training, heldOut }, losses } = run;
  run.traces = forward(network, training.x);
  run.gradients = backward(network, run.traces, training.y);
  run.norms = run.gradients.map(({ w }) => Math.sqrt(w.reduce((sum, value) => sum + value * value, 0)));
  run.answers = forward(network, heldOut.x, run.traces).at(-1).output;
  losses.training.push(lossOf(run.traces.at(-1).output, training.y));
  losses.heldOut.push(lossOf(run.answers, heldOut.y));
  return run;
}

/** One step of gradient descent with momentum, on all training points. */
function advance(run, rate) {
  for (const [k, layer] of run.network.layers.entries()) {
    for (const [name, gradient] of Object.entries(run.gradients[k])) {
      if (name === "scale" && !run.network.normalized) continue; // a scale belongs to a normalization
      const [values, velocity] = [layer[name], run.velocity[k][name]];
      for (let j = 0; j < values.length; j++) {
        velocity[j] = MOMENTUM * velocity[j] + gradient[j];
        values[j] -= rate * velocity[j];
      }
    }
  }
  return measure(run);
}

/** The share of points on the right side. */
const rightShare = (z, y) => z.reduce((sum, logit, n) => sum + ((logit > 0) === (y[n] > 0)), 0) / y.length;

/** Attributes of <cnn-depth>, which are also the settings in the address. */
const FIELDS = {
  depth: { read: (text) => (/^\d+$/.test(text) ? Math.min(50, Math.max(4, 2 * Math.floor(text / 2))) : undefined), write: String, start: 4 },
  normalization: { read: (text) => ["batch", "none"].find((name) => name === text), write: String, start: "batch" },
  rate: { read: (text) => (/^[\d.e-]+$/.test(text) && text >= 1e-4 && text <= 1 ? Number(text) : undefined), write: String, start: 0.03 },
  seed: { ...wholeNumber(0, 999), start: 0 },
  controls: { ...textField, start: "depth normalization rate seed" },
  label: { ...textField, start: "Depth playground" },
};
const SETTINGS = ["depth", "normalization", "rate", "seed"];

// The page

const [MAP, RATES] = [32, [0.003, 0.01, 0.03, 0.1, 0.3]]; // points a side of a decision map; what the reader chooses from
const LEARNED = 0.1; // a training loss below this counts as learned

const ABOUT = "As in He et al.'s networks: blocks of two layers, batch normalization (if chosen), the ReLU after the sum, \
descent with momentum 0.9. Not as there: dense layers of 8 units in place of convolutions, every step on all training points, no weight decay. \
The first weights are the same for both.";

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const read = () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
  const view = makeView(new Set(model.get("controls").split(/\s+/)), model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  let settings = {};
  let trained; // the points and the two runs
  let goal = 0; // the step to which they are being trained
  let frame = 0; // the number of the animation frame that comes next
  let finished = []; // runs that came to their end, as { key, ...settings, ends: [plain, residual] }, the latest last
  let guess = 0; // the depth from which on the reader thinks that the plain network fails

  const stepNow = () => trained.runs.plain.losses.training.length - 1;

  /** Trains in short pieces, one an animation frame; what is shown moves only if motion is wanted. */
  function train(steps) {
    goal = Math.min(STEPS, stepNow() + steps);
    const live = !still.matches;
    let count = 0;
    const tick = () => {
      const until = performance.now() + 8; // milliseconds
      do for (const kind of KINDS) advance(trained.runs[kind], settings.rate);
      while (stepNow() < goal && performance.now() < until && (!live || stepNow() % 2));
      if (stepNow() >= goal) return pause();
      frame = requestAnimationFrame(tick);
      if (live) draw([count++ % 8 === 0 && "plain", count % 8 === 4 && "residual"]);
    };
    frame = requestAnimationFrame(tick);
    draw([]);
  }

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    const losses = KINDS.map((kind) => Object.values(trained.runs[kind].losses));
    const key = JSON.stringify(settings);
    if (stepNow() === STEPS)
      finished = [...finished.filter((one) => one.key !== key), { key, ...settings, ends: losses.map(([training]) => training.at(-1)) }].slice(-8);
    model.set("losses", losses);
    model.set("gradients", KINDS.map((kind) => trained.runs[kind].norms));
    model.save_changes();
    draw();
  }

  function restart() {
    cancelAnimationFrame(frame);
    frame = 0;
    trained = setUp(settings);
    draw();
  }

  view.connect({
    set(name, value) {
      model.set(name, value);
      model.save_changes();
    },
    guess(depth) {
      guess = depth;
      draw([]);
    },
    main() {
      if (frame) return pause();
      if (stepNow() === STEPS) restart();
      train(still.matches ? 50 : STEPS);
    },
    step() {
      if (frame) pause();
      else if (stepNow() < STEPS) train(1);
    },
    restart,
  });

  /** The model has changed: if what it sets is new, training starts afresh. */
  function update() {
    const now = read();
    if (SETTINGS.every((name) => now[name] === settings[name])) return;
    settings = now;
    restart();
  }

  /** Draws all but the maps that are not named. */
  function draw(maps = KINDS) {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    view.draw({ ...settings, ...trained, step: stepNow(), running: frame > 0, still: still.matches, finished, guess, maps });
  }

  const stop = keepInStep({ model, host, update, draw: () => draw() });
  return () => {
    cancelAnimationFrame(frame);
    stop();
  };
}

/** A number in few characters, or that there is none left. */
const short = (value) => (Number.isFinite(value) ? format(value, 6) : "overflow");

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const choices = {
    depth: chooser("layers", (text) => act.set("depth", Number(text))),
    normalization: chooser("normalization", (text) => act.set("normalization", text)),
    rate: chooser("learning rate", (text) => act.set("rate", Number(text))),
    seed: stepper("seed", 0, 999, (value) => choices.seed.allows(value) && act.set("seed", value)),
  };
  const guesses = chooser("My guess: the plain network stops learning at", (text) => act.guess(parseInt(text) || 0));
  const main = button("Train", () => act.main(), { class: "main" });
  const stepOn = button("Step", () => act.step());
  const progress = h("span", { class: "note" });
  const panels = Object.fromEntries(KINDS.map((kind) => [kind, makePanel(kind)]));
  const curves = makeChart("curves", ["guessing", ...KINDS.flatMap((kind) => [`${kind} held`, kind])]);
  const words = h("p", { class: "unseen", role: "status" });
  const [table, verdict] = [h("table", { "aria-label": "Training loss at the end" }), h("p", { class: "note verdict" })];
  const log = h("div", { class: "log" }, h("p", { class: "heading" }, h("b", {}, "Training loss at the end")), table, verdict);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, ...Object.keys(choices).filter((name) => controls.has(name)).map((name) => choices[name].element)),
    h("div", { class: "row" }, controls.has("depth") ? guesses.element : null),
    h("div", { class: "row" }, main, stepOn, button("Reset", () => act.restart()), progress),
    h("div", { class: "sides" },
      ...KINDS.map((kind) => panels[kind].map),
      h("div", { class: "side wide" }, h("p", { class: "heading" }, h("b", {}, "loss"), " line: training, dashes: held out, dots: guessing"), curves.element)),
    h("div", { class: "sides" }, ...KINDS.map((kind) => panels[kind].bars)),
    words, log,
    h("p", { class: "note about" }, `Two spirals: ${TRAINING} points to learn from, ${HELD_OUT} held out (hollow). ${ABOUT}`));

  /** `maps` names the networks whose plane is drawn anew: these take the longest. */
  function draw(state) {
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    drawControls(state);
    for (const kind of KINDS) {
      const run = state.runs[kind];
      panels[kind].facts.forEach((fact, k) => say(fact, factsOf(run, state)[k]));
      if (state.maps.includes(kind)) drawMap(panels[kind].canvas, kind, run, state.points, dark);
      drawBars(panels[kind], kind, run);
    }
    drawCurves(curves, state);
    drawLog(state);
    if (!state.running) say(words, spoken(state));
  }

  function drawControls({ depth, normalization, rate, seed, step, running, still, guess }) {
    choices.depth.show([...new Set([...DEPTHS, depth])].sort((a, b) => a - b).map(String), String(depth));
    choices.normalization.show(["batch", "none"], normalization);
    choices.rate.show([...new Set([...RATES, rate])].sort((a, b) => a - b).map(String), String(rate));
    choices.seed.show(seed);
    guesses.show(["choose", ...DEPTHS.map((value) => `${value} layers`)], guess ? `${guess} layers` : "choose");
    say(main, running ? "Pause" : step === STEPS ? "Again" : still ? "50 steps" : "Train");
    stepOn.setAttribute("aria-disabled", step === STEPS);
    say(progress, `step ${step} of ${STEPS}`);
  }

  function drawLog({ finished, guess, normalization }) {
    log.hidden = !finished.length;
    const row = (tag, cells) => h("tr", {}, ...cells.map((text, k) => h(k ? tag : "th", { scope: k ? tag === "th" && "col" : tag === "th" ? "col" : "row" }, text)));
    const rows = finished.map((one) => row("td", [String(one.depth), `${one.normalization}, ${one.rate}, seed ${one.seed}`, ...one.ends.map(short)]));
    table.replaceChildren(h("thead", {}, row("th", ["layers", "setting", ...KINDS])), h("tbody", {}, ...rows));
    const of = finished.filter((one) => one.normalization === normalization);
    const learned = KINDS.map((kind, k) => `${kind} at ${depthsOf(of.filter((one) => one.ends[k] < LEARNED))}`);
    say(verdict, `Learned, training loss below ${LEARNED}: ${learned.join("; ")}.${guess ? ` Your guess: plain fails from ${guess} layers on.` : ""}`);
  }

  return { root, connect: (actions) => (act = actions), draw };
}

const depthsOf = (runs) => [...new Set(runs.map(({ depth }) => depth))].sort((a, b) => a - b).join(", ") || "none yet";

/** What there is of each network: its decision map, and its gradients. */
function makePanel(kind) {
  const canvas = h("canvas", { role: "img" });
  const [facts, ratio] = [[h("span"), h("span")], h("span")];
  const chart = makeChart("bars", [kind]);
  const title = h("p", { class: `heading ${kind}` }, h("b", {}, kind), kind === "plain" ? " relu(f(x))" : " relu(x + f(x))");
  return {
    canvas, facts, ratio, chart,
    map: h("div", { class: "side" }, title, h("div", { class: "map" }, canvas), h("p", { class: "note facts" }, ...facts)),
    bars: h("div", { class: "side wide" }, h("p", { class: "heading" }, h("b", {}, `gradient by layer, ${kind} `), ratio), chart.element),
  };
}

function factsOf({ losses, answers }, { points }) {
  const right = `${Math.round(100 * rightShare(answers, points.heldOut.y))}\u00a0% right`;
  return [`training ${short(losses.training.at(-1))}`, `held out ${short(losses.heldOut.at(-1))}, ${right}`];
}

function spoken({ runs, points, step, depth }) {
  const one = (kind) => `${kind}, loss: ${factsOf(runs[kind], { points }).join(", ")}`;
  return `${depth} layers, step ${step} of ${STEPS}. ${KINDS.map(one).join(". ")}.`;
}

/** Colors the plane by the network's answer, and puts the points on it. Its corners are at -1.2 and 1.2. */
function drawMap(canvas, kind, { network, traces }, { training, heldOut }, dark) {
  const places = new Float64Array(2 * MAP * MAP).map((_, j) => 1.2 * ((2 * ((j % 2 ? Math.floor(j / 2 / MAP) : (j >> 1) % MAP) + 0.5)) / MAP - 1) * (j % 2 ? -1 : 1));
  const pixels = new ImageData(MAP, MAP);
  forward(network, places, traces).at(-1).output.forEach((logit, n) =>
    pixels.data.set([...signed(Math.tanh(logit / 2) || 0, dark), 255], 4 * n));
  const small = (drawMap.small ??= h("canvas", { width: MAP, height: MAP }));
  small.getContext("2d").putImageData(pixels, 0, 0);
  const side = Math.round(canvas.clientWidth * devicePixelRatio) || 1;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  pen.drawImage(small, 0, 0, side, side);
  const size = Math.max(2, side / 75);
  for (const [{ x, y }, hollow] of [[training, false], [heldOut, true]]) {
    for (const [n, one] of y.entries()) {
      const [left, top] = [(x[2 * n] / 1.2 + 1) * (side / 2), (1 - x[2 * n + 1] / 1.2) * (side / 2)];
      const color = `rgb(${signed(one ? 1 : -1, dark)})`;
      pen.beginPath();
      if (one) pen.arc(left, top, size, 0, 7);
      else pen.rect(left - size, top - size, 2 * size, 2 * size);
      pen.fillStyle = hollow ? (dark ? "#191c21" : "#fff") : color;
      pen.strokeStyle = hollow ? color : dark ? "#191c21" : "#fff";
      pen.lineWidth = size / 2;
      pen.fill();
      pen.stroke();
    }
  }
  canvas.setAttribute("aria-label", `the plane, colored by the ${kind} network's answer: red for the class of the round points, blue for that of the square ones`);
}

const DECADES = [-8, 4]; // of the gradients' axis, as powers of ten

/** The size of each layer's gradient as a bar on a logarithmic axis. */
function drawBars({ chart, ratio }, kind, { norms }) {
  const share = (norm) => (Math.log10(norm) - DECADES[0]) / (DECADES[1] - DECADES[0]);
  const layers = norms.length;
  const bar = (x, y) => (norm, k) => {
    if (!(norm > 0)) return "";
    const [left, right] = [x((k + 0.1) / layers), x((k + 0.9) / layers)];
    return `M${left} ${y(0)}V${y(share(norm))}H${right}V${y(0)}Z`;
  };
  const [first, last] = [norms[0], norms.at(-1)];
  const compared = `first ${short(first)}, last ${short(last)}`;
  say(ratio, compared);
  chart.draw({
    up: [[-8, "10⁻⁸"], [-4, "10⁻⁴"], [0, "1"], [4, "10⁴"]].map(([power, text]) => [share(10 ** power), text]),
    across: [[0, "layer 1"], [1, `layer ${layers}`]],
    data: (x, y) => [norms.map(bar(x, y)).join("")],
    label: `size of the gradient of each layer's weights, ${kind}, logarithmic: ${compared}`,
  });
}

/** All losses so far, on an axis that holds the largest of them. */
function drawCurves(chart, { runs, step }) {
  const top = axisEnd(KINDS.flatMap((kind) => Object.values(runs[kind].losses)).flat());
  const line = (x, y, values) => values.map((value, k) => (Number.isFinite(value) ? `${k ? "L" : "M"}${x(k / STEPS).toFixed(1)} ${y(value / top).toFixed(1)}` : "")).join("");
  const now = KINDS.map((kind) => runs[kind].losses.training.at(-1) / top); // shares of the axis
  const apart = Math.max(0, 0.12 - Math.abs(now[0] - now[1])); // by how much the two words would overlap
  const up = Math.min(apart, 1 - Math.max(...now)); // the higher one moves up as far as there is room, the lower one down
  const ends = now.map((value, k) => [value + (k === (now[0] < now[1] ? 1 : 0) ? up : up - apart), KINDS[k]]);
  chart.draw({
    up: [[0, "0"], ...(top < 10 ? [[Math.LN2 / top, "ln 2"]] : []), [1, format(top, 6)]],
    across: [[0, "step 0"], [1, String(STEPS)]],
    ends: ends.filter(([value]) => Number.isFinite(value)),
    data: (x, y) => [
      `M${x(0)} ${y(Math.LN2 / top)}H${x(1)}`,
      ...KINDS.flatMap((kind) => [line(x, y, runs[kind].losses.heldOut), line(x, y, runs[kind].losses.training)])],
    label: `losses of both networks up to step ${step}; ln 2 is the loss of guessing`,
  });
}

const OWN_STYLE = `
[hidden] { display: none !important; }
.playground { --plain: #a34a00; --residual: #0b6170; }
.playground.dark { --plain: #ffae57; --residual: #74c7d3; }
.row { margin-bottom: 8px; }
.sides { display: flex; flex-wrap: wrap; gap: 14px 20px; margin-top: 8px; }
.side { flex: 1 1 170px; min-width: 0; }
.side.wide { flex: 2 1 270px; }
.heading { white-space: normal; }
.heading.plain b { color: var(--plain); }
.heading.residual b { color: var(--residual); }
.map { aspect-ratio: 1; outline: 1px solid var(--line); border-radius: 3px; overflow: hidden; }
.map canvas { display: block; width: 100%; height: 100%; }
.facts { margin-top: 5px; min-height: 4.2em; }
.facts span { display: block; }
.bars { height: 120px; }
.chart text.plain { fill: var(--plain); font-weight: 600; }
.chart text.residual { fill: var(--residual); font-weight: 600; }
path.guessing { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
path.plain { stroke: var(--plain); }
path.residual { stroke: var(--residual); }
.curves path.plain:not(.held) { stroke-width: 3; }
.chart path.held { stroke-width: 1.25; stroke-dasharray: 5 3; }
.chart path.residual.held { stroke-dasharray: 7 2 2 2; }
.bars path.plain { fill: var(--plain); stroke: none; }
.bars path.residual { fill: var(--residual); stroke: none; }
.log { margin: 12px 0; }
.log table { font-size: 14px; }
.log th, .log td { text-align: right; padding: 1px 12px 1px 0; font-weight: 400; }
.log thead th { color: var(--soft); }
.log :is(th, td):nth-child(2) { text-align: left; white-space: normal; }
.verdict { margin-top: 6px; }
.about { margin-top: 12px; }
@container (max-width: 450px) { .side { flex: 1 1 130px; } }
@media (forced-colors: active) { .bars path { fill: CanvasText !important; } .curves path { stroke: CanvasText; } }
`;

export { FIELDS, advance, backward, forward, setUp, spirals };
export default { render };
