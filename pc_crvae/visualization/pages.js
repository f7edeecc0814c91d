// Paths of clouds: a slider over their steps, a button that plays them, a view that turns.
const byId = id => document.getElementById(id);
const { paths, palette } = JSON.parse(byId("content").textContent);
const [view, chooser, slider] = ["view", "path", "step"].map(byId);
const MILLISECONDS_PER_STEP = 90, colors = rgbOf(palette);
let timer = null, direction = 1, waiting = false;

for (const path of paths) {
  path.values = new Int16Array(bytesOf(path.data).buffer);
  chooser.add(new Option(path.title));
}
chooser.hidden = paths.length < 2;
if (chooser.hidden) chooser.insertAdjacentText("afterend", paths[0].title);

const eye = turning(view, show, { zoom: true });

function show() {
  const path = paths[chooser.selectedIndex], label = path.labels[slider.value];
  byId("label").textContent = label;
  slider.setAttribute("aria-valuetext", label);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function draw() {
  waiting = false;
  const { values, points, ball } = paths[chooser.selectedIndex], ratio = Math.min(2, devicePixelRatio);
  view.width = Math.max(1, Math.round(view.clientWidth * ratio));
  view.height = Math.max(1, Math.round(view.clientHeight * ratio));
  const first = 3 * points * Number(slider.value);
  drawBalls(view, { values, first, count: points, unit: 32767, palette: colors, ball }, eye);
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
  byId("play").textContent = "Play";
}

byId("play").addEventListener("click", () => {
  if (timer !== null) return stop();
  timer = setInterval(advance, MILLISECONDS_PER_STEP);
  byId("play").textContent = "Pause";
});
slider.addEventListener("input", () => { stop(); show(); });
chooser.addEventListener("change", choosePath);
new ResizeObserver(show).observe(view);
choosePath();
