"use strict";
// One page of matching rows as cards, and the controls that lead to other pages.
relume.parts.grid = (() => {
  const { make, number, words, find } = relume;
  const { address, find: finder, pictures } = relume.parts;
  let turn = 0; // a page that took longer than the next one must not be drawn over it
  let shown = null;

  function noun(count) {
    const word = relume.summary.stages.length > 1 ? "pair" : "picture";
    return count === 1 ? word : `${word}s`;
  }

  async function show(state) {
    const mine = (turn += 1);
    find("search-state").textContent = "";
    find("grid").setAttribute("aria-busy", "true");
    try {
      const found = await finder.matches(state, (done, all) => {
        find("search-state").textContent = done < all ? `Reading names: ${Math.round((100 * done) / all)} %` : "";
      });
      if (mine !== turn) return;
      const pages = Math.max(1, Math.ceil(found.count / state.per));
      const page = Math.min(state.page, pages);
      count(state, found);
      paging(state, page, pages, found.count);
      const key = JSON.stringify([state.query, state.shard, [...state.filters].map(([k, v]) => [k, ...v]), page, state.per]);
      if (key !== shown) {
        await draw(found, (page - 1) * state.per, state.per, mine);
        if (mine === turn) shown = key;
      }
    } catch (error) {
      if (mine === turn) failed(error);
    }
    if (mine === turn) find("grid").removeAttribute("aria-busy");
  }

  function count(state, found) {
    const all = relume.summary.num_rows;
    find("count").textContent = found.count === all ? `${number(all)} ${noun(all)}`
      : `${number(found.count)} of ${number(all)} ${noun(all)}`;
    find("empty").hidden = found.count > 0;
    find("empty-why").textContent = state.query
      ? `No name or id contains “${state.query}” among the rows that the filters leave.`
      : "No row has all of the chosen attributes.";
  }

  function paging(state, page, pages, total) {
    find("pages").hidden = total === 0;
    find("page").value = page;
    find("page").max = pages;
    find("of-pages").textContent = `of ${number(pages)}`;
    find("per").value = String(state.per);
    for (const [id, target, on] of [["first", 1, page > 1], ["previous", page - 1, page > 1],
                                    ["next", page + 1, page < pages], ["last", pages, page < pages]]) {
      // Not `disabled`: the focus would be lost on the last page.
      find(id).setAttribute("aria-disabled", String(!on));
      find(id).dataset.page = on ? target : "";
    }
  }

  async function draw(found, start, per, mine) {
    const positions = [];
    for (let k = start; k < Math.min(start + per, found.count); k += 1) positions.push(found.at(k));
    const rows = await Promise.all(positions.map((position) => relume.row(position)));
    if (mine !== turn) return;
    find("grid").replaceChildren(...rows.map(card));
    const next = start + per;
    const idle = window.requestIdleCallback ?? setTimeout;
    if (next < found.count) {
      idle(() => {
        relume.row(found.at(next)).catch(() => {});
        pictures.prefetch(found.at(next));
      });
    }
  }

  function card(row) {
    finder.met(row);
    const link = make("a", { className: "card", href: "#" });
    // The rest of the address may change while this card stays.
    const aim = () => { link.href = address.changed({ id: row.id }); };
    link.addEventListener("focus", aim);
    link.addEventListener("pointerenter", aim);
    link.addEventListener("click", aim);
    aim();
    link.dataset.id = row.id;
    if (row.reason !== null) {
      link.append(make("div", { className: "failed" }, make("strong", {}, "Failed"), make("span", { dir: "auto" }, row.reason)));
    } else {
      const { drawn, ready } = pictures.small(row);
      const frame = make("div", { className: "pair loading", "aria-hidden": "true" }, ...drawn);
      ready.then(() => frame.classList.remove("loading"), (error) => {
        frame.removeAttribute("aria-hidden");
        frame.replaceChildren(make("span", { className: "broken" }, error.message));
      });
      link.append(frame);
    }
    link.append(make("span", { className: "name", dir: "auto" }, row.title), make("span", { className: "tags" }, ...tags(row)));
    return make("li", {}, link);
  }

  function tags(row) {
    const made = [make("span", { className: "tag" }, row.shard.split("/")[0])];
    if (row.selection === "left out") made.push(make("span", { className: "tag" }, "left out"));
    for (const stage of relume.summary.audited) {
      const status = row[`${stage}_found`]?.status;
      if (status && status !== "ok") made.push(make("span", { className: "tag warn" }, `${stage}: ${words(status)}`));
    }
    return made;
  }

  function failed(error) {
    find("grid").replaceChildren(make("li", { className: "trouble", role: "alert" },
      `This page cannot be shown: ${error.message}. Build the gallery anew with relume gallery.`));
    shown = null;
  }

  function wire() {
    for (const id of ["first", "previous", "next", "last"]) {
      find(id).addEventListener("click", () => {
        const page = Number(find(id).dataset.page);
        if (page) turnTo(page);
      });
    }
    find("page").addEventListener("change", () => {
      const page = Math.min(Math.max(1, Math.round(Number(find("page").value)) || 1), Number(find("page").max));
      find("page").value = page;
      turnTo(page);
    });
    find("per").addEventListener("change", () => address.go({ per: Number(find("per").value), page: 1 }));
    find("clear").addEventListener("click", () => {
      address.go({ query: "", shard: "", filters: new Map(), page: 1 });
      find("query").focus();
    });
  }

  function turnTo(page) {
    address.go({ page });
    find("pairs").scrollIntoView({ block: "start" });
  }

  return { show, wire, noun };
})();
