"use strict";
(() => {
  const list = document.getElementById("results");
  if (!list) return;
  const results = [...list.children];
  const form = document.getElementById("filter");
  const find = document.getElementById("find");
  const expand = document.getElementById("expand");
  const toggles = [...form.querySelectorAll("[data-verdict]")];
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());

  const apply = () => {
    const on = new Set(toggles.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.verdict));
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of results) {
      const fits = on.has(one.dataset.verdict) && words.every((word) => one.dataset.find.includes(word));
      one.hidden = !fits;
      shown += fits;
    }
    document.getElementById("nothing").hidden = shown > 0;
    document.getElementById("shown").textContent = shown === results.length ? "" : `${shown} of ${results.length}`;
  };
  for (const button of toggles) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
  find.addEventListener("input", apply);

  const open = (on) => results.forEach((one) => { one.firstElementChild.open = on; });
  expand.addEventListener("click", () => {
    const on = expand.getAttribute("aria-pressed") !== "true";
    expand.setAttribute("aria-pressed", String(on));
    expand.textContent = on ? "Collapse all" : "Expand all";
    open(on);
  });

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target.firstElementChild && target.firstElementChild.tagName === "DETAILS") target.firstElementChild.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => open(true));
  reveal();
})();
