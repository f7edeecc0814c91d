"use strict";
const element = id => document.getElementById(id);
const { paths, figure } = JSON.parse(element("content").textContent);
const [view, chooser, slider] = ["view", "path", "step"].map(element);
const MILLISECONDS_PER_STEP = 350;
let timer = null, direction = 1;

for (const path of paths) {
  const bytes = Uint8Array.from(atob(path.data), letter => letter.charCodeAt(0));
  path.values = Float32Array.from(new Int16Array(bytes.buffer), v => v * figure.radius / 32767);
  chooser.add(new Option(path.title));
}
chooser.hidden = paths.length < 2;
if (chooser.hidden) chooser.insertAdjacentText("afterend", paths[0].title);

// One ball a point, all in one mesh.
function trace() {
  const path = paths[chooser.selectedIndex], count = path.points;
  const { corners, faces } = figure.ball, radius = path.ballRadius;
  const first = 3 * count * Number(slider.value);
  const mesh = { ...figure.trace };
  ["x", "y", "z"].forEach((axis, index) => {
    const places = path.values.subarray(first + index * count, first + (index + 1) * count);
    const values = mesh[axis] = new Float32Array(count * corners.length);
    for (let n = 0, at = 0; n < count; n++)
      for (const corner of corners) values[at++] = places[n] + radius * corner[index];
  });
  ["i", "j", "k"].forEach((side, index) => {
    const values = mesh[side] = new Int32Array(count * faces.length);
    for (let n = 0, at = 0; n < count; n++)
      for (const face of faces) values[at++] = n * corners.length + face[index];
  });
  const low = mesh.z.reduce((a, b) => Math.min(a, b));
  const high = mesh.z.reduce((a, b) => Math.max(a, b));
  mesh.intensity = mesh.z;
  mesh.cmin = low;
  mesh.cmax = Math.max(high, low + 0.25 * figure.radius);
  return mesh;
}

function show() {
  element("label").textContent = paths[chooser.selectedIndex].labels[slider.value];
  Plotly.react(view, [trace()], figure.layout, figure.config);
}

function choosePath() {
  slider.max = paths[chooser.selectedIndex].labels.length - 1;
  show();
}

function advance() {
  if (Number(slider.value) + direction > slider.max) direction = -1;
  if (Number(slider.value) + direction < 0) direction = 1;
  slider.value = Number(slider.value) + direction;
  show();
}

function stop() {
  clearInterval(timer);
  timer = null;
  element("play").textContent = "Play";
}

element("play").addEventListener("click", () => {
  if (timer !== null) return stop();
  timer = setInterval(advance, MILLISECONDS_PER_STEP);
  element("play").textContent = "Pause";
});
slider.addEventListener("input", () => { stop(); show(); });
chooser.addEventListener("change", choosePath);
choosePath();
