// Hands the authorization response to the application's window: the parent of a silent frame, or the opener of a popup.
(() => {
  "use strict";
  const response = {};
  for (const item of document.querySelectorAll("#answer [data-name]")) {
    response[item.dataset.name] = item.dataset.value;
  }
  const receiver = window.opener || (window.parent !== window ? window.parent : null);
  if (receiver) {
    receiver.postMessage({ type: "authorization_response", response }, document.body.dataset.target);
  }
})();
