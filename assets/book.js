/* Small things that every page needs. */
(function () {
  "use strict";

  // A page opened from a file may not fetch others: the search then lists titles without excerpts.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  // An excerpt starts with the text, not with the buttons above it.
  if (typeof Search !== "undefined") {
    const read = Search.htmlToText;
    Search.htmlToText = (html, anchor) => read(html.replace(/<div class="bd-header-article[^]*?(?=<article)/, ""), anchor);
  }

  // A formula or a drawing wider than the page scrolls on its own; the keyboard must be able to reach it.
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const box = target.closest("div.math, .drawing");
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  });
  const watch = () => document.querySelectorAll("div.math, div.math mjx-container, .drawing").forEach((one) => sizes.observe(one));
  window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(watch));
})();
