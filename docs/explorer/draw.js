/* Drawing on canvas: axes, curves and points. */
const draw = (() => {
  const LABELS = {
    scratch: "scratch",
    linear_transfer: "linear transfer",
    fine_tuning: "fine-tuning",
    published: "fine-tuning, as published",
  };
  const DASHES = { scratch: [], linear_transfer: [9, 4], fine_tuning: [], published: [2, 3] };
  const FONT = '13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

  /* A canvas made sharp for the screen, cleared, with the plotting rectangle and maps from values to pixels. */
  function frame(canvas, x, y, margin = { left: 50, right: 12, top: 10, bottom: 40 }) {
    const box = canvas.getBoundingClientRect(),
      scale = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(box.width * scale),
      height = Math.round(box.height * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    pen.font = FONT;
    const area = {
      left: margin.left,
      top: margin.top,
      width: box.width - margin.left - margin.right,
      height: box.height - margin.top - margin.bottom,
    };
    const place = (axis) =>
      axis.log
        ? (v) => Math.log(v / axis.from) / Math.log(axis.to / axis.from)
        : (v) => (v - axis.from) / (axis.to - axis.from);
    const px = place(x),
      py = place(y);
    return {
      canvas,
      pen,
      area,
      x,
      y,
      toX: (v) => area.left + area.width * px(v),
      toY: (v) => area.top + area.height * (1 - py(v)),
    };
  }

  /* Numbers to label an axis with: 1, 2 or 5 times a power of ten apart, or powers of ten on a log axis. */
  function ticks(axis, most = 6) {
    if (axis.ticks) return axis.ticks;
    const marks = [];
    if (axis.log) {
      for (let e = Math.ceil(Math.log10(axis.from) - 1e-9); 10 ** e <= axis.to * 1.0001; e++)
        marks.push([10 ** e, `10${superscript(e)}`]);
      return marks;
    }
    const raw = (axis.to - axis.from) / most,
      ten = 10 ** Math.floor(Math.log10(raw));
    const step = ten * [1, 2, 5, 10].find((m) => m * ten >= raw * 0.999);
    for (let v = Math.ceil(axis.from / step - 1e-9) * step; v <= axis.to + 1e-9; v += step) marks.push([v, number(v)]);
    return marks;
  }

  const superscript = (e) => String(e).replace(/[-\d]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
  const number = (v, digits = 3) =>
    Number.isFinite(v) ? String(+v.toPrecision(digits)).replace("-", "−") : v > 0 ? "∞" : v < 0 ? "−∞" : "–";

  function axes(f, grid = true) {
    const { pen, area } = f;
    pen.lineWidth = 1;
    pen.setLineDash([]);
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const [v, name] of ticks(f.x, area.width / 75)) {
      const at = Math.round(f.toX(v)) + 0.5;
      stroke(pen, colour.theme().line, [
        [at, grid ? area.top : area.top + area.height],
        [at, area.top + area.height + 4],
      ]);
      pen.fillStyle = colour.theme().soft;
      pen.fillText(name, at, area.top + area.height + 7);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [v, name] of ticks(f.y, area.height / 40)) {
      const at = Math.round(f.toY(v)) + 0.5;
      stroke(pen, colour.theme().line, [
        [area.left - 4, at],
        [grid ? area.left + area.width : area.left, at],
      ]);
      pen.fillStyle = colour.theme().soft;
      pen.fillText(name, area.left - 7, at);
    }
    pen.fillStyle = colour.theme().ink;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    pen.fillText(f.x.label, area.left + area.width / 2, area.top + area.height + 36);
    pen.save();
    pen.translate(13, area.top + area.height / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(f.y.label, 0, 0);
    pen.restore();
  }

  function stroke(pen, tone, path, width = 1) {
    pen.strokeStyle = tone;
    pen.lineWidth = width;
    pen.beginPath();
    path.forEach(([a, b], i) => (i ? pen.lineTo(a, b) : pen.moveTo(a, b)));
    pen.stroke();
  }

  function inside(f, paint) {
    const { pen, area } = f;
    pen.save();
    pen.beginPath();
    pen.rect(area.left, area.top, area.width, area.height);
    pen.clip();
    paint(pen);
    pen.restore();
  }

  /* A curve through (xs, ys); values off the scale are clipped at the frame, gaps where there is no number. */
  function curve(f, xs, ys, kind, width = 2.2) {
    inside(f, (pen) => {
      pen.strokeStyle = colour.theme()[kind];
      pen.lineWidth = width;
      pen.lineJoin = "round";
      pen.setLineDash(DASHES[kind]);
      pen.beginPath();
      let down = false;
      const ceiling = f.y.to + (f.y.to - f.y.from);
      for (let i = 0; i < xs.length; i++) {
        const v = Math.min(ys[i], ceiling);
        if (Number.isNaN(v)) {
          down = false;
          continue;
        }
        if (down) pen.lineTo(f.toX(xs[i]), f.toY(v));
        else pen.moveTo(f.toX(xs[i]), f.toY(v));
        down = true;
      }
      pen.stroke();
    });
  }

  /* A measured point: circle, square or triangle by protocol, with a bar of two standard errors either way. */
  function marker(f, x, y, error, kind) {
    inside(f, (pen) => {
      const a = f.toX(x),
        b = f.toY(y),
        r = 4;
      pen.setLineDash([]);
      if (error > 0)
        stroke(
          pen,
          colour.theme()[kind],
          [
            [a, f.toY(y - 2 * error)],
            [a, f.toY(y + 2 * error)],
          ],
          1.5,
        );
      pen.fillStyle = colour.theme()[kind];
      pen.strokeStyle = colour.theme().card;
      pen.lineWidth = 1;
      pen.beginPath();
      if (kind === "scratch") pen.arc(a, b, r, 0, 7);
      else if (kind === "linear_transfer") pen.rect(a - r, b - r, 2 * r, 2 * r);
      else {
        pen.moveTo(a, b - r - 1);
        pen.lineTo(a + r + 1, b + r);
        pen.lineTo(a - r - 1, b + r);
        pen.closePath();
      }
      pen.fill();
      pen.stroke();
    });
  }

  return {
    LABELS,
    DASHES,
    frame,
    axes,
    curve,
    marker,
    inside,
    stroke,
    number,
  };
})();
