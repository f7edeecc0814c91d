// The chosen shape, the filters and the lists.
const shapeView = byId("shape"), MOST_LISTED = 300;
const chosenView = turning(shapeView, drawChosen, { hover: true });

function drawChosen() {
  if (chosen !== null) drawShape(shapeView, chosen, chosenView);
}

const pairsOf = new Map();
for (const finding of findings)
  for (const row of [finding.first, finding.second])
    pairsOf.set(row, [...(pairsOf.get(row) ?? []), finding]);

function choose(row, lookAt = false, other = null) {
  [chosen, partner] = [row, other];
  Object.assign(chosenView, STILL);
  if (lookAt) bringIntoView(row);
  shapeView.classList.add("drawn");
  byId("s-name").textContent = nameOf(row);
  byId("s-path").textContent = files[row] ? content.root + files[row] : ids[row];
  byId("s-facts").replaceChildren(...factsOf(row).flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
  byId("s-pairs").replaceChildren(...(pairsOf.get(row) ?? []).slice(0, 20).map(finding => {
    const away = finding.first === row ? finding.second : finding.first;
    return element("li", {}, shapeButton(away, finding.words));
  }));
  const nearest = [];
  for (let k = 0; k < NEAREST; k++) {
    const place = row * NEAREST + k;
    const note = likeness(shares[place], distances[place]);
    nearest.push(element("li", {}, shapeButton(neighbors[place], note)));
  }
  byId("s-nearest-part").hidden = nearest.length === 0;
  byId("s-nearest").replaceChildren(...nearest);
  drawChosen();
  redraw();
}

function measuresOf(fact) {
  const [x, y, z] = fact.box.map(number);
  const found = [["Size x, y, z", `${x} × ${y} × ${z}${fact.unit ? ` ${fact.unit}` : ""}`]];
  if (fact.area !== null) found.push(["Surface area", number(fact.area)]);
  if (fact.kind === "mesh")
    found.push(["Volume", fact.volume === null ? "none, it is not closed" : number(fact.volume)]);
  found.push(fact.kind === "mesh"
    ? ["Triangles", number(fact.triangles)] : ["Points", number(fact.vertices)]);
  return found;
}

function factsOf(row) {
  const found = facts[row] ? measuresOf(facts[row])
    : [["File", "cannot be read, so there is no picture"]];
  if (folderOf(row)) found.push(["Folder", folderOf(row)]);
  found.push(["Group", groupOf[row] < 0 ? "none" : groups[groupOf[row]].name]);
  return found;
}

// Filters: what they leave is what the map shows, and what the lists list.
const fields = ["f-name", "f-folder", "f-group", "f-low", "f-high"].map(byId);
const folders = [...new Set(ids.map((_, row) => folderOf(row)))].filter(Boolean).sort();
byId("f-folder").append(...folders.slice(0, 2000).map(name => new Option(name, name)));
byId("f-group").append(...groups.map((group, k) =>
  new Option(`${group.name} (${group.count})`, String(k))), new Option("in no group", "-1"));
const sides = ids.map((_, row) => longest(row)).filter(Number.isFinite);
if (sides.length) {
  byId("f-low").placeholder = number(sides.reduce((a, b) => Math.min(a, b)));
  byId("f-high").placeholder = number(sides.reduce((a, b) => Math.max(a, b)));
}

function filter() {
  const [name, folder, group, low, high] = fields.map(field => field.value);
  const words = name.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (let row = 0; row < ids.length; row++) {
    const text = (ids[row] + " " + files[row]).toLowerCase(), size = longest(row);
    const own = folderOf(row);
    const fits = words.every(word => text.includes(word))
      && (!folder || own === folder || own.startsWith(folder + "/"))
      && (!group || groupOf[row] === Number(group))
      && (!low || size >= Number(low)) && (!high || size <= Number(high));
    shown[row] = fits ? 1 : 0;
    count += shown[row];
  }
  [...byId("legend").querySelectorAll("button")].forEach((button, k) =>
    button.setAttribute("aria-pressed", String(group === String(k))));
  byId("f-count").textContent = `${number(count)} of ${number(ids.length)} shapes`;
  redraw();
  openTab(current);
}

fields.forEach(field => field.addEventListener("input", filter));
byId("filters").addEventListener("submit", event => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(filter));

// The legend: a group each, which leaves its shapes alone on the map.
const MOST_IN_LEGEND = 18;
byId("legend").append(...groups.slice(0, MOST_IN_LEGEND).map((group, k) => {
  const button = element("button", { type: "button" }, dotOf(group),
    `${group.name} (${number(group.count)})`);
  button.addEventListener("click", () => {
    byId("f-group").value = byId("f-group").value === String(k) ? "" : String(k);
    filter();
  });
  return element("li", {}, button);
}));
if (groups.length > MOST_IN_LEGEND) byId("legend").append(element("li", {
  className: "quiet", textContent: `and ${number(groups.length - MOST_IN_LEGEND)} more, under Groups`,
}));

function dotOf(group) {
  const dot = element("i", { className: "dot" });
  dot.style.background = group.color;
  return dot;
}

// Lists, a tab each.
const isShown = row => shown[row];
const bothShown = finding => shown[finding.first] && shown[finding.second];

function listed(items, make, kind = "div", className = "grid") {
  const part = element(kind, { className }, ...items.slice(0, MOST_LISTED).map(make));
  const more = items.length - MOST_LISTED;
  return more > 0 ? [part, element("p", {
    className: "quiet",
    textContent: `and ${number(more)} more: filter them, or see the CSV files beside this page`,
  })] : [part];
}

const nothing = text => [element("p", { className: "quiet", textContent: text })];
const rows = ids.map((_, row) => row);

function pairElement(finding) {
  const pair = element("div", { className: "pair" });
  pair.append(element("p", { textContent: finding.words }),
    shapeButton(finding.first, sizeNote(finding.first)),
    shapeButton(finding.second, sizeNote(finding.second)));
  pair.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const isFirst = button === pair.querySelector("button");
    choose(isFirst ? finding.first : finding.second, true,
      isFirst ? finding.second : finding.first);
  });
  return pair;
}

const sizeNote = row => facts[row] ? facts[row].box.map(number).join(" × ") : "";

const tabs = [
  ["Duplicates", () => content.kinds.flatMap(({ kind, title }) => {
    const pairs = findings.filter(finding => finding.kind === kind && bothShown(finding));
    if (!pairs.length) return [];
    return [element("h3", { textContent: `${title} (${number(pairs.length)})` }),
      ...listed(pairs, pairElement, "div", "")];
  }), findings.length, "No duplicates and no near-duplicates were found."],
  ["Groups", () => groups.flatMap((group, k) => {
    const own = rows.filter(row => shown[row] && groupOf[row] === k);
    if (!own.length) return [];
    return [element("h3", {}, dotOf(group), `${group.name} (${number(own.length)})`),
      ...listed(own.slice(0, 24), row => shapeButton(row, sizeNote(row)))];
  }), groups.length, "No groups were found: the shapes are few, or all unlike one another."],
  ["Outliers", () => listed(content.outliers.filter(isShown), row => {
    const note = likeness(shares[row * NEAREST], distances[row * NEAREST]);
    return shapeButton(row, `to the nearest other shape: ${note}`);
  }), content.outliers.length, "No shape is unlike all others."],
  ["Shapes", () => listed(rows.filter(isShown), row => shapeButton(row, sizeNote(row))),
    ids.length, "There are none."],
  ["Refused", () => listed(content.refused, text => element("li", { textContent: text }), "ul", ""),
    content.refused.length, "Every file that was found could be used."],
];
let current = findings.length ? 0 : groups.length ? 1 : 3;

function openTab(index) {
  current = index;
  [...byId("tabs").children].forEach((tab, k) => {
    tab.setAttribute("aria-selected", String(k === index));
    tab.tabIndex = k === index ? 0 : -1;
  });
  const [, make, count, otherwise] = tabs[index], made = count ? make() : nothing(otherwise);
  byId("lists").replaceChildren(...(made.length && made.some(part => part.childNodes.length)
    ? made : nothing("None of them passes the filters.")));
  byId("lists").setAttribute("aria-label", tabs[index][0]);
}

byId("lists").setAttribute("role", "tabpanel");
tabs.forEach(([name, , count], index) => {
  const tab = element("button", { type: "button", textContent: `${name} (${number(count)})` });
  tab.setAttribute("role", "tab");
  tab.addEventListener("click", () => openTab(index));
  tab.addEventListener("keydown", event => {
    const next = {
      ArrowRight: (index + 1) % tabs.length, ArrowLeft: (index + tabs.length - 1) % tabs.length,
      Home: 0, End: tabs.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    openTab(next);
    byId("tabs").children[next].focus();
  });
  byId("tabs").append(tab);
});
filter();
if (ids.length === 1) choose(0);
