// The kernel playground: slide a kernel over an image, see what is multiplied, what is added, and where it goes.
//
// The arithmetic is the first part, and is all that a convolution is. The rest puts it on the page.

import { NUMBERS_FROM, STYLE, chooser, colorMap, digitsThatFit, flagField, format, fraction, h, inkOn, isDark, makeGrid, makeLegend, matrixField, onTheme, pairField, parseNumber, range, readMatrix, say, signed, stepper, textField, wholeNumber } from "./base.js";
import { PHOTO } from "./photo.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ stride?: number, padding?: number, dilation?: number }} Options */

// The arithmetic

/** How many places a window has along one axis; 0 if it does not fit. */
function outputSize(size, taps, { stride = 1, padding = 0, dilation = 1 } = {}) {
  const room = size + 2 * padding - (dilation * (taps - 1) + 1);
  return room < 0 ? 0 : 1 + Math.floor(room / stride);
}

/** The numbers under the window at one place; what hangs over the edge is 0. @returns {Matrix} */
function patchAt(image, kernel, [row, column], { stride = 1, padding = 0, dilation = 1 } = {}) {
  return kernel.map((weights, k) => {
    const r = row * stride - padding + k * dilation;
    return weights.map((_, l) => image[r]?.[column * stride - padding + l * dilation] ?? 0);
  });
}

/** Multiply two matrices entry by entry, and add everything. */
function multiplyAndSum(patch, kernel) {
  let sum = 0;
  for (const [k, weights] of kernel.entries()) for (const [l, weight] of weights.entries()) sum += weight * patch[k][l];
  return sum;
}

/**
 * Slide the kernel over the image: torch.nn.functional.conv2d with one channel and one filter.
 * @param {Matrix} image @param {Matrix} kernel @param {Options} options @returns {Matrix}
 */
function correlate(image, kernel, options = {}) {
  const rows = outputSize(image.length, kernel.length, options);
  const columns = outputSize(image[0].length, kernel[0].length, options);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) =>
      multiplyAndSum(patchAt(image, kernel, [row, column], options), kernel)));
}

/** How many windows use each place along one axis. A pixel's count is its row's times its column's. */
function usesAlong(size, taps, { stride = 1, padding = 0, dilation = 1 } = {}) {
  const uses = new Array(size).fill(0);
  for (let place = 0; place < outputSize(size, taps, { stride, padding, dilation }); place++) {
    for (let k = 0; k < taps; k++) {
      const pixel = place * stride - padding + k * dilation;
      if (pixel >= 0 && pixel < size) uses[pixel]++;
    }
  }
  return uses;
}

/** The kernel turned by half a turn: what tells convolution from correlation. @param {Matrix} kernel */
const turned = (kernel) => kernel.map((row) => [...row].reverse()).reverse();

// Images and kernels that have a name

const grid = (rows, columns, value) =>
  Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => value(r, c)));
const photoBytes = atob(PHOTO.bytes);

/** @type {Object<string, Matrix>} */
const IMAGES = {
  ramp: grid(5, 5, (r, c) => 5 * r + c),
  step: grid(7, 7, (r, c) => (c < 3 ? 0 : 9)),
  dot: grid(7, 7, (r, c) => (r === 3 && c === 3 ? 1 : 0)),
  photo: grid(PHOTO.rows, PHOTO.columns, (r, c) => photoBytes.charCodeAt(r * PHOTO.columns + c)),
};

const KERNELS = {
  "vertical edge": "1 0 -1; 1 0 -1; 1 0 -1",
  "horizontal edge": "1 1 1; 0 0 0; -1 -1 -1",
  "diagonal edge": "2 1 0; 1 0 -1; 0 -1 -2",
  outline: "-1 -1 -1; -1 8 -1; -1 -1 -1",
  sharpen: "0 -1 0; -1 5 -1; 0 -1 0",
  blur: "1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9",
  "soft blur": "1/16 1/8 1/16; 1/8 1/4 1/8; 1/16 1/8 1/16",
  copy: "0 0 0; 0 1 0; 0 0 0",
};

const same = (a, b) => a === b || (a.length === b.length && a.every((row, r) =>
  row.length === b[r].length && row.every((value, c) => value === b[r][c])));
const nameOf = (matrix, named, otherwise) => Object.keys(named).find((name) => same(named[name], matrix)) ?? otherwise;
const PRESETS = Object.fromEntries(Object.entries(KERNELS).map(([name, text]) => [name, readMatrix(text)]));

/** Attributes of <cnn-kernel>, which are also the settings in the address. */
const FIELDS = {
  image: { read: (text) => IMAGES[text] ?? readMatrix(text), write: (image) => nameOf(image, IMAGES), start: IMAGES.ramp },
  kernel: { ...matrixField(7), start: PRESETS["vertical edge"] },
  stride: { ...wholeNumber(1, 4), start: 1 },
  padding: { ...wholeNumber(0, 4), start: 0 },
  dilation: { ...wholeNumber(1, 4), start: 1 },
  at: { ...pairField, start: [0, 0] },
  controls: { ...textField, start: "kernel window" },
  predict: flagField,
  label: { ...textField, start: "Kernel playground" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const predict = model.get("predict");
  const given = read();
  const view = makeView(controls, model.get("label"));
  const host = h("div", { "data-lm-suppress-shortcuts": "true" }); // JupyterLab leaves our keys alone
  host.attachShadow({ mode: "open" }).append(h("style"), view.root);
  host.shadowRoot.firstChild.textContent = STYLE + OWN_STYLE;
  el.append(host);

  let at = model.get("at"); // where the window stands: a row and a column of the output
  let playing = 0; // the number of the animation frame that comes next
  let counting = false; // show how often each pixel is used, in place of its value
  let seen = new Set(); // places of the output that the window has visited
  let output; // the answer, and what it was computed from
  let settings;

  /** What decides the output. */
  function read() {
    const names = ["image", "kernel", "stride", "padding", "dilation"];
    return Object.fromEntries(names.map((name) => [name, model.get(name)]));
  }

  // What the reader does

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  function moveTo(row, column) {
    stop();
    const [rows, columns] = [output.length, output[0]?.length ?? 0];
    if (!rows || !columns) return;
    const to = [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
    if (to.join() !== at.join()) set({ at: to });
  }

  function stepBy(places) {
    const columns = output[0]?.length ?? 0;
    const place = Math.max(0, Math.min(output.length * columns - 1, at[0] * columns + at[1] + places));
    moveTo(Math.floor(place / columns), place % columns);
  }

  function play() {
    if (playing) return stop();
    const columns = output[0]?.length ?? 0;
    const places = output.length * columns;
    if (!places) return;
    let place = at[0] * columns + at[1];
    if (place === places - 1) place = 0;
    const pause = Math.min(700, 14000 / places); // milliseconds a place; a photo takes 14 seconds
    let due = performance.now() + pause;
    at = [Math.floor(place / columns), place % columns];
    const tick = (now) => {
      const steps = Math.min(places - 1 - place, Math.floor((now - due) / pause) + 1);
      if (steps > 0) {
        for (const end = place + steps; place < end; ) seen.add(++place);
        due += steps * pause;
        at = [Math.floor(place / columns), place % columns];
        draw();
      }
      if (place < places - 1) playing = requestAnimationFrame(tick);
      else stop();
    };
    playing = requestAnimationFrame(tick);
    draw();
  }

  function stop() {
    if (!playing) return;
    cancelAnimationFrame(playing);
    playing = 0;
    set({ at });
    draw();
  }

  function setSize(name, value) {
    const rows = name === "rows" ? value : settings.kernel.length;
    const columns = name === "columns" ? value : settings.kernel[0].length;
    set({ kernel: grid(rows, columns, (r, c) => settings.kernel[r]?.[c] ?? 0) });
  }

  view.connect({
    move: ([row, column]) => controls.has("window") && moveTo(row, column),
    moveBy: (rows, columns) => moveTo(at[0] + rows, at[1] + columns),
    stepBy,
    play,
    weight: (k, l, value) => {
      const kernel = settings.kernel.map((row) => [...row]);
      kernel[k][l] = value;
      set({ kernel });
    },
    kernel: (name) => set({ kernel: PRESETS[name] ?? given.kernel }),
    turn: () => set({ kernel: turned(settings.kernel) }),
    image: (name) => set({ image: IMAGES[name] ?? given.image, at: [0, 0] }),
    setting: (name, value) => set({ [name]: value }),
    size: setSize,
    count: () => draw((counting = !counting)),
    uncover: () => {
      for (let place = 0; place < output.length * output[0].length; place++) seen.add(place);
      draw();
    },
    reset: () => {
      stop();
      seen = new Set();
      set({ ...given, at: [0, 0] });
    },
  });

  // What the reader sees

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const columns = output[0]?.length ?? 0;
    seen.add(at[0] * columns + at[1]);
    const now = at[0] * columns + at[1];
    const covered = (r, c) => (predict ? !seen.has(r * columns + c) : playing > 0 && r * columns + c > now);
    view.draw({ ...settings, given, output, at, counting, playing: playing > 0, predict, covered });
  }

  function update() {
    const next = read();
    if (!settings || Object.keys(next).some((name) => next[name] !== settings[name])) {
      cancelAnimationFrame(playing);
      playing = 0;
      settings = next;
      output = correlate(settings.image, settings.kernel, settings);
      seen = new Set();
    }
    const [row, column] = playing ? at : model.get("at");
    at = [Math.max(0, Math.min(output.length - 1, row)), Math.max(0, Math.min((output[0]?.length ?? 0) - 1, column))];
    draw();
  }

  model.on("change", update);
  const stopTheme = onTheme(() => draw());
  const sizes = new ResizeObserver(() => requestAnimationFrame(draw));
  sizes.observe(host);
  document.fonts.ready.then(draw); // how many digits fit depends on the font
  update();
  return () => {
    cancelAnimationFrame(playing);
    model.off("change", update);
    stopTheme();
    sizes.disconnect();
    host.remove();
  };
}

/** The playground's elements, and how they show a state. It computes nothing but colors, sizes and sentences. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const button = (text, run, attributes = {}) => h("button", { type: "button", click: () => run(), ...attributes }, text);
  const has = (...names) => names.some((name) => controls.has(name));

  const image = { heading: h("p", { class: "heading" }), grid: makeGrid("image"), legend: makeLegend() };
  const result = { heading: h("p", { class: "heading" }), grid: makeGrid("output"), legend: makeLegend() };
  const hint = h("p", { class: "note hint", id: "hint" }, "Drag the window, or focus it and use the arrow keys.");
  const frame = h("div", has("window")
    ? { class: "frame", tabindex: 0, role: "slider", "aria-label": "window", "aria-describedby": "hint" }
    : { class: "frame" });
  const mark = h("div", { class: "mark" });
  const unused = h("div", { class: "unused" });
  const [beam, rays] = [makeShape("beam"), makeShape("rays")];
  image.grid.element.append(unused, frame);
  result.grid.element.append(mark);
  const stage = h("div", { class: "stage" },
    h("div", { class: "side" }, image.heading, image.grid.element, image.legend.element),
    h("div", { class: "side" }, result.heading, result.grid.element, result.legend.element),
    beam.element, rays.element);

  const patch = makeMatrix("patch", "patch");
  const weights = has("kernel") ? makeWeights((k, l, value) => act.weight(k, l, value)) : makeMatrix("kernel", "kernel");
  const products = makeMatrix("products", "products");
  const total = h("b", { class: "total" });
  const place = h("span", { class: "heading" });
  const sum = h("div", { class: "sum" },
    patch.element,
    h("div", { class: "part" }, h("span", { class: "sign" }, "×"), weights.element),
    h("div", { class: "part" }, h("span", { class: "sign" }, "="), products.element),
    h("div", { class: "result" }, h("span", { class: "heading" }, "sum"), total, place));
  const equation = h("p", { class: "equation", "aria-hidden": "true" });
  const words = h("p", { class: "unseen", role: "status" });
  const facts = h("p", { class: "note facts" });
  const credit = h("p", { class: "note credit" }, PHOTO.credit);

  const pickImage = chooser("image", (name) => act.image(name));
  const pickKernel = chooser("kernel", (name) => act.kernel(name));
  const steppers = {
    stride: stepper("stride", 1, 4, (value) => change("stride", value)),
    padding: stepper("padding", 0, 4, (value) => change("padding", value)),
    dilation: stepper("dilation", 1, 4, (value) => change("dilation", value)),
    rows: stepper("kernel rows", 1, 7, (value) => change("rows", value)),
    columns: stepper("kernel columns", 1, 7, (value) => change("columns", value)),
  };
  function change(name, value) {
    if (!steppers[name].allows(value)) return;
    if (name === "rows" || name === "columns") act.size(name, value);
    else act.setting(name, value);
  }

  const playButton = button("Play", () => act.play(), { class: "main" });
  const countButton = button("How often used?", () => act.count(), { "aria-pressed": "false" });
  const uncoverButton = button("Show all", () => act.uncover());
  const top = h("div", { class: "row" },
    has("image") ? pickImage.element : null,
    has("kernel") ? pickKernel.element : null,
    has("kernel") ? button("Turn by 180°", () => act.turn()) : null,
    ...(has("size") ? [steppers.rows.element, steppers.columns.element] : []),
    ...["stride", "padding", "dilation"].filter((name) => has(name)).map((name) => steppers[name].element));
  const bottom = h("div", { class: "row middle" },
    has("window") ? playButton : null,
    has("window") ? button("← Back", () => act.stepBy(-1)) : null,
    has("window") ? button("Step →", () => act.stepBy(1)) : null,
    has("usage") ? countButton : null,
    uncoverButton,
    controls.size ? button("Reset", () => act.reset()) : null);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    top, stage, bottom, has("window") ? hint : null, sum, equation, words, facts, credit);

  let cell = 0; // pixels a side of a cell, the same in the image and in the output
  let layout = { high: 1, wide: 1, stride: 1 }; // of the window, in cells of the padded image
  let [beamUntil, beamRuns] = [0, false];

  function connect(actions) {
    act = actions;
    if (!has("window")) return;
    const keys = {
      ArrowLeft: () => act.moveBy(0, -1), ArrowRight: () => act.moveBy(0, 1),
      ArrowUp: () => act.moveBy(-1, 0), ArrowDown: () => act.moveBy(1, 0),
      Home: () => act.moveBy(0, -1000), End: () => act.moveBy(0, 1000),
      PageUp: () => act.moveBy(-1000, 0), PageDown: () => act.moveBy(1000, 0),
      " ": () => act.play(),
    };
    frame.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    // A place on the image is where the window's middle shall be; a place on the output is the answer's.
    follow(image.grid.element, frame, (x, y) => [
      Math.round((y / cell - layout.high / 2) / layout.stride),
      Math.round((x / cell - layout.wide / 2) / layout.stride),
    ]);
    follow(result.grid.element, mark, (x, y) => [Math.floor(y / cell), Math.floor(x / cell)]);
  }

  /** Lets a pointer lead the window. A finger must start on the `handle`, so that the rest of the page still scrolls. */
  function follow(area, handle, toPlace) {
    let hold = null; // while it leads: how far from the handle's middle it was put down
    let led = false; // whether the click that ends a drag is yet to come
    const lead = (event) => {
      const box = area.getBoundingClientRect();
      act.move(toPlace(event.clientX - box.left - hold[0], event.clientY - box.top - hold[1]));
    };
    area.addEventListener("pointerdown", (event) => {
      const onHandle = event.composedPath().includes(handle);
      led = false;
      if (event.button !== 0 || (event.pointerType === "touch" && !onHandle)) return;
      const box = handle.getBoundingClientRect();
      hold = onHandle ? [event.clientX - (box.left + box.right) / 2, event.clientY - (box.top + box.bottom) / 2] : [0, 0];
      led = true;
      area.setPointerCapture(event.pointerId);
      event.preventDefault(); // no text is selected
      frame.focus({ preventScroll: true, focusVisible: false });
      lead(event);
    });
    area.addEventListener("pointermove", (event) => hold && lead(event));
    for (const end of ["pointerup", "pointercancel"]) area.addEventListener(end, () => (hold = null));
    area.addEventListener("click", (event) => {
      hold = [0, 0];
      if (!led) lead(event);
      hold = null;
      led = false;
    });
  }

  function draw(state) {
    const { image: pixels, kernel, output, at, padding } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const [height, width] = [pixels.length + 2 * padding, pixels[0].length + 2 * padding];
    const [rows, columns] = [output.length, output[0]?.length ?? 0];
    const fits = rows > 0 && columns > 0;
    fitCells(height, width, rows, columns);
    const scale = largest(pixels) * kernel.flat().reduce((total, weight) => total + Math.abs(weight), 0);
    const maps = colorMaps(state, dark, scale);
    drawControls(state);
    drawImage(state, maps, height, width);
    drawOutput(state, maps, scale);
    root.classList.toggle("misfit", !fits);
    drawWindow(state, fits);
    drawUnused(state);
    drawFacts(state, fits);
    say(credit, same(pixels, IMAGES.photo) ? PHOTO.credit : "");
    if (!fits) {
      say(words, "The window is larger than the padded image: there is no output.");
      return;
    }
    const under = patchAt(pixels, kernel, at, state);
    drawSum(state, maps, under, scale, dark);
    drawBeam();
  }

  /** Beside each other if numbers still fit into the cells, or if they would fit in neither way. */
  function fitCells(height, width, rows, columns) {
    const available = stage.clientWidth - 2;
    const beside = (available - (available < 420 ? 20 : 44)) / (width + Math.max(columns, 2));
    const below = available / Math.max(width, columns);
    const stacked = beside < NUMBERS_FROM && (below >= NUMBERS_FROM || available < 560);
    stage.classList.toggle("stacked", stacked);
    cell = Math.min(stacked ? below : beside, 46, 520 / height);
    cell = cell < NUMBERS_FROM ? Math.max(2, Math.floor(2 * cell) / 2) : Math.floor(cell);
  }

  function colorMaps({ image: pixels, kernel, output }, dark, scale) {
    const [low, high] = range(pixels);
    const input = colorMap(low, high, dark);
    const [least, most] = output.length && output[0].length ? range(output) : [0, 0];
    const keepsBrightness = low >= 0 && Math.abs(kernel.flat().reduce((a, b) => a + b, 0) - 1) < 1e-9;
    const clipped = keepsBrightness && (least < -1e-12 * scale || most > high * (1 + 1e-12));
    const answer = keepsBrightness ? input : colorMap(least < -1e-12 * scale ? least : 0, most, dark);
    return { input, answer, clipped };
  }

  function drawControls({ image: pixels, kernel, stride, padding, dilation, given, playing, predict, counting, output, covered }) {
    const kernelName = nameOf(kernel, PRESETS, same(kernel, given.kernel) ? "as given" : "your own");
    const kernelChoices = [...(nameOf(given.kernel, PRESETS) ? [] : ["as given"]), ...Object.keys(PRESETS)];
    pickKernel.show([...new Set([...kernelChoices, kernelName])], kernelName);
    const imageChoices = [...(nameOf(given.image, IMAGES) ? [] : ["as given"]), ...Object.keys(IMAGES)];
    pickImage.show(imageChoices, nameOf(pixels, IMAGES, "as given"));
    const values = { stride, padding, dilation, rows: kernel.length, columns: kernel[0].length };
    for (const [name, value] of Object.entries(values)) steppers[name].show(value);
    say(playButton, playing ? "Pause" : "Play");
    countButton.setAttribute("aria-pressed", String(counting));
    const hidden = predict && output.some((row, r) => row.some((_, c) => covered(r, c)));
    uncoverButton.hidden = !hidden;
  }

  function drawImage({ image: pixels, kernel, padding, stride, dilation, counting }, maps, height, width) {
    const inside = (r, c) => pixels[r - padding]?.[c - padding];
    const down = usesAlong(pixels.length, kernel.length, { stride, padding, dilation });
    const across = usesAlong(pixels[0].length, kernel[0].length, { stride, padding, dilation });
    const most = Math.max(...down) * Math.max(...across);
    const uses = (r, c) => down[r - padding] * across[c - padding];
    const counts = colorMap(0, most, false);
    heading(image.heading, "image", pixels.length, pixels[0].length, padding ? `padding ${padding}` : "");
    image.grid.draw({
      rows: height, columns: width, cell,
      color: (r, c) => {
        if (inside(r, c) === undefined || (cell >= NUMBERS_FROM && uses(r, c) === 0)) return null;
        return counting ? counts.color(uses(r, c)) : maps.input.color(inside(r, c));
      },
      kind: (r, c) => (inside(r, c) === undefined ? "empty" : uses(r, c) === 0 ? "skipped" : ""),
      text: (r, c, room) => {
        if (inside(r, c) === undefined) return counting ? "" : "0";
        return counting ? `${uses(r, c)}×` : format(inside(r, c), room);
      },
      label: `image, ${pixels.length} rows, ${pixels[0].length} columns` + (padding ? `, padding ${padding}` : ""),
    });
    image.legend.draw(counting ? counts : maps.input, counting ? " times used" : "");
  }

  function drawOutput({ output, covered }, maps, scale) {
    const [rows, columns] = [output.length, output[0]?.length ?? 0];
    heading(result.heading, "output", rows, columns);
    result.grid.draw({
      rows, columns, cell,
      color: (r, c) => (covered(r, c) ? null : maps.answer.color(output[r][c])),
      kind: (r, c) => (covered(r, c) ? "empty" : ""),
      text: (r, c, room) => (covered(r, c) ? "?" : format(output[r][c], room, scale)),
      label: `output, ${rows} rows, ${columns} columns`,
    });
    result.legend.draw(maps.answer, maps.clipped ? ", beyond it cut off" : "");
  }

  function drawWindow({ kernel, output, at: [row, column], stride, dilation, playing }, fits) {
    const [high, wide] = [dilation * (kernel.length - 1) + 1, dilation * (kernel[0].length - 1) + 1];
    layout = { high, wide, stride };
    const fast = playing && output.length * output[0].length > 60;
    for (const element of [frame, mark]) element.classList.toggle("jump", fast);
    placeBox(frame, row * stride, column * stride, high, wide);
    placeBox(mark, row, column, 1, 1);
    image.grid.element.classList.toggle("tagged", cell >= 38);
    const taps = kernel.flatMap((weights, k) => weights.map((weight, l) => [k, l, fraction(weight, 5)]));
    const key = JSON.stringify([taps, dilation, cell]);
    if (frame.dataset.key !== key) {
      frame.dataset.key = key;
      const drawn = cell < NUMBERS_FROM && dilation === 1 ? [] : taps; // on a photo the frame alone is clearer
      frame.replaceChildren(...drawn.map(([k, l, weight]) => {
        const tap = h("span", { class: "tap", "aria-hidden": "true" }, cell >= 38 ? h("i", {}, `×${weight}`) : null);
        placeBox(tap, k * dilation, l * dilation, 1, 1);
        return tap;
      }));
    }
    if (!has("window") || !fits) return;
    const columns = output[0].length;
    const [now, max, text] = [row * columns + column, output.length * columns - 1, `row ${row}, column ${column}`];
    for (const [name, value] of Object.entries({ min: 0, max, now, text })) frame.setAttribute(`aria-value${name}`, value);
  }

  function placeBox(element, row, column, high, wide) {
    const sizes = { top: row, left: column, height: high, width: wide };
    for (const [name, cells] of Object.entries(sizes)) element.style[name] = `${cells * cell}px`;
  }

  function drawUnused({ image: pixels, kernel, padding, stride, dilation }) {
    const lines = []; // as pixels, whole rows and columns fade; as numbers, each cell is crossed out by drawImage
    const axes = [["row", pixels.length, kernel.length], ["column", pixels[0].length, kernel[0].length]];
    for (const [axis, size, taps] of cell < NUMBERS_FROM ? axes : []) {
      const uses = usesAlong(size, taps, { stride, padding, dilation });
      lines.push(...uses.flatMap((count, k) => (count ? [] : [[axis, k]])));
    }
    unused.replaceChildren(...lines.map(([axis, k]) => {
      const box = h("div", { class: "skipped" });
      if (axis === "row") placeBox(box, padding + k, padding, 1, pixels[0].length);
      else placeBox(box, padding, padding + k, pixels.length, 1);
      return box;
    }));
  }

  function drawFacts({ image: pixels, kernel, stride, padding, dilation }, fits) {
    const options = { stride, padding, dilation };
    const sizes = [["rows", pixels.length, kernel.length], ["columns", pixels[0].length, kernel[0].length]];
    const unusedAlong = sizes.map(([, size, taps]) => usesAlong(size, taps, options).filter((uses) => !uses).length);
    const all = pixels.length * pixels[0].length;
    const left = all - (pixels.length - unusedAlong[0]) * (pixels[0].length - unusedAlong[1]);
    const sentences = fits ? [] : ["The window is larger than the padded image: there is no output."];
    if (fits && has("stride", "padding", "dilation", "size")) {
      sentences.push(...sizes.map(([axis, size, taps]) => {
        const quotient = `⌊(${size} + 2·${padding} − ${dilation}·(${taps} − 1) − 1) / ${stride}⌋`;
        return `Output ${axis}: ${quotient} + 1 = ${outputSize(size, taps, options)}.`;
      }));
    }
    if (fits && left) sentences.push(`Never used, and crossed out: ${left} of ${all} pixels.`);
    else if (fits && has("usage", "stride", "dilation")) sentences.push("Every pixel is used.");
    facts.replaceChildren(...sentences.map((sentence) => h("span", {}, sentence)));
  }

  function drawSum({ kernel, at: [row, column], playing }, maps, under, scale, dark) {
    const heaviest = largest(kernel) || 1;
    const parts = under.map((values, k) => values.map((value, l) => value * kernel[k][l]));
    const biggest = largest(parts) || 1;
    const room = digitsThatFit(root, root.clientWidth <= 420 ? 38 : 44, 14);
    patch.draw(under, (value) => maps.input.color(value), (value) => format(value, room));
    weights.draw(kernel, (value) => signed(value / heaviest, dark), (value) => fraction(value, 6));
    products.draw(parts, (value) => signed(value / biggest, dark), (value) => format(value, room, scale));
    const answer = multiplyAndSum(under, kernel);
    const color = maps.answer.color(answer);
    say(total, format(answer, 9, scale));
    Object.assign(total.style, { backgroundColor: `rgb(${color})`, color: inkOn(color) });
    say(place, `output[${row}, ${column}]`);
    const terms = parts.flat().filter((value) => Math.abs(value) > 1e-12 * scale);
    const short = terms.length > 0 && terms.length <= 9;
    say(equation, short ? `${terms.map((value, k) => term(value, k)).join(" ")} = ${format(answer, 9, scale)}` : "");
    if (playing) return;
    const spoken = short ? `${terms.map((value) => inWords(format(value, 5))).join(", plus ")}, makes` : "The sum is";
    say(words, `Window at row ${row}, column ${column}. ${spoken} ${inWords(format(answer, 9, scale))}.`);
  }

  /** Light falls from the window on the image to the cell of the output, and follows while the window glides. */
  function drawBeam() {
    beamUntil = performance.now() + 220;
    if (!beamRuns) requestAnimationFrame(function next() {
      traceBeam();
      beamRuns = performance.now() < beamUntil && root.isConnected;
      if (beamRuns) requestAnimationFrame(next);
    });
    beamRuns = true;
  }

  function traceBeam() {
    const origin = stage.getBoundingClientRect();
    const corners = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const [x, X, y, Y] = [left - origin.left, right - origin.left, top - origin.top, bottom - origin.top];
      return [[x, y], [X, y], [X, Y], [x, Y]];
    };
    const outline = hull([...corners(frame), ...corners(mark)]).join(" ");
    for (const shape of [beam, rays]) shape.polygon.setAttribute("points", outline);
  }

  return { root, connect, draw };
}

/** The smallest convex outline around some points. @param {[number, number][]} points */
function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (row) => {
    const line = [];
    for (const [x, y] of row) {
      const turnsBack = () => {
        const [[ax, ay], [bx, by]] = line.slice(-2);
        return (bx - ax) * (y - ay) - (by - ay) * (x - ax) <= 0;
      };
      while (line.length > 1 && turnsBack()) line.pop();
      line.push([x, y]);
    }
    return line.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

/** A polygon over the whole stage that no pointer and no screen reader meets. */
function makeShape(className) {
  const [element, polygon] = ["svg", "polygon"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  element.setAttribute("class", className);
  element.setAttribute("aria-hidden", "true");
  element.append(polygon);
  return { element, polygon };
}

const largest = (matrix) => matrix.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const term = (value, k) => (value < 0 ? (k ? "− " : "−") : k ? "+ " : "") + format(Math.abs(value), 5);
const inWords = (text) => text.replace("\u2212", "minus ");

function heading(element, name, rows, columns, more = "") {
  element.replaceChildren(h("b", {}, name), ` ${rows} × ${columns}${more && `, ${more}`}`);
}

/** A small matrix with its name above it. */
function makeMatrix(name, className) {
  const table = h("table", { "aria-label": name });
  return {
    element: h("div", { class: `matrix ${className}` }, h("p", { class: "heading" }, h("b", {}, name)), table),
    draw(matrix, color, text) {
      const cellOf = (value) => {
        const shade = color(value);
        return h("td", { style: `background:rgb(${shade});color:${inkOn(shade)}` }, text(value));
      };
      table.replaceChildren(h("tbody", {}, ...matrix.map((row) => h("tr", {}, ...row.map(cellOf)))));
    },
  };
}

/** The kernel as a matrix of fields that the reader writes into. */
function makeWeights(onWeight) {
  const table = h("table", { "aria-label": "kernel" });
  let shape = "";
  const field = (k, l) => {
    const input = h("input", {
      type: "text", autocomplete: "off", spellcheck: "false", "aria-label": `weight, row ${k}, column ${l}`,
      focus: () => input.select(),
      input: () => {
        const value = parseNumber(input.value);
        input.setAttribute("aria-invalid", String(Number.isNaN(value)));
        if (!Number.isNaN(value)) onWeight(k, l, value);
      },
      blur: () => {
        input.removeAttribute("aria-invalid");
        input.value = fraction(input.weight, 6);
      },
      keydown: (event) => {
        const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
        if (event.key === "Enter") input.select();
        if (!step) return;
        event.preventDefault();
        input.value = fraction(input.weight + step);
        onWeight(k, l, input.weight + step);
      },
    });
    return input;
  };
  return {
    element: h("div", { class: "matrix kernel" }, h("p", { class: "heading" }, h("b", {}, "kernel")), table),
    draw(matrix, color) {
      if (shape !== `${matrix.length} ${matrix[0].length}`) {
        shape = `${matrix.length} ${matrix[0].length}`;
        table.replaceChildren(h("tbody", {}, ...matrix.map((row, k) => h("tr", {}, ...row.map((_, l) => h("td", {}, field(k, l)))))));
      }
      for (const [k, row] of matrix.entries()) {
        for (const [l, weight] of row.entries()) {
          const input = table.rows[k].cells[l].firstChild;
          input.weight = weight;
          if (!input.matches(":focus") || parseNumber(input.value) !== weight) {
            if (input.getAttribute("aria-invalid") !== "true") input.value = fraction(weight, 6);
          }
          const shade = color(weight);
          Object.assign(input.style, { backgroundColor: `rgb(${shade})`, color: inkOn(shade) });
        }
      }
    },
  };
}

const OWN_STYLE = `
.stage { position: relative; display: flex; gap: 24px 44px; align-items: flex-start; justify-content: center; margin: 14px 0; }
@container (max-width: 450px) { .stage { column-gap: 20px; } }
.stage.stacked { flex-direction: column; align-items: center; }
.stage svg { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; overflow: visible; }
.side { position: relative; z-index: 1; }
.rays { z-index: 2; }
.beam polygon { fill: var(--beam); fill-opacity: 0.2; }
.rays polygon { fill: none; stroke: var(--beam); stroke-opacity: 0.8; stroke-width: 1.25; stroke-linejoin: round; }
.misfit .stage svg, .misfit .frame, .misfit .mark, .misfit .sum, .misfit .equation { display: none; }
.frame, .mark { position: absolute; border-radius: 3px; transition: top 0.16s ease-out, left 0.16s ease-out; box-shadow: 0 0 0 3px var(--mark), 0 0 0 4.5px var(--mark-edge); }
.frame { cursor: grab; touch-action: none; outline-offset: 5px; }
.frame:active { cursor: grabbing; }
.frame:not([tabindex]) { pointer-events: none; }
.frame::before { content: ""; position: absolute; inset: min(0px, (100% - 44px) / 2); }
.mark { pointer-events: none; }
.jump { transition: none; }
.tap { position: absolute; pointer-events: none; box-shadow: inset 0 0 0 1px var(--mark); }
.tap i {
  position: absolute; right: 0; bottom: 0; padding: 0 3px; border-radius: 4px 0 0 0; font: 600 11.5px/14px inherit; font-style: normal;
  background: var(--mark); color: var(--mark-ink); font-size: 11.5px; line-height: 14px; font-weight: 600;
}
.unused { position: absolute; inset: 0; pointer-events: none; }
.unused .skipped { position: absolute; background: var(--ground); opacity: 0.7; }
.tagged td { vertical-align: top; padding-top: calc(var(--cell) * 0.14); }
.sum { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; margin-top: 14px; padding-top: 12px; border-top: 1px solid var(--faint); justify-content: center; }
.sign { font-size: 22px; color: var(--soft); padding-top: 24px; }
.part { display: flex; gap: 10px; align-items: center; }
.matrix table { outline: 1px solid var(--line); border-radius: 3px; }
.matrix td { width: 46px; height: 36px; font-size: 14px; border: 0.5px solid rgb(128 128 128 / 0.35); }
.matrix input { width: 100%; height: 100%; min-width: 0; border: 0; border-radius: 0; padding: 0; text-align: center; font-size: 14px; cursor: text; text-decoration: underline dotted 1px; text-underline-offset: 4px; }
.matrix input[aria-invalid="true"] { box-shadow: inset 0 0 0 2px #d32f2f; text-decoration: underline wavy #d32f2f; }
.matrix input:focus { outline: 3px solid var(--action); outline-offset: -1px; position: relative; }
.result { display: flex; flex-direction: column; align-items: center; }
.total { min-width: 76px; padding: 6px 12px; border-radius: 8px; text-align: center; font-size: 24px; font-weight: 700; box-shadow: 0 0 0 3px var(--mark), 0 0 0 4.5px var(--mark-edge); margin: 2px 0 8px; }
.equation { text-align: center; margin-top: 10px; min-height: 1.4em; }
.facts { margin-top: 10px; display: flex; flex-wrap: wrap; gap: 2px 18px; justify-content: center; }
.facts:empty, .credit:empty { display: none; }
.credit { margin-top: 8px; text-align: right; font-size: 12px; }
.hint { margin-top: 8px; text-align: center; }
@container (max-width: 420px) { .matrix td { width: 40px; } .sum, .part { gap: 8px 7px; } }
@media (prefers-reduced-motion: reduce) { .frame, .mark { transition: none; } }
@media (forced-colors: active) { .frame, .mark, .total { border: 3px solid Highlight; } }
`;

export { FIELDS, IMAGES, PRESETS, correlate, outputSize, patchAt, usesAlong };
export default { render };
