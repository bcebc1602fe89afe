"use strict";
// A double click on a form's button sends it once. After ten seconds without an answer it may be sent again.
(() => {
  const PATIENCE = 10_000;
  for (const form of document.querySelectorAll("form[method=post]")) {
    let sentAt = -Infinity;
    form.addEventListener("submit", (event) => {
      if (event.timeStamp - sentAt < PATIENCE) event.preventDefault();
      else sentAt = event.timeStamp;
    });
    window.addEventListener("pageshow", () => (sentAt = -Infinity)); // shown again by the back button
  }
})();
