document.addEventListener("DOMContentLoaded", () => {
  // The widgets' script sets formulas as MathJax 2 did: Queue(["Typeset", Hub, element]). MathJax 3 is what these pages have.
  if (window.MathJax) {
    window.MathJax.Hub = { Queue: ([, , element]) => MathJax.startup.promise.then(() => MathJax.typesetPromise([element])) };
  }
  // A widget on these pages shows its first state and answers nothing: no kernel runs. Keyboard and screen reader pass it by,
  // and meet the sentence before it and the still figure near it, which show the same.
  for (const view of document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')) {
    const frame = document.createElement("div");
    frame.className = "mm-first-state";
    frame.inert = true;
    view.replaceWith(frame);
    frame.append(view);
  }
  // Printed sentences wrap, so that a verdict is read to its end; lines with columns stay whole, and scroll.
  for (const printed of document.querySelectorAll(".cell_output .stream pre")) {
    if (printed.querySelector("span:not(:empty)")) continue; // coloured text
    const lines = printed.textContent.replace(/\n$/, "").split("\n").map((text) => {
      const line = document.createElement("span");
      if (/^[✓✗]/.test(text) || !/\S {2,}\S/.test(text)) line.className = "mm-sentence";
      line.textContent = `${text}\n`;
      return line;
    });
    printed.replaceChildren(...lines);
  }
  // What the theme leaves without a name that fits what is seen.
  for (const button of document.querySelectorAll(".search-button-field")) button.removeAttribute("aria-label");
  for (const summary of document.querySelectorAll(".bd-sidebar-primary summary")) {
    summary.setAttribute("aria-label", `Pages of ${summary.closest("li").querySelector("a").textContent.trim()}`);
  }
  const side = document.querySelector(".bd-sidebar-primary");
  if (side) {
    side.setAttribute("role", "region");
    side.setAttribute("aria-label", "The course");
  }
});
