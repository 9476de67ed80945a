/* Closed forms of tlx.theory in the limit d -> inf, in plain JavaScript. Angles in radians, ratios are n/d.
   Every function takes one settings object `o`; names as in defaults(). tests/docs compares them with tlx.theory. */
const theory = (() => {
  const PROTOCOLS = ["scratch", "linear_transfer", "fine_tuning"];
  const NEWTON_STEPS = 30,
    GRID = 400;

  function defaults() {
    return {
      theta: Math.PI / 4,
      ratio: 0.5,
      noise: 0.2,
      depth: 2,
      targetNorm: 1,
      sourceNorm: 1,
      sourceRatio: Infinity,
      sourceNoise: 0,
      published: false,
    };
  }

  /* Fill in defaults (null means infinite, as JSON has no infinity) and refuse what has no meaning. */
  function complete(given) {
    const o = Object.assign(defaults(), given);
    if (o.sourceRatio === null) o.sourceRatio = Infinity;
    const rules = [
      ["theta", o.theta >= 0 && o.theta <= Math.PI, "an angle in [0, pi]"],
      ["ratio", o.ratio > 0, "samples per dimension above 0"],
      ["noise", o.noise >= 0, "a standard deviation of at least 0"],
      ["depth", o.depth >= 1, "at least one layer"],
      ["targetNorm", o.targetNorm >= 0, "a norm of at least 0"],
      ["sourceNorm", o.sourceNorm >= 0, "a norm of at least 0"],
      ["sourceRatio", o.sourceRatio > 0, "samples per dimension above 0, or null for a population"],
      ["sourceNoise", o.sourceNoise >= 0, "a standard deviation of at least 0"],
    ];
    for (const [name, holds, remedy] of rules) {
      if (typeof o[name] !== "number" || !holds) throw new RangeError(`${name} is ${o[name]}; pass ${remedy}.`);
    }
    return o;
  }

  /* factor * gain with 0 * inf = 0: a pole that nothing feeds has no effect. */
  const times = (factor, gain) => (factor > 0 ? factor * gain : 0);

  /* Expected |X^+ eps|^2 for unit noise: g/(1 - g) below 1, 1/(g - 1) above. */
  function noiseGain(ratio) {
    if (ratio === 1) return Infinity;
    return ratio < 1 ? ratio / (1 - ratio) : 1 / (ratio - 1);
  }

  /* What pretraining leaves (Theorem C.1): q^2 = E|beta_pre|^2, m = <beta_t, beta_pre>, 1 - E cos^2 to the source. */
  function pretrained(o) {
    const kept = Math.min(o.sourceRatio, 1),
      energy = o.sourceNorm ** 2;
    const noise = times(o.sourceNoise ** 2, noiseGain(o.sourceRatio));
    const square = energy * kept + noise;
    const live = square > 0 && Number.isFinite(square);
    const lost = live ? (energy * kept * (1 - kept) + noise) / square : 1;
    return { kept, square, lost, overlap: o.targetNorm * o.sourceNorm * kept * Math.cos(o.theta) };
  }

  /* Theorems 3.5 and 3.6. */
  function scratchRisk(o) {
    const bias = o.targetNorm ** 2 * Math.max(1 - o.ratio, 0);
    return bias + times(o.noise ** 2, noiseGain(o.ratio));
  }

  /* Theorem 3.7 with the angle to what a finite source taught; n -> inf. */
  function linearRisk(o) {
    const across = Math.sin(o.theta) ** 2,
      along = Math.cos(o.theta) ** 2;
    return o.targetNorm ** 2 * (across + along * pretrained(o).lost);
  }

  /* The positive root of w = p + h w^a: Newton's method in log w, which converges from anywhere. */
  function normRoot(offset, share, exponent) {
    if (offset === Infinity) return Infinity;
    if (!(offset > 0)) return share > 0 ? share ** (1 / (1 - exponent)) : 0;
    const logOffset = Math.log(offset),
      logShare = Math.log(share);
    let z = Math.max(logOffset, logShare / (1 - exponent));
    for (let step = 0; step < NEWTON_STEPS; step++) {
      const power = logShare + exponent * z;
      const top = Math.max(logOffset, power),
        low = Math.min(logOffset, power);
      const total = top + Math.log1p(Math.exp(low - top));
      const move = (z - total) / (1 - exponent * Math.exp(power - total));
      z -= move;
      if (Math.abs(move) < 1e-14 * (1 + Math.abs(z))) break;
    }
    return Math.exp(z);
  }

  /* The factor c on the part of the pretrained vector that the data do not see; 1 in the published form. */
  function nullSpaceScale(o, square = pretrained(o).square) {
    const exponent = o.published ? 0 : 1 - 1 / o.depth;
    const size = o.targetNorm ** 2 * o.ratio + times(o.noise ** 2, noiseGain(o.ratio));
    return normRoot(size / square, 1 - o.ratio, exponent) ** (exponent / 2);
  }

  /* T = (1 - g)(2 c m - c^2 q^2): the exact end of gradient flow, or Theorems 3.9 and C.1 as published. */
  function fineTuningGain(o) {
    const { square, overlap } = pretrained(o);
    if (o.ratio >= 1 || !(square > 0)) return 0;
    if (!Number.isFinite(square)) return -Infinity;
    const scale = nullSpaceScale(o, square);
    return (1 - o.ratio) * (2 * scale * overlap - scale ** 2 * square);
  }

  function riskOf(protocol, o) {
    if (protocol === "scratch") return scratchRisk(o);
    if (protocol === "linear_transfer") return linearRisk(o);
    return scratchRisk(o) - fineTuningGain(o);
  }

  function check(protocol, allowed = PROTOCOLS) {
    if (!allowed.includes(protocol))
      throw new RangeError(`protocol is ${protocol}; pass one of ${allowed.join(", ")}.`);
  }

  function risk(protocol, given) {
    check(protocol);
    return riskOf(protocol, complete(given));
  }

  function gainOf(protocol, o) {
    if (protocol === "fine_tuning") return fineTuningGain(o);
    return protocol === "scratch" ? 0 : scratchRisk(o) - linearRisk(o);
  }

  function transferability(protocol, given) {
    check(protocol);
    return gainOf(protocol, complete(given));
  }

  /* The angle below which transfer helps; linear transfer helps again beyond pi minus it. NaN where T = 0. */
  function breakEvenAngle(protocol, given) {
    check(protocol, PROTOCOLS.slice(1));
    const o = complete(given),
      { square, kept, lost } = pretrained(o);
    if (protocol === "linear_transfer") {
      const across = scratchRisk(o) / o.targetNorm ** 2;
      const squared = lost >= 1 ? (across > 1 ? 1 : 0) : (across - lost) / (1 - lost);
      return Math.asin(Math.sqrt(Math.min(Math.max(squared, 0), 1)));
    }
    if (o.ratio >= 1) return NaN;
    const cosine = (nullSpaceScale(o, square) * square) / (2 * o.targetNorm * o.sourceNorm * kept);
    return cosine < 1 ? Math.acos(cosine) : 0;
  }

  /* The sample ratios at which T changes sign at this angle, in increasing order: roots found by bisection. */
  function boundary(protocol, given) {
    check(protocol, PROTOCOLS.slice(1));
    const o = complete(given),
      found = [];
    let last = 0;
    const sign = (ratio) => {
      o.ratio = ratio;
      return Math.sign(gainOf(protocol, o));
    };
    /* Dense near 0 and on both sides of the pole at n = d, which no interval contains. */
    const reach = (i) => -14 + (28 * i) / GRID,
      below = (i) => 1 / (1 + Math.exp(-reach(i))),
      above = (i) => 1 + Math.exp(reach(i));
    for (let i = 0; i < 2 * GRID; i++) {
      const [side, from] = i < GRID ? [below, i] : [above, i - GRID];
      let low = side(from),
        high = side(from + 1);
      const first = from === 0 ? sign(low) : last;
      last = sign(high);
      if (first * last >= 0) continue;
      for (let halving = 0; halving < 60; halving++) {
        const middle = (low + high) / 2;
        if (sign(middle) === first) low = middle;
        else high = middle;
      }
      found.push((low + high) / 2);
    }
    return found;
  }

  return {
    PROTOCOLS,
    boundary,
    complete,
    defaults,
    pretrained,
    nullSpaceScale,
    riskOf,
    gainOf,
    risk,
    transferability,
    breakEvenAngle,
    times,
    noiseGain,
  };
})();
