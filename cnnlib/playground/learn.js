// Watch it learn: a small convolutional network trains in the page, on shapes drawn at random or on the learner's own images.
//
// The arithmetic is in convnet.js. Here are a run of it, which is trained in short pieces, and what is seen of it.

import { STYLE, axisEnd, chooser, colorMap, format, h, isDark, makeChart, makeGrid, makeRandom, range, say, stepper, textField, wholeNumber } from "./base.js";
import { button, keepInStep, mount } from "./window.js";
import { SHAPES, SIDE, countParameters, crossEntropy, drawShapes, forward, learned, makeNetwork, shuffled, take, trainingStep, vary } from "./convnet.js";

const [TRAINING, HELD_OUT, EVERY, MOST, SLICE] = [600, 240, 10, 2000, 8]; // images; steps between looks; steps; milliseconds
const GALLERY = 12; // mistakes shown

// A run

/** Bytes in base64 as numbers from 0 to 1. */
const readBytes = (text) => Float64Array.from(atob(text), (letter) => letter.charCodeAt(0) / 255);

/** The images of a run: those given, the last fifth of them held out, or shapes. The scale is that of the images to learn from. */
function makeData(random, { images, classes, names: given, shuffle }) {
  let [training, heldOut, names] = [null, null, SHAPES];
  if (images) {
    const all = { x: readBytes(images), y: [...classes].map(Number) };
    const first = all.y.length - Math.floor(all.y.length / 5);
    const numbers = all.y.map((_, n) => n);
    [training, heldOut, names] = [take(all, numbers.slice(0, first)), take(all, numbers.slice(first)), given.split(",")];
  } else [training, heldOut] = [drawShapes(random, TRAINING), drawShapes(random, HELD_OUT)];
  const mean = training.x.reduce((sum, value) => sum + value, 0) / training.x.length;
  const std = Math.sqrt(training.x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / training.x.length);
  for (const one of [training, heldOut]) one.x = one.x.map((value) => (value - mean) / std);
  if (shuffle) training.y = shuffled(random, training.y.length).map((n) => training.y[n]);
  return { training, heldOut, names };
}

/** A run before its first step. The seed decides images, first weights and the order of the images. */
function setUp({ seed, depth, normalization, labels, images = "", classes = "", names = "" }) {
  const random = makeRandom(seed);
  const data = makeData(random, { images, classes, names, shuffle: labels === "shuffled" });
  const network = makeNetwork(random, depth, data.names.length, normalization === "batch");
  const velocity = learned(network, network.normalized).map((values) => values.map(() => 0));
  return { random, data, network, velocity, order: [], losses: [], looks: [], wrong: [], answers: [], goal: 0 };
}

/** The next images in a random order, each once in an epoch, varied as the setting says. What is left of an epoch is left out. */
function nextBatch(run, { batch, augmentation }) {
  const { random, data: { training } } = run;
  if (run.order.length < batch) run.order = shuffled(random, training.y.length);
  const images = take(training, run.order.splice(0, batch));
  const ways = { flip: /flip/.test(augmentation), shift: /shift/.test(augmentation) };
  return ways.flip || ways.shift ? vary(random, images, ways) : images;
}

/** Looks at the held-out images: notes loss and accuracy, and what is answered wrongly. */
function* look(run) {
  const { network, data: { heldOut }, losses } = run;
  const { logits } = yield* forward(network, heldOut.x);
  const { classes } = network;
  run.answers = heldOut.y.map((_, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
  run.wrong = heldOut.y.flatMap((truth, n) => (run.answers[n] === truth ? [] : [n]));
  const { loss } = crossEntropy(logits, heldOut.y, classes);
  run.looks.push([losses.length, loss, 1 - run.wrong.length / heldOut.y.length]);
}

/** Trains up to the step run.goal; looks at the held-out images every so often, and at the end. Stops where numbers overflow. */
function* train(run, setting) {
  while (run.losses.length < run.goal) {
    run.losses.push(yield* trainingStep(run, nextBatch(run, setting), setting.rate, setting.momentum));
    const over = !Number.isFinite(run.losses.at(-1));
    if (over || run.losses.length >= run.goal || run.losses.length % EVERY === 0) yield* look(run);
    if (over) return;
  }
}

/** Runs a generator to its end. */
function finish(work) {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Does work in pieces of some milliseconds, between which the page does what it has to; returns a function that stops it. */
function inPieces(work, { pause, done }) {
  const { port1, port2 } = new MessageChannel();
  let stopped = false;
  port1.onmessage = () => {
    if (stopped) return;
    const until = performance.now() + SLICE;
    do if (work.next().done) return done();
    while (performance.now() < until);
    pause();
    port2.postMessage(null);
  };
  port2.postMessage(null);
  return () => {
    stopped = true;
    port1.close();
  };
}

const [RATES, MOMENTA, BATCHES, DEPTHS] = [[0.002, 0.01, 0.05, 0.2, 1], [0, 0.5, 0.9], [8, 16, 32, 64, 128], [1, 2, 3]];
const AUGMENTATIONS = ["none", "shift", "flip", "shift and flip"];

const between = (low, high, start) => ({ read: (text) => (/^[\d.e-]+$/.test(text) && text >= low && text <= high ? Number(text) : undefined), write: String, start });
const oneOf = (names) => ({ read: (text) => names.find((name) => name === text.replaceAll("+", " ")), write: (name) => name.replaceAll(" ", "+"), start: names[0] });

/** Attributes of <cnn-learn>, which are also the settings in the address, but for the images and what they show. */
const FIELDS = {
  rate: between(1e-4, 10, 0.05),
  momentum: between(0, 0.99, 0.9),
  batch: { ...wholeNumber(2, 128), start: 32 },
  normalization: oneOf(["batch", "none"]),
  augmentation: oneOf(AUGMENTATIONS),
  depth: { ...wholeNumber(1, 3), start: 2 },
  labels: oneOf(["true", "shuffled"]),
  seed: { ...wholeNumber(0, 999), start: 0 },
  images: { ...textField, start: "" },
  classes: { ...textField, start: "" },
  names: { ...textField, start: "" },
  controls: { ...textField, start: "rate momentum batch normalization augmentation depth labels seed" },
  label: { ...textField, start: "Watch it learn" },
};
const SETTINGS = ["rate", "momentum", "batch", "normalization", "augmentation", "depth", "labels", "seed", "images", "classes", "names"];

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const view = makeView(new Set(model.get("controls").split(/\s+/)), model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  let settings = {};
  let run; // network, data and what was measured
  let halt = null; // stops the training that goes on
  let frame = 0; // the animation frame in which it is drawn next
  let drawn = 0; // when it was drawn last
  let before; // losses and looks of the run before this one
  let chosen = 0; // the held-out image that is looked at
  let speed = 0; // images a second

  const stepNow = () => run.losses.length;

  function start(steps) {
    const [from, begun] = [stepNow(), performance.now()];
    const pace = () => (speed = ((stepNow() - from) * settings.batch) / ((performance.now() - begun) / 1000));
    run.goal = Math.min(MOST, from + steps);
    halt = inPieces(train(run, settings), {
      pause() {
        if (still.matches || frame || performance.now() - drawn < 150) return;
        pace();
        frame = requestAnimationFrame(() => draw());
      },
      done() {
        pace();
        pause();
      },
    });
    draw();
  }

  /** Stops, and tells the model what has been learned. */
  function pause() {
    stop();
    const { losses, looks, network, wrong } = run;
    model.set("losses", losses.map((loss) => (Number.isFinite(loss) ? loss : null)));
    model.set("looks", looks.map((one) => one.map((value) => (Number.isFinite(value) ? value : null))));
    model.set("kernels", kernelsOf(network));
    model.set("wrong", wrong);
    model.save_changes();
    draw();
  }

  function stop() {
    halt?.();
    halt = null;
    cancelAnimationFrame(frame);
    frame = 0;
  }

  function restart() {
    stop();
    if (run?.losses.length > 1) before = { losses: run.losses, looks: run.looks };
    run = setUp(settings);
    finish(look(run));
    speed = 0;
    draw();
  }

  view.connect({
    set(name, value) {
      model.set(name, value);
      model.save_changes();
    },
    choose(n) {
      chosen = n;
      draw();
    },
    main() {
      if (halt) return pauseTraining();
      if (stepNow() === MOST) restart();
      start(still.matches ? 50 : MOST);
    },
    step() {
      if (halt) pauseTraining();
      else if (stepNow() < MOST) start(1);
    },
    restart,
  });

  /** The step that goes on is finished first, so that pauses change no numbers. */
  const pauseTraining = () => (run.goal = stepNow());

  /** The model has changed: if what it sets is new, training starts afresh. */
  function update() {
    const now = Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
    if (SETTINGS.every((name) => now[name] === settings[name])) return;
    settings = now;
    restart();
  }

  function draw() {
    frame = 0;
    if (!host.isConnected || !run) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    drawn = performance.now();
    if (chosen >= run.data.heldOut.y.length) chosen = 0;
    view.draw({ ...settings, ...run, step: stepNow(), running: halt !== null, still: still.matches, before, chosen, speed });
  }

  const leave = keepInStep({ model, host, update, draw });
  return () => {
    stop();
    leave();
  };
}

/** The kernels of the first convolution as rows of numbers, (F, 3, 3). */
const kernelsOf = ({ blocks: [{ w, filters }] }) =>
  Array.from({ length: filters }, (_, f) => [0, 3, 6].map((at) => [...w.subarray(9 * f + at, 9 * f + at + 3)]));

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const short = (value) => (Number.isFinite(value) ? format(value, 5) : "overflow");

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const numbers = (name, title) => chooser(title, (text) => act.set(name, Number(text)));
  const words = (name, title) => chooser(title, (text) => act.set(name, text));
  const choices = {
    rate: numbers("rate", "learning rate"),
    momentum: numbers("momentum", "momentum"),
    batch: numbers("batch", "batch size"),
    normalization: words("normalization", "normalization"),
    augmentation: words("augmentation", "augmentation"),
    depth: numbers("depth", "convolutions"),
    labels: words("labels", "labels"),
    seed: stepper("seed", 0, 999, (value) => choices.seed.allows(value) && act.set("seed", value)),
  };
  const main = button("Train", () => act.main(), { class: "main" });
  const stepOn = button("Step", () => act.step());
  const [progress, status] = [h("span", { class: "note" }), h("p", { class: "unseen", role: "status" })];
  const [lossNow, shareNow] = [h("span"), h("span")];
  const losses = makeChart("losses", ["guessing", "earlier", "held", "now"]);
  const shares = makeChart("shares", ["guessing", "earlier", "now"]);
  const [kernels, maps, gallery] = ["kernels", "maps", "gallery"].map((name) => h("div", { class: `tiles ${name}` }));
  const tiles = { image: makeGrid("tile"), kernels: [], maps: [], gallery: [] };
  const [shown, mistakes, about] = [h("span"), h("span"), h("p", { class: "note about" })];
  const head = (title, more) => h("p", { class: "heading" }, h("b", {}, title), " ", more);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, ...Object.keys(choices).filter((name) => controls.has(name)).map((name) => choices[name].element)),
    h("div", { class: "row" }, main, stepOn, button("Reset", () => act.restart()), progress),
    h("div", { class: "sides" },
      h("div", { class: "side wide" }, head("loss", lossNow), losses.element),
      h("div", { class: "side wide" }, head("held-out images right, %", shareNow), shares.element)),
    h("div", { class: "sides" },
      h("div", { class: "side" }, head("kernels of the first convolution", ""), kernels),
      h("div", { class: "side wide" }, head("one held-out image", shown), h("div", { class: "tiles" }, tiles.image.element, maps))),
    h("div", {}, head("what it gets wrong", mistakes), gallery),
    status, about);

  function draw(state) {
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    drawControls(state);
    drawCurves(state);
    drawKernels(state, dark);
    drawMaps(state);
    drawGallery(state);
    const { data: { training, heldOut, names }, network } = state;
    say(about, `${training.y.length} images to learn from, ${heldOut.y.length} held out; classes: ${names.join(", ")}. \
The network has ${countParameters(network).toLocaleString("en")} parameters: 3x3 convolutions, each with ReLU and 2x2 max pooling, then a dense layer. \
Thin line: the run before this one.`);
    if (!state.running) say(status, spoken(state));
  }

  function drawControls({ rate, momentum, batch, normalization, augmentation, depth, labels, seed, step, running, still, data, speed }) {
    const among = (values, value) => [...new Set([...values, value])].sort((a, b) => a - b).map(String);
    choices.rate.show(among(RATES, rate), String(rate));
    choices.momentum.show(among(MOMENTA, momentum), String(momentum));
    choices.batch.show(among(BATCHES, batch), String(batch));
    choices.normalization.show(["batch", "none"], normalization);
    choices.augmentation.show(AUGMENTATIONS, augmentation);
    choices.depth.show(DEPTHS.map(String), String(depth));
    choices.labels.show(["true", "shuffled"], labels);
    choices.seed.show(seed);
    say(main, running ? "Pause" : step === MOST ? "Again" : still ? "50 steps" : "Train");
    stepOn.setAttribute("aria-disabled", step === MOST);
    const epochs = ((step * batch) / data.training.y.length).toFixed(1);
    say(progress, `step ${step}, epoch ${epochs}${speed ? `, ${Math.round(speed).toLocaleString("en")} images a second` : ""}`);
  }

  function drawCurves({ losses: now, looks, before, network, step }) {
    const chance = Math.log(network.classes);
    const [earlier, most] = [before ?? { losses: [], looks: [] }, Math.max(step, before?.losses.length ?? 0, 50)];
    const end = axisEnd([most]);
    const smooth = smoothed(now);
    const top = Math.min(2 * chance, axisEnd([chance, ...smooth, ...looks.map(([, loss]) => loss)]));
    const line = (x, y, points) => points.map(([at, value], k) => (Number.isFinite(value) ? `${k ? "L" : "M"}${x(at / end).toFixed(1)} ${y(value).toFixed(1)}` : "")).join("").replace(/^L/, "M");
    const counted = (values) => values.map((value, k) => [k + 1, value]);
    const across = [[0, "step 0"], [1, String(end)]];
    losses.draw({
      up: [[0, "0"], [chance / top, format(chance, 4)], [1, short(top)]].filter(([share], k) => k !== 1 || share < 0.9), across,
      data: (x, y) => {
        const up = (value) => y(value / top);
        return [`M${x(0)} ${up(chance)}H${x(1)}`, line(x, up, counted(smoothed(earlier.losses))), line(x, up, looks), line(x, up, counted(smooth))];
      },
      label: `loss up to step ${step}; ${short(chance)} is the loss of guessing`,
    });
    const share = (points) => points.map(([at, , right]) => [at, right]);
    shares.draw({
      up: [[0, "0"], [0.5, "50"], [1, "100"]], across,
      data: (x, y) => [`M${x(0)} ${y(1 / network.classes)}H${x(1)}`, line(x, y, share(earlier.looks)), line(x, y, share(looks))],
      label: `share of the held-out images that are right, up to step ${step}; dots: guessing`,
    });
    const [, held, right] = looks.at(-1);
    say(lossNow, step ? `line: training ${short(smooth.at(-1))}, dashes: held out ${short(held)}, dots: guessing` : "line: training, dashes: held out, dots: guessing");
    say(shareNow, percent(right));
  }

  function drawKernels({ network }, dark) {
    const all = kernelsOf(network);
    const map = colorMap(-Math.max(...network.blocks[0].w.map(Math.abs)), 0, dark);
    fill(kernels, tiles.kernels, all.length, () => makeGrid("tile"));
    for (const [f, kernel] of all.entries()) {
      tiles.kernels[f].draw({ rows: 3, columns: 3, cell: 16, numbersFrom: 99, color: (r, c) => map.color(kernel[r][c]), label: `kernel ${f + 1}, blue below 0, red above` });
    }
  }

  function drawMaps({ network, data: { heldOut, names }, chosen, answers }) {
    const { x, y } = take(heldOut, [chosen]);
    const map = finish(forward(network, x)).traces[0].maps;
    drawPicture(tiles.image, x, 5, `held-out image ${chosen + 1}, ${names[y[0]]}`);
    fill(maps, tiles.maps, network.blocks[0].filters, () => makeGrid("tile"));
    const plane = SIDE ** 2;
    for (const [f, tile] of tiles.maps.entries())
      drawPicture(tile, map.subarray(f * plane, (f + 1) * plane).map((value) => Math.max(0, value)), 3, `what kernel ${f + 1} finds in it`);
    say(shown, `${names[y[0]]}, taken for ${names[answers[chosen]]}; and what each kernel finds in it, after the ReLU`);
  }

  function drawGallery({ wrong, data: { heldOut, names }, answers, chosen }) {
    say(mistakes, `${wrong.length} of ${heldOut.y.length}${wrong.length > GALLERY ? `, the first ${GALLERY}` : ""}; choose one to look at`);
    fill(gallery, tiles.gallery, GALLERY, makePick);
    for (const [k, pick] of tiles.gallery.entries()) {
      const n = wrong[k];
      pick.element.hidden = n === undefined;
      if (n === undefined) continue;
      pick.number = n;
      drawPicture(pick.tile, heldOut.x.subarray(n * SIDE ** 2, (n + 1) * SIDE ** 2), 3, "");
      pick.element.setAttribute("aria-pressed", n === chosen);
      say(pick.words, `${names[heldOut.y[n]]}, not ${names[answers[n]]}`);
    }
  }

  /** A mistake of the gallery: a button with the image and two words. */
  function makePick() {
    const pick = { tile: makeGrid("tile"), words: h("span"), number: 0 };
    pick.element = button("", () => act.choose(pick.number), { class: "pick" });
    pick.tile.element.setAttribute("aria-hidden", "true");
    pick.element.append(pick.tile.element, pick.words);
    return pick;
  }

  return { root, connect: (actions) => (act = actions), draw };
}

/** Sees to it that a place holds so many tiles. */
function fill(place, tiles, count, make) {
  if (tiles.length === count) return;
  tiles.splice(0, tiles.length, ...Array.from({ length: count }, make));
  place.replaceChildren(...tiles.map(({ element }) => element));
}

/** 16 x 16 numbers as gray levels, from the least to the largest. */
function drawPicture(grid, values, cell, label) {
  const [low, high] = range([values]);
  const map = colorMap(0, high - low);
  grid.draw({ rows: SIDE, columns: SIDE, cell, color: (r, c) => map.color(values[r * SIDE + c] - low), label });
}

/** The mean of each loss and the four before it: batches differ. */
const smoothed = (losses) => losses.map((_, k) => {
  const part = losses.slice(Math.max(0, k - 4), k + 1);
  return part.reduce((sum, loss) => sum + loss, 0) / part.length;
});

function spoken({ losses, looks, step, wrong }) {
  if (step && !Number.isFinite(losses.at(-1))) return `step ${step}: overflow. The numbers have grown beyond all bounds: reset, and try a smaller learning rate.`;
  const [, loss, right] = looks.at(-1);
  return `step ${step}. ${step ? `training loss ${short(smoothed(losses).at(-1))}, ` : ""}held out loss ${short(loss)}, ${percent(right)} right, ${wrong.length} wrong.`;
}

const OWN_STYLE = `
[hidden] { display: none !important; }
.playground { --now: #0b6170; }
.playground.dark { --now: #74c7d3; }
.row { margin-bottom: 8px; }
.sides { display: flex; flex-wrap: wrap; gap: 14px 20px; margin: 8px 0 12px; }
.side { flex: 1 1 170px; min-width: 0; }
.side.wide { flex: 2 1 290px; }
.heading { white-space: normal; min-height: 2.8em; }
.chart { height: 160px; }
path.guessing { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.chart path.now { stroke: var(--now); stroke-width: 2.5; }
.chart path.held { stroke: var(--now); stroke-width: 1.25; stroke-dasharray: 5 3; }
.chart path.earlier { stroke: var(--soft); stroke-width: 1; }
.tiles { display: flex; flex-wrap: wrap; gap: 7px; align-items: flex-start; align-content: flex-start; }
.tiles .maps { flex: 1 1 220px; }
.kernels { max-width: 240px; }
.gallery { min-height: 82px; align-items: stretch; }
.pick { display: flex; flex-direction: column; align-items: center; gap: 3px; padding: 5px; width: 92px; font-size: 13px; line-height: 1.2; }
.about { margin-top: 12px; }
@media (forced-colors: active) { .chart path { stroke: CanvasText; } }
`;

export { FIELDS, finish, look, nextBatch, setUp, train };
export default { render };
