// The kernel playground: slide a kernel over an image, see what is multiplied, what is added, and where it goes.
//
// Its arithmetic, which is all that a convolution is, stands in weights.js. This puts it on the page.

import { NUMBERS_FROM, STYLE, chooser, colorMap, digitsThatFit, flagField, format, fraction, h, inkOn, isDark, matrixField, pairField, range, readMatrix, say, signed, stepper, textField, wholeNumber } from "./base.js";
import { WINDOW_STYLE, begin, button, grid, heading, inWords, keepInStep, makeStage, makeWalk, mount, nameOf, placeBox, same, sizeSentence, term, usesAlong } from "./window.js";
import { SUM_STYLE, WEIGHTS_STYLE, correlate, largest, makeMatrix, makeWeights, multiplyAndSum, patchAt } from "./weights.js";
import { PHOTO } from "./photo.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */

/** The kernel turned by half a turn: what tells convolution from correlation. @param {Matrix} kernel */
const turned = (kernel) => kernel.map((row) => [...row].reverse()).reverse();

// Images and kernels that have a name

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
  const { controls, predict, read, given, set } = begin(model, ["image", "kernel", "stride", "padding", "dilation"]);
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + WINDOW_STYLE + WEIGHTS_STYLE + SUM_STYLE + OWN_STYLE);

  let counting = false; // show how often each pixel is used, in place of its value
  let output; // the answer, and what it was computed from
  let settings;
  const walk = makeWalk({
    sizes: () => [output.length, output[0]?.length ?? 0],
    keep: (at) => set({ at }),
    draw,
  });

  // What the reader does

  function setSize(name, value) {
    const rows = name === "rows" ? value : settings.kernel.length;
    const columns = name === "columns" ? value : settings.kernel[0].length;
    set({ kernel: grid(rows, columns, (r, c) => settings.kernel[r]?.[c] ?? 0) });
  }

  view.connect({
    move: (place) => walk.moveTo(...place),
    moveBy: walk.moveBy,
    stepBy: walk.stepBy,
    play: walk.play,
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
    uncover: walk.uncover,
    reset: () => {
      walk.restart();
      set({ ...given, at: [0, 0] });
    },
  });

  // What the reader sees

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    const state = { at: walk.at(), playing: walk.playing(), covered: walk.covered(predict) };
    view.draw({ ...settings, ...state, given, output, counting, predict });
  }

  function update() {
    const next = read();
    if (!settings || Object.keys(next).some((name) => next[name] !== settings[name])) {
      settings = next;
      output = correlate(settings.image, settings.kernel, settings);
      walk.restart();
    }
    walk.stand(model.get("at"));
    draw();
  }

  const end = keepInStep({ model, host, update, draw });
  return () => {
    walk.restart();
    end();
  };
}

/** The playground's elements, and how they show a state. It computes nothing but colors, sizes and sentences. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  const has = (...names) => names.some((name) => controls.has(name));

  const stage = makeStage(has("window"));
  const { image, result, frame, beam } = stage;
  const hint = h("p", { class: "note hint", id: "hint" }, "Drag the window, or focus it and use the arrow keys.");
  const unused = h("div", { class: "unused" });
  frame.before(unused);

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

  const countButton = button("How often used?", () => act.count(), { "aria-pressed": "false" });
  const top = h("div", { class: "row" },
    has("image") ? pickImage.element : null,
    has("kernel") ? pickKernel.element : null,
    has("kernel") ? button("Turn by 180°", () => act.turn()) : null,
    ...(has("size") ? [steppers.rows.element, steppers.columns.element] : []),
    ...["stride", "padding", "dilation"].filter((name) => has(name)).map((name) => steppers[name].element));
  const bottom = h("div", { class: "row middle" },
    ...stage.buttons,
    has("usage") ? countButton : null,
    stage.uncoverButton,
    controls.size ? button("Reset", () => act.reset()) : null);
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    top, stage.element, bottom, has("window") ? hint : null, sum, equation, words, facts, credit);

  let cell = 0; // pixels a side of a cell, the same in the image and in the output

  function connect(actions) {
    act = actions;
    stage.connect(act);
  }

  function draw(state) {
    const { image: pixels, kernel, output, at, padding } = state;
    const dark = root.classList.toggle("dark", isDark(root.getRootNode().host));
    const [height, width] = [pixels.length + 2 * padding, pixels[0].length + 2 * padding];
    const [rows, columns] = [output.length, output[0]?.length ?? 0];
    const fits = rows > 0 && columns > 0;
    cell = stage.fit(height, width, rows, columns);
    const scale = largest(pixels) * kernel.flat().reduce((total, weight) => total + Math.abs(weight), 0);
    const maps = colorMaps(state, dark, scale);
    drawControls(state);
    drawImage(state, maps, height, width);
    drawOutput(state, maps, scale);
    root.classList.toggle("misfit", !fits);
    drawWindow(state);
    drawUnused(state);
    drawFacts(state, fits);
    say(credit, same(pixels, IMAGES.photo) ? PHOTO.credit : "");
    if (!fits) {
      say(words, "The window is larger than the padded image: there is no output.");
      return;
    }
    const under = patchAt(pixels, kernel, at, state);
    drawSum(state, maps, under, scale, dark);
    beam.draw();
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

  function drawControls({ image: pixels, kernel, stride, padding, dilation, given, counting }) {
    const kernelName = nameOf(kernel, PRESETS, same(kernel, given.kernel) ? "as given" : "your own");
    const kernelChoices = [...(nameOf(given.kernel, PRESETS) ? [] : ["as given"]), ...Object.keys(PRESETS)];
    pickKernel.show([...new Set([...kernelChoices, kernelName])], kernelName);
    const imageChoices = [...(nameOf(given.image, IMAGES) ? [] : ["as given"]), ...Object.keys(IMAGES)];
    pickImage.show(imageChoices, nameOf(pixels, IMAGES, "as given"));
    const values = { stride, padding, dilation, rows: kernel.length, columns: kernel[0].length };
    for (const [name, value] of Object.entries(values)) steppers[name].show(value);
    countButton.setAttribute("aria-pressed", String(counting));
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

  function drawWindow(state) {
    const { kernel, dilation } = state;
    const [high, wide] = [dilation * (kernel.length - 1) + 1, dilation * (kernel[0].length - 1) + 1];
    stage.place(state, { at: state.at, high, wide, stride: [state.stride, state.stride] });
    image.grid.element.classList.toggle("tagged", cell >= 38);
    const taps = kernel.flatMap((weights, k) => weights.map((weight, l) => [k, l, fraction(weight, 5)]));
    const key = JSON.stringify([taps, dilation, cell]);
    if (frame.dataset.key !== key) {
      frame.dataset.key = key;
      const drawn = cell < NUMBERS_FROM && dilation === 1 ? [] : taps; // on a photo the frame alone is clearer
      frame.replaceChildren(...drawn.map(([k, l, weight]) => {
        const tap = h("span", { class: "tap", "aria-hidden": "true" }, cell >= 38 ? h("i", {}, `×${weight}`) : null);
        placeBox(tap, cell, k * dilation, l * dilation, 1, 1);
        return tap;
      }));
    }
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
      if (axis === "row") placeBox(box, cell, padding + k, padding, 1, pixels[0].length);
      else placeBox(box, cell, padding, padding + k, pixels.length, 1);
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
      sentences.push(...sizes.map(([axis, size, taps]) => sizeSentence(axis, size, taps, options)));
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

  return { root, connect, draw };
}

const OWN_STYLE = `
.tap i {
  position: absolute; right: 0; bottom: 0; padding: 0 3px; border-radius: 4px 0 0 0; font: 600 11.5px/14px inherit; font-style: normal;
  background: var(--mark); color: var(--mark-ink); font-size: 11.5px; line-height: 14px; font-weight: 600;
}
.unused { position: absolute; inset: 0; pointer-events: none; }
.unused .skipped { position: absolute; background: var(--ground); opacity: 0.7; }
.tagged td { vertical-align: top; padding-top: calc(var(--cell) * 0.14); }
.credit { margin-top: 8px; text-align: right; font-size: 12px; }
`;

export { FIELDS, IMAGES, PRESETS };
export default { render };
