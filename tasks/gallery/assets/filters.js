"use strict";
// The checkboxes beside the pictures, the list of shards, and the chips that undo them.
relume.parts.filters = (() => {
  const { make, number, words, find } = relume;
  const { address } = relume.parts;

  function build() {
    const groups = new Map();
    for (const one of relume.summary.attributes) {
      if (!groups.has(one.group)) groups.set(one.group, []);
      groups.get(one.group).push(one);
    }
    for (const [name, attributes] of groups) {
      const shard = name === "Dataset" ? shardField() : null;
      const fields = attributes.map(field);
      find("filter-groups").append(make("section", { className: "group", "aria-label": name }, make("h3", {}, name), ...fields, shard));
    }
    if (matchMedia("(max-width: 760px)").matches) find("filters").open = false;
  }

  function field(one) {
    const boxes = one.values.map((value, k) => {
      const box = make("input", { type: "checkbox", name: one.key, value, disabled: !one.counts[k] });
      box.addEventListener("change", () => toggle(one.key, value, box.checked));
      const count = make("span", { className: "count" }, number(one.counts[k]));
      return make("label", { className: one.counts[k] ? "" : "none" }, box, make("span", { dir: "auto" }, shown(one, value)), count);
    });
    return make("fieldset", {}, make("legend", {}, one.label), ...boxes);
  }

  // A reason is a sentence and stays as it is.
  const shown = (one, value) => (["reason", "left-out"].includes(one.key) ? value : words(value));

  function shardField() {
    const select = make("select", { id: "shard" }, make("option", { value: "" }, "all shards"));
    // Thousands of options are made when somebody is about to choose.
    const fill = () => {
      if (select.options.length > 2 || relume.summary.shards.names.length < 2) return;
      const there = select.value;
      select.replaceChildren(make("option", { value: "" }, "all shards"),
        ...relume.summary.shards.names.map((name) => make("option", { value: name }, name)));
      select.value = there;
    };
    select.addEventListener("focus", fill);
    select.addEventListener("pointerdown", fill);
    select.addEventListener("change", () => address.go({ shard: select.value, page: 1 }));
    return make("div", { className: "field" }, make("label", { htmlFor: "shard" }, "Shard"), select);
  }

  function toggle(key, value, wanted) {
    const { filters } = address.read();
    const values = new Set(filters.get(key) ?? []);
    if (wanted) values.add(value);
    else values.delete(value);
    if (values.size) filters.set(key, values);
    else filters.delete(key);
    address.go({ filters, page: 1 });
  }

  // Make the controls say what the address says.
  function show(state) {
    for (const box of find("filter-groups").querySelectorAll("input")) {
      box.checked = state.filters.get(box.name)?.has(box.value) ?? false;
    }
    const select = find("shard");
    if (state.shard && ![...select.options].some((option) => option.value === state.shard)) {
      select.append(make("option", { value: state.shard }, state.shard));
    }
    select.value = state.shard;
    chips(state);
  }

  function chips(state) {
    const made = [];
    const chip = (text, undo) => {
      const button = make("button", { type: "button", className: "chip", "aria-label": `Remove filter ${text}` },
        make("span", { dir: "auto" }, text), make("span", { "aria-hidden": "true" }, "×"));
      button.addEventListener("click", () => {
        undo();
        find("pairs").focus();
      });
      made.push(button);
    };
    if (state.query) chip(`“${state.query}”`, () => address.go({ query: "", page: 1 }));
    if (state.shard) chip(state.shard, () => address.go({ shard: "", page: 1 }));
    for (const [key, values] of state.filters) {
      const one = relume.summary.attributes.find((other) => other.key === key);
      for (const value of values) chip(`${one.label}: ${shown(one, value)}`, () => toggle(key, value, false));
    }
    find("chips").replaceChildren(...made);
    const active = made.length - (state.query ? 1 : 0);
    find("num-filters").textContent = active ? `${active} active` : "";
  }

  return { build, show };
})();
