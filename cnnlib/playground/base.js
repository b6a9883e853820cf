// What every playground needs: numbers as text, colors, grids of numbers, and its life as an element of the book.
//
// A playground is one module that imports from here and defines `render` and `FIELDS`. JupyterLab (anywidget) calls
// `render({ model, el })` with a model that lives in Python. The book calls it with a model made from the element's
// attributes. Both models have get, set, save_changes, on and off, so the playground need not know where it is.
//
// Keep every import and every export on a line of its own: the files are joined by leaving those lines out.

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ get: Function, set: Function, save_changes: Function, on: Function, off: Function }} Model */
/** @typedef {[number, number, number]} Color  red, green, blue, 0 to 255 */

// Numbers and text

/**
 * A number in at most `width` characters, with a real minus sign: 0.1235, in four characters .12, far too large 1.2e7.
 * What is tiny beside `scale` is rounding noise: 0.
 * @param {number} x
 */
function format(x, width = 7, scale = 1) {
  if (Math.abs(x) <= 1e-12 * scale) return "0";
  const texts = [];
  for (let digits = 4; digits >= 0 && Math.abs(x) >= 1e-3; digits--) {
    const text = String(Number(x.toFixed(digits)));
    texts.push(text, ...(width < 5 ? [text.replace(/^(-?)0\./, "$1.")] : []));
  }
  for (let digits = 2; digits >= 0; digits--) texts.push(x.toExponential(digits).replace(/\.?0*e\+?/, "e"));
  const fits = texts.find((text) => text.length <= width && Number(text) !== 0);
  return (fits ?? (Math.abs(x) < 1 ? "≈0" : texts.at(-1))).replaceAll("-", "\u2212");
}

/** A weight as one would write it: 0.25 as it is, 0.1111... as 1/9. @param {number} x */
function fraction(x, width = 6) {
  if (Number(x.toFixed(3)) !== x) {
    for (let below = 3; below <= 273; below++) {
      const above = Math.round(x * below);
      if (above !== 0 && Math.abs(x * below - above) < 1e-9) return `${above}/${below}`.replace("-", "\u2212");
    }
  }
  return format(x, width);
}

/** A whole number with commas: 138,357,544. */
const count = (n) => n.toLocaleString("en-US");
const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** "3", "-0.5", "\u22121/9" as a number; NaN for anything else. @param {string} text */
function parseNumber(text) {
  const parts = text.trim().replaceAll("\u2212", "-").split("/");
  if (parts.length > 2 || parts.some((part) => !/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(part))) return NaN;
  const value = parts.length === 2 ? Number(parts[0]) / Number(parts[1]) : Number(parts[0]);
  return Number.isFinite(value) ? value : NaN;
}

/** "1 0 -1; 1 0 -1" as rows of numbers; undefined if it is no matrix. @param {string} text @returns {Matrix|undefined} */
function readMatrix(text, most = 96) {
  const rows = text.split(";").map((row) => row.trim().split(/[\s,]+/).map(parseNumber));
  const good = rows.every((row) => row.length === rows[0].length && row.every(Number.isFinite));
  return good && rows.length <= most && rows[0].length <= most ? rows : undefined;
}

/** The same matrix as text that readMatrix gives back unchanged. @param {Matrix} matrix */
const writeMatrix = (matrix) => matrix.map((row) => row.join(",")).join(";");

/** A field of the state that is a whole number from `low` to `high`. */
const wholeNumber = (low, high) => ({
  read: (text) => (/^\d+$/.test(text) ? Math.min(high, Math.max(low, Number(text))) : undefined),
  write: String,
});

/** A field that is a matrix with at most `most` rows and columns. */
const matrixField = (most) => ({ read: (text) => readMatrix(text, most), write: writeMatrix });

/** A field that is a pair of whole numbers, such as a place. */
const pairField = {
  read: (text) => (/^\d+,\d+$/.test(text) ? text.split(",").map(Number) : undefined),
  write: String,
};

/** A field that is the size of an image: channels, rows and columns, each from 1 to `largest`. */
const imageField = (largest) => ({
  read(text) {
    const sizes = text.split(/[\s,]+/).map(Number);
    return /^\d+[\s,]+\d+[\s,]+\d+$/.test(text) && sizes.every((n) => n >= 1 && n <= largest) ? sizes : undefined;
  },
  write: String,
});

/** Fields that stay out of the address: plain text, and an attribute that is there or not. */
const textField = { read: (text) => text };
const flagField = { read: (text) => text !== "false", start: false };

// Colors: the course's two maps, gray for what is never negative, blue-white-red for what is

/** @param {number} t 0 is black, 1 is white @returns {Color} */
function gray(t) {
  const level = Math.round(255 * Math.min(1, Math.max(0, t)));
  return [level, level, level];
}

const BLUE_TO_RED = {
  light: [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]],
  dark: [[108, 178, 240], [44, 92, 140], [38, 41, 48], [140, 58, 48], [248, 130, 108]],
};

/** @param {number} t -1 is blue, 0 the ground, +1 red @returns {Color} */
function signed(t, dark = false) {
  const stops = BLUE_TO_RED[dark ? "dark" : "light"];
  const place = 2 * Math.min(1, Math.max(-1, t)) + 2;
  const left = Math.min(3, Math.floor(place));
  return stops[left].map((value, k) => Math.round(value + (place - left) * (stops[left + 1][k] - value)));
}

/** @param {Color} color relative luminance as WCAG defines it */
function luminance(color) {
  const [r, g, b] = color.map((v) => (v <= 10 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on this color. @param {Color} color */
const inkOn = (color) => (luminance(color) > 0.179 ? "#000" : "#fff");

let printing = false; // about to be printed, which is light, while the page still has the colors of the screen

/** Whether the page is dark around this element: its text is light. @param {Element} element */
function isDark(element) {
  return !printing && luminance(getComputedStyle(element).color.match(/[\d.]+/g).slice(0, 3).map(Number)) > 0.4;
}

/** Calls back when the page turns light or dark, and before and after it is printed; returns a function that stops it. */
function onTheme(callback) {
  const print = ({ type }) => {
    printing = type === "beforeprint";
    callback();
  };
  const observer = new MutationObserver(callback);
  const media = ["(prefers-color-scheme: dark)", "print"].map((query) => matchMedia(query));
  for (const element of [document.documentElement, document.body]) observer.observe(element, { attributes: true });
  for (const one of media) one.addEventListener("change", callback);
  for (const type of ["beforeprint", "afterprint"]) addEventListener(type, print);
  return () => {
    observer.disconnect();
    for (const one of media) one.removeEventListener("change", callback);
    for (const type of ["beforeprint", "afterprint"]) removeEventListener(type, print);
  };
}

// Kernels

/** Kernels (filters, channels, 3, 3) turned by half a turn, as (channels, filters, 3, 3): what carries gradients to the input. */
function turn(w, filters, channels) {
  const turned = new w.constructor(w.length);
  for (let f = 0; f < filters; f++)
    for (let c = 0; c < channels; c++)
      for (let k = 0; k < 9; k++) turned[(c * filters + f) * 9 + 8 - k] = w[(f * channels + c) * 9 + k];
  return turned;
}

// Chance

/** Random numbers from a seed (mulberry32): uniform from 0 to 1, and normal with deviation 1 (Box and Muller). */
function makeRandom(seed) {
  let state = seed | 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
}

// Elements

/** An element with attributes and children; an attribute that is a function is an event listener. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Writes text only where it changed, so that screen readers are not told twice. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A choice with a name. `choices` are texts. */
function chooser(name, onPick) {
  const select = h("select", { change: () => onPick(select.value) });
  return {
    element: h("label", { class: "field" }, name, select),
    show(choices, current) {
      if (choices.join() !== [...select.options].map((option) => option.value).join())
        select.replaceChildren(...choices.map((choice) => h("option", { value: choice }, choice)));
      select.value = current;
    },
  };
}

/** A number with a button on each side, which moves it by 1. */
function stepper(name, low, high, onPick) {
  const value = h("output", { "aria-live": "polite" });
  let now;
  const button = (sign, step, word) =>
    h("button", { type: "button", "aria-label": `${word} ${name}`, click: () => onPick(now + step) }, sign);
  const [less, more] = [button("\u2212", -1, "less"), button("+", 1, "more")];
  return {
    element: h("div", { class: "field", role: "group", "aria-label": name }, name,
      h("span", { class: "stepper" }, less, value, more)),
    show(current) {
      now = current;
      say(value, format(current));
      less.setAttribute("aria-disabled", current <= low);
      more.setAttribute("aria-disabled", current >= high);
    },
    allows: (next) => next >= low && next <= high,
  };
}

/** A whole number that is typed. */
function numberField(name, onPick) {
  const box = h("input", { type: "text", inputmode: "numeric", size: 7, change: () => onPick(Number(box.value.replaceAll(",", "").trim() || NaN)) });
  return { element: h("label", { class: "field" }, name, box), show: (value) => (box.value = String(value)) };
}

/** How many digits fit into `width` pixels of text of this size, in the font of the page. */
function digitsThatFit(element, width, size) {
  const pen = (digitsThatFit.pen ??= document.createElement("canvas").getContext("2d"));
  pen.font = `${size}px ${getComputedStyle(element).fontFamily}`;
  return Math.max(2, Math.floor(width / pen.measureText("0").width));
}

// Charts

/** A chart: `draw` takes the ticks as [share of the axis, text], the paths' data, and texts at the right end. */
function makeChart(className, paths) {
  const vector = (tag, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };
  const axes = vector("g", {});
  const lines = paths.map((name) => vector("path", { class: name }));
  const element = vector("svg", { class: `chart ${className}`, role: "img" });
  element.append(axes, ...lines);
  let drawn = "";
  return {
    element,
    draw({ across, up, data, ends = [], label }) {
      const [width, height] = [element.clientWidth, element.clientHeight];
      const [left, right, top, bottom] = [34, width - (ends.length ? 58 : 4), 6, height - 20];
      const x = (share) => left + share * (right - left);
      const y = (share) => bottom - Math.max(0, Math.min(1, share)) * (bottom - top);
      const now = JSON.stringify([width, height, across, up, ends]);
      if (drawn !== now) {
        axes.replaceChildren(
          ...up.flatMap(([share, text]) => [
            vector("line", { x1: left, x2: right, y1: y(share), y2: y(share) }),
            vector("text", { x: left - 5, y: y(share) + 4, "text-anchor": "end" }, text)]),
          ...across.map(([share, text]) => vector("text", { x: x(share), y: height - 4, "text-anchor": share > 0.9 ? "end" : share < 0.1 ? "start" : "middle" }, text)),
          ...ends.map(([share, text]) => vector("text", { x: right + 5, y: y(share) + 4, class: text }, text)));
        drawn = now;
      }
      for (const [k, path] of data(x, y).entries()) lines[k].setAttribute("d", path);
      element.setAttribute("aria-label", label);
    },
  };
}

/** The end of an axis that holds these values: at least 1, and 1, 1.5, 2, 3, 5 or 7 times a power of ten. */
function axisEnd(values) {
  const largest = Math.max(1, ...values.filter(Number.isFinite));
  const power = 10 ** Math.floor(Math.log10(largest));
  return power * ([1, 1.5, 2, 3, 5, 7].find((times) => times * power >= largest) ?? 10);
}

// Matrices

const NUMBERS_FROM = 32; // pixels a cell must measure before a number is written into it

/**
 * A matrix on the page: a table of numbers where there is room for them, otherwise one pixel of a canvas each.
 *
 * draw({ rows, columns, cell, color(r, c), text(r, c, width), kind(r, c), label, numbersFrom }): `color` gives a Color, or null for a cell
 * that holds none; `text` gives what stands in the cell, in at most `width` characters; `kind` its class in the style.
 * `numbersFrom` is the room that a number needs, in pixels.
 */
function makeGrid(className) {
  const canvas = h("canvas", { role: "img" });
  const table = h("table");
  const element = h("div", { class: `grid ${className}` });
  let shape = "";

  function drawTable({ rows, columns, cell, color, text, kind }) {
    if (shape !== `table ${rows} ${columns}`) {
      const row = () => h("tr", {}, ...Array.from({ length: columns }, () => h("td")));
      table.replaceChildren(h("tbody", {}, ...Array.from({ length: rows }, row)));
      element.querySelector("table, canvas")?.remove();
      element.prepend(table);
      shape = `table ${rows} ${columns}`;
    }
    const size = Math.min(16, Math.max(12, cell * 0.32)); // of the letters
    const width = digitsThatFit(table, cell - 4, size);
    table.style.fontSize = `${size}px`;
    for (const [r, row] of [...table.rows].entries()) {
      for (const [c, td] of [...row.cells].entries()) {
        const shade = color(r, c);
        td.style.backgroundColor = shade ? `rgb(${shade})` : "";
        td.style.color = shade ? inkOn(shade) : "";
        td.className = kind?.(r, c) ?? "";
        say(td, text(r, c, width));
      }
    }
  }

  function drawPixels({ rows, columns, color }) {
    if (shape !== `pixels ${rows} ${columns}`) {
      [canvas.width, canvas.height] = [columns, rows];
      element.querySelector("table, canvas")?.remove();
      element.prepend(canvas);
      shape = `pixels ${rows} ${columns}`;
    }
    const pixels = new ImageData(columns, rows);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const shade = color(r, c);
        if (shade) pixels.data.set([...shade, 255], 4 * (r * columns + c));
      }
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  return {
    element,
    draw(options) {
      const { rows, columns, cell, label } = options;
      if (!rows || !columns) return;
      element.style.setProperty("--cell", `${cell}px`);
      element.style.width = `${columns * cell}px`;
      element.style.height = `${rows * cell}px`;
      if (cell >= (options.numbersFrom ?? NUMBERS_FROM)) drawTable(options);
      else drawPixels(options);
      element.firstElementChild.setAttribute("aria-label", label);
    },
  };
}

/** The least and the largest number of a matrix. @param {Matrix} matrix @returns {[number, number]} */
function range(matrix) {
  let [low, high] = [Infinity, -Infinity];
  for (const row of matrix) for (const value of row) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/**
 * How to color a matrix: gray from 0 to the largest, or symmetric blue-white-red if anything is negative.
 * Returns { low, high, color(value), gradient }: the limits, the map, and the map as a CSS gradient for a legend.
 */
function colorMap(low, high, dark) {
  if (low < 0) {
    const top = Math.max(-low, high);
    const stops = [-1, -0.5, 0, 0.5, 1].map((t) => `rgb(${signed(t, dark)})`);
    return { low: -top, high: top, color: (value) => signed(value / top, dark), gradient: stops.join() };
  }
  const top = high > 0 ? high : 1;
  return { low: 0, high: top, color: (value) => gray(value / top), gradient: "#000, #fff" };
}

/** A bar that shows the colors of a map, and what they stand for. */
function makeLegend() {
  const [low, high, bar] = [h("span"), h("span"), h("span", { class: "bar" })];
  return {
    element: h("p", { class: "legend" }, low, bar, high),
    draw(map, note = "") {
      say(low, format(map.low, 6));
      say(high, format(map.high, 6) + note);
      bar.style.backgroundImage = `linear-gradient(90deg, ${map.gradient})`;
    },
  };
}

// The book: a custom element whose state is its attributes and the page's address

/** The part of the address after #, as { "id.field": text }. An ordinary anchor gives nothing. */
function readFragment() {
  const parts = [...plainLink(location.hash.slice(1)).matchAll(/([^&=]+)=([^&]*)/g)];
  return Object.fromEntries(parts.map(([, key, text]) => [key.trim(), text]));
}

/**
 * A link as it was before others passed it on: percent codes decoded, even twice; &amp; is &; the bracket, full stop, quotation mark
 * or asterisks that stood behind it in a text are gone. No setting holds such signs, and each ends with a letter or a digit.
 */
function plainLink(text) {
  const decode = (coded) => coded.replace(/(%[0-9a-f]{2})+/gi, safeDecode);
  const plain = decode(decode(text)).replace(/&(amp;|#38;|#x26;)+/gi, "&");
  return plain.replace(/[()[\]{}<>"'`*|\\\u2018-\u201f\u00ab\u00bb][^&]*|[.!?]\s[^&]*|&(lt|gt|quot|apos|nbsp|#\w+);[^&]*/g, "").replace(/[^\p{L}\p{N}]+$/u, "");
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Puts one playground's settings into the address, and leaves those of the others. */
function writeFragment(id, settings) {
  const others = Object.entries(readFragment()).filter(([key]) => key.slice(0, key.lastIndexOf(".")) !== id);
  const mine = Object.entries(settings).map(([field, text]) => [`${id}.${field}`, text]);
  const text = [...others, ...mine].map(([key, value]) => `${key}=${encodeURI(value)}`).join("&");
  if (!text && !location.hash.includes("=")) return; // an ordinary anchor stays
  try {
    history.replaceState(history.state, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // A browser may refuse, for example when asked too often: the playground works all the same.
  }
}

/** A model like anywidget's, made from an element's attributes and the address. */
function makeModel(element, fields) {
  const given = {};
  for (const [name, field] of Object.entries(fields)) {
    const text = element.getAttribute(name);
    given[name] = (text === null ? undefined : field.read(text)) ?? field.start;
  }
  const state = { ...given };
  const listeners = new Set();
  let timer;

  function differences() {
    const changed = Object.keys(fields).filter((name) => fields[name].write && state[name] !== undefined);
    const texts = changed.map((name) => [name, fields[name].write(state[name]), fields[name].write(given[name])]);
    return Object.fromEntries(texts.filter(([, now, first]) => now && now !== first).map(([name, now]) => [name, now]));
  }

  return {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      for (const listener of listeners) listener();
    },
    save_changes() {
      clearTimeout(timer);
      timer = setTimeout(() => writeFragment(element.id, differences()), 250);
    },
    on: (event, listener) => listeners.add(listener),
    off: (event, listener) => listeners.delete(listener),
    /** Takes the settings that the address holds for this element; true if there are any. */
    fromAddress() {
      const found = Object.entries(readFragment()).filter(([key]) => key.slice(0, key.lastIndexOf(".")) === element.id);
      const mine = Object.fromEntries(found.map(([key, text]) => [key.slice(key.lastIndexOf(".") + 1), text]));
      for (const name of Object.keys(fields).filter((name) => fields[name].write))
        state[name] = (name in mine ? fields[name].read(mine[name]) : undefined) ?? given[name];
      for (const listener of listeners) listener();
      return found.length > 0;
    },
  };
}

/** Makes <cnn-NAME> an element of this page: its attributes are `fields`, `render` draws it. */
function define(tag, render, fields) {
  class Playground extends HTMLElement {
    connectedCallback() {
      if (!this.id) this.id = `${tag.slice(4)}-${[...document.querySelectorAll(tag)].indexOf(this) + 1}`;
      this.model ??= makeModel(this, fields);
      this.replaceChildren();
      const stop = render({ model: this.model, el: this });
      const follow = () => this.model.fromAddress() && this.scrollIntoView({ block: "nearest" });
      if (this.model.fromAddress() && !document.querySelector(":target")) this.scrollIntoView({ block: "center" });
      addEventListener("hashchange", follow);
      this.stop = () => {
        removeEventListener("hashchange", follow);
        stop();
      };
    }

    disconnectedCallback() {
      this.stop?.();
    }
  }
  if (customElements.get(tag)) return;
  customElements.define(tag, Playground);
  const sheet = new CSSStyleSheet(); // in dark pages the theme puts what cells show on a light ground: not playgrounds
  sheet.replaceSync(`.text_html:has(> ${tag}) { background: none !important; color: inherit !important; padding: 0 !important; }`);
  document.adoptedStyleSheets.push(sheet);
}

// The look that all playgrounds share; each sits in its own shadow tree, so that no page's style leaks in

const STYLE = `
:host { display: block; }
.playground {
  --ground: var(--surface, #f7f7f8); --panel: var(--raised, #ffffff); --text: var(--ink, #1d2228); --soft: var(--ink-soft, #555d66);
  --line: var(--rule-strong, #858c95); --faint: var(--rule, #d9dde2); --action: var(--teal, #0b6170); --on-action: #ffffff;
  --mark: #e69f00; --mark-edge: #5c3d00; --mark-ink: #1d1400; --beam: rgb(196 132 0);
  box-sizing: border-box; margin: 1rem 0; padding: 14px; border: 1px solid var(--faint); border-radius: 10px;
  background: var(--ground); color: var(--text); font-size: 15px; line-height: 1.4; font-variant-numeric: tabular-nums lining-nums;
  font-family: var(--sans, var(--jp-ui-font-family, inherit)); container-type: inline-size;
}
.playground.dark {
  --ground: var(--surface, #191c21); --panel: var(--raised, #23272e); --text: var(--ink, #eceff3); --soft: var(--ink-soft, #b3bbc5);
  --line: var(--rule-strong, #7d8691); --faint: var(--rule, #3a4048); --action: var(--teal, #74c7d3); --on-action: #08191d;
  --mark: #ffc247; --mark-edge: #1a1200; --beam: rgb(255 194 71);
  color-scheme: dark;
}
*, ::before, ::after { box-sizing: inherit; }
.row.middle { justify-content: center; }
p { margin: 0; }
button, select, input { font: inherit; color: inherit; }
button, select {
  min-height: 36px; padding: 4px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); cursor: pointer;
}
select { padding: 4px 6px; max-width: 100%; }
button:hover { border-color: var(--action); }
button[aria-disabled="true"] { color: var(--soft); border-color: var(--faint); cursor: default; }
button.main { background: var(--action); border-color: var(--action); color: var(--on-action); font-weight: 600; min-width: 5.2em; }
button[aria-pressed="true"] { box-shadow: inset 0 0 0 2px var(--action); }
:focus-visible { outline: 3px solid var(--action); outline-offset: 2px; }
.row { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
.row:empty { display: none; }
.field { display: inline-flex; align-items: center; gap: 7px; color: var(--soft); }
.field select, .field output { color: var(--text); }
.stepper { display: inline-flex; align-items: center; border: 1px solid var(--line); border-radius: 8px; background: var(--panel); }
.stepper button { border: 0; background: none; padding: 0; width: 36px; font-size: 18px; }
.stepper output { min-width: 1.4em; text-align: center; font-weight: 600; }
.heading { color: var(--soft); margin-bottom: 5px; white-space: nowrap; }
.heading b { color: var(--text); font-weight: 600; }
.grid { position: relative; background: var(--ground); touch-action: pan-y; border-radius: 3px; outline: 1px solid var(--line); }
.grid canvas { width: 100%; height: 100%; display: block; image-rendering: pixelated; }
table { border-collapse: separate; border-spacing: 0; table-layout: fixed; }
td { padding: 0; text-align: center; vertical-align: middle; white-space: nowrap; overflow: hidden; }
.grid table { width: 100%; height: 100%; }
.grid td { width: var(--cell); height: var(--cell); border: 0.5px solid rgb(128 128 128 / 0.35); }
.grid td.empty { color: var(--soft); background: repeating-linear-gradient(45deg, transparent 0 5px, var(--faint) 5px 6px); }
.grid td.skipped { color: var(--soft); background: linear-gradient(to top right, transparent calc(50% - 1px), var(--line) 50%, transparent calc(50% + 1px)); }
.legend { display: flex; align-items: center; gap: 6px; margin-top: 6px; font-size: 13px; color: var(--soft); flex-wrap: wrap; }
.legend .bar { width: 72px; height: 10px; border: 1px solid var(--line); border-radius: 2px; }
.note { color: var(--soft); font-size: 13.5px; }
.chart { display: block; width: 100%; height: 190px; }
.chart text { font-size: 12px; fill: var(--soft); }
.chart line { stroke: var(--faint); }
.chart path { fill: none; stroke-width: 2; stroke-linejoin: round; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 480px) { .playground { padding: 10px; } .field:has(.stepper) { flex-direction: column; align-items: start; gap: 2px; } }
@media (pointer: coarse) { button, select { min-height: 44px; } .stepper button { width: 44px; } input { font-size: 16px; } }
`;

export { NUMBERS_FROM, STYLE, axisEnd, chooser, colorMap, count, define, digitsThatFit, flagField, format, fraction, gray, h, imageField, inkOn, isDark, makeChart, makeGrid, makeLegend, makeRandom, matrixField, numberField, onTheme, pairField, parseNumber, product, range, readMatrix, say, signed, stepper, textField, turn, wholeNumber, writeMatrix };
