// Sends the only form of the page.
(() => {
  "use strict";
  HTMLFormElement.prototype.submit.call(document.forms[0]);
})();
