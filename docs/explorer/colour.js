/* Colours: those of the theme, which follow the style sheet, and the scales of the map. */
const colour = (() => {
  let now = {};

  /* Blue to red through the colour of the paper, and cividis: both read alike by colour-blind eyes. */
  const HURTS = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
  ];
  const HELPS = [
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
  ];
  const RISK = [
    [0, 34, 78],
    [18, 53, 112],
    [59, 73, 108],
    [87, 93, 109],
    [112, 113, 115],
    [138, 134, 120],
    [165, 156, 116],
    [195, 179, 105],
    [225, 204, 85],
    [254, 232, 56],
  ];

  function readTheme() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    now = {
      ink: get("ink"),
      soft: get("soft"),
      line: get("line"),
      card: get("card"),
      scratch: get("scratch"),
      linear_transfer: get("linear"),
      fine_tuning: get("tuned"),
      published: get("published"),
      zero: rgb(get("zero")),
    };
    return now;
  }

  const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

  function ramp(stops, share) {
    const x = Math.min(Math.max(share, 0), 1) * (stops.length - 1),
      i = Math.min(Math.floor(x), stops.length - 2);
    return stops[i].map((v, j) => v + (stops[i + 1][j] - v) * (x - i));
  }

  /* 256 colours for shares from 0 to 1 as one flat array, so that a map costs one look-up a cell. */
  function table(kind) {
    const dark = document.documentElement.dataset.theme === "dark";
    const cold = dark ? HURTS.slice().reverse() : HURTS,
      warm = dark ? HELPS.slice().reverse() : HELPS;
    const signed = [...cold, now.zero, ...warm];
    const flat = new Uint8ClampedArray(256 * 3);
    for (let i = 0; i < 256; i++) flat.set(ramp(kind === "risk" ? RISK : signed, i / 255), 3 * i);
    return flat;
  }

  return { readTheme, table, rgb, theme: () => now };
})();
