// The frames of the preview show what is typed, a moment after it was.
const names = ["friendly_name", "accent_color", "background_color", "background_color_dark"];
const fields = names.map((name) => document.querySelector(`[name="${name}"]`)).filter(Boolean);
const frames = document.querySelectorAll("iframe[data-preview]");
const PAUSE = 300; // milliseconds

function show() {
  for (const frame of frames) {
    const url = new URL(frame.dataset.preview, location.href);
    for (const field of fields) url.searchParams.set(field.name, field.value);
    frame.contentWindow.location.replace(url); // not `src`: Back is for pages
  }
}

let waiting = 0;
for (const field of fields) {
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, PAUSE);
  });
}
