/* Risk over training time: gradient flow of a balanced rank-one chain on nodes of the Marchenko-Pastur law, d -> inf.
   In each mode u = alpha u_0 + phi l beta_t + phi (noise): alpha' = -2 k^2 l alpha, phi' = 2 k (1 - k l phi) with
   k = s^{L-1}. Balance is conserved, so s = |u| + (what it was not at the start) needs no equation of its own. Over a
   step k is replaced by its mean, alpha and phi are then exact, and s at the end is the root of one equation. */
const training = (() => {
  const TINY_TIME = 1e-4;
  /* Nodes, the most that log s may move in a step, and the longest step as a share of the time so far. */
  const QUICK = { count: 32, growth: 0.08, share: 0.15 },
    EVEN = { count: 40, growth: 0.06, share: 0.12 };
  const EXACT = { count: 96, growth: 0.004, share: 0.015 };

  /* Eigenvalues of X^T X/n of all d modes; weights sum to min(1, g). Midpoint rule in w, angle w - sin w:
     dense at the small eigenvalues, which learn last, and even in w, so that it converges exponentially. */
  function nodes(ratio, count) {
    const inverse = 1 / ratio,
      radius = 2 * Math.sqrt(inverse);
    const eigenvalues = new Float64Array(count),
      weights = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const w = (Math.PI * (i + 0.5)) / count,
        angle = w - Math.sin(w),
        sine = Math.sin(angle);
      eigenvalues[i] = (1 - Math.sqrt(inverse)) ** 2 + radius * 2 * Math.sin(angle / 2) ** 2;
      weights[i] = (2 * (1 - Math.cos(w)) * sine ** 2) / (eigenvalues[i] * count);
    }
    return { eigenvalues, weights };
  }

  /* A chain at its start. Fine-tuning: the balanced pretrained chain. Scratch: layers of norm initScale along X^T y. */
  function begin(protocol, o, count) {
    const { eigenvalues, weights } = nodes(o.ratio, count);
    const energy = o.targetNorm ** 2,
      noise = o.noise ** 2 / o.ratio;
    const chain = {
      eigenvalues,
      weights,
      energy,
      noise,
      depth: o.depth,
      still: Math.max(1 - o.ratio, 0),
      time: 0,
      alpha: new Float64Array(count),
      phi: new Float64Array(count),
      begun: 0,
      along: 0,
      size: 0,
      offset: 0,
    };
    if (protocol === "scratch") {
      const cross = Math.sqrt(energy * (1 + 1 / o.ratio) + noise);
      chain.size = o.initScale;
      chain.phi.fill(cross > 0 ? o.initScale / cross : 0);
    } else {
      const { square, overlap } = theory.pretrained(o),
        length = Math.sqrt(square);
      chain.size = length ** (1 / o.depth);
      chain.begun = chain.size ** 2;
      chain.along = length > 0 ? (overlap * chain.size) / length : 0;
      chain.alpha.fill(1);
    }
    chain.offset = chain.size ** 2 - squaredNorm(chain, chain.alpha, chain.phi);
    return chain;
  }

  /* |u|^2. */
  function squaredNorm(c, alpha, phi) {
    let total = c.still * c.begun;
    for (let i = 0; i < alpha.length; i++) {
      const l = c.eigenvalues[i],
        a = alpha[i],
        p = phi[i];
      total += c.weights[i] * (a * a * c.begun + l * p * (2 * a * c.along + p * (l * c.energy + c.noise)));
    }
    return total;
  }

  /* E|k u - beta_t|^2. */
  function riskNow(c) {
    const k = c.size ** (c.depth - 1);
    let total = c.still * (k * k * c.begun - 2 * k * c.along + c.energy);
    for (let i = 0; i < c.alpha.length; i++) {
      const l = c.eigenvalues[i],
        a = c.alpha[i],
        p = c.phi[i],
        miss = k * l * p - 1;
      total +=
        c.weights[i] *
        (k * k * (a * a * c.begun + p * p * l * c.noise) + 2 * k * a * miss * c.along + miss * miss * c.energy);
    }
    return total;
  }

  /* alpha and phi after time h with k between its values at the start and at the end: exact while k is constant. */
  function carry(c, h, k, alpha, phi) {
    for (let i = 0; i < alpha.length; i++) {
      const l = c.eigenvalues[i],
        gone = -Math.expm1(-2 * k * k * l * h);
      alpha[i] = c.alpha[i] * (1 - gone);
      phi[i] = c.phi[i] * (1 - gone) + gone / (k * l);
    }
  }

  /* One step: the log of s at the end solves log|u(s)| = log s, found by the secant method. False if s moved too far. */
  function step(c, h, growth, alpha, phi) {
    const power = c.depth - 1,
      first = c.size ** power,
      start = Math.log(c.size);
    const miss = (x) => {
      carry(c, h, (first + Math.exp(power * x)) / 2, alpha, phi);
      return Math.log(Math.max(squaredNorm(c, alpha, phi) + c.offset, 1e-300)) / 2 - x;
    };
    let x0 = start,
      f0 = miss(x0),
      x1 = x0 + f0,
      f1 = 0;
    if (Math.abs(f0) > 4 * growth) return false;
    for (let i = 0; i < 20 && Math.abs(f0) > 1e-13; i++) {
      f1 = miss(x1);
      const next = f1 === f0 ? x1 : x1 - (f1 * (x1 - x0)) / (f1 - f0);
      [x0, f0, x1] = [x1, f1, next];
    }
    if (Math.abs(x0 - start) > growth) return false;
    c.size = Math.exp(x0);
    c.alpha.set(alpha);
    c.phi.set(phi);
    c.time += h;
    return true;
  }

  /* Linear transfer: the last layer alone, from zero, on the unit-rank feature of scale q^{(L-1)/L}. */
  function headCurve(o, moments) {
    const { square } = theory.pretrained(o),
      end = theory.riskOf("linear_transfer", o);
    const rate = 4 * square ** (1 - 1 / o.depth);
    return moments.map((t) => end + (o.targetNorm ** 2 - end) * Math.exp(-rate * t));
  }

  /* Risk at increasing times t >= 0 of gradient flow of |X beta - y|^2/n. */
  function curve(protocol, o, moments, effort = EVEN) {
    if (protocol === "linear_transfer") return headCurve(o, moments);
    const c = begin(protocol, o, effort.count);
    const alpha = new Float64Array(effort.count),
      phi = new Float64Array(effort.count);
    const growth = effort.growth / Math.max(c.depth - 1, 1);
    let h = TINY_TIME;
    return moments.map((moment) => {
      while (c.time < moment * (1 - 1e-12) && c.size > 0 && h > 1e-14) {
        h = Math.min(h, Math.max(effort.share * c.time, TINY_TIME), moment - c.time);
        h *= step(c, h, growth, alpha, phi) ? 1.6 : 0.5;
      }
      return riskNow(c);
    });
  }

  /* The same for callers outside the page: settings are completed and checked first. */
  function riskOverTime(protocol, moments, given) {
    if (!theory.PROTOCOLS.includes(protocol)) theory.risk(protocol, given);
    const o = theory.complete(Object.assign({ initScale: 1e-2 }, given));
    if (!(o.initScale > 0)) throw new RangeError(`initScale is ${o.initScale}; a network at zero never leaves it.`);
    return curve(protocol, o, moments, EXACT);
  }

  return { QUICK, EVEN, curve, riskOverTime };
})();
