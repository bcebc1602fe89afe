// Without this file the checkbox stays hidden and the form works as it is.
"use strict";

for (const choice of document.querySelectorAll("[data-show-password]")) {
  const field = document.getElementById(choice.dataset.showPassword);
  const box = choice.querySelector("input");
  choice.hidden = false;
  box.addEventListener("change", () => {
    field.type = box.checked ? "text" : "password";
  });
  // A password that is sent as type=text would be kept by the browser's form history.
  field.form.addEventListener("submit", () => {
    field.type = "password";
  });
}
