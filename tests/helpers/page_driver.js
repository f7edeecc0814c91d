// Runs a page's script against a stand-in for the parts of a browser that it uses: points at the
// fourth item, chooses the second map and a class, and prints what came of it.
"use strict";
const page = require("fs").readFileSync(process.argv[2], "utf8");
const content = page.match(/id="map-content">([\s\S]*?)<\/script>/)[1];
const script = page.match(/<script>([\s\S]*?)<\/script>\s*<\/body>/)[1];
const { maps, items } = JSON.parse(content);

function stand_in(fields) {
  const classes = new Set();
  return {
    dataset: {}, attributes: {}, listeners: {},
    classList: {
      add: name => classes.add(name),
      remove: name => classes.delete(name),
      toggle: (name, wanted) => wanted ? classes.add(name) : classes.delete(name),
      contains: name => classes.has(name),
    },
    addEventListener(name, heed) { this.listeners[name] = heed; },
    setAttribute(name, value) { this.attributes[name] = value; },
    ...fields,
  };
}

let discs = 0;
const pen = {
  clearRect: () => { discs = 0; }, beginPath() {}, fill() {}, arc: () => { discs += 1; },
};
const dots = [...page.matchAll(/<circle [^>]*data-class="(\d+)"/g)].map(
  ([, label]) => stand_in({ dataset: { class: label } }));
const [width, height] = page.match(/viewBox="0 0 (\d+) (\d+)"/).slice(1).map(Number);
const zoom = 1.5, left = 10, top = 20, margin = 30;  // wider than the map: a margin either side
const plane = stand_in({
  querySelectorAll: () => dots,
  getBoundingClientRect: () => ({
    left, top, width: width * zoom + 2 * margin, height: height * zoom,
  }),
  viewBox: { baseVal: { width, height } },
});
const elements = {
  "map-content": { textContent: content },
  "item": stand_in({ width: 440, hidden: true, getContext: () => pen }),
  "item-name": stand_in({}),
  "map-note": stand_in({}),
};
const buttons = maps.map((_, place) => stand_in({ value: String(place) }));
const entries = [...page.matchAll(/<li data-class="(\d+)"/g)].map(
  ([, label]) => stand_in({ dataset: { class: label } }));

global.document = {
  getElementById: id => elements[id] ?? null,
  querySelector: () => plane,
  querySelectorAll: what => what === "#map input" ? buttons : entries,
};
global.matchMedia = () => ({ matches: false });
global.requestAnimationFrame = () => 1;
global.cancelAnimationFrame = () => {};
new Function(script)();

const pointedAt = 3, [x, y] = maps[0].places[pointedAt];
plane.listeners.pointermove({ clientX: left + margin + x * zoom, clientY: top + y * zoom });
const balls = discs / 3;
buttons[1].listeners.change();
entries[0].listeners.pointerenter();
const marked = name => dots.flatMap((dot, place) => dot.classList.contains(name) ? [place] : []);
console.log(JSON.stringify({
  item: items[pointedAt],
  name: elements["item-name"].textContent,
  pointedAt,
  chosen: marked("chosen"),
  balls,
  places: dots.map(dot => [dot.attributes.cx, dot.attributes.cy]),
  otherPlaces: maps[1].places,
  dimmed: marked("dim").length,
  ofOtherClasses: dots.filter(dot => dot.dataset.class !== entries[0].dataset.class).length,
}));
