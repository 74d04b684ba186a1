"use strict";
// What is looked at stands in the address after the #, so that it can be kept, sent and gone back to.
relume.parts.address = (() => {
  const VIEWS = ["pairs", "audit", "about"];
  const SIZES = [12, 24, 48, 96];

  function read() {
    const words = new URLSearchParams(location.hash.slice(1));
    const known = new Set(relume.summary.attributes.map((one) => one.key));
    const filters = new Map();
    for (const key of words.keys()) {
      if (known.has(key)) filters.set(key, new Set(words.getAll(key)));
    }
    const page = Number.parseInt(words.get("page"), 10);
    const per = Number.parseInt(words.get("per"), 10);
    const view = words.get("view");
    return {
      view: VIEWS.includes(view) ? view : "pairs",
      query: words.get("q") ?? "",
      shard: words.get("shard") ?? "",
      id: words.get("id") ?? "",
      filters,
      page: page > 0 ? page : 1,
      per: SIZES.includes(per) ? per : 24,
    };
  }

  function text(state) {
    const words = new URLSearchParams();
    if (state.view !== "pairs") words.set("view", state.view);
    if (state.query) words.set("q", state.query);
    if (state.shard) words.set("shard", state.shard);
    for (const [key, values] of state.filters ?? []) {
      for (const value of values) words.append(key, value);
    }
    if (state.page > 1) words.set("page", state.page);
    if (state.per !== 24) words.set("per", state.per);
    if (state.id) words.set("id", state.id);
    return `#${words}`;
  }

  // The address of this state with some of it changed.
  function changed(changes) {
    return text({ ...read(), ...changes });
  }

  // The address of rows with these values, whatever was looked at before.
  function ofRows(filters, shard = "") {
    return text({ view: "pairs", filters: Object.entries(filters), shard, page: 1, per: read().per });
  }

  // Typing replaces the address; steps that a person would go back from are kept in the history.
  function go(changes, { replace = false } = {}) {
    const next = changed(changes);
    if (next === (location.hash || "#")) return;
    history[replace ? "replaceState" : "pushState"](null, "", next);
    window.dispatchEvent(new Event("hashchange"));
  }

  return { read, changed, ofRows, go };
})();
