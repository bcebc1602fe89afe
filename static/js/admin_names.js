// Names what Django's widgets make of fields, for screen readers: the boxes of autocomplete fields do not take the name from
// their label, and the tips of the boxes with two lists have a name but no role.
const BOX = ".select2-selection__rendered:not([aria-label])";
const TIP = ".help-tooltip[aria-label]:not([role])";

function name(box) {
  const label = box.closest(".select2").previousElementSibling?.labels?.[0];
  if (label) box.setAttribute("aria-label", label.textContent.trim().replace(/:$/, ""));
}

function look() {
  document.querySelectorAll(BOX).forEach(name);
  document.querySelectorAll(TIP).forEach((tip) => tip.setAttribute("role", "img"));
}

new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
look();
