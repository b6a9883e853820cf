// The shape tracer: a stack of layers as PyTorch writes them, with the shape, the parameters, the multiply-adds and the field of each.
// The first layer that does not fit is explained. The stack is read from PyTorch code and written as PyTorch code.
//
// The arithmetic is the first part. A layer is a list that begins with its kind; the numbers stand in torch's order:
// ["conv", in, out, kernel, stride, padding, dilation, groups, bias], ["maxpool" or "avgpool", kernel, stride, padding],
// ["linear", in, out, bias], ["relu"], ["flatten"], ["gap"] (global average pooling). bias is 1 or 0.

import { STYLE, chooser, count, flagField, h, imageField, isDark, numberField, product, say, stepper, textField, wholeNumber } from "./base.js";
import { button, keepInStep, mount, outputSize } from "./window.js";

/** @typedef {(string|number)[]} Layer */

const MOST_LAYERS = 24;
const LARGEST_INPUT = 1024;

/** Of each kind: its class in torch.nn, and for each number its name there, the least, the largest, and what it is if left out. */
const KINDS = {
  conv: {
    torch: "Conv2d", word: "convolution",
    numbers: [["in_channels", 1, 4096], ["out_channels", 1, 4096], ["kernel_size", 1, 31], ["stride", 1, 16, 1], ["padding", 0, 15, 0],
      ["dilation", 1, 16, 1], ["groups", 1, 4096, 1], ["bias", 0, 1, 1]],
  },
  maxpool: { torch: "MaxPool2d", word: "max pooling", numbers: [["kernel_size", 1, 31], ["stride", 1, 31, "kernel_size"], ["padding", 0, 15, 0]] },
  avgpool: { torch: "AvgPool2d", word: "average pooling", numbers: [["kernel_size", 1, 31], ["stride", 1, 31, "kernel_size"], ["padding", 0, 15, 0]] },
  gap: { torch: "AdaptiveAvgPool2d", word: "global pooling", numbers: [] },
  relu: { torch: "ReLU", word: "ReLU", numbers: [] },
  flatten: { torch: "Flatten", word: "flatten", numbers: [] },
  linear: { torch: "Linear", word: "linear", numbers: [["in_features", 1, 100000000], ["out_features", 1, 100000000], ["bias", 0, 1, 1]] },
};

// The arithmetic

/** A layer by the names of its numbers. @param {Layer} layer */
const named = ([kind, ...values]) => ({ kind, ...Object.fromEntries(KINDS[kind].numbers.map(([name], k) => [name, values[k]])) });

/** The layer with these names and values; what is left out is as in torch. Undefined if it is no layer. */
function layerOf({ kind, ...given }) {
  const values = {};
  for (const [name, low, high, usual] of KINDS[kind].numbers) {
    values[name] = given[name] ?? values[usual] ?? usual;
    if (!(Number.isInteger(values[name]) && values[name] >= low && values[name] <= high)) return undefined;
  }
  return [kind, ...Object.values(values)];
}

const times = (sizes) => sizes.join(" × ");
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
const isMaps = (shape) => shape.length === 3;
const spoken = (shape) => (isMaps(shape) ? `${plural(shape[0], "map")} of ${times(shape.slice(1))}` : `a vector of ${plural(shape[0], "number")}`);

/** What comes out of a layer that fits, and what it costs. */
function work(layer, shape) {
  const { kind, kernel_size, stride, padding, dilation = 1, groups, bias, ...sizes } = named(layer);
  const slide = () => shape.slice(1).map((size) => outputSize(size, kernel_size, { stride, padding, dilation }));
  if (kind === "conv") {
    const weights = (sizes.out_channels * sizes.in_channels * kernel_size ** 2) / groups;
    const places = slide();
    return { shape: [sizes.out_channels, ...places], parameters: weights + bias * sizes.out_channels, macs: weights * product(places) };
  }
  if (kind === "linear") {
    const [weights, places] = [sizes.in_features * sizes.out_features, shape.slice(0, -1)];
    return { shape: [...places, sizes.out_features], parameters: weights + bias * sizes.out_features, macs: weights * product(places) };
  }
  const after = { maxpool: () => [shape[0], ...slide()], avgpool: () => [shape[0], ...slide()], gap: () => [shape[0], 1, 1], flatten: () => [product(shape)] };
  return { shape: (after[kind] ?? (() => shape))(), parameters: 0, macs: 0 };
}

/**
 * Follow a stack: shape, parameters, multiply-adds, jump and field of each layer, up to the first that does not fit;
 * `problem` then says why, and `arrives` what it was given. A field of "all" is all that the maps before it see; it is null
 * where a linear layer has mixed the columns of maps. `warning` is about what runs, but is hardly meant.
 * @param {Layer[]} layers @param {[number, number, number]} shape of the input: channels, rows, columns
 */
function trace(layers, shape) {
  const table = [];
  const input = shape;
  let [jump, field, warning] = [1, 1, ""];
  for (const layer of layers) {
    if (!fits(layer, shape)) {
      const problem = `Layer ${table.length + 1}, ${nameOfLayer(layer)}: ${reason(layers, table.length, shape, input)}`;
      return { table, problem, warning, arrives: shape };
    }
    const { kind, kernel_size = 1, stride = 1, dilation = 1 } = named(layer);
    if (kind === "linear" && isMaps(shape)) warning ||= warningOf(table.length, shape);
    if (kind === "linear") field = isMaps(shape) || field === null ? null : "all";
    else if (kind === "gap") field = field === null ? null : "all";
    else if (typeof field === "number") field += dilation * (kernel_size - 1) * jump;
    jump *= stride;
    const result = work(layer, shape);
    table.push({ ...result, jump, field });
    shape = result.shape;
  }
  return { table, problem: "", warning, arrives: shape };
}

const warningOf = (n, shape) => `Layer ${n + 1}, ${KINDS.linear.torch}, gets ${spoken(shape)}. It runs, but it works on each row of ${shape[2]} numbers by itself: ` +
  "a Flatten before it is probably missing.";

/** Whether a layer runs on a shape, as PyTorch decides it; but global pooling, which runs on vectors too, needs maps. */
function fits(layer, shape) {
  const { kind, in_channels, out_channels, groups, in_features, kernel_size, stride, padding, dilation = 1 } = named(layer);
  if (kind === "flatten" || kind === "relu") return true;
  if (kind === "linear") return shape.at(-1) === in_features;
  if (!isMaps(shape)) return false;
  if (kind === "gap") return true;
  if (kind === "conv" && (shape[0] !== in_channels || in_channels % groups || out_channels % groups)) return false;
  if (kind !== "conv" && 2 * padding > kernel_size) return false;
  return shape.slice(1).every((size) => outputSize(size, kernel_size, { stride, padding, dilation }));
}

/** The shape after a stack; undefined where it does not fit. */
function shapeAfter(layers, shape) {
  for (const layer of layers) {
    if (!fits(layer, shape)) return undefined;
    shape = work(layer, shape).shape;
  }
  return shape;
}

/** Why layer n of a stack does not fit on the shape that arrives. */
function reason(layers, n, shape, input) {
  const { kind, in_channels, out_channels, groups, kernel_size, padding, dilation = 1 } = named(layers[n]);
  if (kind === "linear") return isMaps(shape) ? reasonOnMaps(layers[n], shape) : reasonOfNumbers(layers, n, shape, input);
  if (!isMaps(shape)) {
    const silent = kind === "gap" ? " PyTorch would run it, and average over the images of the batch." : ""; // over the last two axes, whatever they are
    return `it wants maps, but ${spoken(shape)} arrives.${silent} Put it before the Flatten.`;
  }
  if (kind === "conv" && shape[0] !== in_channels) return reasonOfChannels(layers, n, in_channels, shape[0]);
  if (kind === "conv" && (in_channels % groups || out_channels % groups))
    return `${groups} groups must divide both its ${plural(in_channels, "input map")} and its ${plural(out_channels, "filter")}.`;
  if (kind !== "conv" && 2 * padding > kernel_size) return `its padding of ${padding} is more than half its window of ${kernel_size}, and PyTorch refuses that.`;
  const map = `${times(shape.slice(1))}${padding ? `, with a padding of ${padding}` : ""}`;
  return `its window spans ${dilation * (kernel_size - 1) + 1} pixels, more than the maps that arrive: ${map}. Try padding, fewer poolings, or a larger image.`;
}

function reasonOfChannels(layers, n, wants, gets) {
  const source = layers.slice(0, n).findLastIndex(([kind]) => kind === "conv");
  if (source >= 0) return `it wants ${plural(wants, "map")}, but layer ${source + 1} makes ${gets}. Its in_channels must be that layer's out_channels, ${gets}.`;
  const color = gets === 3 && wants === 1 ? " Are these color images for a network that wants gray ones?" : "";
  return `it wants ${plural(wants, "channel")}, but the image has ${gets}.${color} Its in_channels must be ${gets}.`;
}

function reasonOnMaps(layer, shape) {
  const [numbers, wants] = [product(shape), named(layer).in_features];
  const then = numbers === wants ? "which is what it wants: put a Flatten before it" : `so put a Flatten before it, and in_features=${numbers}`;
  return `it works on the last axis, and so gets rows of ${plural(shape[2], "number")} but wants ${count(wants)}. The ${spoken(shape)} are ${plural(numbers, "number")}, ${then}.`;
}

/** What learners ask most: how many numbers arrive, how many are wanted, and from which maps those would come. */
function reasonOfNumbers(layers, n, shape, input) {
  const wants = named(layers[n]).in_features;
  const flat = layers.slice(0, n).findLastIndex(([kind]) => kind !== "relu");
  const maps = layers[flat]?.[0] === "flatten" ? shapeAfter(layers.slice(0, flat), input) : undefined;
  if (!maps || !isMaps(maps)) return `it wants ${plural(wants, "number")}, but the layer before it gives ${count(shape[0])}. Its in_features must be ${shape[0]}.`;
  const meant = whichMaps(wants, maps);
  const origins = originsOf(layers.slice(0, flat), input, wants);
  const from = origins.length ? ` from ${origins.join(" or ")}` : "";
  const would = meant || from ? `: ${meant || "as it comes"}${meant && from ? "," : ""}${from}` : "";
  return `${spoken(maps)} are ${plural(shape[0], "number")}; this layer wants ${count(wants)}${would}. For what arrives here, it needs in_features=${shape[0]}.`;
}

/** A number of features as maps: as many of another size, or another number of the same size. Empty if it is neither. */
function whichMaps(features, [maps, rows, columns]) {
  const side = Math.sqrt(features / maps);
  if (Number.isInteger(side)) return side === 1 ? `one number for each of ${maps} maps` : `${side} × ${side} maps`;
  const others = features / (rows * columns);
  return Number.isInteger(others) ? plural(others, "map") : "";
}

/** What else, in front of the same layers or inside them, would give this many numbers. */
function originsOf(layers, input, features) {
  const gives = (other, from) => product(shapeAfter(other, from) ?? [0]) === features;
  const found = [];
  const sides = Array.from({ length: 256 }, (_, k) => k + 1).filter((side) => side !== input[1] && gives(layers, [input[0], side, side]));
  if (input[1] === input[2] && sides.length) {
    const [low, high] = [sides[0], sides.at(-1)];
    found.push(`an input of ${low} × ${low}${high > low ? ` to ${high} × ${high}` : ""}`);
  }
  const padded = (padding) => layers.map((layer) => (layer[0] === "conv" ? layerOf({ ...named(layer), padding: padding(named(layer)) }) : layer));
  if (gives(padded(() => 0), input)) found.push("no padding");
  if (gives(padded(({ kernel_size, dilation }) => Math.floor((dilation * (kernel_size - 1)) / 2)), input)) found.push("convolutions that keep the size by padding");
  const last = layers.findLastIndex(([kind]) => kind.endsWith("pool"));
  if (last >= 0 && gives(layers.toSpliced(last, 1), input)) found.push("one pooling fewer");
  if (gives([...layers, ["gap"]], input)) found.push("global pooling before the Flatten");
  return found;
}

// Layers as text

/** A layer in short, and whatever of it is unusual. */
function nameOfLayer(layer) {
  const { kernel_size, stride, padding, dilation, groups, bias, kind } = named(layer);
  const usual = kind === "conv" ? 1 : kernel_size;
  const more = [stride !== usual && `stride ${stride}`, padding && `padding ${padding}`, dilation > 1 && `dilation ${dilation}`, groups > 1 && `groups ${groups}`, bias === 0 && "no bias"];
  return [`${KINDS[kind].torch}${kernel_size ? ` ${kernel_size}×${kernel_size}` : ""}`, ...more.filter(Boolean)].join(", ");
}

/** "conv 1 32 3; maxpool 2; flatten" as layers: what stands at the end of one may be left out. Undefined if it is no stack. */
function readLayers(text) {
  const layers = text.split(";").map((part) => {
    const [kind, ...words] = part.trim().split(/[\s,]+/);
    if (!Object.hasOwn(KINDS, kind)) return undefined;
    const names = KINDS[kind].numbers.map(([name]) => name);
    const numbers = words.map((word) => (/^\d+$/.test(word) ? Number(word) : NaN));
    return numbers.length <= names.length ? layerOf({ kind, ...Object.fromEntries(numbers.map((value, k) => [names[k], value])) }) : undefined;
  });
  return layers.every(Boolean) && layers.length <= MOST_LAYERS ? layers : undefined;
}

const writeLayers = (layers) => layers.map((layer) => layer.join(",")).join(";");

// Layers as PyTorch code

/** A stack as code that runs. What each layer gives out stands behind it. @param {Layer[]} layers */
function writeCode(layers, input) {
  const { table } = trace(layers, input);
  const lines = layers.map((layer, n) => {
    const shape = table[n] ? `  # ${table[n].shape.join(" x ")}` : n === table.length ? "  # does not fit" : "";
    return `    nn.${KINDS[layer[0]].torch}(${argumentsOf(layer)}),${shape}`;
  });
  return ["from torch import nn", "", `# input: (${input.join(", ")})`, "model = nn.Sequential(", ...lines, ")", ""].join("\n");
}

/** What stands between the parentheses of a layer: what is as usual is left out. */
function argumentsOf(layer) {
  if (layer[0] === "gap") return "1";
  const values = named(layer);
  const given = KINDS[layer[0]].numbers.filter(([name, , , usual]) => values[name] !== (values[usual] ?? usual));
  const text = (name) => (name === "bias" ? "False" : values[name]);
  return given.map(([name, , , usual]) => (usual === undefined ? text(name) : `${name}=${text(name)}`)).join(", ");
}

const CONTAINERS = ["Sequential", "OrderedDict"];

/**
 * PyTorch code as a stack: its layers in the order in which they are written, whatever stands around them, and the input, if a comment
 * `# input: (C, H, W)` tells it. Throws an Error with a sentence if it is no stack.
 */
function readCode(text) {
  const input = imageField(LARGEST_INPUT).read(text.match(/#\s*input:?\s*\(([\d,\s]*)\)/)?.[1].trim() ?? "");
  const code = text.replace(/#.*/g, "");
  if (/\bdef\s+forward\b|\bclass\s/.test(code))
    throw new Error("This is a class: its forward may call layers in any order, and functions too. Write its layers as an nn.Sequential.");
  const layers = [];
  const calls = /((?:\w+\s*\.\s*)*)\b([A-Z]\w*)\s*\(/g;
  for (let call = calls.exec(code); call; call = calls.exec(code)) {
    if (CONTAINERS.includes(call[2])) continue;
    const end = closing(code, calls.lastIndex);
    layers.push(layerFromCall(call[2], code.slice(calls.lastIndex, end)));
    calls.lastIndex = end;
  }
  const lost = code.match(/\b(?:F|torch)\s*\.\s*(?:relu|flatten|max_pool2d|avg_pool2d|conv2d|linear)\b|\.\s*(?:view|reshape)\s*\(/);
  if (lost) throw new Error(`${lost[0].trim()} is a function. Write it as a layer, such as nn.ReLU(), nn.MaxPool2d(2) or nn.Flatten().`);
  if (!layers.length) throw new Error("There is no layer in this code. A layer looks like nn.Conv2d(1, 32, 3) or nn.Flatten().");
  if (layers.length > MOST_LAYERS) throw new Error(`These are ${layers.length} layers, and there is room for ${MOST_LAYERS}.`);
  return { layers, input };
}

/** The place of the parenthesis that closes the one before `from`. */
function closing(code, from) {
  for (let k = from, depth = 1; k < code.length; k++) {
    depth += "([{".includes(code[k]) ? 1 : ")]}".includes(code[k]) ? -1 : 0;
    if (!depth) return k;
  }
  throw new Error("A parenthesis is not closed.");
}

/** The parts of a text between commas that stand in no parentheses. */
function partsOf(text) {
  const parts = [""];
  let depth = 0;
  for (const letter of text) {
    depth += "([{".includes(letter) ? 1 : ")]}".includes(letter) ? -1 : 0;
    if (letter === "," && !depth) parts.push("");
    else parts[parts.length - 1] += letter;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

const NAMES = { ReLU: ["inplace"], Flatten: ["start_dim", "end_dim"], AdaptiveAvgPool2d: ["output_size"], MaxPool2d: ["dilation", "return_indices", "ceil_mode"], AvgPool2d: ["ceil_mode", "count_include_pad"] };
const HARMLESS = { inplace: [0, 1], start_dim: [1], end_dim: [-1], output_size: [1], dilation: [1], return_indices: [0], ceil_mode: [0], count_include_pad: [0, 1] };

/** One layer from its class and the text of its arguments. */
function layerFromCall(name, text) {
  const kind = Object.keys(KINDS).find((one) => KINDS[one].torch === name);
  if (!kind) throw new Error(`nn.${name} is none of the layers that are traced here: ${Object.values(KINDS).map((one) => one.torch).join(", ")}.`);
  const own = KINDS[kind].numbers.map(([one]) => one);
  const names = [...own, ...(NAMES[name] ?? [])];
  const given = {};
  for (const [k, part] of partsOf(text).entries()) {
    const [, key = names[k], value] = part.match(/^(?:([a-z_]\w*)\s*=)?\s*(.*)$/s);
    if (!names.includes(key)) throw new Error(`nn.${name}(${text.trim()}): ${key ? `${key} is not traced here` : "too many arguments"}.`);
    given[key] = value;
  }
  const values = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, valueOf(value, key, given, name)]));
  for (const [key, value] of Object.entries(values))
    if (!own.includes(key) && !HARMLESS[key].includes(value)) throw new Error(`nn.${name}: ${key}=${given[key]} is not traced here.`);
  const layer = layerOf({ kind, ...Object.fromEntries(own.map((key) => [key, values[key]])) });
  const missing = own.find((key, k) => values[key] === undefined && KINDS[kind].numbers[k][3] === undefined);
  if (missing) throw new Error(`nn.${name}(${text.trim()}): ${missing} is missing.`);
  if (!layer) throw new Error(`nn.${name}(${text.trim()}): a number is out of the range that is traced here.`);
  return layer;
}

/** A number as code writes it: 3, 64 * 7 * 7, (3, 3), True, None, "same". Undefined for None. */
function valueOf(text, key, given, name) {
  const words = { True: 1, False: 0, None: undefined };
  if (Object.hasOwn(words, text)) return words[text];
  const pair = text.match(/^[([]\s*([\w\s*]+?)\s*(?:,\s*([\w\s*]+?)\s*)?,?\s*[)\]]$/);
  if (pair) {
    const [first, second] = pair.slice(1).map((part) => part && valueOf(part, key, given, name));
    if (second !== undefined && first !== second) throw new Error(`nn.${name}: ${key}=${text} has two sizes, and windows are square here.`);
    return first;
  }
  if (/^["']valid["']$/.test(text)) return 0;
  if (/^["']same["']$/.test(text)) {
    const twice = valueOf(given.dilation ?? "1", "dilation", given, name) * (valueOf(given.kernel_size ?? "1", "kernel_size", given, name) - 1);
    if ((given.stride ?? "1") !== "1" || twice % 2) throw new Error(`nn.${name}: padding="same" needs a stride of 1, and here a window of odd size.`);
    return twice / 2;
  }
  if (/^-?[\d_]+(\s*\*\s*[\d_]+)*$/.test(text)) return product(text.split("*").map((part) => Number(part.replaceAll("_", "").trim())));
  throw new Error(`nn.${name}: ${key}=${text} is no number. Write numbers, or products such as 64 * 7 * 7.`);
}

const PRESETS = {
  "chapter 07": "conv 1 32 3; relu; maxpool 2; flatten; linear 5408 10",
  "chapter 08": "conv 1 32 3 1 1; relu; maxpool 2; conv 32 64 3 1 1; relu; maxpool 2; flatten; linear 3136 128; relu; linear 128 10",
  "chapter 09": "conv 1 32 3; relu; maxpool 2; conv 32 64 3; relu; maxpool 2; conv 64 64 3; relu; flatten; linear 576 64; relu; linear 64 10",
  "global pooling": "conv 1 32 3 1 1; relu; maxpool 2; conv 32 64 3 1 1; relu; gap; flatten; linear 64 10",
  "strides, no pooling": "conv 1 32 3 2 1; relu; conv 32 64 3 2 1; relu; flatten; linear 3136 10",
  "does not fit": "conv 1 32 3 1 1; relu; maxpool 2; conv 32 64 3 1 1; relu; maxpool 2; flatten; linear 1600 10",
};

/** Attributes of <cnn-tracer>, which are also the settings in the address. */
const FIELDS = {
  layers: { read: readLayers, write: writeLayers, start: readLayers(PRESETS["does not fit"]) },
  input: { ...imageField(LARGEST_INPUT), start: [1, 28, 28] },
  layer: { ...wholeNumber(0, MOST_LAYERS), start: 0 }, // the one that is looked at, counted from 1; 0: what does not fit, or the last
  controls: { ...textField, start: "layers presets input code" },
  predict: flagField,
  label: { ...textField, start: "Shape tracer" },
};

// The page

/** Draws the playground into `el` and keeps it in step with `model`. Returns a function that stops it. */
function render({ model, el }) {
  const controls = new Set(model.get("controls").split(/\s+/).filter(Boolean));
  const names = ["layers", "input", "layer"];
  const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const given = read();
  const view = makeView(controls, model.get("label"));
  const host = mount(el, view.root, STYLE + OWN_STYLE);

  let settings;
  let result; // the table, and what does not fit
  let covered = model.get("predict");

  function set(changes) {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }

  /** The number of the layer that is looked at, from 0 on. */
  const chosen = () => Math.min(settings.layer || (result.problem ? result.table.length + 1 : settings.layers.length), settings.layers.length) - 1;
  const arrivesAt = (n) => (n <= result.table.length ? (n ? result.table[n - 1].shape : settings.input) : undefined);

  /** Puts other layers in the place of `many` layers from `from` on, and looks at the last of them. */
  function replace(from, many, ...layers) {
    const next = settings.layers.toSpliced(from, many, ...layers);
    if (next.length && next.length <= MOST_LAYERS) set({ layers: next, layer: Math.max(1, Math.min(from + Math.max(layers.length, 1), next.length)) });
  }

  const change = (values) => {
    const layer = layerOf({ ...named(settings.layers[chosen()]), ...values });
    if (layer) replace(chosen(), 1, layer);
    else draw();
  };

  view.connect({
    look: (n) => set({ layer: n + 1 }),
    change,
    kind: (kind) => replace(chosen(), 1, freshLayer(kind, arrivesAt(chosen()), named(settings.layers[chosen()]))),
    add: (kind) => replace(chosen() + 1, 0, freshLayer(kind, arrivesAt(chosen() + 1), named(settings.layers[chosen()]))),
    remove: () => replace(chosen(), 1),
    mend() {
      const n = result.table.length;
      const { kind } = named(settings.layers[n]);
      replace(n, 1, layerOf({ ...named(settings.layers[n]), ...(kind === "linear" ? { in_features: result.arrives.at(-1) } : { in_channels: result.arrives[0] }) }));
    },
    preset: (name) => set({ layers: PRESETS[name] ? readLayers(PRESETS[name]) : given.layers, layer: 0 }),
    input: (input) => set({ input }),
    code: (text) => {
      const found = readCode(text);
      set({ layers: found.layers, layer: 0, ...(found.input ? { input: found.input } : {}) });
    },
    uncover: () => draw((covered = false)),
    reset: () => set(given),
  });

  function draw() {
    if (!host.isConnected) return; // JupyterLab draws first and puts it on the page later: the ResizeObserver tells
    view.draw({ ...settings, ...result, given, chosen: chosen(), covered });
  }

  function update() {
    settings = read();
    result = trace(settings.layers, settings.input);
    draw();
  }

  return keepInStep({ model, host, update, draw });
}

/** A new layer of a kind, made for what arrives. */
function freshLayer(kind, arrives = [1, 28, 28], { out_channels = 32, out_features = 10 }) {
  return layerOf({ kind, in_channels: Math.min(arrives[0], 4096), out_channels, in_features: arrives.at(-1), out_features, kernel_size: kind === "conv" ? 3 : 2 });
}

/** The playground's elements, and how they show a state. */
function makeView(controls, label) {
  let act; // what the reader can do: filled in by connect
  let shown; // the state on the page
  const has = (name) => controls.has(name);

  const strip = h("div", { class: "strip", "aria-hidden": "true" });
  const problem = h("p", { class: "problem", role: "status" });
  const warning = h("p", { class: "note", role: "status" });
  const mend = button("Take what arrives", () => act.mend());
  const [rows, total] = [h("tbody"), h("tr")];
  const table = h("table", { class: "layers", "aria-label": "layers" }, h("thead", {}, h("tr", {},
    ...["layer", "output", "parameters", "MACs", "field"].map((name) => h("th", { scope: "col" }, name)))), rows, h("tfoot", {}, total));

  const pickPreset = chooser("stack", (name) => act.preset(name));
  const pickSize = chooser("input size", (size) => act.input([shown.input[0], ...size.split(" × ").map(Number)]));
  const pickDepth = chooser("input channels", (channels) => act.input([Number(channels), ...shown.input.slice(1)]));
  const words = Object.fromEntries(Object.entries(KINDS).map(([kind, { word }]) => [word, kind]));
  const pickKind = chooser("kind", (word) => act.kind(words[word]));
  const fields = Object.fromEntries(["in_channels", "out_channels", "in_features", "out_features"].map((name) => [name, numberField(name, (value) => act.change({ [name]: value }))]));
  const steppers = Object.fromEntries(["kernel_size", "stride", "padding"].map((name) => {
    const [, low, high] = KINDS.conv.numbers.find(([one]) => one === name);
    const one = stepper(name.replace("_size", ""), low, high, (value) => one.allows(value) && act.change({ [name]: value }));
    return [name, one];
  }));
  const which = h("b");
  const adders = Object.entries({ conv: "Convolution", maxpool: "Pooling", relu: "ReLU", flatten: "Flatten", linear: "Linear", gap: "Global pooling" })
    .map(([kind, word]) => button(`+ ${word}`, () => act.add(kind)));
  const remove = button("Remove", () => act.remove());
  const parts = { ...fields, ...steppers };
  const editor = h("div", { class: "editor", role: "group", "aria-label": "the layer that is looked at" },
    h("div", { class: "row" }, which, pickKind.element, ...Object.values(parts).map((one) => one.element)),
    h("div", { class: "row" }, ...adders, remove));

  const code = h("textarea", { rows: 12, spellcheck: "false", "aria-label": "PyTorch code" });
  const answer = h("p", { class: "problem", role: "status" });
  const readButton = button("Read this code", () => {
    try {
      say(answer, "");
      act.code(code.value);
    } catch (error) {
      say(answer, error.message);
    }
  });
  const codeBox = h("details", { class: "code" }, h("summary", {}, "PyTorch code"),
    h("p", { class: "note" }, "The stack as PyTorch writes it. Change it, or paste layers of your own."), code,
    h("div", { class: "row" }, readButton, button("Write it anew", () => writeAnew(shown))), answer);
  const uncoverButton = button("Show numbers", () => act.uncover());

  const root = h("div", { class: "playground", role: "group", "aria-label": label },
    h("div", { class: "row" }, has("presets") ? pickPreset.element : null, ...(has("input") ? [pickSize.element, pickDepth.element] : [])),
    strip, problem, h("div", { class: "row" }, has("layers") ? mend : null), warning, table, has("layers") ? editor : null,
    has("code") ? codeBox : null,
    h("div", { class: "row middle" }, uncoverButton, controls.size ? button("Reset", () => act.reset()) : null));

  function writeAnew({ layers, input }) {
    code.value = writeCode(layers, input);
    say(answer, "");
  }

  function draw(state) {
    const fresh = !shown || writeLayers(shown.layers) !== writeLayers(state.layers) || String(shown.input) !== String(state.input);
    shown = state;
    root.classList.toggle("dark", isDark(root.getRootNode().host));
    root.classList.toggle("covered", state.covered);
    say(problem, state.covered ? "" : state.problem);
    say(warning, state.covered ? "" : state.warning);
    mend.hidden = state.covered || !/in_(channels|features)/.test(state.problem) || /Flatten before/.test(state.problem);
    drawStrip(state);
    drawTable(state);
    drawControls(state);
    if (fresh) writeAnew(state);
    codeBox.hidden = state.covered;
  }

  /** The maps as sheets, the vectors as bars: an image of the stack. */
  function drawStrip({ input, table: results, problem: why, covered }) {
    const shapes = [input, ...results.map(({ shape }) => shape)];
    const largest = Math.max(...shapes.filter(isMaps).map(([, ...sizes]) => Math.max(...sizes)));
    const drawn = shapes.filter((shape, n) => n === 0 || String(shape) !== String(shapes[n - 1]));
    const boxes = drawn.map((shape) => {
      const box = h("span", { class: isMaps(shape) ? "maps" : "bar" });
      const sheets = isMaps(shape) ? Math.min(5, Math.round(Math.log2(shape[0]))) : 0;
      const [high, wide] = isMaps(shape) ? shape.slice(1).map((size) => Math.max(3, (52 * size) / largest)) : [Math.min(64, 8 + 6 * Math.log2(shape[0])), 6];
      box.style.height = `${high}px`;
      box.style.width = `${wide}px`;
      box.style.boxShadow = Array.from({ length: sheets }, (_, k) => `${3 * k + 2}px ${-3 * k - 2}px 0 0 var(--panel), ${3 * k + 3}px ${-3 * k - 3}px 0 0 var(--action)`).join();
      return h("span", { class: "block" }, h("span", { class: "stand" }, box), h("span", { class: "sizes" }, isMaps(shape) ? `${shape[0]} × ${times(shape.slice(1))}` : count(shape[0])));
    });
    if (why) boxes.push(h("span", { class: "block stop" }, h("span", { class: "stand" }, "✕"), h("span", { class: "sizes" }, "does not fit")));
    strip.replaceChildren(...(covered ? boxes.slice(0, 1) : boxes));
  }

  function drawTable({ layers, input, table: results, chosen, covered }) {
    const cells = (values) => values.map((value) => h("td", {}, value));
    const shape = (sizes) => sizes.map((n) => (sizes.length > 1 ? n : count(n))).join("×");
    const lines = [["input", shape(input), "", "", "1"], ...layers.map((layer, n) => {
      const found = results[n];
      const values = found ? [shape(found.shape), count(found.parameters), count(found.macs), String(found.field ?? "–")] : ["–", "–", "–", "–"];
      return [nameOfLayer(layer), ...(covered ? ["?", "?", "?", "?"] : values)];
    })];
    const sum = (name) => (covered ? "?" : count(results.reduce((all, row) => all + row[name], 0)));
    const key = JSON.stringify([lines, chosen]);
    if (rows.dataset.key === key) return;
    const focused = rows.contains(rows.getRootNode().activeElement);
    rows.dataset.key = key;
    rows.replaceChildren(...lines.map(([name, ...values], n) => {
      const look = n === 0 || !has("layers") ? `${n ? `${n}. ` : ""}${name}`
        : button(`${n}. ${name}`, () => act.look(n - 1), { class: "look", "aria-pressed": String(n - 1 === chosen) });
      const misfits = n === results.length + 1 && !covered;
      return h("tr", { class: `${n - 1 === chosen && has("layers") ? "chosen" : ""} ${misfits ? "wrong" : ""}` }, h("th", { scope: "row" }, look), ...cells(values));
    }));
    total.replaceChildren(h("th", { scope: "row" }, results.length < layers.length ? "so far" : "together"), ...cells(["", sum("parameters"), sum("macs"), ""]));
    if (focused) rows.querySelector(".chosen button")?.focus();
  }

  function drawControls({ layers, input, given, chosen, covered }) {
    const text = writeLayers(layers);
    const known = Object.keys(PRESETS).find((name) => writeLayers(readLayers(PRESETS[name])) === text);
    const own = known ?? (text === writeLayers(given.layers) ? "as given" : "your own");
    pickPreset.show([...new Set([own, ...Object.keys(PRESETS)])], own);
    const [channels, ...size] = input;
    const sizes = [16, 20, 24, 28, 32, 48, 64, 96, 224].map((n) => `${n} × ${n}`);
    pickSize.show([...new Set([size.join(" × "), ...sizes])], size.join(" × "));
    pickDepth.show([...new Set([channels, 1, 3])].map(String), String(channels));
    const layer = named(layers[chosen]);
    say(which, `Layer ${chosen + 1}`);
    pickKind.show(Object.keys(words), KINDS[layer.kind].word);
    for (const [name, part] of Object.entries(parts)) {
      part.element.hidden = layer[name] === undefined;
      if (layer[name] !== undefined) part.show(layer[name]);
    }
    for (const add of adders) add.setAttribute("aria-disabled", layers.length >= MOST_LAYERS);
    remove.setAttribute("aria-disabled", layers.length <= 1);
    uncoverButton.hidden = !covered;
  }

  return { root, connect: (actions) => (act = actions), draw };
}

const OWN_STYLE = `
.strip { display: flex; flex-wrap: wrap; align-items: end; gap: 6px 16px; margin: 14px 0 4px; }
.block { display: inline-flex; flex-direction: column; align-items: center; gap: 4px; font-size: 12.5px; color: var(--soft); white-space: nowrap; }
.stand { min-height: 72px; display: flex; align-items: end; padding-right: 14px; }
.maps, .bar { display: block; background: var(--panel); border: 1.5px solid var(--action); }
.bar { background: var(--action); }
.stop { color: var(--text); font-weight: 600; }
.stop .stand { font-size: 34px; line-height: 1.2; padding: 0; color: var(--wrong); }
.problem:not(:empty) { margin: 10px 0; font-weight: 600; }
.note:not(:empty) { margin: 8px 0; }
.layers { width: 100%; margin: 12px 0; table-layout: auto; font-size: 14px; }
.layers th, .layers td { padding: 3px 6px; border-bottom: 1px solid var(--faint); text-align: right; font-weight: 400; white-space: nowrap; height: auto; }
.layers thead th { color: var(--soft); }
.layers th:first-child { text-align: left; white-space: normal; }
.layers .look { border: 0; background: none; padding: 2px 4px; min-height: 32px; text-align: left; }
.layers .chosen { background: var(--panel); }
.layers .look[aria-pressed="true"] { box-shadow: none; font-weight: 600; }
.layers tr.chosen th:first-child { box-shadow: inset 4px 0 0 var(--action); }
.layers tr.wrong th, .layers tr.wrong td { border-bottom: 2px solid var(--wrong); }
.playground { --wrong: #b3261e; }
.playground.dark { --wrong: #ff9a8f; }
.editor { display: grid; gap: 10px; }
input { width: 6.5em; min-height: 36px; padding: 4px 8px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
.code { margin: 12px 0; }
.code summary { cursor: pointer; padding: 6px 0; }
textarea {
  box-sizing: border-box; width: 100%; margin: 6px 0; padding: 8px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); color: inherit;
  font: 13.5px/1.45 var(--mono, var(--jp-code-font-family, monospace)); white-space: pre; overflow: auto; resize: vertical;
}
[hidden] { display: none !important; }
@container (max-width: 480px) {
  .layers { font-size: 12px; }
  .layers th, .layers td { padding: 2px; }
  .layers .look { padding: 2px; }
  .strip { gap: 6px 8px; }
}
@media (pointer: coarse) { .layers .look, input, summary { min-height: 44px; } textarea { font-size: 16px; } }
`;

export { FIELDS, PRESETS, readCode, readLayers, trace, writeCode, writeLayers };
export default { render };
