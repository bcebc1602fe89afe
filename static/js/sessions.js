"use strict";
// "Your sessions", while apps are being told: the same page again every second, of which only the part that tells is taken.
(() => {
  const POLL = 1000;
  const POLL_FOR = 60_000;
  const until = performance.now() + POLL_FOR;
  const announce = document.querySelector("[data-announce]");

  async function look() {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("signed-out");
    const shown = document.getElementById("signed-out");
    if (!fresh) return;
    shown.replaceWith(document.importNode(fresh, true));
    if ("pending" in fresh.dataset) soon();
    else announce.textContent = [...fresh.querySelectorAll("[data-told]")].map((told) => told.textContent).join(". ");
  }

  function soon() {
    if (performance.now() < until) setTimeout(() => look().catch(soon), POLL);
  }

  soon();
})();
