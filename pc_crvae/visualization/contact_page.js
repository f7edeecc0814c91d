// The clouds of the page: each is drawn when it comes near the window, and turns.
const { clouds, palette } = JSON.parse(document.getElementById("content").textContent);
const colors = rgbOf(palette), waiting = new Map();

document.querySelectorAll("figure canvas").forEach((canvas, place) => {
  const { points, ball } = clouds[place], values = new Int8Array(bytesOf(points).buffer);
  const cloud = { values, first: 0, count: values.length / 3, unit: 127, palette: colors, ball };
  const draw = () => drawBalls(canvas, cloud, view);
  const view = turning(canvas, draw, { hover: true });
  waiting.set(canvas, draw);
});

function show(canvas) {
  waiting.get(canvas)?.();
  waiting.delete(canvas);
}

const inSight = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) show(target);
}, { rootMargin: "300px" });
[...waiting.keys()].forEach(canvas => inSight.observe(canvas));
addEventListener("beforeprint", () => [...waiting.keys()].forEach(show));
