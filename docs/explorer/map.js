/* The heat map: values on a grid of sample ratio and angle, its colours, its boundary. */
const map = (() => {
  const COLUMNS = 100,
    ROWS = 100;
  const RATIO = { from: 0, to: 2 };
  const pixels = document.createElement("canvas");

  /* A field over the map: values row by row from theta = 0 up, and whether training has ended. */
  function field(columns, rows) {
    return { columns, rows, values: new Float64Array(columns * rows), best: new Uint8Array(columns * rows) };
  }

  const ratioAt = (i, columns) => RATIO.from + ((RATIO.to - RATIO.from) * (i + 0.5)) / columns;
  const angleAt = (j, rows, top) => (top * (j + 0.5)) / rows;

  /* The end of training. What does not depend on the angle is computed once a column. */
  function atTheEnd(state, target = field(COLUMNS, ROWS)) {
    const o = theory.complete(state.task),
      energy = o.targetNorm ** 2;
    const cosines = Float64Array.from({ length: target.rows }, (_, j) => Math.cos(angleAt(j, target.rows, state.top)));
    for (let i = 0; i < target.columns; i++) {
      o.ratio = ratioAt(i, target.columns);
      const { square, kept, lost } = theory.pretrained(o),
        scratch = theory.riskOf("scratch", o);
      const live = o.ratio < 1 && square > 0,
        scale = live && Number.isFinite(square) ? theory.nullSpaceScale(o, square) : 0;
      const along = 2 * scale * o.targetNorm * o.sourceNorm * kept,
        paid = Number.isFinite(square) ? scale ** 2 * square : Infinity;
      for (let j = 0; j < target.rows; j++) {
        const cosine = cosines[j],
          linear = energy * (1 - cosine * cosine * (1 - lost));
        const gained = live ? (1 - o.ratio) * (along * cosine - paid) : 0;
        put(target, j * target.columns + i, state, scratch, linear, scratch - gained, gained);
      }
    }
    return target;
  }

  function put(target, at, state, scratch, linear, tuned, gained) {
    const mine = state.protocol === "linear_transfer" ? linear : tuned;
    const gain = state.protocol === "linear_transfer" ? scratch - linear : gained;
    target.values[at] = state.show === "gain" ? gain : mine;
    target.best[at] = scratch <= Math.min(linear, tuned) + 1e-12 ? 0 : linear <= tuned ? 1 : 2;
  }

  /* Part of the way through training, column by column: call next() until it returns null. */
  function onTheWay(state, size) {
    const target = field(size, size),
      o = theory.complete(state.task),
      moment = [state.time];
    o.initScale = state.task.initScale;
    let i = 0;
    return () => {
      o.ratio = ratioAt(i, size);
      const scratch = training.curve("scratch", o, moment, training.QUICK)[0];
      for (let j = 0; j < size; j++) {
        o.theta = angleAt(j, size, state.top);
        const linear = training.curve("linear_transfer", o, moment)[0];
        const tuned = training.curve("fine_tuning", o, moment, training.QUICK)[0];
        put(target, j * size + i, state, scratch, linear, tuned, scratch - tuned);
      }
      i += 1;
      return i < size ? null : target;
    };
  }

  /* A round number that 85 % of the field stays within: beyond it colours are clipped. */
  function limitOf(target) {
    const sizes = target.values
      .filter((_, i) => i % 7 === 0)
      .map(Math.abs)
      .sort();
    const raw = Math.max(sizes[Math.floor(0.85 * sizes.length)], 1e-3);
    const ten = 10 ** Math.floor(Math.log10(raw));
    return ten * [1, 1.5, 2, 3, 4, 5, 7.5, 10].find((m) => m * ten >= raw * 0.999);
  }

  function paint(frame, target, show, limit, table) {
    const { columns, rows } = target;
    if (pixels.width !== columns || pixels.height !== rows) Object.assign(pixels, { width: columns, height: rows });
    const pen = pixels.getContext("2d"),
      image = pen.createImageData(columns, rows),
      theme = colour.theme();
    const named = [theme.scratch, theme.linear_transfer, theme.fine_tuning].map(colour.rgb);
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++) {
        const from = j * columns + i,
          at = 4 * ((rows - 1 - j) * columns + i);
        const share = show === "gain" ? (target.values[from] / limit + 1) / 2 : target.values[from] / limit;
        const index = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
        for (let c = 0; c < 3; c++)
          image.data[at + c] = show === "best" ? named[target.best[from]][c] : table[index + c];
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
    const { area } = frame;
    frame.pen.imageSmoothingEnabled = true;
    frame.pen.drawImage(pixels, area.left, area.top, area.width, area.height);
  }

  /* Where T = 0 at the end of training: break-even angles column by column, led to the edge where they leave it. */
  function boundary(state) {
    const o = theory.complete(state.task),
      linear = state.protocol === "linear_transfer",
      lines = linear ? [[], []] : [[]];
    let before = null;
    for (let i = 1; i < 800; i++) {
      o.ratio = (RATIO.to * (i + 0.3)) / 800;
      const angle = theory.breakEvenAngle(state.protocol, o);
      const real = angle > 0 && !(linear && angle > Math.PI / 2 - 1e-9);
      const turns = (value) => (linear ? [value, Math.PI - value] : [value]);
      if (real && before !== null && !before.real)
        turns(before.angle).forEach((turn, k) => lines[k].push([before.ratio, turn]));
      if (real || (before && before.real && !Number.isNaN(angle)))
        turns(angle).forEach((turn, k) => lines[k].push([o.ratio, turn]));
      if (!real) lines.forEach((line) => line.push(null));
      before = Number.isNaN(angle) ? null : { ratio: o.ratio, angle, real };
    }
    return lines;
  }

  /* Where a field crosses zero: marching squares between the centres of its cells. */
  function crossing(target, top) {
    const { columns, rows, values } = target,
      lines = [];
    const between = (a, b) => a / (a - b);
    for (let j = 0; j + 1 < rows; j++) {
      for (let i = 0; i + 1 < columns; i++) {
        const [a, b, c, d] = [
          [0, 0],
          [1, 0],
          [1, 1],
          [0, 1],
        ].map(([x, y]) => values[(j + y) * columns + i + x]);
        const cuts = [];
        if (a > 0 !== b > 0) cuts.push([between(a, b), 0]);
        if (b > 0 !== c > 0) cuts.push([1, between(b, c)]);
        if (d > 0 !== c > 0) cuts.push([between(d, c), 1]);
        if (a > 0 !== d > 0) cuts.push([0, between(a, d)]);
        for (let k = 0; k + 1 < cuts.length; k += 2) {
          lines.push([cuts[k], cuts[k + 1]].map(([x, y]) => [ratioAt(i + x, columns), angleAt(j + y, rows, top)]));
        }
      }
    }
    return lines;
  }

  return { RATIO, field, atTheEnd, onTheWay, limitOf, paint, boundary, crossing };
})();
