// What playgrounds with a window share: the places it can stand on, its walk over them, and the stage: the image with
// the window, the output with the mark, and the light that falls from one to the other.

import { NUMBERS_FROM, format, h, makeGrid, makeLegend, onTheme, say } from "./base.js";

/** How many places a window has along one axis; 0 if it does not fit. */
function outputSize(size, taps, { stride = 1, padding = 0, dilation = 1 } = {}) {
  const room = size + 2 * padding - (dilation * (taps - 1) + 1);
  return room < 0 ? 0 : 1 + Math.floor(room / stride);
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

/** The number of places as the formula with the floor. */
function sizeSentence(axis, size, taps, { stride, padding, dilation }) {
  const quotient = `⌊(${size} + 2·${padding} − ${dilation}·(${taps} − 1) − 1) / ${stride}⌋`;
  return `Output ${axis}: ${quotient} + 1 = ${outputSize(size, taps, { stride, padding, dilation })}.`;
}

const grid = (rows, columns, value) =>
  Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => value(r, c)));
const same = (a, b) => a === b || (a.length === b.length && a.every((row, r) =>
  row.length === b[r].length && row.every((value, c) => value === b[r][c])));
const nameOf = (matrix, named, otherwise) => Object.keys(named).find((name) => same(named[name], matrix)) ?? otherwise;
const inWords = (text) => text.replaceAll("\u2212", "minus ");
const term = (value, k) => (value < 0 ? (k ? "− " : "−") : k ? "+ " : "") + format(Math.abs(value), 5);

/** Draws `view` in a shadow tree of its own below `el`. Returns the element that carries it. */
function mount(el, view, style) {
  const host = h("div", { "data-lm-suppress-shortcuts": "true" }); // JupyterLab leaves our keys alone
  host.attachShadow({ mode: "open" }).append(h("style"), view);
  host.shadowRoot.firstChild.textContent = style;
  el.append(host);
  return host;
}

/** Keeps the page in step with the model, the theme, the room there is. Returns a function that ends it. */
function keepInStep({ model, host, update, draw }) {
  model.on("change", update);
  const stopTheme = onTheme(() => draw());
  const sizes = new ResizeObserver(() => requestAnimationFrame(draw));
  sizes.observe(host);
  document.fonts.ready.then(draw); // how many digits fit depends on the font
  update();
  return () => {
    model.off("change", update);
    stopTheme();
    sizes.disconnect();
    host.remove();
  };
}

/**
 * What `render` begins with: the controls that are asked for, whether answers stay covered, what of the model decides the
 * answer, now (`read`) and at first (`given`), and how changes reach the model (`set`). @param {string[]} names
 */
function begin(model, names) {
  const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  return {
    controls: new Set(model.get("controls").split(/\s+/).filter(Boolean)),
    predict: model.get("predict"),
    read,
    given: read(),
    set(changes) {
      for (const [name, value] of Object.entries(changes)) model.set(name, value);
      model.save_changes();
    },
  };
}

const button = (text, run, attributes = {}) => h("button", { type: "button", click: () => run(), ...attributes }, text);

/**
 * Where the window stands, a row and a column of the output, and which places it has visited. The reader moves it, or
 * it walks by itself. sizes() gives the rows and columns there are; keep(at) stores a place; draw() shows it.
 */
function makeWalk({ sizes, keep, draw }) {
  let at = [0, 0];
  let seen = new Set(); // the numbers of the places that were visited
  let frame = 0; // the number of the animation frame that comes next

  const places = () => sizes()[0] * sizes()[1];
  const within = (place) => place.map((k, axis) => Math.max(0, Math.min(sizes()[axis] - 1, k)));
  const numberOf = ([row, column]) => row * sizes()[1] + column;
  const placeOf = (number) => [Math.floor(number / sizes()[1]), number % sizes()[1]];

  function moveTo(row, column) {
    stop();
    const to = within([row, column]);
    if (places() && to.join() !== at.join()) keep(to);
  }

  function play() {
    if (frame) return stop();
    if (!places()) return;
    const [last, pause] = [places() - 1, Math.min(700, 14000 / places())]; // milliseconds a place; a photo takes 14 seconds
    let place = numberOf(at) === last ? 0 : numberOf(at);
    let due = performance.now() + pause;
    const tick = (now) => {
      const steps = Math.min(last - place, Math.floor((now - due) / pause) + 1);
      if (steps > 0) {
        for (const end = place + steps; place < end; ) seen.add(++place);
        due += steps * pause;
        at = placeOf(place);
        draw();
      }
      if (place < last) frame = requestAnimationFrame(tick);
      else stop();
    };
    at = placeOf(place);
    frame = requestAnimationFrame(tick);
    draw();
  }

  function halt() {
    cancelAnimationFrame(frame);
    frame = 0;
  }

  function stop() {
    if (!frame) return;
    halt();
    keep(at);
    draw();
  }

  return {
    at: () => at,
    playing: () => frame > 0,
    /** Whether a place is still to come: it waits for its first visit, or for the walk to get there. */
    covered: (predict) => (r, c) => (predict ? !seen.has(numberOf([r, c])) : frame > 0 && numberOf([r, c]) > numberOf(at)),
    moveTo,
    moveBy: (rows, columns) => moveTo(at[0] + rows, at[1] + columns),
    stepBy: (count) => moveTo(...placeOf(Math.max(0, Math.min(places() - 1, numberOf(at) + count)))),
    play,
    stop,
    /** Starts afresh, on another output. */
    restart() {
      halt();
      seen = new Set();
    },
    /** Takes the place that the model holds. */
    stand(place) {
      at = within(frame ? at : place);
      seen.add(numberOf(at));
    },
    uncover() {
      for (let number = 0; number < places(); number++) seen.add(number);
      draw();
    },
  };
}

/** Lets keys act on an element: { key: function }. */
function steer(element, keys) {
  element.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}

/** The keys that move something by rows and columns. */
const arrows = (moveBy) => ({
  ArrowLeft: () => moveBy(0, -1), ArrowRight: () => moveBy(0, 1),
  ArrowUp: () => moveBy(-1, 0), ArrowDown: () => moveBy(1, 0),
  Home: () => moveBy(0, -1000), End: () => moveBy(0, 1000),
  PageUp: () => moveBy(-1000, 0), PageDown: () => moveBy(1000, 0),
});

/**
 * Lets a pointer lead: move(x, y) gets its place in the area, less how far from the handle's middle it was put down. A
 * finger must start on the handle, so that the rest of the page still scrolls. With `tap`, a click that drags nothing
 * goes there, as (x, y), and only the handle can be dragged.
 */
function follow(area, handle, { focus, move, tap }) {
  let hold = null; // while it leads: how far from the handle's middle it was put down
  let led = false; // whether the click that comes at the end is a drag's
  const lead = (event, act = move) => {
    const box = area.getBoundingClientRect();
    act(event.clientX - box.left - hold.x, event.clientY - box.top - hold.y);
  };
  area.addEventListener("pointerdown", (event) => {
    const onHandle = event.composedPath().includes(handle);
    led = false;
    if (event.button !== 0 || ((event.pointerType === "touch" || tap) && !onHandle)) return;
    const box = handle.getBoundingClientRect();
    const [x, y] = onHandle ? [event.clientX - (box.left + box.right) / 2, event.clientY - (box.top + box.bottom) / 2] : [0, 0];
    hold = { x, y, from: [event.clientX, event.clientY] };
    led = !tap;
    area.setPointerCapture(event.pointerId);
    event.preventDefault(); // no text is selected
    focus.focus({ preventScroll: true, focusVisible: false });
    lead(event);
  });
  area.addEventListener("pointermove", (event) => {
    if (!hold) return;
    led ||= Math.hypot(event.clientX - hold.from[0], event.clientY - hold.from[1]) > 4;
    lead(event);
  });
  for (const end of ["pointerup", "pointercancel"]) area.addEventListener(end, () => (hold = null));
  area.addEventListener("click", (event) => {
    hold = { x: 0, y: 0 };
    if (!led) lead(event, tap);
    hold = null;
    led = false;
  });
}

/** Puts a box over some cells of a grid. */
function placeBox(element, cell, row, column, high, wide) {
  const sizes = { top: row, left: column, height: high, width: wide };
  for (const [name, cells] of Object.entries(sizes)) element.style[name] = `${cells * cell}px`;
}

/** Tells a screen reader where the window stands, among so many places. */
function tellPlace(frame, [row, column], rows, columns) {
  const [now, max, text] = [row * columns + column, rows * columns - 1, `row ${row}, column ${column}`];
  for (const [name, value] of Object.entries({ min: 0, max, now, text })) frame.setAttribute(`aria-value${name}`, value);
}

function heading(element, name, rows, columns, more = "") {
  element.replaceChildren(h("b", {}, name), ` ${rows} × ${columns}${more && `, ${more}`}`);
}

/** Light that falls from one box to another, and follows while they glide. */
function makeBeam(from, to) {
  const [beam, rays] = [makeShape("beam"), makeShape("rays")];
  let [until, runs] = [0, false];

  function trace() {
    const origin = beam.element.parentElement.getBoundingClientRect();
    const corners = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const [x, X, y, Y] = [left - origin.left, right - origin.left, top - origin.top, bottom - origin.top];
      return [[x, y], [X, y], [X, Y], [x, Y]];
    };
    const outline = hull([...corners(from), ...corners(to)]).join(" ");
    for (const shape of [beam, rays]) shape.polygon.setAttribute("points", outline);
  }

  return {
    elements: [beam.element, rays.element],
    draw() {
      until = performance.now() + 220;
      if (!runs) requestAnimationFrame(function next() {
        trace();
        runs = performance.now() < until && from.isConnected;
        if (runs) requestAnimationFrame(next);
      });
      runs = true;
    },
  };
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

/**
 * An image and an output, the window on the one, its place marked on the other, and the buttons that move it. `name`: what
 * a screen reader calls what is moved.
 *
 * @typedef {{ at: [number, number], high: number, wide: number, stride: [number, number] }} Box  its place, the cells it
 *   covers, and by how many cells it moves down and across from one place to the next
 */
function makeStage(movable, name = "window") {
  let act; // what the reader can do: filled in by connect
  const side = (name) => ({ heading: h("p", { class: "heading" }), grid: makeGrid(name), legend: makeLegend() });
  const [image, result] = [side("image"), side("output")];
  const frame = h("div", movable
    ? { class: "frame", tabindex: 0, role: "slider", "aria-label": name, "aria-describedby": "hint" }
    : { class: "frame" });
  const spot = h("div", { class: "mark" });
  const beam = makeBeam(frame, spot);
  image.grid.element.append(frame);
  result.grid.element.append(spot);
  const element = h("div", { class: "stage" }, ...[image, result].map((one) =>
    h("div", { class: "side" }, one.heading, one.grid.element, one.legend.element)), ...beam.elements);

  const playButton = button("Play", () => act.play(), { class: "main" });
  const uncoverButton = button("Show all", () => act.uncover());
  const moving = [playButton, button("← Back", () => act.stepBy(-1)), button("Step →", () => act.stepBy(1))];

  let cell = 0; // pixels a side of a cell, the same in the image and in the output
  let boxes; // the window's and the mark's

  /** Moves to where a pointer asks the middle of a box to be. */
  const lead = (which) => (x, y) => {
    const { high, wide, stride: [down, across] } = boxes[which];
    act.move([Math.round((y / cell - high / 2) / down), Math.round((x / cell - wide / 2) / across)]);
  };

  return {
    element, image, result, frame, beam, uncoverButton,
    buttons: movable ? moving : [],

    /** Lets the reader move the window. With act.tap, a click on a pixel goes there. */
    connect(actions) {
      act = actions;
      if (!movable) return;
      steer(frame, { ...arrows(act.moveBy), " ": () => act.play() });
      follow(image.grid.element, frame, {
        focus: frame,
        move: lead("window"),
        tap: act.tap && ((x, y) => act.tap([Math.floor(y / cell), Math.floor(x / cell)])),
      });
      follow(result.grid.element, spot, { focus: frame, move: lead("mark") });
    },

    /**
     * Beside each other if numbers still fit into the cells, if they would fit in neither way, or if they must be. Returns
     * the cells' size.
     */
    fit(height, width, rows, columns, mustBeBeside = false) {
      const available = element.clientWidth - 2;
      const beside = (available - (available < 420 ? 20 : 44)) / (width + Math.max(columns, 2));
      const below = available / Math.max(width, columns);
      const stacked = !mustBeBeside && beside < NUMBERS_FROM && (below >= NUMBERS_FROM || available < 560);
      element.classList.toggle("stacked", stacked);
      cell = Math.min(stacked ? below : beside, 46, 520 / height);
      cell = cell < NUMBERS_FROM ? Math.max(2, Math.floor(2 * cell) / 2) : Math.floor(cell);
      return cell;
    },

    /**
     * Puts window and mark where they belong. `output` has an entry for each place of the window.
     * @param {Box} window @param {Box} mark
     */
    place({ at, output, playing, predict, covered }, window, mark = { at, high: 1, wide: 1, stride: [1, 1] }) {
      const [rows, columns] = [output.length, output[0]?.length ?? 0];
      say(playButton, playing ? "Pause" : "Play");
      uncoverButton.hidden = !(predict && output.some((line, r) => line.some((_, c) => covered(r, c))));
      boxes = { window, mark };
      const fast = playing && rows * columns > 60;
      for (const [box, { at: [row, column], high, wide, stride: [down, across] }] of [[frame, window], [spot, mark]]) {
        box.classList.toggle("jump", fast);
        placeBox(box, cell, row * down, column * across, high, wide);
      }
      if (movable && rows && columns) tellPlace(frame, at, rows, columns);
    },
  };
}

const WINDOW_STYLE = `
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
.equation { text-align: center; margin-top: 10px; min-height: 1.4em; }
.facts { margin-top: 10px; display: flex; flex-wrap: wrap; gap: 2px 18px; justify-content: center; }
.facts:empty, .credit:empty { display: none; }
.hint { margin-top: 8px; text-align: center; }
@media (prefers-reduced-motion: reduce) { .frame, .mark { transition: none; } }
@media (forced-colors: active) { .frame, .mark { border: 3px solid Highlight; } }
`;

export { WINDOW_STYLE, arrows, begin, button, follow, grid, heading, inWords, keepInStep, makeBeam, makeStage, makeWalk, mount, nameOf, outputSize, placeBox, same, sizeSentence, steer, tellPlace, term, usesAlong };
