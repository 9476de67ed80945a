/* What can be set, its sliders, and the link that restores a view. */
const controls = (() => {
  const END = 120;
  const log = (from, to) => ({
    to: (v) => (END * Math.log(v / from)) / Math.log(to / from),
    from: (p) => from * (to / from) ** (p / END),
  });
  const linear = (from, to) => ({
    to: (v) => (END * (v - from)) / (to - from),
    from: (p) => from + ((to - from) * p) / END,
  });
  /* A scale whose last position means infinity. */
  const endless = (scale) => ({
    to: (v) => (v === Infinity ? END + 1 : scale.to(v)),
    from: (p) => (p > END ? Infinity : scale.from(p)),
  });
  const digits = (v) => +v.toPrecision(3);
  const cents = (v) => +v.toFixed(2);

  const SLIDERS = [
    { key: "noise", label: "label noise σ", scale: linear(0, 2), round: cents },
    { key: "depth", label: "depth L", scale: { to: (v) => v, from: (p) => p }, range: [1, 8, 1], round: Math.round },
    { key: "targetNorm", label: "target norm |β", sub: "t", end: "|", scale: linear(0.1, 3), round: cents },
    { key: "sourceNorm", label: "source norm |β", sub: "s", end: "|", scale: linear(0.1, 3), round: cents },
    { key: "sourceRatio", label: "source samples n", sub: "s", end: "/d", scale: endless(log(0.05, 8)), round: digits },
    { key: "sourceNoise", label: "source noise σ", sub: "s", end: "", scale: linear(0, 2), round: cents },
    { key: "time", label: "training time t", scale: endless(log(0.01, 1e4)), round: digits, wide: true },
    { key: "initScale", label: "initial layer norm of scratch", scale: log(1e-5, 0.5), round: digits, wide: true },
  ];
  const DEFAULTS = {
    protocol: "linear_transfer",
    show: "gain",
    form: "exact",
    theta: Math.PI / 4,
    ratio: 0.5,
    noise: 0.2,
    depth: 2,
    targetNorm: 1,
    sourceNorm: 1,
    sourceRatio: Infinity,
    sourceNoise: 0,
    time: Infinity,
    initScale: 0.01,
    theme: "",
  };
  const CHOICES = {
    protocol: ["linear_transfer", "fine_tuning"],
    show: ["gain", "risk", "best"],
    form: ["exact", "published"],
    theme: ["", "light", "dark"],
  };

  /* A slider's steps are positions on its scale, so that arrow keys are useful on each. */
  function build(parent, onInput) {
    const shown = {};
    for (const slider of SLIDERS) {
      const { key, label, sub, end, scale, range = [0, END, 1], round } = slider;
      const box = document.createElement("div"),
        name = document.createElement("label"),
        input = document.createElement("input");
      const text = document.createElement("span"),
        output = document.createElement("output");
      box.className = slider.wide ? "slider wide" : "slider";
      const last = scale.from(END + 1) === Infinity ? END + 1 : range[1];
      Object.assign(input, { type: "range", id: key, min: range[0], max: last, step: range[2] });
      name.htmlFor = output.htmlFor = key;
      text.append(label);
      if (sub) text.append(Object.assign(document.createElement("sub"), { textContent: sub }), end);
      name.append(text, output);
      box.append(name, input);
      parent.append(box);
      input.addEventListener("input", () => onInput(key, round(scale.from(Number(input.value)))));
      shown[key] = { input, output, box, scale };
    }
    return shown;
  }

  function show(shown, state) {
    for (const [key, { input, output, box, scale }] of Object.entries(shown)) {
      const value = state[key],
        said = key === "time" && value === Infinity ? "∞ (the end)" : draw.number(value);
      input.value = scale.to(value);
      input.setAttribute("aria-valuetext", said);
      output.textContent = said;
      if (key === "initScale") box.hidden = state.time === Infinity;
    }
  }

  /* Only what differs from the defaults, as #key=value&key=value. */
  function toHash(state) {
    const parts = Object.keys(DEFAULTS).filter((key) => state[key] !== DEFAULTS[key]);
    return parts
      .map((key) => `${key}=${typeof state[key] === "number" ? +state[key].toPrecision(6) : state[key]}`)
      .join("&");
  }

  /* The view a link asks for; what is missing or has no meaning is as by default. */
  function fromHash(hash) {
    const state = { ...DEFAULTS };
    for (const [key, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      if (key in CHOICES) {
        if (CHOICES[key].includes(value)) state[key] = value;
        continue;
      }
      const number = value.trim() === "" ? NaN : Number(value);
      if (!(key in DEFAULTS) || Number.isNaN(number)) continue;
      const tried = { ...state, [key]: number };
      try {
        theory.complete(task(tried));
        if (tried.time >= 0 && tried.initScale > 0) state[key] = number;
      } catch {
        /* left as by default */
      }
    }
    return state;
  }

  /* The settings of the theory in a state of the page. */
  function task(state) {
    const { theta, ratio, noise, depth, targetNorm, sourceNorm, sourceRatio, sourceNoise, initScale } = state;
    const published = state.form === "published";
    return { theta, ratio, noise, depth, targetNorm, sourceNorm, sourceRatio, sourceNoise, initScale, published };
  }

  return { DEFAULTS, SLIDERS, build, show, toHash, fromHash, task };
})();
