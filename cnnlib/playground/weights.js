// What playgrounds with a kernel share: the sum of products at one place and at all, and the kernel as fields to write into.

import { fraction, h, inkOn, parseNumber } from "./base.js";
import { outputSize } from "./window.js";

/** @typedef {number[][]} Matrix  rows of numbers, all rows equally long */
/** @typedef {{ stride?: number, padding?: number, dilation?: number }} Options */

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

const largest = (matrix) => matrix.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);

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

/** The kernel as a matrix of fields that the reader writes into; `of` says whose it is where there are several. */
function makeWeights(onWeight, of = "") {
  const table = h("table", { "aria-label": of ? `kernel, ${of}` : "kernel" });
  let shape = "";
  const field = (k, l) => {
    const input = h("input", {
      type: "text", autocomplete: "off", spellcheck: "false", "aria-label": `weight, ${of && `${of}, `}row ${k}, column ${l}`,
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

const WEIGHTS_STYLE = `
.matrix table { outline: 1px solid var(--line); border-radius: 3px; }
.matrix td { width: 46px; height: 36px; font-size: 14px; border: 0.5px solid rgb(128 128 128 / 0.35); }
.matrix input { width: 100%; height: 100%; min-width: 0; border: 0; border-radius: 0; padding: 0; text-align: center; font-size: 14px; cursor: text; text-decoration: underline dotted 1px; text-underline-offset: 4px; }
.matrix input[aria-invalid="true"] { box-shadow: inset 0 0 0 2px #d32f2f; text-decoration: underline wavy #d32f2f; }
.matrix input:focus { outline: 3px solid var(--action); outline-offset: -1px; position: relative; }
@container (max-width: 420px) { .matrix td { width: 40px; } }
`;

// Of a line of matrices that ends in a result
const SUM_STYLE = `
.sum { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; margin-top: 14px; padding-top: 12px; border-top: 1px solid var(--faint); justify-content: center; }
.sign { font-size: 22px; color: var(--soft); padding-top: 24px; }
.part { display: flex; gap: 10px; align-items: center; }
.result { display: flex; flex-direction: column; align-items: center; }
.total { min-width: 76px; padding: 6px 12px; border-radius: 8px; text-align: center; font-size: 24px; font-weight: 700; box-shadow: 0 0 0 3px var(--mark), 0 0 0 4.5px var(--mark-edge); margin: 2px 0 8px; }
@container (max-width: 420px) { .sum, .part { gap: 8px 7px; } }
@media (forced-colors: active) { .total { border: 3px solid Highlight; } }
`;

export { SUM_STYLE, WEIGHTS_STYLE, correlate, largest, makeMatrix, makeWeights, multiplyAndSum, patchAt };
