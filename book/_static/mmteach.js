// A widget on these pages shows its first state and answers nothing: no kernel runs. Keyboard and screen reader pass it by,
// and meet the sentence before it and the still figure near it, which show the same.
document.addEventListener("DOMContentLoaded", () => {
  for (const view of document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')) {
    const frame = document.createElement("div");
    frame.className = "mm-first-state";
    frame.inert = true;
    view.replaceWith(frame);
    frame.append(view);
  }
});
