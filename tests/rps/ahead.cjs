// Loaded before an application: its clock is AHEAD_BY seconds ahead, as if that time had passed.
"use strict";
const Real = Date;
const shift = Number(process.env.AHEAD_BY) * 1000;

globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length ? given : [Real.now() + shift]));
  }
  static now() {
    return Real.now() + shift;
  }
};
