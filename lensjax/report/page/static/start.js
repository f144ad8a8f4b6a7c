
// ---- what listens ----
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.zoom");
  if (button) { enlarge(button); $("zoom").showModal(); }
  const saved = event.target.closest("button.save"), stepped = event.target.closest("button.earlier, button.later");
  if (saved) savePng(saved.closest(".card"));
  if (stepped) stepWindow(stepped.className === "later" ? 1 : -1);
  if ($("pick") && $("pick").open && !event.target.closest("#pick")) $("pick").open = false;
});
$("zoom").addEventListener("click", (event) => { if (event.target === $("zoom")) $("zoom").close(); });
$("zoom").addEventListener("close", () => { if (open) open.focus(); });
$("zoom").addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") step(event.key === "ArrowRight" ? 1 : -1);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches('input[type="search"], select'), other = event.ctrlKey || event.metaKey;
  if (!typing && !other && (event.key === "[" || event.key === "]")) stepWindow(event.key === "]" ? 1 : -1);
  if (event.key === "Escape" && $("pick") && $("pick").open) { $("pick").open = false; $("picked").focus(); }
});
$("prev").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => $("zoom").close());
if ($("copy")) $("copy").addEventListener("click", () => {
  navigator.clipboard.writeText(document.querySelector(".command code").textContent)
    .then(() => { $("copy").textContent = "Copied"; }, () => { $("copy").textContent = "Select and copy"; });
});
if ($("controls")) {
  $("controls").addEventListener("input", (event) => {
    if (event.target.id === "sort") descending = !sortsUpwards($("sort").value);
    apply();
    save();
  });
  $("dir").addEventListener("click", () => { descending = !descending; apply(); save(); });
  if ($("all")) $("all").addEventListener("click", () => { choose([]); apply(); save(); });
  for (const id of ["reset", "reset2"]) $(id).addEventListener("click", () => { history.replaceState(null, "", "#"); load(); });
  window.addEventListener("hashchange", load);
  load();
}
