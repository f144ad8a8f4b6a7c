
// ---- what a card shows as one PNG: drawn on a canvas here, nothing is sent anywhere ----
const PAD = 16, BAR = 10;

function picture(source) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = source;
  });
}

const style = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

function marksOf(card, width, height) {
  const svg = card.querySelector("svg.marks").cloneNode(false), symbol = card.querySelector("symbol").cloneNode(true);
  const sheet = document.createElementNS(svg.namespaceURI, "style");
  sheet.textContent = `.mk { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2.4px; } .case, .edge { stroke: #000;
    stroke-width: 4px; opacity: 0.5; } .arc { stroke: ${style("--arc")}; stroke-width: 1.8px; } .true { stroke: ${style("--true")}; }
    .pred { stroke: ${style("--pred")}; } .dot { fill: ${style("--pred")}; } .dash { stroke-dasharray: 5 5; }
    .rule { stroke: #fff; } text { fill: #fff; font-family: sans-serif; } .map .bar { display: none; }`;
  svg.setAttribute("viewBox", symbol.getAttribute("viewBox"));
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.append(sheet, ...symbol.childNodes);
  return svg;
}

const address = (svg) => "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(svg));

async function panel(context, card, tile, box) {
  const at = oneWindow(), many = at === null ? 1 : +card.style.getPropertyValue("--wide");
  const from = at === null ? 0 : +card.style.getPropertyValue("--step") * at;
  const photo = tile.querySelector("img.photo"), map = tile.querySelector("img.map"), under = tile.querySelector(".under");
  const draw = (image) => {
    const width = image.naturalWidth / many;
    context.drawImage(image, from * width, 0, width, image.naturalHeight, box.x, box.y, box.w, box.h);
  };
  context.fillStyle = "#fff";
  context.fillRect(box.x, box.y, box.w, box.h);
  context.imageSmoothingEnabled = false;
  if (photo) draw(await picture(photo.src));
  if (map) {
    const below = await picture(getComputedStyle(under).backgroundImage.slice(5, -2));
    context.globalAlpha = $("under").value / 100;
    context.filter = "brightness(0.72)";
    draw(below);
    context.filter = "none";
    context.globalAlpha = $("over").value / 100;
    draw(await picture(map.src));
    context.globalAlpha = 1;
  }
  if ($("marks").checked && (photo || map)) {
    const marks = marksOf(card, Math.round(box.w * many), Math.round(box.h));
    if (map) marks.setAttribute("class", "map");
    draw(await picture(address(marks)));
  }
}

function bar(context, tile, box) {
  const image = tile.querySelector("img.map"), method = data.methods[tile.dataset.m];
  const own = $("scale").value === "own";
  const [low, high, diverging] = own ? [+image.dataset.lo, +image.dataset.hi, method.scale[2]] : method.scale;
  const ramp = data.ramps[diverging], y = box.y + box.h + 6;
  for (let x = 0; x < box.w; x++) {
    const at = 4 * Math.round((x / (box.w - 1)) * (ramp.length / 4 - 1));
    context.fillStyle = `rgba(${ramp[at]},${ramp[at + 1]},${ramp[at + 2]},${ramp[at + 3] / 255})`;
    context.fillRect(box.x + x, y, 1, BAR);
  }
  label(context, shorten(low), box.x, y + BAR + 14, box.w / 2, "left");
  label(context, shorten(high), box.x + box.w, y + BAR + 14, box.w / 2, "right");
}

function label(context, text, x, y, width, align = "left", font = "13px sans-serif") {
  Object.assign(context, { font, textAlign: align, fillStyle: "#111" });
  context.fillText(text, x, y, width);
}

async function drawCard(card) {
  const entry = data.entries[+card.dataset.i];
  const tiles = [...card.querySelectorAll(".tile")].filter((tile) => !tile.hidden);
  const wide = card.classList.contains("wide") && oneWindow() === null;
  const ratio = card.style.getPropertyValue(oneWindow() === null ? "--ratio" : "--one").split("/").map(Number);
  const w = wide ? 860 : 320, h = Math.round((w * ratio[1]) / ratio[0]), columns = Math.min(wide ? 2 : 4, tiles.length);
  const rows = Math.ceil(tiles.length / columns), high = h + 88, canvas = document.createElement("canvas");
  canvas.width = columns * (w + PAD) + PAD;
  canvas.height = rows * high + 56;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const place = oneWindow() === null ? "" : `, ${data.windows[oneWindow()]}`;
  label(context, `${entry.id}${place}: ${card.querySelector(".verdict").textContent}`, PAD, 30, canvas.width - 2 * PAD, "left", "600 17px sans-serif");
  for (const [i, tile] of tiles.entries()) {
    const box = { x: PAD + (i % columns) * (w + PAD), y: 78 + Math.floor(i / columns) * high, w, h };
    const score = tile.querySelector(".score"), method = data.methods[tile.dataset.m];
    label(context, method ? method.label : "Image", box.x, box.y - 8, w - 70, "left", "600 13px sans-serif");
    if (score) label(context, score.textContent, box.x + w, box.y - 8, w / 2, "right");
    await panel(context, card, tile, box);
    if (tile.querySelector("img.map")) bar(context, tile, box);
    else if (method) label(context, "not available", box.x + 8, box.y + 20, w - 16);
  }
  return canvas;
}

async function savePng(card) {
  const canvas = await drawCard(card), link = document.createElement("a");
  link.href = canvas.toDataURL("image/png");
  link.download = data.entries[+card.dataset.i].id.replace(/[^\w.-]+/g, "_") + ".png";
  link.click();
}
