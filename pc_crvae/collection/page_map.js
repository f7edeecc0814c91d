// The map: pan, zoom, thumbnails where there is room for them, dots elsewhere.
const map = byId("map"), mapPen = map.getContext("2d"), tip = byId("tip");
const THUMB = 58, REACH = 26, MARGIN = 40, MOST_ZOOM = 4000, DRAWN_A_FRAME = 24;
const thumbs = new Map(), pointers = new Map();
let view = { x: 0, y: 0, zoom: 1 }, shown = new Uint8Array(ids.length).fill(1);
let chosen = null, partner = null, pointed = null, waiting = false, moved = 0, pinch = 0;

// Medoids of groups come first, so that an overview shows one shape of each.
const order = [...groups.map(group => group.medoid)];
const first = new Set(order);
for (let row = 0; row < ids.length; row++) if (!first.has(row)) order.push(row);

const width = () => map.clientWidth, height = () => map.clientHeight;
const base = () => Math.max(20, Math.min(width(), height() * 1.35) / 2 - MARGIN);

function screen(row) {
  const scale = base() * view.zoom / 32767;
  return [width() / 2 + (places[2 * row] - view.x) * scale,
    height() / 2 - (places[2 * row + 1] - view.y) * scale];
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawMap(); });
}

function thumb(row, budget) {
  if (!thumbs.has(row)) {
    if (budget.left-- <= 0) return null;
    if (thumbs.size > 4000) thumbs.clear();
    const canvas = element("canvas", { width: 2 * THUMB, height: 2 * THUMB });
    drawShape(canvas, row, STILL);
    thumbs.set(row, canvas);
  }
  return thumbs.get(row);
}

function drawMap() {
  const ratio = devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
  const [grey, ring, accent] =
    ["--grey", "--ink", "--accent"].map(name => style.getPropertyValue(name).trim());
  map.width = Math.round(width() * ratio);
  map.height = Math.round(height() * ratio);
  mapPen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const taken = new Map(), dots = [], budget = { left: DRAWN_A_FRAME };
  const marked = [chosen, partner].filter(row => row !== null);
  for (const row of [...marked, ...order.filter(row => !marked.includes(row))]) {
    const [x, y] = screen(row);
    if (x < -THUMB || y < -THUMB || x > width() + THUMB || y > height() + THUMB) continue;
    const cell = (Math.floor(x / THUMB) + 2) * 1000 + Math.floor(y / THUMB) + 2;
    let free = shown[row] && facts[row];
    for (let dx = -1; free && dx <= 1; dx++)
      for (let dy = -1; free && dy <= 1; dy++) {
        const other = taken.get(cell + 1000 * dx + dy);
        if (other && Math.hypot(other[0] - x, other[1] - y) < THUMB) free = false;
      }
    const picture = free ? thumb(row, budget) : null;
    if (picture) {
      taken.set(cell, [x, y]);
      mapPen.drawImage(picture, x - THUMB / 2, y - THUMB / 2, THUMB, THUMB);
      dots.push([row, x, y + THUMB / 2 - 4, 3]);
    } else dots.push([row, x, y, 4.5]);
  }
  for (const wanted of [0, 1])  // those that are filtered out lie below
    for (const [row, x, y, radius] of dots) {
      if (shown[row] !== wanted) continue;
      mapPen.globalAlpha = wanted ? 0.9 : 0.18;
      mapPen.fillStyle = groupOf[row] < 0 ? grey : groups[groupOf[row]].color;
      mapPen.beginPath();
      mapPen.arc(x, y, radius, 0, 2 * Math.PI);
      mapPen.fill();
    }
  mapPen.globalAlpha = 1;
  for (const [row, color] of [[partner, accent], [chosen, ring]]) {
    if (row === null) continue;
    const [x, y] = screen(row);
    mapPen.lineWidth = 2.5;
    mapPen.strokeStyle = color;
    mapPen.beginPath();
    mapPen.arc(x, y, THUMB / 2 + 3, 0, 2 * Math.PI);
    mapPen.stroke();
  }
  if (budget.left < 0) redraw();
}

// The shown shape nearest to a place on the screen, within reach.
function at(x, y) {
  let best = null, least = REACH;
  for (let row = 0; row < ids.length; row++) {
    if (!shown[row]) continue;
    const [atX, atY] = screen(row), away = Math.hypot(atX - x, atY - y);
    if (away < least) [best, least] = [row, away];
  }
  return best;
}

function zoomBy(factor, x = width() / 2, y = height() / 2) {
  const zoom = Math.min(MOST_ZOOM, Math.max(0.5, view.zoom * factor));
  const scale = base() / 32767, change = 1 / (scale * view.zoom) - 1 / (scale * zoom);
  view = { x: view.x + (x - width() / 2) * change, y: view.y - (y - height() / 2) * change, zoom };
  redraw();
}

function wholeMap() {
  view = { x: 0, y: 0, zoom: 1 };
  redraw();
}

// Brings a shape into the middle unless it can be seen already.
function bringIntoView(row) {
  const [x, y] = screen(row);
  const seen = x > MARGIN && y > MARGIN && x < width() - MARGIN && y < height() - MARGIN;
  if (!seen) Object.assign(view, { x: places[2 * row], y: places[2 * row + 1] });
}

function showTip(row, x, y) {
  if (row === pointed && row === null) return;
  pointed = row;
  tip.hidden = row === null;
  map.style.cursor = row === null ? "grab" : "pointer";
  if (row === null) return;
  tip.style.left = `${Math.min(Math.max(0, x + 16), Math.max(0, width() - 140))}px`;
  tip.style.top = `${y > height() / 2 ? y - 190 : y + 16}px`;
  tip.lastElementChild.textContent = ids[row];
  drawShape(tip.firstElementChild, row, { turn: TURN + x / 60, tip: TIP });  // it turns as the pointer moves
}

const within = event => {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

map.addEventListener("pointerdown", event => {
  map.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, within(event));
  [moved, pinch] = [pointers.size > 1 ? 99 : 0, 0];
});
map.addEventListener("pointermove", event => {
  const [x, y] = within(event), held = pointers.get(event.pointerId);
  if (!held) return showTip(at(x, y), x, y);
  if (pointers.size === 1) {
    const scale = base() * view.zoom / 32767;
    view.x -= (x - held[0]) / scale;
    view.y += (y - held[1]) / scale;
    moved += Math.hypot(x - held[0], y - held[1]);
    if (moved > 4) showTip(null);
  }
  pointers.set(event.pointerId, [x, y]);
  if (pointers.size === 2) {
    const [one, other] = [...pointers.values()];
    const apart = Math.hypot(one[0] - other[0], one[1] - other[1]);
    if (pinch) zoomBy(apart / pinch, (one[0] + other[0]) / 2, (one[1] + other[1]) / 2);
    pinch = apart;
  }
  redraw();
});
for (const name of ["pointerup", "pointercancel"])
  map.addEventListener(name, event => {
    if (name === "pointerup" && moved <= 4) {
      const row = at(...within(event));
      if (row !== null) choose(row);
    }
    pointers.delete(event.pointerId);
    pinch = 0;
  });
map.addEventListener("pointerleave", () => showTip(null));
map.addEventListener("wheel", event => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 400), ...within(event));
}, { passive: false });

// From shape to shape by the arrow keys: the nearest that lies more that way than aside.
map.addEventListener("keydown", event => {
  if (event.key === "+" || event.key === "=") return zoomBy(1.4);
  if (event.key === "-") return zoomBy(1 / 1.4);
  if (event.key === "0") return wholeMap();
  const way = KEYS[event.key];
  if (!way) return;
  event.preventDefault();
  const [fromX, fromY] = chosen === null ? [width() / 2, height() / 2] : screen(chosen);
  let best = null, least = Infinity;
  for (let row = 0; row < ids.length; row++) {
    if (!shown[row] || row === chosen) continue;
    const [x, y] = screen(row), [dx, dy] = [x - fromX, y - fromY];
    const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
    const cost = along + 2 * aside;
    if (along > 0 && along >= aside && cost < least) [best, least] = [row, cost];
  }
  if (best !== null) choose(best, true);
});
byId("z-in").addEventListener("click", () => zoomBy(1.6));
byId("z-out").addEventListener("click", () => zoomBy(1 / 1.6));
byId("z-all").addEventListener("click", wholeMap);
new ResizeObserver(redraw).observe(map);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
