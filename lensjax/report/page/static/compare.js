
// ---- which maps are shown: a few of them are drawn bigger, with all of their scores ----
const boxes = [...document.querySelectorAll('#pick input[name="m"]')];
const listChosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
const choosesSome = () => boxes.length > 0 && listChosen().length < boxes.length;
const comparesFew = () => choosesSome() && listChosen().length <= 4;

function choose(methods) {
  const known = methods.filter((method) => boxes.some((box) => box.value === method));
  for (const box of boxes) box.checked = known.length === 0 || known.includes(box.value);
}

function showMethods() {
  if (!boxes.length) return;
  if (!listChosen().length) choose([]); // nothing chosen: everything
  const shown = new Set(listChosen());
  for (const tile of document.querySelectorAll("[data-m]")) tile.hidden = !shown.has(tile.dataset.m);
  $("cards").classList.toggle("few", comparesFew());
  const names = listChosen().map((method) => data.methods[method].label);
  $("picked").textContent = choosesSome() ? names.join(", ") : `all ${boxes.length}`;
}

function showOthers(tile, scores, main) {
  const rest = Object.entries(scores).filter(([name]) => name !== main);
  let line = tile.querySelector(".more");
  if (!comparesFew() || !rest.length) { if (line) line.remove(); return; }
  if (!line) {
    line = Object.assign(document.createElement("span"), { className: "more" });
    tile.querySelector("figcaption").append(line);
  }
  line.textContent = rest.map(([name, v]) => `${data.scores[name] || name} ${fraction(v) || "–"}`).join(" · ");
}

// ---- windows of an event: all side by side, or one after the other ----
function oneWindow() {
  const value = $("window") ? $("window").value : "";
  return value === "" ? null : +value;
}

function showWindow() {
  const at = oneWindow();
  document.body.classList.toggle("one", at !== null);
  document.body.style.setProperty("--window", at === null ? 0 : at);
  for (const part of document.querySelectorAll(".heads, .time, .decisions")) {
    [...part.children].forEach((child, i) => { child.hidden = at !== null && i !== at; });
  }
  for (const steps of document.querySelectorAll(".steps")) {
    steps.hidden = !data.windows.length;
    steps.querySelector(".window-name").textContent = at === null ? "side by side" : data.windows[at];
  }
}

function stepWindow(by) {
  if (!$("window")) return;
  const places = data.windows.length + 1, at = oneWindow() === null ? 0 : oneWindow() + 1;
  const next = (at + by + places) % places;
  $("window").value = next === 0 ? "" : String(next - 1);
  showWindow();
  save();
  if ($("zoom").open) enlarge(open);
}
