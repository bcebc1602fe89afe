// Loaded before an application: its clock is AHEAD_BY seconds ahead, or what the file AHEAD_FILE has by now, as if that time had passed.
"use strict";
const { readFileSync } = require("node:fs");
const { AHEAD_BY, AHEAD_FILE } = process.env;
const Real = Date;
const shift = () => Number(AHEAD_FILE ? readFileSync(AHEAD_FILE, "utf8") : AHEAD_BY) * 1000;

globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length ? given : [Real.now() + shift()]));
  }
  static now() {
    return Real.now() + shift();
  }
};
