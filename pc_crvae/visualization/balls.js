// Clouds drawn as lit balls, with depth, that turn under the pointer and by keys.
const TURN = 0.6, TIP = 0.42;  // how every picture of a shape is seen at first
const LIGHT = [-0.42, 0.58, 0.7];  // from above left, towards the viewer
const BALL = 0.021, REACH_OF_PICTURE = 2.3;  // by the side of the picture, and by the radius
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const discs = new Map();

// The pixels of a ball of a radius: where they are, how far they stand out, how bright they are.
function disc(radius) {
  if (!discs.has(radius)) {
    const pixels = [];
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++) {
        const out = 1 - (x * x + y * y) / ((radius + 0.4) ** 2);
        if (out <= 0) continue;
        const up = Math.sqrt(out);
        const light = (x * LIGHT[0] - y * LIGHT[1]) / (radius + 0.4) + up * LIGHT[2];
        pixels.push([x, y, up * radius, 0.5 + 0.5 * Math.max(0, light)]);
      }
    discs.set(radius, pixels);
  }
  return discs.get(radius);
}

const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const rgbOf = colors => colors.map(
  color => [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16)));

// Draws a cloud: values are x, y, z of each of its points from the first one on, in units of the
// radius; the palette colours it by height. The view turns it about its upright axis, tips it
// towards the viewer and brings it nearer.
function drawBalls(canvas, { values, first, count, unit, palette, ball = BALL }, view) {
  const pen = canvas.getContext("2d"), { width, height } = canvas, side = Math.min(width, height);
  pen.clearRect(0, 0, width, height);
  const image = pen.createImageData(width, height), depth = new Float32Array(width * height).fill(-1e9);
  const { turn, tip, zoom = 1 } = view;
  const [cos, sin, low, high] = [Math.cos(turn), Math.sin(turn), Math.sin(tip), Math.cos(tip)];
  const scale = zoom * side / REACH_OF_PICTURE, end = first + 3 * count;
  let bottom = Infinity, top = -Infinity;
  for (let at = first + 2; at < end; at += 3) {
    bottom = Math.min(bottom, values[at] / unit);
    top = Math.max(top, values[at] / unit);
  }
  const span = Math.max(top - bottom, 0.25);
  for (let at = first; at < end; at += 3) {
    const [x, y, z] = [values[at] / unit, values[at + 1] / unit, values[at + 2] / unit];
    const across = cos * x - sin * y, away = sin * x + cos * y;
    const up = high * z + low * away, near = low * z - high * away;
    const grown = 1 / (1 - 0.141 * near);  // nearer is larger
    const radius = Math.max(1, Math.round(zoom * side * ball * grown));
    const centerX = Math.round(width / 2 + across * scale * grown);
    const centerY = Math.round(height / 2 - up * scale * grown);
    const color = palette[Math.round((z - bottom) / span * (palette.length - 1))];
    for (const [dx, dy, out, light] of disc(radius)) {
      const atX = centerX + dx, atY = centerY + dy;
      if (atX < 0 || atY < 0 || atX >= width || atY >= height) continue;
      const place = atY * width + atX, nearness = near * scale + out;
      if (nearness <= depth[place]) continue;
      depth[place] = nearness;
      const fade = light * (0.82 + 0.18 * near);  // farther is darker
      for (let channel = 0; channel < 3; channel++)
        image.data[4 * place + channel] = Math.min(255, color[channel] * fade * 1.15);
      image.data[4 * place + 3] = 255;
    }
  }
  pen.putImageData(image, 0, 0);
}

// Has a picture turn: by dragging it, by the arrow keys, and if told where the mouse passes over it;
// and if told grow, by the wheel and by plus and minus, while 0 gives it back its size.
// Gives the view, which draw is called after each change of.
function turning(canvas, draw, { hover = false, zoom = false } = {}) {
  const view = { turn: TURN, tip: TIP, zoom: 1 };
  let held = null;
  const turnBy = (across, down) => {
    view.turn += across;
    view.tip = Math.max(-1.57, Math.min(1.57, view.tip + down));
    draw();
  };
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    held = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointermove", event => {
    if (!held && !(hover && event.pointerType === "mouse")) return;
    const [fromX, fromY] = held ?? [event.clientX - event.movementX, event.clientY];
    turnBy((event.clientX - fromX) / (held ? 90 : 220), (event.clientY - fromY) / 110);
    if (held) held = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener("keydown", event => {
    const way = KEYS[event.key];
    if (way) {
      event.preventDefault();
      return turnBy(way[0] * 0.15, way[1] * 0.15);
    }
    const factor = { "+": 1.2, "=": 1.2, "-": 1 / 1.2, 0: 1 / view.zoom }[event.key];
    if (zoom && factor) zoomBy(factor);
  });
  const zoomBy = factor => {
    view.zoom = Math.max(0.4, Math.min(6, view.zoom * factor));
    draw();
  };
  if (zoom) canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 500));
  }, { passive: false });
  return view;
}
