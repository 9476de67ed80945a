/* Pointer and keys: on the map, and on the rows of buttons of which one is chosen. */
const wiring = (() => {
  const within = (v, low, high) => Math.min(Math.max(v, low), high);

  /* Ratio and angle under a pointer, or null off the map. */
  function placeOf(event, { canvas, area }, top) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - area.left) / area.width;
    const y = 1 - (event.clientY - box.top - area.top) / area.height;
    if (x < -0.02 || x > 1.02 || y < -0.02 || y > 1.02) return null;
    return { ratio: Math.max(2 * within(x, 0, 1), 0.01), theta: top * within(y, 0, 1) };
  }

  /* `frame`, `top` and `state` say how the map stands now; `set` changes the state, `point` hears of the pointer. */
  function pointer(canvas, { frame, top, state, set, point }) {
    canvas.addEventListener("pointerdown", (event) => {
      const place = placeOf(event, frame(), top());
      if (!place) return;
      canvas.setPointerCapture(event.pointerId);
      set(place);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = placeOf(event, frame(), top());
      point(place);
      if (place && event.buttons) set(place);
    });
    canvas.addEventListener("pointerleave", () => point(null));
    canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 10 : 1;
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] || [];
      if (dx === undefined) return;
      event.preventDefault();
      const { ratio, theta } = state();
      set({
        ratio: within(ratio + dx * step * 0.01, 0.01, 2),
        theta: within(theta + (dy * step * top()) / 90, 0, top()),
      });
    });
  }

  /* Rows of buttons: arrow keys move the choice, as among radio buttons. */
  function switches(set) {
    for (const group of document.querySelectorAll(".switch")) {
      const buttons = [...group.children];
      buttons.forEach((button, i) => {
        button.addEventListener("click", () => set({ [group.dataset.key]: button.dataset.value }));
        button.addEventListener("keydown", (event) => {
          const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
          if (!move) return;
          event.preventDefault();
          const other = buttons[(i + move + buttons.length) % buttons.length];
          other.focus();
          other.click();
        });
      });
    }
  }

  return { pointer, switches };
})();
