// The content of the page, decoded, and what every part of it shows shapes by.
const content = JSON.parse(document.getElementById("content").textContent);
const points = new Int8Array(bytesOf(content.points).buffer);
const places = new Int16Array(bytesOf(content.places).buffer);
const neighbors = new Int32Array(bytesOf(content.neighbors).buffer);
const distances = new Float32Array(bytesOf(content.distances).buffer);
const shares = new Float32Array(bytesOf(content.shares).buffer);
const groupOf = new Int16Array(bytesOf(content.groupOf).buffer);
const { ids, files, facts, groups, findings } = content;
const PER_SHAPE = content.pointsPerShape, NEAREST = content.nearestPerShape;
const palette = rgbOf(content.palette);

// Draws a shape; nothing where its file could not be read.
function drawShape(canvas, row, view) {
  if (!facts[row]) return canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  drawBalls(canvas, cloudAt(points, 3 * PER_SHAPE * row), view);
}

const cloudAt = (values, first) => ({ values, first, count: PER_SHAPE, unit: 127, palette });
const STILL = { turn: TURN, tip: TIP };

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

// A share below 1 in percent, cut, not rounded.
function percent(share) {
  const digits = Math.min(4, Math.max(1, Math.ceil(-Math.log10(1 - share)) - 1));
  return `${(Math.floor(share * 10 ** (digits + 2)) / 10 ** digits).toFixed(digits)} %`;
}

// How near two shapes are beside all pairs of shapes here.
const likeness = (share, distance) =>
  (share >= 1 ? "no pair is closer" : `closer than ${percent(share)} of pairs`)
  + ` (distance ${distance.toFixed(4)})`;

function smallPicture(row) {
  const canvas = element("canvas", { width: 104, height: 104 });
  canvas.setAttribute("aria-hidden", "true");
  drawShape(canvas, row, STILL);
  return canvas;
}

function shapeButton(row, note) {
  const button = element("button", { type: "button", className: "shape" }, smallPicture(row),
    element("span", {}, ids[row], element("small", { textContent: note })));
  button.addEventListener("click", () => choose(row, true));
  return button;
}
