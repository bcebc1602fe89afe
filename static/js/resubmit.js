"use strict";
// The same form again, from our own origin, so that the browser sends its cookie with it.
document.querySelector("form[data-submit]").submit();
