"use strict";
// The state of the page lives in the address after '#', so that a view can be bookmarked and sent.
const data = JSON.parse(document.getElementById("state").textContent);
const $ = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
const FIELDS = ["sort", "show", "cls", "is", "says", "kind", "q", "scale", "score", "under", "over", "window"];
const initial = Object.fromEntries(FIELDS.filter($).map((name) => [name, $(name).value]));
// Better first: small errors, otherwise large values; names from a to z.
const ASCENDING = new Set(["order", "id", "error", "octaves", "sigma", "truth"]);
const sortsUpwards = (sort) => ASCENDING.has(sort) || data.lower.includes(sort.split(":").pop());
let descending = false;

function value(entry, index, sort) {
  if (sort === "order") return index;
  if (sort.startsWith("p:")) return entry.p[sort.slice(2)];
  if (sort.startsWith("score:")) {
    const at = sort.lastIndexOf(":");
    return (entry.scores[sort.slice(6, at)] || {})[sort.slice(at + 1)];
  }
  return entry[sort];
}

function passes(entry) {
  const chosen = (name) => $(name) ? $(name).value : "";
  const show = $("show").value, cls = chosen("cls"), kind = chosen("kind");
  const mistake = entry.verdict !== "correct" && entry.verdict !== "unknown";
  if (show === "mistakes" ? !mistake : show !== "all" && entry.verdict !== show) return false;
  if (cls.startsWith("is:") && entry.label !== cls.slice(3)) return false;
  if (cls.startsWith("says:") && entry.predicted !== cls.slice(5)) return false;
  if (chosen("is") && entry.label !== chosen("is")) return false;
  if (chosen("says") && entry.predicted !== chosen("says")) return false;
  if (kind && entry.kind !== kind) return false;
  const words = $("q").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [entry.id, entry.source, entry.kind, entry.notes].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function arrange() {
  const sort = $("sort").value, sign = descending ? -1 : 1;
  const order = data.entries.map((entry, i) => ({ i, v: value(entry, i, sort) }));
  const missing = (v) => v === null || v === undefined;
  order.sort((a, b) => {
    if (missing(a.v) || missing(b.v)) return missing(a.v) - missing(b.v) || a.i - b.i;
    const c = typeof a.v === "string" ? a.v.localeCompare(b.v, "en", { numeric: true }) : a.v - b.v;
    return sign * c || a.i - b.i;
  });
  const parent = $("cards");
  let shown = 0;
  for (const { i } of order) {
    cards[i].hidden = !passes(data.entries[i]);
    shown += !cards[i].hidden;
    parent.append(cards[i]);
  }
  $("count").textContent = `${shown} of ${cards.length} shown`;
  $("none").hidden = shown > 0;
  $("dir").textContent = descending ? "↓ high first" : "↑ low first";
  $("dir").setAttribute("aria-pressed", String(descending));
}

function fraction(x) {
  if (x === null || x === undefined) return "";
  return x.toFixed(2);
}

// Of a few maps the score is named, since all the others stand under it.
const labelScore = (name, v) => `${comparesFew() ? (data.scores[name] || name) + " " : ""}${fraction(v)}`;
const isBetter = (v, bars, name) => data.lower.includes(name) ? v < Math.min(...bars) : v > Math.max(...bars);

function showScores() {
  const name = $("score") ? $("score").value : null;
  cards.forEach((card, i) => {
    const scores = data.entries[i].scores;
    const bars = data.trivial.map((m) => (scores[m] || {})[name]).filter((v) => typeof v === "number");
    for (const tile of card.querySelectorAll(".tile.map")) {
      const method = tile.dataset.m, v = (scores[method] || {})[name], place = tile.querySelector(".score");
      place.textContent = v === undefined || v === null ? "" : labelScore(name, v);
      if (typeof v === "number" && bars.length && !data.trivial.includes(method) && isBetter(v, bars, name)) {
        const up = Object.assign(document.createElement("span"), { className: "up", textContent: " ▲" });
        up.title = "better than every trivial map on this example";
        place.append(up);
      }
      showOthers(tile, scores[method] || {}, name);
    }
  });
}

// ---- scale of the maps: every map is a PNG with a palette; a new scale is a new palette ----
const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function write(bytes, at, name, values) {
  bytes.set([...name].map((c) => c.charCodeAt(0)), at + 4);
  bytes.set(values, at + 8);
  let crc = 0xffffffff;
  for (let i = at + 4; i < at + 8 + values.length; i++) crc = CRC[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  new DataView(bytes.buffer).setUint32(at + 8 + values.length, ~crc >>> 0);
}

function repaint(image, low, high, ramp) {
  const levels = ramp.length / 4, lo = +image.dataset.lo, hi = +image.dataset.hi;
  const bytes = Uint8Array.from(atob(image.src.split(",", 2)[1]), (c) => c.charCodeAt(0));
  const colours = new Uint8Array(3 * levels), alphas = new Uint8Array(levels);
  for (let i = 0; i < levels; i++) {
    const v = lo + (i / (levels - 1)) * (hi - lo);
    const at = 4 * Math.round(Math.min(1, Math.max(0, (v - low) / (high - low))) * (levels - 1));
    colours.set(ramp.slice(at, at + 3), 3 * i);
    alphas[i] = ramp[at + 3];
  }
  write(bytes, 33, "PLTE", colours);
  write(bytes, 33 + 12 + 3 * levels, "tRNS", alphas);
  let text = "";
  for (const b of bytes) text += String.fromCharCode(b);
  image.src = "data:image/png;base64," + btoa(text);
}

let painted = "shared";
function showScale() {
  const own = $("scale").value === "own";
  if ($("scale").value !== painted) {
    painted = $("scale").value;
    for (const image of document.querySelectorAll("img.map")) {
      const [low, high, diverging] = data.methods[image.closest(".tile").dataset.m].scale;
      const lo = +image.dataset.lo, hi = +image.dataset.hi;
      const flat = !(hi > lo);
      repaint(image, own && !flat ? lo : low, own && !flat ? hi : high, data.ramps[diverging]);
    }
  }
  $("scale-note").textContent = own
    ? "Each map fills the colours by itself: strengths do not compare between examples."
    : "One scale for all examples of a method: strengths compare between examples, not between methods.";
}

// ---- address, controls ----
function save() {
  const params = new URLSearchParams();
  for (const name of Object.keys(initial)) if ($(name).value !== initial[name]) params.set(name, $(name).value);
  if (descending === sortsUpwards($("sort").value)) params.set("dir", descending ? "desc" : "asc");
  if (!$("marks").checked) params.set("marks", "0");
  if (choosesSome()) for (const method of listChosen()) params.append("m", method);
  history.replaceState(null, "", "#" + params);
}

function load() {
  const params = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(initial)) {
    $(name).value = params.has(name) ? params.get(name) : initial[name];
    // A select takes no value that it has no option for.
    if ($(name).value === "" && initial[name] !== "") $(name).value = initial[name];
  }
  descending = params.has("dir") ? params.get("dir") === "desc" : !sortsUpwards($("sort").value);
  $("marks").checked = params.get("marks") !== "0";
  choose(params.getAll("m"));
  apply();
}

function apply() {
  arrange();
  showMethods();
  showWindow();
  showScores();
  showScale();
  document.body.style.setProperty("--under", $("under").value / 100);
  document.body.style.setProperty("--over", $("over").value / 100);
  document.body.classList.toggle("nomarks", !$("marks").checked);
}

// ---- enlarged view ----
let open = null;
function enlarge(button) {
  open = button;
  const tile = button.closest(".tile"), card = button.closest(".card"), entry = data.entries[+card.dataset.i];
  const view = button.querySelector(".stack").cloneNode(true), method = data.methods[tile.dataset.m];
  const ratio = card.style.getPropertyValue("--ratio"), one = card.style.getPropertyValue("--one");
  const [w, h] = (oneWindow() === null ? ratio : one).split("/").map(Number);
  const axes = card.querySelector(".plot"), frame = axes ? axes.cloneNode(true) : view;
  if (axes) frame.querySelector(".stack").replaceWith(view);
  for (const name of ["--ratio", "--one", "--wide", "--step"]) {
    view.style.setProperty(name, card.style.getPropertyValue(name));
  }
  frame.style.width = `min(100%, ${(72 * w) / h}vh)`;
  $("zoom").classList.toggle("wide", card.classList.contains("wide"));
  $("zoom-view").replaceChildren(frame);
  $("zoom-title").textContent = `${entry.id}: ${method ? method.label : "image"}`;
  const text = $("zoom-text");
  text.textContent = "";
  if (!method) { text.textContent = tile.querySelector("figcaption").textContent; return; }
  const image = tile.querySelector("img.map"), own = $("scale").value === "own";
  const [low, high, diverging] = own ? [+image.dataset.lo, +image.dataset.hi, method.scale[2]] : method.scale;
  const ramp = Object.assign(document.createElement("i"), { className: "ramp " + (diverging ? "d" : "q") });
  const about = method.text ? method.text[0].toUpperCase() + method.text.slice(1) + ". " : "";
  text.append(about, shorten(low), ramp, shorten(high),
    own ? " (scale of this map)" : " (one scale for all examples)", document.createElement("br"));
  for (const [name, v] of Object.entries(entry.scores[tile.dataset.m] || {})) {
    text.append(`${data.scores[name] || name} `, Object.assign(document.createElement("b"), { textContent: fraction(v) || "–" }), "   ");
  }
}

// ---- time and frequency under the pointer, on pages of events ----
function readout(event) {
  const stack = data.events && event.target.closest(".stack"), tip = $("tip");
  if (!data.events) return;
  if (!stack) { tip.hidden = true; return; }
  const box = stack.getBoundingClientRect(), [low, high, ...windows] = data.events;
  const [total, height] = getComputedStyle(stack).getPropertyValue("--ratio").split("/").map(Number);
  const gap = data.gap / total, width = (1 - (windows.length - 1) * gap) / windows.length;
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  const many = oneWindow() === null;
  const i = many ? Math.min(windows.length - 1, Math.floor(x / (width + gap))) : oneWindow();
  const at = many ? (x - i * (width + gap)) / width : x;
  tip.hidden = at > 1 || y < 0 || y > 1;
  const time = (at - 0.5) * windows[i], frequency = high * (low / high) ** y;
  tip.textContent = `${shorten(+time.toFixed(3))} s · ${shorten(frequency)} Hz`;
  const parent = stack.closest("dialog") || document.body;
  if (tip.parentNode !== parent) parent.append(tip);
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 130)}px`;
  tip.style.top = `${event.clientY + 16}px`;
}
document.addEventListener("pointermove", readout);

function shorten(x) { return (+x.toPrecision(3)).toString().replace("-", "−"); }

function step(by) {
  const all = [...document.querySelectorAll(".card:not([hidden]) .tile:not([hidden]) .zoom")], at = all.indexOf(open) + by;
  if (all[at]) enlarge(all[at]);
}
