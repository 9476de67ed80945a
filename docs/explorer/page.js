/* The page: one state, drawn once a frame; whatever changes the state asks for a frame. */
const page = (() => {
  const $ = (id) => document.getElementById(id);
  const PATH = Array.from({ length: 200 }, (_, i) => (2 * (i + 0.5)) / 200);
  const MOMENTS = Array.from({ length: 97 }, (_, i) => 10 ** (-2 + i / 16));
  const SIZES = [9, 17, 33],
    SLICE_OF_WORK = 12;
  const MARGIN = { left: 66, right: 86, top: 12, bottom: 44 };
  const NAMES = {
    gain: "Transferability T of",
    risk: "Risk of",
    best: "The protocol with the least risk (scratch where equal)",
  };
  const stats = { firstPicture: null, frames: [] };
  let state = controls.fromHash(location.hash),
    measured = null,
    hover = null,
    sliders = null,
    wanted = false;
  let way = null,
    shownWay = null,
    mapFrame = null,
    linking = 0;

  const top = () => (measured && measured.points.some((p) => p.theta > Math.PI / 2 + 1e-6) ? Math.PI : Math.PI / 2);
  const view = () => ({ ...state, task: controls.task(state), top: top() });
  const ended = () => state.time === Infinity;
  const degrees = (angle) => `${draw.number((angle * 180) / Math.PI)}°`;

  function ask() {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => {
      wanted = false;
      render();
    });
  }

  function set(changes) {
    const before = mapKey();
    Object.assign(state, changes);
    if (mapKey() !== before) way = null;
    ask();
  }

  /* What the map depends on: everything but the cross and, of the rest, the theme. */
  const mapKey = () =>
    JSON.stringify({
      ...state,
      theta: 0,
      ratio: 0,
      theme: "",
      time: String(state.time),
      sourceRatio: String(state.sourceRatio),
    });

  function render() {
    const began = performance.now();
    document.documentElement.dataset.theme =
      state.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    colour.readTheme();
    controls.show(sliders, state);
    for (const group of document.querySelectorAll(".switch")) {
      group.hidden = group.dataset.key === "form" && (state.protocol !== "fine_tuning" || !ended());
      for (const button of group.children) {
        const on = state[group.dataset.key] === button.dataset.value;
        button.setAttribute("aria-checked", on);
        button.tabIndex = on ? 0 : -1;
      }
    }
    const current = view();
    drawMap(current);
    panels.slices(current, measured, PATH, MOMENTS);
    panels.values(current);
    say();
    clearTimeout(linking);
    linking = setTimeout(link, 150);
    const spent = performance.now() - began;
    stats.frames.push(spent);
    if (stats.frames.length > 500) stats.frames.shift();
    if (stats.firstPicture === null) stats.firstPicture = performance.now();
  }

  /* The address of this view; browsers allow few changes a second, so it waits until the view is still. */
  function link() {
    try {
      history.replaceState(null, "", `#${controls.toHash(state)}`);
    } catch {
      /* a page that may not keep its link */
    }
  }

  function drawMap(current) {
    const name = state.show === "best" ? "" : ` ${draw.LABELS[state.protocol]}`;
    $("map-title").textContent =
      NAMES[state.show] + name + (ended() ? ", at the end of training" : `, at time ${draw.number(state.time)}`);
    const field = ended()
      ? map.atTheEnd(current, state.show === "best" ? map.field(200, 200) : undefined)
      : partWay(current);
    const x = { from: 0, to: 2, label: "samples per dimension, n/d" };
    const quarter = current.top / 4,
      y = {
        from: 0,
        to: current.top,
        label: "angle θ between source and target",
        ticks: [0, 1, 2, 3, 4].map((i) => [i * quarter, degrees(i * quarter)]),
      };
    const frame = (mapFrame = draw.frame($("map"), x, y, MARGIN));
    if (!field) {
      draw.axes(frame, false);
      return;
    }
    const limit = map.limitOf(field),
      table = colour.table(state.show);
    map.paint(frame, field, state.show, limit, table);
    draw.axes(frame, false);
    const lines = state.show !== "gain" ? [] : ended() ? map.boundary(current) : map.crossing(field, current.top);
    overlay.paint(frame, current, { lines, limit, table, measured, cross: [state.ratio, state.theta] });
  }

  /* The finest map of this moment that there is, or the last one while a new one is being computed. */
  function partWay(current) {
    const key = mapKey();
    if (!way || way.key !== key) {
      way = { key, level: 0, next: map.onTheWay(current, SIZES[0]) };
      setTimeout(work, 0);
    }
    return shownWay;
  }

  function work() {
    if (!way || !way.next) return;
    const began = performance.now();
    while (performance.now() - began < SLICE_OF_WORK) {
      const done = way.next();
      if (!done) continue;
      shownWay = done;
      way.level += 1;
      way.next = way.level < SIZES.length ? map.onTheWay(view(), SIZES[way.level]) : null;
      ask();
      break;
    }
    setTimeout(work, 0);
  }

  /* The value under the pointer, or at the cross. */
  function say() {
    const at = hover || state,
      o = theory.complete({ ...controls.task(state), theta: at.theta, ratio: at.ratio });
    const risks = panels.risksAt(o, state.time),
      mine = risks[state.protocol],
      gain = risks.scratch - mine;
    const verdict = gain > 1e-9 ? "transfer helps" : gain < -1e-9 ? "transfer hurts" : "no difference";
    const where = `${hover ? "Under the pointer" : "At the cross"}: θ = ${degrees(at.theta)}, n/d = ${draw.number(at.ratio)}`;
    $("under").textContent =
      `${where}: risk ${draw.number(mine)}, T = ${draw.number(gain)} (${verdict})` +
      (way && way.next && !ended() ? " · map is being refined" : "");
  }

  function wireButtons() {
    $("reset").addEventListener("click", () => {
      measured = null;
      message("");
      set({ ...controls.DEFAULTS, theme: state.theme });
    });
    $("theme").addEventListener("click", () =>
      set({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }),
    );
    $("copy").addEventListener("click", () => {
      link();
      const told = () => message("The link to this view is in the address bar: copy it from there.");
      if (!navigator.clipboard) {
        told();
        return;
      }
      navigator.clipboard.writeText(location.href).then(() => message("The link to this view is copied."), told);
    });
    $("open").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => read($("file").files[0]));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      read(event.dataTransfer.files[0]);
    });
  }

  function message(text, bad = false) {
    Object.assign($("message"), { textContent: text, hidden: !text, className: bad ? "bad" : "" });
  }

  function read(file) {
    if (file) file.text().then(load);
    $("file").value = "";
  }

  /* Show measured points; the sliders go to the settings they were measured at. */
  function load(content) {
    try {
      measured = points.parse(content);
      message(`${measured.title}: ${measured.points.length} measured points over the theory.`);
      set(measured.settings.sourceRatio === null ? { ...measured.settings, sourceRatio: Infinity } : measured.settings);
      return true;
    } catch (error) {
      message(error.message, true);
      return false;
    }
  }

  function start() {
    sliders = controls.build($("sliders"), (key, value) => set({ [key]: value }));
    wiring.pointer($("map"), {
      frame: () => mapFrame,
      top,
      state: () => state,
      set,
      point: (place) => {
        hover = place;
        say();
      },
    });
    wiring.switches(set);
    wireButtons();
    window.addEventListener("resize", ask);
    window.addEventListener("hashchange", () => {
      state = controls.fromHash(location.hash);
      way = null;
      ask();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ask);
    render();
  }

  return { start, load, stats, state: () => ({ ...state }) };
})();

window.tlx = {
  risk: theory.risk,
  transferability: theory.transferability,
  breakEvenAngle: theory.breakEvenAngle,
  boundary: theory.boundary,
  riskOverTime: training.riskOverTime,
  load: page.load,
  state: page.state,
  stats: page.stats,
};
page.start();
