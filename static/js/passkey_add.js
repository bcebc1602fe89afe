"use strict";
// Makes a passkey from the options that the page holds. Where the browser cannot, the page says so.
(() => {
  const { making, answer, isSupported } = window.curfewWebAuthn;
  const form = document.getElementById("passkey-add");
  const button = form.querySelector("[data-make]");
  const complaint = form.querySelector("[data-complaint]");
  if (!isSupported) return;
  document.querySelector("[data-unsupported]").hidden = true;
  button.disabled = false;
  const name = form.elements.name;
  if (name instanceof HTMLInputElement) {
    name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // would send the form without a passkey
      button.click();
    });
  }
  button.addEventListener("click", async () => {
    complaint.hidden = true;
    try {
      const options = JSON.parse(document.getElementById("passkey-options").textContent);
      const credential = await navigator.credentials.create({ publicKey: making(options) });
      form.elements.credential.value = answer(credential);
      form.requestSubmit();
    } catch (error) {
      complaint.textContent = error.name === "InvalidStateError" ? form.dataset.known : form.dataset.failed;
      complaint.hidden = false;
    }
  });
})();
