// The block builder: parts in a row, and rows side by side that are concatenated; its three costs and its field beside those
// of a plain 3 x 3 convolution with as many input and output channels.
//
// The arithmetic is the first part. A block is a list of branches, a branch a list of parts, a part a list that begins with
// its kind: ["conv", channels, kernel], ["depthwise", kernel] or ["pool", kernel] (max pooling). Strides are 1, paddings keep
// the size, convolutions have a bias.

import { STYLE, chooser, count, flagField, h, imageField, isDark, numberField, pairField, product, say, textField } from "./base.js";
import { button, keepInStep, mount } from "./window.js";

/** @typedef {(string|number)[]} Part */
/** @typedef {Part[][]} Block */
/** @typedef {{ shape: [number, number, number], parameters: number, macs: number, memory: number, field: number }} Costs */

const [MOST_BRANCHES, MOST_PARTS, MOST_CHANNELS, LARGEST_INPUT] = [4, 4, 1024, 1024];
const WORDS = { conv: "convolution", depthwise: "depthwise convolution", pool: "max pooling" };
const KERNELS = [1, 3, 5, 7];

// The arithmetic

const kernelOf = (part) => part.at(-1);

/** What comes out of a part, and what it costs; its memory is the number of numbers that it gives out. @param {Part} part @returns {Costs} */
function work(part, [channels, ...sizes], fieldBefore = 1) {
  const [kind, taps] = [part[0], kernelOf(part) ** 2];
  const shape = [kind === "conv" ? part[1] : channels, ...sizes];
  const weights = { conv: part[1] * channels * taps, depthwise: channels * taps, pool: 0 }[kind];
  return {
    shape,
    parameters: weights + (kind === "pool" ? 0 : shape[0]), // a bias for each channel that comes out
    macs: weights * product(sizes), // each weight works once at each place
    memory: product(shape),
    field: fieldBefore + kernelOf(part) - 1,
  };
}

/**
 * A block's shape, costs and field, and those of each of its parts in `branches`. Branches see the same input, and their outputs are
 * concatenated: channels add up, and the field is the largest. The concatenation costs nothing.
 * @param {Block} block @param {[number, number, number]} input channels, rows, columns
 */
function costs(block, input) {
  const branches = block.map((branch) => {
    const table = [];
    for (const part of branch) table.push(work(part, table.at(-1)?.shape ?? input, table.at(-1)?.field));
    return table;
  });
  const [parts, ends] = [branches.flat(), branches.map((table) => table.at(-1))];
  const sum = (rows, name) => rows.reduce((all, row) => all + row[name], 0);
  const channels = ends.reduce((all, { shape }) => all + shape[0], 0);
  return {
    branches, shape: [channels, ...input.slice(1)],
    parameters: sum(parts, "parameters"), macs: sum(parts, "macs"), memory: sum(parts, "memory"),
    field: Math.max(...ends.map(({ field }) => field)),
  };
}

/** A whole share of some channels, at least one. */
const share = (channels, of) => Math.max(1, Math.floor(channels / of));

/** Named blocks that give out as many channels as they get, if there are enough to share out. */
const PRESETS = {
  "plain 3 × 3": (c) => [[["conv", c, 3]]],
  "two 3 × 3": (c) => [[["conv", c, 3], ["conv", c, 3]]],
  "5 × 5": (c) => [[["conv", c, 5]]],
  bottleneck: (c) => [[["conv", share(c, 4), 1], ["conv", share(c, 4), 3], ["conv", c, 1]]],
  "depthwise-separable": (c) => [[["depthwise", 3], ["conv", c, 1]]],
  Inception: (c) => {
    const rest = Math.max(1, c - share(c, 4) - 2 * share(c, 8));
    return [
      [["conv", share(c, 4), 1]],
      [["conv", share(c, 2), 1], ["conv", rest, 3]],
      [["conv", share(c, 16), 1], ["conv", share(c, 8), 5]],
      [["pool", 3], ["conv", share(c, 8), 1]],
    ];
  },
};

/** How many times as much, in words: "the same", "0.12 times", "2.8 times". */
function ratio(value, reference, word) {
  const times = value / reference;
  return times === 1 ? `the same ${word}` : `${times < 0.01 ? "less than 0.01" : Number(times.toPrecision(2)).toLocaleString("en-US")} times the ${word}`;
}

// Blocks as text

/** "conv 16 1; conv 64 3;; pool 3" as branches of parts. Undefined if it is no block. @param {string} text @returns {Block|undefined} */
function readBlock(text) {
  const block = text.split(";;").map((branch) => branch.split(";").map((one) => readPart(one.trim().split(/[\s,]+/))));
  const good = block.length <= MOST_BRANCHES && block.every((branch) => branch.length <= MOST_PARTS && branch.every(Boolean));
  return good ? block : undefined;
}

function readPart([kind, ...words]) {
  const numbers = words.map((word) => (/^\d+$/.test(word) ? Number(word) : NaN));
  return isPart(kind, numbers) ? [kind, ...numbers] : undefined;
}

const isPart = (kind, numbers) => Object.hasOwn(WORDS, kind) && numbers.length === (kind === "conv" ? 2 : 1) &&
  numbers.every(Number.isInteger) && KERNELS.includes(numbers.at(-1)) && (kind !== "conv" || (numbers[0] >= 1 && numbers[0] <= MOST_CHANNELS));

const writeBlock = (block) => block.map((branch) => branch.map((one) => one.join(",")).join(";")).join(";;");

/** Attributes of <cnn-blocks>, which are also the settings in the address. */
const FIELDS = {
  block: { read: readBlock, write: writeBlock, start: PRESETS.bottleneck(64) },
  input: { ...imageField(LARGEST_INPUT), start: [64, 28, 28] },
  part: { ...pairField, start: [0, 0] }, // the one that is changed: its branch, and its place there
  controls: { ...textField, start: "parts presets input" },
  predict: flagField,
  label: { ...textField, start: "Block builder" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const read = () => Object.fromEntries(["block", "input", "part"].map((name) => [name, model.get(name)]));
  const given = read();
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);

  let settings;
  let covered = model.get("predict");

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  /** The branch and the place of the part that is changed. */
  function chosen() {
    const branch = Math.min(settings.part[0], settings.block.length - 1);
    return [branch, Math.min(settings.part[1], settings.block[branch].length - 1)];
  }

  /** Puts other parts in the place of `many` parts of the chosen branch, from `from` on, and looks at number `look`. */
  function replace(from, many, parts, look) {
    const [b] = chosen();
    const branch = settings.block[b].toSpliced(from, many, ...parts);
    if (branch.length > MOST_PARTS) return;
    const block = settings.block.toSpliced(b, 1, ...(branch.length ? [branch] : []));
    if (block.length) set({ block, part: [Math.min(b, block.length - 1), Math.max(0, look)] });
  }

  function change(values) {
    const [b, k] = chosen();
    const { kind, kernel, channels } = { ...shownPart(settings, b, k), ...values };
    const numbers = kind === "conv" ? [channels, kernel] : [kernel];
    if (isPart(kind, numbers)) replace(k, 1, [[kind, ...numbers]], k);
    else draw();
  }

  view.connect({
    look: (part) => set({ part }),
    change,
    add() {
      const [b, k] = chosen();
      replace(k + 1, 0, [["conv", shownPart(settings, b, k).channels, 3]], k + 1);
    },
    branch() {
      if (settings.block.length >= MOST_BRANCHES) return;
      const [b, k] = chosen();
      const channels = shownPart(settings, b, k).channels;
      set({ block: [...settings.block, [["conv", channels, 1]]], part: [settings.block.length, 0] });
    },
    remove() {
      const k = chosen()[1];
      replace(k, 1, [], k - 1);
    },
    preset: (name) => set({ block: PRESETS[name]?.(settings.input[0]) ?? given.block, part: [0, 0] }),
    /** Another input. A preset stays one: it gives out as many channels as come in. */
    input(input) {
      if (FIELDS.input.read(input.join()) === undefined) return draw();
      const preset = PRESETS[presetOf(settings)];
      set({ input, ...(preset ? { block: preset(input[0]) } : {}) });
    },
    uncover: () => draw((covered = false)),
    reset: () => set(given),
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    view.draw({ ...settings, given, chosen: chosen(), covered });
  }

  function update() {
    settings = read();
    draw();
  }

  return keepInStep({ model, host, update, draw });
}

/** A part by the names of its numbers; `channels` come out of it. */
function shownPart({ block, input }, b, k) {
  const one = block[b][k];
  return { kind: one[0], kernel: kernelOf(one), channels: costs(block, input).branches[b][k].shape[0] };
}

const presetOf = ({ block, input }) => Object.keys(PRESETS).find((name) => writeBlock(PRESETS[name](input[0])) === writeBlock(block));
const times = (sizes) => sizes.join(" × ");
const nameOfPart = (one) => ({ conv: "", depthwise: "depthwise ", pool: "max pool " })[one[0]] + times([kernelOf(one), kernelOf(one)]);

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  let shown; // the state on the page
  const has = (name) => controls.has(name);

  const pickPreset = chooser("block", (name) => act.preset(name));
  const channels = numberField("input channels", (value) => act.input([value, ...shown.input.slice(1)]));
  const pickSize = chooser("input size", (size) => act.input([shown.input[0], ...size.split(" × ").map(Number)]));
  const drawing = h("div", { class: "drawing" });

  const which = h("b");
  const pickKind = chooser("kind", (word) => act.change({ kind: Object.keys(WORDS).find((kind) => WORDS[kind] === word) }));
  const pickKernel = chooser("kernel", (text) => act.change({ kernel: parseInt(text, 10) }));
  const outputs = numberField("output channels", (value) => act.change({ channels: value }));
  const own = h("p", { class: "note" });
  const [add, branch, remove] = [button("+ Part", () => act.add()), button("+ Branch", () => act.branch()), button("Remove", () => act.remove())];
  const editor = h("div", { class: "editor", role: "group", "aria-label": "the part that is changed" },
    h("div", { class: "row" }, which, pickKind.element, pickKernel.element, outputs.element), own,
    h("div", { class: "row" }, add, branch, remove));

  const sentence = h("p", { class: "sentence", role: "status" });
  const meters = Object.entries({ parameters: "parameters", macs: "MACs", memory: "memory (numbers given out)", field: "receptive field (pixels a side)" })
    .map(([name, words]) => makeMeter(name, words));
  const uncoverButton = button("Show costs", () => act.uncover(), { class: "main" });
  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, has("presets") ? pickPreset.element : null, ...(has("input") ? [channels.element, pickSize.element] : [])),
    drawing, has("parts") ? editor : null, sentence, h("div", { class: "meters" }, ...meters.map(({ element }) => element)),
    h("p", { class: "note" }, "Strides are 1, paddings keep the size, convolutions have a bias. ReLUs and the concatenation are not counted."),
    h("div", { class: "row middle" }, uncoverButton, controls.size ? button("Reset", () => act.reset()) : null));

  function draw(state) {
    shown = state;
    root.classList.toggle("dark", isDark(root.getRootNode().host));
    const result = costs(state.block, state.input);
    const reference = costs([[["conv", result.shape[0], 3]]], state.input);
    drawBlock(state, result);
    drawControls(state, result);
    for (const meter of meters) meter.draw(result, reference, state.covered);
    uncoverButton.hidden = !state.covered;
    const field = result.field === reference.field ? `the same field of ${times([3, 3])} pixels` : `a field of ${times([result.field, result.field])} pixels`;
    say(sentence, state.covered ? "" : `Beside a plain 3 × 3 convolution from ${count(state.input[0])} to ${count(result.shape[0])} channels: ` +
      `${ratio(result.parameters, reference.parameters, "parameters")}, ${ratio(result.macs, reference.macs, "MACs")}, ` +
      `${ratio(result.memory, reference.memory, "memory")}, and ${field}.`);
  }

  /** The branches as columns of boxes. A wire is as wide as what passes has channels. */
  function drawBlock({ block, input, chosen }, { branches, shape }) {
    const key = JSON.stringify([block, input, chosen]);
    if (drawing.dataset.key === key) return;
    drawing.dataset.key = key;
    const focused = drawing.contains(drawing.getRootNode().activeElement);
    const most = Math.max(input[0], ...branches.flat().map((one) => one.shape[0]));
    const wire = (channelsThere) => {
      const line = h("span", { class: "wire", "aria-hidden": "true" });
      line.style.width = `max(2px, ${(60 * channelsThere) / most}%)`;
      return line;
    };
    const lines = (name, sizes) => [h("span", { class: "name" }, name), " ", h("span", { class: "sizes" }, sizes.join("×"))];
    const box = (one, b, k) => {
      const text = [block.length > 1 ? h("span", { class: "unseen" }, `branch ${b + 1}: `) : null, ...lines(nameOfPart(one), branches[b][k].shape)];
      if (!has("parts")) return h("span", { class: "box" }, ...text.filter(Boolean));
      const pick = h("button", { type: "button", class: "box", "aria-pressed": String(String(chosen) === `${b},${k}`), click: () => act.look([b, k]) });
      pick.append(...text.filter(Boolean));
      return pick;
    };
    const columns = block.map((branch, b) => h("div", { class: "branch" }, wire(input[0]),
      ...branch.flatMap((one, k) => [box(one, b, k), wire(branches[b][k].shape[0])])));
    drawing.style.maxWidth = `${200 * block.length}px`;
    drawing.replaceChildren(h("span", { class: "end" }, ...lines("input", input)), h("div", { class: "branches" }, ...columns),
      h("span", { class: "end" }, ...lines(block.length > 1 ? "concatenated" : "output", shape)));
    if (focused) drawing.querySelector('[aria-pressed="true"]')?.focus();
  }

  function drawControls({ block, input, given, chosen: [b, k], covered }, { branches }) {
    const name = presetOf({ block, input }) ?? (writeBlock(block) === writeBlock(given.block) ? "as given" : "your own");
    pickPreset.show([...new Set([name, ...Object.keys(PRESETS)])], name);
    channels.show(input[0]);
    const [now, sizes] = [times(input.slice(1)), [7, 8, 14, 16, 28, 32, 56, 112, 224].map((n) => times([n, n]))];
    pickSize.show([...new Set([now, ...sizes])], now);
    const one = shownPart({ block, input }, b, k);
    say(which, block.length > 1 ? `Branch ${b + 1}, part ${k + 1}` : `Part ${k + 1}`);
    pickKind.show(Object.values(WORDS), WORDS[one.kind]);
    pickKernel.show(KERNELS.map((n) => times([n, n])), times([one.kernel, one.kernel]));
    outputs.element.hidden = one.kind !== "conv";
    outputs.show(one.channels);
    const { shape, parameters, macs, memory } = branches[b][k];
    say(own, covered ? "" : `This part: ${count(parameters)} parameters, ${count(macs)} MACs, and it gives out ${times(shape)} = ${count(memory)} numbers.`);
    add.setAttribute("aria-disabled", block[b].length >= MOST_PARTS);
    branch.setAttribute("aria-disabled", block.length >= MOST_BRANCHES);
    remove.setAttribute("aria-disabled", block.flat().length === 1);
  }

  return { root, connect: (actions) => (act = actions), draw };
}

/** One cost as two bars from a common start, the block's and the plain convolution's. */
function makeMeter(name, words) {
  const rows = ["this block", "plain 3 × 3"].map((who, k) => {
    const [bar, value] = [h("span", { class: `bar ${k ? "plain" : "own"}` }), h("td", { class: "value" })];
    return { bar, value, row: h("tr", {}, h("th", { scope: "row" }, who), h("td", { class: "length" }, bar), value) };
  });
  const element = h("table", { class: "meter" }, h("caption", {}, words), h("tbody", {}, ...rows.map(({ row }) => row)));
  return {
    element,
    draw(result, reference, covered) {
      const values = [result[name], reference[name]];
      for (const [k, { bar, value }] of rows.entries()) {
        const most = covered ? values[1] : Math.max(...values);
        bar.style.width = covered && k === 0 ? "0" : `${(100 * values[k]) / most}%`;
        say(value, covered && k === 0 ? "?" : count(values[k]));
      }
    },
  };
}

const OWN_STYLE = `
.drawing { margin: 14px auto; font-size: 13px; text-align: center; }
.branches { display: flex; gap: 8px; }
.branch { flex: 1 1 0; min-width: 0; display: flex; flex-direction: column; align-items: center; }
.branch .wire:last-child { flex: 1; }
.wire { display: block; min-height: 14px; background: var(--faint); border: solid var(--line); border-width: 0 1px; }
.box, .end { display: block; padding: 5px 3px; border: 1.5px solid var(--line); border-radius: 8px; background: var(--panel); line-height: 1.3; }
.row.middle { margin-top: 10px; }
.box { overflow-wrap: anywhere; width: 100%; max-width: 190px; min-height: 44px; font-size: 13px; border-color: var(--action); position: relative; }
.end { border-style: dashed; }
.box .name { font-weight: 600; display: block; }
.box .sizes, .end .sizes { color: var(--soft); }
.editor { display: grid; gap: 8px; padding: 10px; border: 1px solid var(--faint); border-radius: 8px; }
.sentence { margin: 14px 0 10px; font-weight: 600; min-height: 1.4em; }
.meters { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap: 12px 28px; margin-bottom: 10px; }
.meter { width: 100%; font-size: 14px; }
.meter caption { text-align: left; color: var(--text); font-weight: 600; padding-bottom: 3px; }
.meter th { width: 6em; text-align: left; font-weight: 400; color: var(--soft); padding: 1px 0; }
.meter .value { width: 7.2em; text-align: right; }
.meter .bar { display: block; height: 13px; min-width: 2px; border: 1.5px solid var(--action); border-radius: 2px; }
.meter .own { background: var(--action); }
.meter .plain { background: repeating-linear-gradient(45deg, transparent 0 4px, var(--faint) 4px 6px); border-color: var(--line); }
input { color: var(--text); width: 5em; min-height: 36px; padding: 4px 8px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
[hidden] { display: none !important; }
@container (max-width: 480px) { .drawing, .box { font-size: 12px; } .branches { gap: 4px; } }
@media (pointer: coarse) { input { min-height: 44px; } }
@media (forced-colors: active) { .meter .own { background: Highlight; forced-color-adjust: none; } }
`;

export { FIELDS, PRESETS, costs, readBlock, writeBlock };
export default { render };
