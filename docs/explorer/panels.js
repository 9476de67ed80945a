/* What stands beside and below the map: slices, and the values at the cross. */
const panels = (() => {
  const $ = (id) => document.getElementById(id);
  /* Scratch lies on fine-tuning beyond n = d: it is drawn last and thinner, so that both are seen. */
  const ORDER = ["linear_transfer", "fine_tuning", "scratch"],
    WIDTHS = { linear_transfer: 2.2, fine_tuning: 3.4, scratch: 1.5 };
  const degrees = (angle) => (Number.isNaN(angle) ? "–" : `${((angle * 180) / Math.PI).toFixed(1)}°`);

  /* The three risks of complete settings at a time (Infinity: at the end). */
  function risksAt(o, time) {
    const of = (protocol) =>
      time === Infinity ? theory.riskOf(protocol, o) : training.curve(protocol, o, [time], training.QUICK)[0];
    return Object.fromEntries(theory.PROTOCOLS.map((protocol) => [protocol, of(protocol)]));
  }

  /* A scale that shows the frozen levels and what is around n = d, not the pole. */
  function scaleOf(state) {
    const raw = 1.25 * Math.max(state.targetNorm ** 2 * 1.6, state.noise ** 2, 0.2, 0.7 * state.sourceNorm ** 2);
    const ten = 10 ** Math.floor(Math.log10(raw));
    return { from: 0, to: ten * [1, 1.5, 2, 3, 4, 5, 8, 10].find((m) => m * ten >= raw * 0.999), label: "risk" };
  }

  function curves(frame, xs, risks, published) {
    for (const protocol of ORDER)
      draw.curve(
        frame,
        xs,
        risks.map((r) => r[protocol]),
        protocol,
        WIDTHS[protocol],
      );
    if (published) draw.curve(frame, xs, published, "published", 2);
  }

  function upright(frame, value) {
    const { pen, area } = frame,
      at = frame.toX(value);
    pen.setLineDash([4, 4]);
    draw.stroke(pen, colour.theme().soft, [
      [at, area.top],
      [at, area.top + area.height],
    ]);
    pen.setLineDash([]);
  }

  function slices(state, measured, path, moments) {
    const o = theory.complete(state.task),
      y = scaleOf(state),
      end = state.time === Infinity;
    const step = end ? 1 : 5,
      part = (list) => list.filter((_, i) => i % step === 0);
    const angles = part(path).map((v) => (v / 2) * state.top),
      ratios = part(path);
    const along = (name, values) =>
      values.map((value) => risksAt({ ...o, published: false, [name]: value }, state.time));
    const published = (name, values) =>
      end ? values.map((value) => theory.riskOf("fine_tuning", { ...o, published: true, [name]: value })) : null;
    const ticks = [0, 1, 2, 3, 4].map((i) => [(i * state.top) / 4, draw.number((i * state.top * 45) / Math.PI) + "°"]);

    const first = draw.frame($("ratio-slice"), { from: 0, to: 2, label: "n/d" }, y);
    finish(first, "ratio-title", `Risk at θ = ${degrees(state.theta)}`, state.ratio);
    curves(first, ratios, along("ratio", ratios), published("ratio", ratios));
    dots(first, measured, "theta", state.theta, "ratio", "ratio-title");

    const second = draw.frame($("angle-slice"), { from: 0, to: state.top, ticks, label: "angle θ" }, y);
    finish(second, "angle-title", `Risk at n/d = ${draw.number(state.ratio)}`, state.theta);
    curves(second, angles, along("theta", angles), published("theta", angles));
    dots(second, measured, "ratio", state.ratio, "theta", "angle-title");

    const third = draw.frame($("time-slice"), { from: 0.01, to: 1e4, log: true, label: "training time t" }, y);
    finish(
      third,
      "time-title",
      "Risk over training",
      end ? null : Math.min(Math.max(state.time, 0.01), 1e4),
    );
    for (const protocol of ORDER)
      draw.curve(third, moments, training.curve(protocol, o, moments), protocol, WIDTHS[protocol]);
  }

  function finish(frame, id, title, value) {
    $(id).textContent = title;
    frame.canvas.setAttribute("aria-label", title);
    draw.axes(frame);
    if (value !== null) upright(frame, value);
  }

  function dots(frame, measured, fixed, value, name, id) {
    if (!measured || !measured.points.length) return;
    const slice = points.slice(measured.points, fixed, value);
    for (const p of slice.points) draw.marker(frame, p[name], p.risk, p.error, p.protocol);
    $(id).textContent += ` · points at ${fixed === "theta" ? degrees(slice.at) : draw.number(slice.at)}`;
  }

  /* The table at the cross, and in one line what lies behind it. */
  function values(state) {
    const o = theory.complete(state.task),
      end = state.time === Infinity,
      body = $("values");
    const risks = risksAt({ ...o, published: false }, state.time),
      least = Math.min(...Object.values(risks));
    const rows = theory.PROTOCOLS.map((protocol) => [protocol, risks[protocol], false]);
    if (end) rows.push(["published", theory.riskOf("fine_tuning", { ...o, published: true }), true]);
    body.replaceChildren(
      ...rows.map(([kind, risk, published]) => {
        const row = document.createElement("tr"),
          head = document.createElement("th");
        const angle =
          kind === "scratch" || !end
            ? NaN
            : theory.breakEvenAngle(published ? "fine_tuning" : kind, { ...o, published });
        const gain = published ? theory.gainOf("fine_tuning", { ...o, published: true }) : risks.scratch - risk;
        head.scope = "row";
        head.append(sample(kind), draw.LABELS[kind]);
        row.append(head);
        for (const text of [
          draw.number(risk),
          kind === "scratch" ? "" : draw.number(gain),
          kind === "scratch" ? "" : degrees(angle),
        ]) {
          row.append(Object.assign(document.createElement("td"), { textContent: text }));
        }
        if (risk === least && !published) row.className = "best";
        return row;
      }),
    );
    $("where").textContent =
      `At θ = ${degrees(state.theta)}, n/d = ${draw.number(state.ratio)}` +
      (end ? "" : `, t = ${draw.number(state.time)}`);
    const { square, lost } = theory.pretrained(o),
      c = o.ratio < 1 ? theory.nullSpaceScale({ ...o, published: false }, square) : NaN;
    const learned = Math.acos(Math.cos(o.theta) * Math.sqrt(1 - lost));
    $("edges").textContent = edges(state);
    $("facts").textContent =
      `Pretrained norm ${draw.number(Math.sqrt(square))}, its angle to the target ${degrees(learned)}` +
      (Number.isNaN(c) ? "." : `; balance factor c = ${draw.number(c, 4)} on what the data do not see (published: 1).`);
  }

  /* In words: the sample ratios at which the map's protocol changes sign at this angle. */
  function edges(state) {
    if (state.time !== Infinity) return "Break-even angles and boundaries are those of the end of training.";
    const found = theory.boundary(state.protocol, { ...state.task, published: state.form === "published" }),
      name = draw.LABELS[state.protocol];
    if (!found.length) return `At this angle ${name} does not change sign with n/d.`;
    return `At this angle ${name} changes sign at n/d = ${found.map((v) => draw.number(v)).join(", ")}.`;
  }

  /* A sample of a curve for legends: the same dashes as on the canvas. */
  function sample(kind) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"),
      line = document.createElementNS(svg.namespaceURI, "line");
    for (const [name, value] of [
      ["x1", 0],
      ["x2", 22],
      ["y1", 5],
      ["y2", 5],
      ["stroke", colour.theme()[kind]],
      ["stroke-width", 2.5],
      ["stroke-dasharray", draw.DASHES[kind].join(" ")],
    ])
      line.setAttribute(name, value);
    svg.setAttribute("class", "dot");
    svg.append(line);
    return svg;
  }

  return { risksAt, slices, values };
})();
