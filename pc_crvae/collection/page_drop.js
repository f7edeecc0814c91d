// Files dropped on the page, where a server stands behind it: it says how large they may be.
const MOST_SENT = Number(document.body.dataset.mostSent ?? 0);
const waitingFiles = [];
let isSending = false;

function tell(text) {
  byId("d-told").textContent = text;
}

// One after another, so that the server has one to read at a time.
async function send(files) {
  waitingFiles.push(...files);
  if (isSending) return;
  isSending = true;
  while (waitingFiles.length) await lookUp(waitingFiles.shift());
  isSending = false;
}

async function lookUp(file) {
  if (file.size > MOST_SENT)
    return tell(`${file.name} has more than ${number(MOST_SENT / 2 ** 20)} MB: simplify it.`);
  tell(`Reading ${file.name} …`);
  try {
    const address = `nearest?name=${encodeURIComponent(file.name)}`;
    const answer = await fetch(address, { method: "POST", body: file });
    const found = await answer.json();
    if (found.refused) return tell(`Refused: ${found.refused}.`);
    showFound(found);
    tell(`${number(found.nearest.length)} shapes are nearest to ${found.name}.`);
  } catch {
    tell(`${file.name} could not be sent: is the server still running, and is the file still there?`);
  }
}

function showFound(found) {
  const values = new Int8Array(bytesOf(found.points).buffer);
  const picture = element("canvas", { width: 400, height: 400, tabIndex: 0 });
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `${found.name}. Drag it, or use the arrow keys, to turn it.`);
  const draw = () => drawBalls(picture, cloudAt(values, 0), view);
  const view = turning(picture, draw, { hover: true });
  draw();
  const own = element("div", { className: "own" }, picture,
    element("h3", { textContent: found.name }),
    element("p", { className: "quiet", textContent: measuresOf(found.facts).map(
      ([name, value]) => `${name} ${value}`).join(", ") }));
  const nearest = found.nearest.map(({ row, path, distance, share }) => {
    const button = shapeButton(row, `${likeness(share, distance)}`);
    if (path) button.lastElementChild.append(element("small", { textContent: path }));
    return element("li", {}, button);
  });
  byId("d-found").replaceChildren(own, element("ol", { className: "plain grid" }, ...nearest));
  if (found.nearest.length) choose(found.nearest[0].row, true);
}

if (MOST_SENT) {
  byId("drop").hidden = false;
  byId("d-files").addEventListener("change", event => {
    send([...event.target.files]);
    event.target.value = "";  // so that the same file can be chosen again
  });
  const hasFiles = event => [...event.dataTransfer.types].includes("Files");
  addEventListener("dragover", event => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  addEventListener("dragleave", event => {
    if (event.relatedTarget === null) byId("drop").classList.remove("over");
  });
  addEventListener("drop", event => {
    byId("drop").classList.remove("over");
    if (!hasFiles(event)) return;
    event.preventDefault();
    send([...event.dataTransfer.files]);
  });
}
