// Uses the page of a collection as a person would, and leaves what came of it at its end.
addEventListener("load", () => setTimeout(async () => {
  const by = id => document.getElementById(id);
  const wait = () => new Promise(done => setTimeout(done, 500));
  // Pictures are drawn with the next frame, which a busy machine may be late with.
  const comes = async check => {
    for (let turn = 0; turn < 12 && !check(); turn++) await wait();
    return check();
  };
  const picture = canvas => canvas.toDataURL().length > 3000 ? canvas.toDataURL() : "";
  const told = { errors: window.errors };
  const count = () => by("f-count").textContent;
  told.all = count();
  told.droppable = !by("drop").hidden;
  by("map").focus();
  by("map").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  await wait();
  told.chosen = by("s-path").textContent;
  told.nearest = [...by("s-nearest").querySelectorAll("span")].map(span => span.textContent);
  await comes(() => picture(by("shape")) !== "");
  const before = picture(by("shape"));
  by("shape").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  told.turned = before !== "" && await comes(() => picture(by("shape")) !== before);
  by("s-nearest").querySelector("button").click();
  await wait();
  told.next = by("s-path").textContent;
  const whole = by("map").toDataURL();
  by("z-in").click();
  told.zoomed = await comes(() => by("map").toDataURL() !== whole);
  by("f-name").value = "rod";
  by("f-name").dispatchEvent(new Event("input"));
  await wait();
  told.filtered = count();
  by("filters").reset();
  await wait();
  told.again = count();
  told.tabs = [...by("tabs").children].map(tab => {
    tab.click();
    return [tab.textContent, by("lists").textContent];
  });
  by("tabs").children[0].focus();
  by("tabs").children[0].dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
  told.lastTab = [document.activeElement.textContent, by("lists").getAttribute("aria-label")];
  told.unreachable = [...document.querySelectorAll("button, input, select, summary, a, canvas")]
    .filter(part => part.offsetParent && part.tabIndex < 0 && !part.closest("[aria-hidden], #tip"))
    .filter(part => part.getAttribute("role") !== "tab")  // the arrow keys go from tab to tab
    .map(part => part.outerHTML);
  told.requests = performance.getEntriesByType("resource").length;
  told.width = document.documentElement.scrollWidth;
  told.dark = getComputedStyle(document.body).backgroundColor;
  const out = document.createElement("pre");
  out.id = "told";
  out.textContent = JSON.stringify(told);
  document.body.append(out);
}, 300));
