/* What is drawn beside and over the map: slices, values at the cross, boundary, scale, measured points. */
const panels = (() => {
  const $ = (id) => document.getElementById(id);
  /* Scratch lies on fine-tuning beyond n = d: it is drawn last and thinner, so that both are seen. */
  const ORDER = ["linear_transfer", "fine_tuning", "scratch"], WIDTHS = { linear_transfer: 2.2, fine_tuning: 3.4, scratch: 1.5 };
  const EDGE = 34; // room for a word above and below the colour scale
  const degrees = (angle) => (Number.isNaN(angle) ? "–" : `${(angle * 180 / Math.PI).toFixed(1)}°`);

  /* The three risks of complete settings at a time (Infinity: at the end). */
  function risksAt(o, time) {
    const of = (protocol) => (time === Infinity ? theory.riskOf(protocol, o) : training.curve(protocol, o, [time], training.QUICK)[0]);
    return Object.fromEntries(theory.PROTOCOLS.map((protocol) => [protocol, of(protocol)]));
  }

  /* A scale that shows the frozen levels and what is around n = d, not the pole. */
  function scaleOf(state) {
    const raw = 1.25 * Math.max(state.targetNorm ** 2 * 1.6, state.noise ** 2, 0.2, 0.7 * state.sourceNorm ** 2);
    const ten = 10 ** Math.floor(Math.log10(raw));
    return { from: 0, to: ten * [1, 1.5, 2, 3, 4, 5, 8, 10].find((m) => m * ten >= raw * 0.999), label: "risk" };
  }

  function curves(frame, xs, risks, published) {
    for (const protocol of ORDER) draw.curve(frame, xs, risks.map((r) => r[protocol]), protocol, WIDTHS[protocol]);
    if (published) draw.curve(frame, xs, published, "published", 2);
  }

  function upright(frame, value) {
    const { pen, area } = frame, at = frame.toX(value);
    pen.setLineDash([4, 4]);
    draw.stroke(pen, draw.theme().soft, [[at, area.top], [at, area.top + area.height]]);
    pen.setLineDash([]);
  }

  function slices(state, measured, path, moments) {
    const o = theory.complete(state.task), y = scaleOf(state), end = state.time === Infinity;
    const step = end ? 1 : 5, part = (list) => list.filter((_, i) => i % step === 0);
    const angles = part(path).map((v) => v / 2 * state.top), ratios = part(path);
    const along = (name, values) => values.map((value) => risksAt({ ...o, published: false, [name]: value }, state.time));
    const published = (name, values) => (end ? values.map((value) => theory.riskOf("fine_tuning", { ...o, published: true, [name]: value })) : null);
    const ticks = [0, 1, 2, 3, 4].map((i) => [i * state.top / 4, draw.number(i * state.top * 45 / Math.PI) + "°"]);

    const first = draw.frame($("ratio-slice"), { from: 0, to: 2, label: "n/d" }, y);
    finish(first, "ratio-title", `Risk against n/d at θ = ${degrees(state.theta)}`, state.ratio);
    curves(first, ratios, along("ratio", ratios), published("ratio", ratios));
    dots(first, measured, "theta", state.theta, "ratio", "ratio-title");

    const second = draw.frame($("angle-slice"), { from: 0, to: state.top, ticks, label: "angle θ" }, y);
    finish(second, "angle-title", `Risk against angle at n/d = ${draw.number(state.ratio)}`, state.theta);
    curves(second, angles, along("theta", angles), published("theta", angles));
    dots(second, measured, "ratio", state.ratio, "theta", "angle-title");

    const third = draw.frame($("time-slice"), { from: 0.01, to: 1e4, log: true, label: "training time t" }, y);
    finish(third, "time-title", "Risk over training at the cross", end ? null : Math.min(Math.max(state.time, 0.01), 1e4));
    for (const protocol of ORDER) draw.curve(third, moments, training.curve(protocol, o, moments), protocol, WIDTHS[protocol]);
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

  /* Over the map: the pole, the boundary, measured points, the cross and the colour scale. */
  function overMap(frame, state, { lines, limit, table, measured, cross }) {
    const { ink, card } = draw.theme();
    draw.inside(frame, (pen) => {
      pen.setLineDash([3, 5]);
      draw.stroke(pen, ink, [[frame.toX(1), 0], [frame.toX(1), 1e4]], 1);
      pen.setLineDash([]);
      for (const [colour, width] of [[card, 5], [ink, 2.2]]) for (const line of lines) broken(frame, line, colour, width);
      if (measured) squares(frame, measured, state, limit, table);
      const [x, y] = [frame.toX(cross[0]), frame.toY(cross[1])];
      for (const [colour, width] of [[card, 4.5], [ink, 1.8]]) {
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) draw.stroke(pen, colour, [[x + 4 * dx, y + 4 * dy], [x + 14 * dx, y + 14 * dy]], width);
      }
    });
    scale(frame, state, limit, table);
  }

  /* A line with gaps where a point is null. */
  function broken(frame, line, colour, width) {
    let run = [];
    for (const point of [...line, null]) {
      if (point) { run.push([frame.toX(point[0]), frame.toY(point[1])]); continue; }
      if (run.length > 1) draw.stroke(frame.pen, colour, run, width);
      run = [];
    }
  }

  function squares(frame, measured, state, limit, table) {
    if (state.show === "best") return;
    const { pen } = frame, { ink } = draw.theme();
    for (const p of points.onMap(measured.points, state.protocol, state.show)) {
      const share = state.show === "gain" ? (p.value / limit + 1) / 2 : p.value / limit;
      const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
      pen.fillStyle = `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`;
      pen.fillRect(frame.toX(p.ratio) - 4, frame.toY(p.theta) - 4, 8, 8);
      pen.strokeStyle = ink;
      pen.lineWidth = 0.7;
      pen.strokeRect(frame.toX(p.ratio) - 4, frame.toY(p.theta) - 4, 8, 8);
    }
  }

  function scale(frame, state, limit, table) {
    const { pen, area } = frame, { ink, soft } = draw.theme(), left = area.left + area.width + 12, wide = 14;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    if (state.show === "best") {
      theory.PROTOCOLS.forEach((protocol, i) => {
        pen.fillStyle = draw.theme()[protocol];
        pen.fillRect(left, area.top + 2 + 26 * i, wide, wide);
        pen.fillStyle = ink;
        pen.fillText(["scratch", "linear", "tuned"][i], left + wide + 6, area.top + 10 + 26 * i);
      });
      return;
    }
    for (let i = 0; i < 256; i++) {
      pen.fillStyle = `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`;
      pen.fillRect(left, area.top + EDGE + (area.height - 2 * EDGE) * (255 - i) / 256, wide, (area.height - 2 * EDGE) / 256 + 1);
    }
    const low = state.show === "gain" ? -limit : 0;
    for (const share of [0, 0.5, 1]) {
      pen.fillStyle = soft;
      const sign = share === 1 ? "≥ " : share === 0 && low ? "≤ " : "";
      pen.fillText(sign + draw.number(low + share * (limit - low)), left + wide + 5, area.top + EDGE + (area.height - 2 * EDGE) * (1 - share));
    }
    pen.fillStyle = ink;
    if (state.show === "gain") { pen.fillText("helps", left, area.top + 8); pen.fillText("hurts", left, area.top + area.height - 6); }
    else pen.fillText("risk", left, area.top + 8);
  }

  /* The table at the cross, and in one line what lies behind it. */
  function values(state) {
    const o = theory.complete(state.task), end = state.time === Infinity, body = $("values");
    const risks = risksAt({ ...o, published: false }, state.time), least = Math.min(...Object.values(risks));
    const rows = theory.PROTOCOLS.map((protocol) => [protocol, risks[protocol], false]);
    if (end) rows.push(["published", theory.riskOf("fine_tuning", { ...o, published: true }), true]);
    body.replaceChildren(...rows.map(([kind, risk, published]) => {
      const row = document.createElement("tr"), head = document.createElement("th");
      const angle = kind === "scratch" || !end ? NaN : theory.breakEvenAngle(published ? "fine_tuning" : kind, { ...o, published });
      const gain = published ? theory.gainOf("fine_tuning", { ...o, published: true }) : risks.scratch - risk;
      head.scope = "row";
      head.append(sample(kind), draw.LABELS[kind]);
      row.append(head);
      for (const text of [draw.number(risk), kind === "scratch" ? "" : draw.number(gain), kind === "scratch" ? "" : degrees(angle)]) {
        row.append(Object.assign(document.createElement("td"), { textContent: text }));
      }
      if (risk === least && !published) row.className = "best";
      return row;
    }));
    $("where").textContent = `At θ = ${degrees(state.theta)}, n/d = ${draw.number(state.ratio)}` + (end ? "" : `, t = ${draw.number(state.time)}`);
    const { square, lost } = theory.pretrained(o), c = o.ratio < 1 ? theory.nullSpaceScale({ ...o, published: false }, square) : NaN;
    const learned = Math.acos(Math.cos(o.theta) * Math.sqrt(1 - lost));
    $("edges").textContent = edges(state);
    $("facts").textContent = `Pretrained norm ${draw.number(Math.sqrt(square))}, its angle to the target ${degrees(learned)}`
      + (Number.isNaN(c) ? "." : `; balance factor c = ${draw.number(c, 4)} on what the data do not see (published: 1).`);
  }

  /* In words: the sample ratios at which the map's protocol changes sign at this angle. */
  function edges(state) {
    if (state.time !== Infinity) return "Break-even angles and boundaries are those of the end of training.";
    const found = theory.boundary(state.protocol, { ...state.task, published: state.form === "published" }), name = draw.LABELS[state.protocol];
    if (!found.length) return `At this angle ${name} does not change sign with n/d.`;
    return `At this angle ${name} changes sign at n/d = ${found.map((v) => draw.number(v)).join(", ")}.`;
  }

  /* A sample of a curve for legends: the same dashes as on the canvas. */
  function sample(kind) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "line");
    for (const [name, value] of [["x1", 0], ["x2", 22], ["y1", 5], ["y2", 5], ["stroke", draw.theme()[kind]], ["stroke-width", 2.5],
      ["stroke-dasharray", draw.DASHES[kind].join(" ")]]) line.setAttribute(name, value);
    svg.setAttribute("class", "dot");
    svg.append(line);
    return svg;
  }

  return { risksAt, slices, overMap, values };
})();
