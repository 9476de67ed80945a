/* What lies over the map: the pole, the boundary, measured points, the cross and the colour scale. */
const overlay = (() => {
  const EDGE = 34; // room for a word above and below the colour scale

  function paint(frame, state, { lines, limit, table, measured, cross }) {
    const { ink, card } = colour.theme();
    draw.inside(frame, (pen) => {
      pen.setLineDash([3, 5]);
      draw.stroke(
        pen,
        ink,
        [
          [frame.toX(1), 0],
          [frame.toX(1), 1e4],
        ],
        1,
      );
      pen.setLineDash([]);
      for (const [tone, width] of [
        [card, 5],
        [ink, 2.2],
      ])
        for (const line of lines) broken(frame, line, tone, width);
      if (measured) squares(frame, measured, state, limit, table);
      const [x, y] = [frame.toX(cross[0]), frame.toY(cross[1])];
      for (const [tone, width] of [
        [card, 4.5],
        [ink, 1.8],
      ]) {
        for (const [dx, dy] of [
          [1, 0],
          [-1, 0],
          [0, 1],
          [0, -1],
        ])
          draw.stroke(
            pen,
            tone,
            [
              [x + 4 * dx, y + 4 * dy],
              [x + 14 * dx, y + 14 * dy],
            ],
            width,
          );
      }
    });
    scale(frame, state, limit, table);
  }

  /* A line with gaps where a point is null. */
  function broken(frame, line, tone, width) {
    let run = [];
    for (const point of [...line, null]) {
      if (point) {
        run.push([frame.toX(point[0]), frame.toY(point[1])]);
        continue;
      }
      if (run.length > 1) draw.stroke(frame.pen, tone, run, width);
      run = [];
    }
  }

  function squares(frame, measured, state, limit, table) {
    if (state.show === "best") return;
    const { pen } = frame,
      { ink, card } = colour.theme();
    for (const p of points.onMap(measured.points, state.protocol, state.show)) {
      const share = state.show === "gain" ? (p.value / limit + 1) / 2 : p.value / limit;
      const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
      pen.fillStyle = `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`;
      const box = [frame.toX(p.ratio) - 4, frame.toY(p.theta) - 4, 8, 8];
      for (const [tone, width] of [
        [card, 2.4],
        [ink, 0.8],
      ]) {
        pen.strokeStyle = tone;
        pen.lineWidth = width;
        pen.strokeRect(...box);
      }
      pen.fillRect(...box);
    }
  }

  function scale(frame, state, limit, table) {
    const { pen, area } = frame,
      { ink, soft } = colour.theme(),
      left = area.left + area.width + 12,
      wide = 14;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    if (state.show === "best") {
      theory.PROTOCOLS.forEach((protocol, i) => {
        pen.fillStyle = colour.theme()[protocol];
        pen.fillRect(left, area.top + 2 + 26 * i, wide, wide);
        pen.fillStyle = ink;
        pen.fillText(["scratch", "linear", "tuned"][i], left + wide + 6, area.top + 10 + 26 * i);
      });
      return;
    }
    for (let i = 0; i < 256; i++) {
      pen.fillStyle = `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`;
      pen.fillRect(
        left,
        area.top + EDGE + ((area.height - 2 * EDGE) * (255 - i)) / 256,
        wide,
        (area.height - 2 * EDGE) / 256 + 1,
      );
    }
    const low = state.show === "gain" ? -limit : 0;
    for (const share of [0, 0.5, 1]) {
      pen.fillStyle = soft;
      const sign = share === 1 ? "≥ " : share === 0 && low ? "≤ " : "";
      pen.fillText(
        sign + draw.number(low + share * (limit - low)),
        left + wide + 5,
        area.top + EDGE + (area.height - 2 * EDGE) * (1 - share),
      );
    }
    pen.fillStyle = ink;
    if (state.show === "gain") {
      pen.fillText("helps", left, area.top + 8);
      pen.fillText("hurts", left, area.top + area.height - 6);
    } else pen.fillText("risk", left, area.top + 8);
  }

  return { paint };
})();
