"use strict";
// One sample by itself: the before/after slider, and everything that is known of it.
relume.parts.detail = (() => {
  const { make, find } = relume;
  const { address, find: finder, pictures } = relume.parts;
  let current = null;
  let turn = 0;
  let neighbours = {};

  async function show(state) {
    const mine = (turn += 1);
    const dialog = find("detail");
    if (!state.id) {
      if (dialog.open) dialog.close();
      current = null;
      return;
    }
    if (!dialog.open) dialog.showModal();
    if (current === state.id) return;
    if (current === null) fill("Looking for it…", state.id);
    try {
      const position = await finder.position(state.id);
      if (mine !== turn) return;
      if (position < 0) throw new Error("no sample of this gallery has this id");
      const row = await relume.row(position);
      const found = await finder.matches(state);
      const beside = await around(found, found.indexOf(position));
      if (mine !== turn) return;
      current = row.id;
      draw(row);
      offer(beside);
    } catch (error) {
      if (mine !== turn) return;
      current = state.id;
      fill("Not here", state.id);
      find("stage").replaceChildren(make("p", { className: "trouble", role: "alert" }, error.message));
    }
  }

  function fill(title, id) {
    offer({});
    find("detail-name").textContent = title;
    find("detail-id").textContent = id;
    find("stage").replaceChildren();
    find("facts").replaceChildren();
    find("exactness").textContent = "";
    for (const part of ["cut-row", "modes"]) find(part).hidden = true;
    find("detail-name").focus();
  }

  // The samples before and after this one, among those that match.
  async function around(found, at) {
    const id = async (k) => {
      if (at < 0 || k < 0 || k >= found.count) return null;
      const row = await relume.row(found.at(k));
      finder.met(row);
      return row.id;
    };
    const [previous, next] = await Promise.all([id(at - 1), id(at + 1)]);
    return { previous, next };
  }

  function offer(ids) {
    neighbours = ids;
    for (const way of ["previous", "next"]) {
      find(`detail-${way}`).setAttribute("aria-disabled", String(!neighbours[way]));
    }
  }

  function step(way) {
    if (neighbours[way]) address.go({ id: neighbours[way] }, { replace: true });
  }

  function draw(row) {
    fill(row.title, row.id);
    const { stages, audited } = relume.summary;
    const pair = row.reason === null && stages.length > 1;
    if (row.reason !== null) {
      find("stage").replaceChildren(make("p", { className: "failed" }, make("strong", {}, "Failed"), make("span", { dir: "auto" }, row.reason)));
    } else {
      layers(row);
    }
    find("cut-row").hidden = !pair;
    find("modes").hidden = row.reason !== null || (!pair && !audited.length);
    for (const label of find("modes").querySelectorAll("label")) label.hidden = !pair;
    find("faces-label").hidden = !audited.length;
    find("exactness").replaceChildren(...exactness(row));
    find("facts").replaceChildren(...relume.parts.tables.facts(row));
  }

  function layers(row) {
    const { drawn, ready } = pictures.large(row);
    const figures = drawn.map((canvas, k) => {
      const { stage } = relume.summary.stages[k];
      return make("figure", { className: `layer layer-${k}` }, make("div", { className: "frame" }, canvas, box(row, stage)),
        make("figcaption", {}, stage));
    });
    const stage = find("stage");
    stage.replaceChildren(...figures, make("span", { className: "line", "aria-hidden": "true" }));
    stage.classList.toggle("coarse", drawn[0].width < 200);
    stage.classList.add("loading");
    ready.then(() => stage.classList.remove("loading"), (error) => {
      stage.replaceChildren(make("p", { className: "trouble", role: "alert" }, error.message));
    });
    compare();
    cut();
  }

  function box(row, stage) {
    const found = row[`${stage}_found`];
    if (!found || found.box_x === null) return null;
    const px = relume.summary.size_px;
    const made = make("span", { className: "face", "aria-hidden": "true" });
    for (const [property, value] of [["left", found.box_x], ["top", found.box_y], ["width", found.box_width], ["height", found.box_height]]) {
      made.style[property] = `${(100 * value) / px}%`;
    }
    return made;
  }

  function exactness(row) {
    if (row.reason !== null) return [];
    const { size_px: size, picture_px: px } = relume.summary;
    if (row.exact) return [`Exact: the PNGs of the dataset, ${size} × ${size} px.`];
    const scaled = px < size ? `scaled from ${size} to ${px} px and compressed` : "compressed";
    return [`These pictures are ${scaled}. For the exact ones: `,
      make("code", {}, `relume inspect DATASET --sample ${row.id} --out FOLDER`)];
  }

  // How much of the picture, from the left, shows the first stage.
  function cut() {
    const value = Number(find("cut").value);
    const [first, second] = relume.summary.stages;
    find("stage").style.setProperty("--cut", `${value}%`);
    if (second) find("cut").setAttribute("aria-valuetext", `${value} % ${first.stage}, ${100 - value} % ${second.stage}`);
  }

  function compare() {
    const mode = document.querySelector("input[name=mode]:checked").value;
    const pair = relume.summary.stages.length > 1;
    find("stage").classList.toggle("slider", pair && mode === "slider");
    find("cut-row").classList.toggle("off", mode !== "slider");
    find("cut").disabled = mode !== "slider";
  }

  function drag(event) {
    const stage = find("stage");
    if (!stage.classList.contains("slider") || !(event.buttons & 1)) return;
    if (event.type === "pointerdown") stage.setPointerCapture(event.pointerId);
    const { left, width } = stage.getBoundingClientRect();
    find("cut").value = Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width));
    cut();
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typed = event.key.toLowerCase();
    const free = !(event.target instanceof HTMLInputElement);
    if (typed === "n" || (free && event.key === "ArrowRight")) step("next");
    else if (typed === "p" || (free && event.key === "ArrowLeft")) step("previous");
    else return;
    event.preventDefault();
  }

  function wire() {
    const [first, second] = relume.summary.stages.map(({ stage }) => stage);
    find("cut").setAttribute("aria-label", `How much shows the ${first}`);
    find("cut-first").textContent = first;
    find("cut-second").textContent = second ?? "";
    find("cut").addEventListener("input", cut);
    find("stage").addEventListener("pointerdown", drag);
    find("stage").addEventListener("pointermove", drag);
    find("faces").addEventListener("change", () => find("stage").classList.toggle("faces", find("faces").checked));
    for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", compare);
    find("detail-previous").addEventListener("click", () => step("previous"));
    find("detail-next").addEventListener("click", () => step("next"));
    const leave = () => {
      const id = address.read().id;
      address.go({ id: "" });
      // Back to the card that was opened, or the one that was walked to.
      [...document.querySelectorAll("a.card")].find((card) => card.dataset.id === id)?.focus();
    };
    find("detail-close").addEventListener("click", leave);
    find("detail").addEventListener("cancel", (event) => {
      event.preventDefault();
      leave();
    });
    find("detail").addEventListener("click", (event) => {
      if (event.target === find("detail")) leave();
    });
    find("detail").addEventListener("keydown", key);
  }

  return { show, wire };
})();
