// Drops a file on the served page of a collection, as a person would, and leaves what came of it.
addEventListener("load", () => setTimeout(async () => {
  const by = id => document.getElementById(id);
  const told = { errors: window.errors, shown: !by("drop").hidden };
  const settles = async () => {
    for (let turn = 0; turn < 400 && /^(|Reading.*)$/.test(by("d-told").textContent); turn++)
      await new Promise(done => setTimeout(done, 100));
    return by("d-told").textContent;
  };
  const drop = async (name, text) => {
    by("d-told").textContent = "";
    const dropped = new DataTransfer();
    dropped.items.add(new File([text], name));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true }));
    return settles();
  };
  told.refused = await drop("<b>bad.off", "OFF\n");
  told.found = await drop("mine.off", by("upload").textContent);
  told.nearest = [...by("d-found").querySelectorAll("li")].map(item => item.textContent);
  told.picture = by("d-found").querySelector("canvas").toDataURL().length;
  told.chosen = by("s-path").textContent;
  told.width = document.documentElement.scrollWidth;
  by("d-told").textContent = "";
  const large = { name: "large.stl", size: Number(document.body.dataset.mostSent) + 1 };
  const input = by("d-files");
  Object.defineProperty(input, "files", { value: [large], configurable: true });
  input.dispatchEvent(new Event("change"));
  told.large = await settles();
  const out = document.createElement("pre");
  out.id = "told";
  out.textContent = JSON.stringify(told);
  document.body.append(out);
}, 300));
