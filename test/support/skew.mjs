// Preloaded into a process whose clock is to be wrong: by FLEXID_SKEW_MS.
const skew = Number(process.env.FLEXID_SKEW_MS ?? 0);
const real = Date.now;
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length > 0 ? given : [real() + skew]));
  }
  static now() {
    return real() + skew;
  }
};
