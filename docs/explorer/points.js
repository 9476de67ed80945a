/* Measured points: the file explorer.json that a study exports (its form is in docs/explorer/README.md). */
const points = (() => {
  const FORMAT = "tlx-explorer-1";
  const SETTINGS = ["noise", "depth", "targetNorm", "sourceNorm", "sourceRatio", "sourceNoise"];

  /* The content of a file as { title, settings, points }, or an error in one sentence. */
  function parse(text) {
    let given;
    try {
      given = typeof text === "string" ? JSON.parse(text) : text;
    } catch (error) {
      throw new Error(`This file is not JSON (${error.message}).`);
    }
    if (!given || given.format !== FORMAT) {
      throw new Error(
        `This file has format ${given ? given.format : "none"}, not ${FORMAT}; export it from a study again.`,
      );
    }
    if (!Array.isArray(given.points)) throw new Error("This file has no list of points.");
    const settings = {};
    for (const name of SETTINGS) if (given.settings && name in given.settings) settings[name] = given.settings[name];
    theory.complete(settings);
    return { title: String(given.title || "measured"), settings, points: given.points.map(checked) };
  }

  function checked(point, index) {
    const { protocol, theta, ratio, risk } = point;
    if (!theory.PROTOCOLS.includes(protocol)) throw new Error(`Point ${index} has protocol ${protocol}.`);
    for (const [name, value] of [
      ["theta", theta],
      ["ratio", ratio],
      ["risk", risk],
    ]) {
      if (typeof value !== "number") throw new Error(`Point ${index} has ${name} ${value}, which is not a number.`);
    }
    return { protocol, theta, ratio, risk, error: Number(point.error) || 0, instances: Number(point.instances) || 0 };
  }

  /* The value of `name` among the points that is nearest to `value`. */
  function nearest(list, name, value) {
    return list.reduce((best, p) => (Math.abs(p[name] - value) < Math.abs(best - value) ? p[name] : best), Infinity);
  }

  /* Points along one axis at the nearest value of the other; scratch knows no angle and has one point a ratio. */
  function slice(list, fixed, value) {
    const at = nearest(list, fixed, value);
    return { at, points: list.filter((p) => Math.abs(p[fixed] - at) < 1e-9) };
  }

  /* What the map shows at each place: transferability against scratch of the same ratio, or the risk. */
  function onMap(list, protocol, show) {
    const alone = new Map();
    for (const p of list)
      if (p.protocol === "scratch") alone.set(`${p.ratio} ${p.theta}`, p.risk).set(`${p.ratio}`, p.risk);
    const mine = list.filter((p) => p.protocol === protocol);
    if (show !== "gain") return mine.map((p) => ({ ...p, value: p.risk }));
    const scratch = (p) => alone.get(`${p.ratio} ${p.theta}`) ?? alone.get(`${p.ratio}`);
    return mine.map((p) => ({ ...p, value: scratch(p) - p.risk })).filter((p) => !Number.isNaN(p.value));
  }

  return { parse, slice, onMap };
})();
