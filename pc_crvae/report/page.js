"use strict";
const stored = document.getElementById("map-content");
if (stored) bringMapToLife(JSON.parse(stored.textContent));

function bringMapToLife({ maps, items, clouds }) {
  const element = id => document.getElementById(id);
  const plane = document.querySelector("#map svg"), canvas = element("item");
  const pen = canvas.getContext("2d"), side = canvas.width;
  const dots = [...plane.querySelectorAll("circle")];
  const REACH = 22;  // of the pointer, in pixels
  const TURNS_PER_SECOND = 0.12;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let current = 0, chosen = null, frame = null;

  const levels = clouds
    ? new Int8Array(Uint8Array.from(atob(clouds.data), letter => letter.charCodeAt(0)).buffer)
    : null;

  // As the pictures of clouds are drawn: balls coloured by height, the far ones first.
  function drawCloud(item, turn) {
    const { points, axes, distance, ball, colors } = clouds;
    const scale = side / 2.2, [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    const first = 3 * points * item, balls = [];
    let low = Infinity, high = -Infinity;
    for (let n = 0; n < points; n++) {
      const [a, b, z] = [0, 1, 2].map(axis => levels[first + 3 * n + axis] / 127);
      const place = [cos * a - sin * b, sin * a + cos * b, z];
      const [right, up, back] = axes.map(
        axis => axis[0] * place[0] + axis[1] * place[1] + axis[2] * place[2]);
      balls.push({ x: right, y: up, z, size: distance / (distance - back) });
      low = Math.min(low, z);
      high = Math.max(high, z);
    }
    balls.sort((one, other) => one.size - other.size);
    const span = Math.max(high - low, 0.25);
    pen.clearRect(0, 0, side, side);
    for (const { x, y, z, size } of balls) {
      const radius = 1.25 * ball * size * scale;
      const [atX, atY] = [side / 2 + x * size * scale, side / 2 - y * size * scale];
      const shade = Math.round((z - low) / span * (colors.length - 1));
      for (const [color, share, shift] of
           [["rgba(34, 34, 59, 0.55)", 1, 0], [colors[shade], 0.86, 0.06],
            ["rgba(255, 255, 255, 0.4)", 0.34, 0.32]]) {
        pen.beginPath();
        pen.arc(atX - shift * radius, atY - shift * radius, share * radius, 0, 2 * Math.PI);
        pen.fillStyle = color;
        pen.fill();
      }
    }
  }

  function drawImage(item) {
    const sprite = element("sprite");
    const [width, height, columns] =
      ["width", "height", "columns"].map(name => Number(sprite.dataset[name]));
    const scale = side / Math.max(width, height);
    pen.clearRect(0, 0, side, side);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(
      sprite, item % columns * width, Math.floor(item / columns) * height, width, height,
      (side - scale * width) / 2, (side - scale * height) / 2, scale * width, scale * height);
  }

  function choose(item) {
    if (item === chosen) return;
    if (chosen !== null) dots[chosen].classList.remove("chosen");
    chosen = item;
    dots[item].classList.add("chosen");
    const told = items[item];
    element("item-name").textContent = [
      told.class, told.id, told.guess ? "taken for " + told.guess : ""
    ].filter(Boolean).join(" \u00b7 ");
    canvas.hidden = false;
    cancelAnimationFrame(frame);
    if (!clouds) return drawImage(item);
    const start = performance.now();
    const spin = now => {
      drawCloud(item, still ? 0 : (now - start) / 1000 * TURNS_PER_SECOND * 2 * Math.PI);
      if (!still) frame = requestAnimationFrame(spin);
    };
    spin(start);
  }

  // The item nearest to the pointer, so that no dot need be hit.
  const look = event => {
    const box = plane.getBoundingClientRect(), view = plane.viewBox.baseVal;
    const scale = Math.min(box.width / view.width, box.height / view.height);
    const x = (event.clientX - box.left - (box.width - view.width * scale) / 2) / scale;
    const y = (event.clientY - box.top - (box.height - view.height * scale) / 2) / scale;
    let nearest = null, least = REACH / scale;
    maps[current].places.forEach(([atX, atY], item) => {
      const distance = Math.hypot(atX - x, atY - y);
      if (distance < least) [nearest, least] = [item, distance];
    });
    if (nearest !== null) choose(nearest);
  };
  plane.addEventListener("pointermove", look);
  plane.addEventListener("pointerdown", look);
  plane.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(chosen === null ? 0 : (chosen + step + items.length) % items.length);
  });

  for (const button of document.querySelectorAll("#map input")) {
    button.addEventListener("change", () => {
      current = Number(button.value);
      element("map-note").textContent = maps[current].note;
      maps[current].places.forEach(([x, y], item) => {
        dots[item].setAttribute("cx", x);
        dots[item].setAttribute("cy", y);
      });
    });
  }

  for (const entry of document.querySelectorAll(".legend li[data-class]")) {
    const dim = wanted => dots.forEach(dot => dot.classList.toggle(
      "dim", wanted && dot.dataset.class !== entry.dataset.class));
    for (const name of ["pointerenter", "focus"]) entry.addEventListener(name, () => dim(true));
    for (const name of ["pointerleave", "blur"]) entry.addEventListener(name, () => dim(false));
  }
}
