// A quiz that answers back. What the reader answered stays in this browser.
//
// JupyterLab (anywidget) calls `render` with a model that holds the quiz; the book wraps this text into a script that
// starts every quiz of a page. Keep the export on a line of its own: the book leaves it out.

/** Storage may be forbidden or full; a quiz works without it. */
const memory = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch { /* nothing is kept */ }
  },
  remove(key) {
    try {
      localStorage.removeItem(key);
    } catch { /* nothing was kept */ }
  },
};

/** "18,496", "1 000", "0,5", "−6" and "1/9" are numbers too. */
function readNumber(text) {
  let plain = text.trim().replace(/[−–]/g, "-").replace(/(\d)[\s\u00a0_'](?=\d{3}(\D|$))/g, "$1");
  plain = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(plain) ? plain.replace(/,/g, "") : plain.replace(/^(-?\d*),(\d+)$/, "$1.$2");
  const parts = plain.split("/").map((part) => (part.trim() === "" ? NaN : Number(part)));
  return parts.length === 2 ? parts[0] / parts[1] : parts.length === 1 ? parts[0] : NaN;
}

/** A line of feedback: a verdict or remark in bold, and copies of the answer and the reason in the list of answers. */
function line(verdict, reason, answer) {
  const element = document.createElement("span");
  element.className = "quiz-line";
  if (typeof verdict === "boolean") element.dataset.right = verdict;
  const strong = document.createElement("strong");
  strong.textContent = typeof verdict === "string" ? verdict : (verdict ? "Right" : "Not so") + (answer ? ":" : ".");
  element.append(strong, " ");
  if (answer) element.append(...copy(answer), document.createElement("br"));
  if (reason) element.append(...copy(reason));
  return element;
}
const copy = (element) => [...element.cloneNode(true).childNodes];

/** What a choice question says about the boxes that are ticked: [right?, lines]. */
function judgeChoices(inputs, key, several) {
  const ticked = inputs.map((input) => input.checked);
  const rights = key.map((item) => item.dataset.right === "true");
  if (!ticked.includes(true)) return [null, [line("Choose an answer first.")]];
  const missing = rights.filter((right, i) => right && !ticked[i]).length;
  const right = missing === 0 && ticked.every((tick, i) => !tick || rights[i]);
  const lines = key.filter((_, i) => ticked[i]).map((item) => {
    const answer = several && item.querySelector(".quiz-text");
    return line(item.dataset.right === "true", item.querySelector(".quiz-why"), answer);
  });
  if (several && missing) lines.push(line(missing === 1 ? "One more is right." : `${missing} more are right.`));
  return [right, lines];
}

/** What a number question says about a text: [right?, lines]. */
function judgeNumber(text, key) {
  const value = readNumber(text);
  if (Number.isNaN(value)) return [null, [line("Write a number, such as 12 or 0.5.")]];
  const match = key.find((item, i) => {
    const want = Number(item.dataset.number);
    const slack = Number(item.dataset.tolerance) + 1e-9 * Math.max(1, Math.abs(want));
    return Math.abs(value - want) <= slack || i === key.length - 1; // the last one is "anything else"
  });
  const right = match.dataset.right === "true";
  return [right, [line(right, match.querySelector(".quiz-why"))]];
}

/** Makes one question answer back; returns what takes its answer and what was missed back. `name` is where the answer is kept. */
function startQuestion(form, key, name, changed) {
  const inputs = [...form.querySelectorAll("input")];
  const output = form.querySelector("output");
  const kind = form.dataset.kind;
  form.querySelector(".quiz-check").hidden = false;

  function clear() {
    delete form.dataset.state;
    output.replaceChildren();
  }
  function judge() {
    const [right, lines] = kind === "number" ? judgeNumber(inputs[0].value, key) : judgeChoices(inputs, key, kind === "several");
    clear();
    output.replaceChildren(...lines);
    if (right === null) return;
    form.dataset.state = right ? "right" : "wrong";
    if (!right) miss(true);
    memory.set(name, kind === "number" ? inputs[0].value : inputs.map((input) => input.checked));
    changed();
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    judge();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault(); // in JupyterLab the key alone submits no form
    form.requestSubmit();
  });
  form.addEventListener("input", clear);

  /** Notes that the question was answered wrongly, or that it is asked again; a right answer later does not undo it. */
  function miss(missed) {
    form.dataset.missed = missed;
    if (missed) memory.set(`${name}:missed`, true);
    else memory.remove(`${name}:missed`);
  }

  const kept = memory.get(name);
  if (memory.get(`${name}:missed`) === true) miss(true);
  if (kind === "number" && typeof kept === "string") inputs[0].value = kept;
  if (kind !== "number" && Array.isArray(kept)) inputs.forEach((input, i) => { input.checked = kept[i] === true; });
  if (kept !== null) judge();
  return () => {
    form.reset();
    clear();
    miss(false);
    memory.remove(name);
  };
}

/** Makes a quiz answer back. @param {Element} quiz */
function start(quiz) {
  const forms = [...quiz.querySelectorAll(".quiz-question")];
  const keys = [...quiz.querySelectorAll(".quiz-key > ol > li")].map((item) => [...item.querySelectorAll("li")]);
  const foot = quiz.querySelector(".quiz-foot");
  const missed = (form) => form.dataset.missed === "true";
  function score() {
    const asked = forms.filter((form) => !form.hidden);
    const right = asked.filter((form) => form.dataset.state === "right").length;
    foot.hidden = asked.length === forms.length && !forms.some((form) => form.dataset.state);
    foot.querySelector(".quiz-score").textContent = `${right} of ${asked.length} right.`;
    foot.querySelector(".quiz-again").hidden = !forms.some(missed);
  }
  /** Asks these questions once more, and hides the others. */
  function ask(again) {
    const chosen = forms.map(again);
    forms.forEach((form, i) => {
      form.hidden = !chosen[i];
      if (chosen[i]) resets[i]();
    });
    score();
    forms[chosen.indexOf(true)].querySelector("input").focus();
  }
  quiz.classList.add("quiz-live");
  const resets = forms.map((form, i) => startQuestion(form, keys[i], `cnn-quiz:${quiz.dataset.name}:${form.dataset.key}`, score));
  forms.forEach((form, i) => { form.style.counterSet = `question ${i + 1}`; }); // also where others are hidden
  foot.querySelector(".quiz-again").addEventListener("click", () => ask(missed));
  foot.querySelector(".quiz-reset").addEventListener("click", () => ask(() => true));
  score();
}

/** Shows the quiz of a widget. Its page travels as base64, so that a notebook that keeps widgets shows no answers. */
async function render({ model, el }) {
  const bytes = Uint8Array.from(atob(model.get("page")), (character) => character.charCodeAt(0));
  el.classList.add("quiz-lab");
  el.dataset.lmSuppressShortcuts = "true"; // what is typed here is no command to the notebook
  el.innerHTML = new TextDecoder().decode(bytes);
  start(el.firstElementChild);
  if (el.querySelector(".math")) await model.widget_manager?._rendermime?.latexTypesetter?.typeset(el);
}

export default { render };
