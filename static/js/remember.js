"use strict";
// The box is in the form of the code; who uses a key instead sends another form, which says the same.
(() => {
  const box = document.querySelector("[data-remember]");
  const twin = document.querySelector("[data-remembered]");
  if (!box || !twin) return;
  const copy = () => (twin.disabled = !box.checked);
  box.addEventListener("change", copy);
  window.addEventListener("pageshow", copy);
})();
