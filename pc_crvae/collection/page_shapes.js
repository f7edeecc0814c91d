// The content of the page, decoded, and the drawing of shapes: balls with depth and light.
const content = JSON.parse(document.getElementById("content").textContent);
const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const points = new Int8Array(bytesOf(content.points).buffer);
const places = new Int16Array(bytesOf(content.places).buffer);
const neighbors = new Int32Array(bytesOf(content.neighbors).buffer);
const distances = new Uint16Array(bytesOf(content.distances).buffer);
const groupOf = new Int16Array(bytesOf(content.groupOf).buffer);
const { ids, files, facts, groups, findings } = content;
const PER_SHAPE = content.pointsPerShape, NEAREST = content.nearestPerShape;
const palette = content.palette.map(
  color => [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16)));
const LIGHT = [-0.42, 0.58, 0.7];  // from above left, towards the viewer
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

// Draws a shape into a canvas, turned about its upright axis and tipped towards the viewer.
function drawShape(canvas, row, turn, tip) {
  const pen = canvas.getContext("2d"), side = canvas.width;
  pen.clearRect(0, 0, side, side);
  if (!facts[row]) return;
  const image = pen.createImageData(side, side), depth = new Float32Array(side * side).fill(-1e9);
  const [cos, sin, low, high] = [Math.cos(turn), Math.sin(turn), Math.sin(tip), Math.cos(tip)];
  const scale = side / 2.3 / 127, first = 3 * PER_SHAPE * row;
  let bottom = 127, top = -127;
  for (let at = first + 2; at < first + 3 * PER_SHAPE; at += 3) {
    bottom = Math.min(bottom, points[at]);
    top = Math.max(top, points[at]);
  }
  const span = Math.max(top - bottom, 32);
  for (let at = first; at < first + 3 * PER_SHAPE; at += 3) {
    const [x, y, z] = [points[at], points[at + 1], points[at + 2]];
    const across = cos * x - sin * y, away = sin * x + cos * y;
    const up = high * z + low * away, near = low * z - high * away;
    const grown = 1 / (1 - near / 900);  // nearer is larger
    const radius = Math.max(1, Math.round(side * 0.021 * grown));
    const centerX = Math.round(side / 2 + across * scale * grown);
    const centerY = Math.round(side / 2 - up * scale * grown);
    const color = palette[Math.round((z - bottom) / span * (palette.length - 1))];
    for (const [dx, dy, out, light] of disc(radius)) {
      const atX = centerX + dx, atY = centerY + dy;
      if (atX < 0 || atY < 0 || atX >= side || atY >= side) continue;
      const place = atY * side + atX, height = near * scale + out;
      if (height <= depth[place]) continue;
      depth[place] = height;
      const fade = light * (0.82 + 0.18 * near / 127);  // farther is darker
      for (let channel = 0; channel < 3; channel++)
        image.data[4 * place + channel] = Math.min(255, color[channel] * fade * 1.15);
      image.data[4 * place + 3] = 255;
    }
  }
  pen.putImageData(image, 0, 0);
}

const TURN = 0.6, TIP = 0.42;  // how every picture of a shape is seen at first

function element(kind, fields = {}, ...children) {
  const made = Object.assign(document.createElement(kind), fields);
  made.append(...children);
  return made;
}

const byId = id => document.getElementById(id);
const nameOf = row => ids[row].slice(ids[row].lastIndexOf("/") + 1);
const folderOf = row => ids[row].slice(0, Math.max(0, ids[row].lastIndexOf("/")));
const longest = row => facts[row] ? Math.max(...facts[row].box) : NaN;
const number = value => value.toLocaleString("en", { maximumSignificantDigits: 5 });

function smallPicture(row) {
  const canvas = element("canvas", { width: 104, height: 104 });
  canvas.setAttribute("aria-hidden", "true");
  drawShape(canvas, row, TURN, TIP);
  return canvas;
}

function shapeButton(row, note) {
  const button = element("button", { type: "button", className: "shape" }, smallPicture(row),
    element("span", {}, ids[row], element("small", { textContent: note })));
  button.addEventListener("click", () => choose(row, true));
  return button;
}
