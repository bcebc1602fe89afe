"use strict";
// The login page's passkeys: among what the browser fills in, where it can, and by a button. Without this file neither is there.
(async () => {
  const { asking, answer, isSupported } = window.curfewWebAuthn;
  if (!isSupported) return;
  const form = document.getElementById("passkey-form");
  const button = form.querySelector("button");
  const complaint = form.querySelector("[data-complaint]");
  const REFRESH = 5 * 60_000; // half of a challenge's life
  let waiting = new AbortController();
  let pressed = false;

  const ask = async (options) => {
    const answered = await fetch(form.dataset.challenge, { headers: { Accept: "application/json" } });
    if (!answered.ok) throw new Error("no challenge");
    const publicKey = asking(await answered.json());
    const credential = await navigator.credentials.get({ ...options, publicKey, signal: waiting.signal });
    if (!credential) throw new Error("nothing was chosen");
    form.elements.credential.value = answer(credential);
    form.requestSubmit();
  };

  const autofill = async () => {
    if (pressed) return;
    waiting.abort();
    waiting = new AbortController();
    try {
      await ask({ mediation: "conditional" });
    } catch {
      // Another request took its place, or the browser gave up: the page works as it is.
    }
  };

  button.addEventListener("click", async () => {
    pressed = true;
    complaint.hidden = true;
    waiting.abort();
    waiting = new AbortController();
    try {
      await ask({});
    } catch {
      complaint.setAttribute("role", "alert"); // not before there is something to say
      complaint.hidden = false;
      pressed = false;
      if (fills) autofill();
    }
  });

  const can = async (name) => {
    try {
      return Boolean(PublicKeyCredential[name] && (await PublicKeyCredential[name]()));
    } catch {
      return false;
    }
  };
  const fills = form.dataset.ui !== "button" && (await can("isConditionalMediationAvailable"));
  form.hidden = form.dataset.ui === "autofill" && fills;
  if (await can("isUserVerifyingPlatformAuthenticatorAvailable")) {
    for (const input of document.querySelectorAll("[data-passkeys]")) input.disabled = false;
  }
  if (fills) {
    window.setInterval(autofill, REFRESH);
    await autofill();
  }
})();
