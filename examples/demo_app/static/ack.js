// Tells the identity provider's sign-out page that the session in this browser is gone.
const { origin, sid } = document.currentScript.dataset;
if (window.parent !== window) {
  window.parent.postMessage({ type: "curfew:signed-out", sid: sid || undefined }, origin);
}
