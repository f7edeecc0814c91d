// Uses the page of interpolations as a person would, and leaves what came of it at its end.
addEventListener("load", () => setTimeout(async () => {
  const by = id => document.getElementById(id);
  const comes = async check => {
    for (let turn = 0; turn < 12 && !check(); turn++) await new Promise(done => setTimeout(done, 500));
    return check();
  };
  const picture = () => by("view").toDataURL();
  const told = { errors: window.errors };
  await comes(() => picture().length > 3000);
  const key = (element, name) => element.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
  const changes = async act => {
    const before = picture();
    act();
    return before.length > 3000 && comes(() => picture() !== before);
  };
  told.turned = await changes(() => key(by("view"), "ArrowLeft"));
  told.grown = await changes(() => key(by("view"), "+"));
  told.stepped = await changes(() => {
    by("step").value = 2;
    by("step").dispatchEvent(new Event("input"));
  });
  told.label = by("label").textContent;
  told.last = by("step").max;
  by("play").click();
  told.played = await comes(() => by("step").value !== "2");
  by("play").click();
  told.play = by("play").textContent;
  told.reached = [by("view"), by("path"), by("play"), by("step")].every(part => part.tabIndex === 0);
  told.requests = performance.getEntriesByType("resource").length;
  told.width = document.documentElement.scrollWidth;
  told.paper = getComputedStyle(document.body).backgroundColor;
  const out = document.createElement("pre");
  out.id = "told";
  out.textContent = JSON.stringify(told);
  document.body.append(out);
}, 300));
