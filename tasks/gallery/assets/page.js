"use strict";
// Wires the parts together: the address says what to show, and every part shows it.
(() => {
  const { find, number } = relume;
  const { address, filters, grid, detail, tables } = relume.parts;
  const THEMES = ["system", "light", "dark"];
  const TYPING_MS = 150; // a pause in typing

  function show() {
    const state = address.read();
    for (const view of ["pairs", "audit", "about"]) {
      find(`${view}-view`).hidden = state.view !== view;
      find(`go-${view}`).toggleAttribute("aria-current", state.view === view);
      if (state.view === view) find(`go-${view}`).setAttribute("aria-current", "page");
    }
    if (document.activeElement !== find("query")) find("query").value = state.query;
    if (state.view === "audit") tables.showAudit();
    if (state.view === "about") tables.showAbout();
    filters.show(state);
    if (state.view === "pairs") grid.show(state);
    detail.show(state);
  }

  function head() {
    const { summary } = relume;
    const made = summary.stages.map(({ stage }) => stage).join(" → ");
    const only = summary.num_rows < summary.num_made ? `selected of ${number(summary.num_made)} ` : "";
    document.title = `${summary.dataset}: Relume gallery`;
    find("title").textContent = summary.dataset;
    find("subtitle").textContent = `${number(summary.num_rows)} ${only}${grid.noun(summary.num_rows)} · ${made} · ${summary.size_px} px`;
    find("query-label").textContent = summary.has_names ? "Search by name or id" : "Search by id";
    find("procedural").hidden = !summary.procedural;
    find("incomplete").hidden = summary.complete;
    find("incomplete").textContent = `Incomplete: ${number(summary.num_made)} of ${number(summary.num_planned)} planned samples were there when this gallery was made.`;
    find("pairs").style.setProperty("--card", summary.picture_px >= 128 ? "17rem" : "13rem");
    find("pairs").style.setProperty("--stages", summary.stages.length);
    find("grid").classList.toggle("coarse", summary.picture_px < 128);
  }

  function theme() {
    let chosen = "system";
    try {
      chosen = localStorage.getItem("relume-theme") ?? chosen;
    } catch { /* a browser that keeps nothing follows the system */ }
    const apply = () => {
      document.documentElement.dataset.theme = chosen;
      find("theme").textContent = `Theme: ${chosen}`;
    };
    find("theme").addEventListener("click", () => {
      chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length];
      try {
        localStorage.setItem("relume-theme", chosen);
      } catch { /* it holds for this page at least */ }
      apply();
    });
    apply();
  }

  function search() {
    let pause = 0;
    find("query").addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => address.go({ query: find("query").value, page: 1 }, { replace: true }), TYPING_MS);
    });
  }

  theme();
  if (!relume.summary) {
    find("subtitle").textContent = "data/summary.js cannot be read; build the gallery anew with relume gallery.";
    return;
  }
  find("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is taken by what is looked at
    find("pairs").focus();
  });
  head();
  filters.build();
  grid.wire();
  detail.wire();
  search();
  window.addEventListener("hashchange", show);
  window.addEventListener("popstate", show);
  show();
})();
