"use strict";
// Facts of a sample, the audit's tables and figures, and what the gallery was made from. Every number of
// rows is a link to them.
relume.parts.tables = (() => {
  const { make, number, words, find, load } = relume;
  const { address } = relume.parts;
  const perceived = () => `Words about people are a classifier's perception of a ${relume.summary.photographs ? "photograph" : "synthetic picture"}, not facts about anybody.`;

  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const row = (label, value) => (value === null || value === undefined || value === "" ? null
    : make("div", {}, make("dt", {}, label), make("dd", { dir: "auto" }, typeof value === "object" ? value : String(value))));
  const list = (...rows) => make("dl", {}, ...rows.filter((one) => one !== null));
  const part = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);
  const mono = (text) => make("span", { className: "mono" }, text);

  // What the detail view tells beside the pictures.
  function facts(one) {
    const { stages, audited } = relume.summary;
    const made = [part("Sample", list(
      row("Prompt", one.prompt),
      row("Name's id", one.nconst),
      row("Shard", make("a", { href: address.ofRows({}, one.shard) }, one.shard)),
      row("Row in the shard", one.index),
      row("Half", one.half),
      row("Failed because", one.reason),
      row("Selection", one.selection),
      row("Left out because", one.selection_reason)))];
    for (const stage of audited) made.push(finding(stage, one[`${stage}_found`]));
    if (one.drawn) made.push(part("As drawn", list(...Object.entries(one.drawn).map(([key, value]) => row(words(key), value)))));
    for (const { stage, model, revision } of stages) {
      made.push(part(`${stage[0].toUpperCase()}${stage.slice(1)}`, list(
        row("Model", `${model}, ${revision}`),
        row("Seed", mono(String(one[`${stage}_seed`]))),
        row("SHA-256", one[`${stage}_sha256`] && mono(one[`${stage}_sha256`])),
        row("In the tar", one[`${stage}_bytes`] && `${number(one[`${stage}_bytes`])} bytes from ${number(one[`${stage}_offset`])}`))));
    }
    return made;
  }

  function finding(stage, found) {
    const title = `Audit of the ${stage}`;
    if (!found) return part(title, make("p", { className: "hint" }, "Not audited."));
    const { genders, ethnicities } = relume.summary;
    return part(title, list(
      row("Status", words(found.status)),
      row("Error", found.reason),
      row("Faces", found.num_faces),
      row("Confidence", found.confidence),
      row("Perceived age", found.age === null ? null : found.age.toFixed(1)),
      row("Sharpness", found.sharpness),
      row("Detector", found.detector)),
    bars("Perceived gender", genders, found.gender_probabilities),
    bars("Perceived ethnicity", ethnicities, found.ethnicity_probabilities));
  }

  function bars(title, groups, shares) {
    if (!shares || shares.length !== groups.length) return null;
    const order = groups.map((group, k) => k).sort((a, b) => shares[b] - shares[a]);
    const rows = order.map((k) => make("tr", {}, make("th", { scope: "row" }, groups[k]),
      make("td", {}, bar(shares[k])), make("td", {}, percent(shares[k]))));
    return make("table", { className: "bars" }, make("caption", {}, title), make("tbody", {}, ...rows));
  }

  // Drawn for the eye; the share stands beside it as a number.
  function bar(share) {
    const filled = make("span");
    filled.style.width = percent(share).replace(" ", "");
    return make("span", { className: "share", "aria-hidden": "true" }, filled);
  }

  // The audit's view: the gallery's own counts, then what the audit wrote.
  async function showAudit() {
    const view = find("audit-view");
    if (view.childElementCount) return;
    const parts = [make("h2", {}, relume.summary.audited.length ? "The audit" : "Counts")];
    if (relume.summary.audited.length) parts.push(make("p", { className: "lead" }, perceived()));
    else parts.push(make("p", { className: "lead" }, "This gallery was made without an audit; give one with --audit to see what is in the pictures."));
    if (relume.summary.report) {
      try {
        parts.push(...report(await load("data/report")));
      } catch (error) {
        parts.push(make("p", { className: "trouble", role: "alert" }, error.message));
      }
    }
    parts.push(make("h2", {}, "Rows by attribute"),
      make("p", { className: "hint" }, "Plain counts, without any correction for a classifier's errors. Each number leads to its rows."),
      make("div", { className: "columns" }, ...relume.summary.attributes.map(counts)));
    view.replaceChildren(...parts);
  }

  function counts(one) {
    const all = relume.summary.num_rows;
    const rows = one.values.map((value, k) => (one.counts[k] === 0 ? null : make("tr", {},
      make("th", { scope: "row", dir: "auto" }, ["reason", "left-out"].includes(one.key) ? value : words(value)),
      make("td", {}, make("a", { href: address.ofRows({ [one.key]: [value] }) }, number(one.counts[k]))),
      make("td", {}, percent(one.counts[k] / all)))));
    return scroll(`${one.group}: ${one.label}`, make("table", {},
      make("caption", {}, make("span", { className: "over" }, one.group), one.label),
      make("tbody", {}, ...rows.filter((tr) => tr !== null))));
  }

  function report(told) {
    const parts = [];
    if (told.title) parts.push(make("h3", {}, told.title));
    const named = [...new Set(told.tables.map((one) => one.part).filter(Boolean))];
    parts.push(...told.tables.filter((one) => !one.part).map(table));
    if (told.figures.length) parts.push(make("h3", {}, "Figures"), ...told.figures.map(figure));
    if (named.length) parts.push(make("h3", {}, "All tables"));
    // Closed, they are the list of what there is; dozens of tables would be a long way on a phone.
    for (const name of named) {
      const tables = told.tables.filter((one) => one.part === name);
      parts.push(make("details", {}, make("summary", { dir: "auto" }, name, make("span", { className: "count" }, ` ${tables.length} ${tables.length === 1 ? "table" : "tables"}`)),
        make("div", { className: "tables" }, ...tables.map(table))));
    }
    if (told.text) {
      parts.push(make("details", {}, make("summary", {}, "The report as text"), make("pre", { tabIndex: 0, dir: "auto" }, told.text)));
    }
    return parts;
  }

  function table(one) {
    const head = make("thead", {}, make("tr", {}, ...one.columns.map((column) => make("th", { scope: "col" }, column))));
    const body = one.rows.map((cells) => make("tr", {}, ...cells.map((value, k) => (
      k === 0 ? make("th", { scope: "row", dir: "auto" }, cell(value)) : make("td", { dir: "auto" }, cell(value))))));
    const made = make("table", {}, one.title ? make("caption", {}, one.title) : null, head, make("tbody", {}, ...body));
    return make("div", {}, scroll([one.part, one.title ?? "Table"].filter(Boolean).join(": "), made), one.note ? make("p", { className: "hint" }, one.note) : null);
  }

  // A wide table scrolls by itself, by keyboard too; the page does not.
  function scroll(label, made) {
    return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": label }, made);
  }

  function cell(value) {
    if (value === null) return "–";
    if (typeof value === "number") return Number.isInteger(value) ? number(value) : String(value);
    if (typeof value !== "object") return String(value);
    const href = value.id === undefined ? address.ofRows(value.filter ?? {}) : `#id=${encodeURIComponent(value.id)}`;
    return make("a", { href }, String(value.text));
  }

  function figure(one) {
    return make("figure", {}, make("img", { loading: "lazy", alt: one.alt, src: `figures/${one.file}` }), make("figcaption", {}, one.title));
  }

  function showAbout() {
    const view = find("about-view");
    if (view.childElementCount) return;
    const { summary } = relume;
    const stages = summary.stages.map((one) => make("tr", {}, make("th", { scope: "row" }, one.stage),
      ...["model", "revision", "steps", "guidance", "strength"].map((key) => make("td", {}, cell(one[key])))));
    view.replaceChildren(make("h2", {}, "About this gallery"), list(
      row("Dataset", summary.dataset),
      row("Prompt", summary.prompt),
      row("Rows", `${number(summary.num_made)} of ${number(summary.num_planned)} planned${summary.complete ? ", complete" : ", incomplete"}`),
      row("Shown here", summary.num_rows < summary.num_made ? `the ${number(summary.num_rows)} that a selection takes` : null),
      row("Shards", `${number(summary.shards.names.length)} of ${number(summary.num_shards_planned)}`),
      row("Pictures of the dataset", `${summary.size_px} × ${summary.size_px} px, PNG`),
      row("Pictures here", `${summary.picture_px} × ${summary.picture_px} px, WebP; exact PNGs of ${number(summary.num_exact)} samples`),
      row("Audited", summary.audited.join(" and ") || "no")),
    scroll("Stages", make("table", {}, make("caption", {}, "How the pictures were made"),
      make("thead", {}, make("tr", {}, ...["Stage", "Model", "Revision", "Steps", "Guidance", "Strength"].map((word) => make("th", { scope: "col" }, word)))),
      make("tbody", {}, ...stages))),
    make("p", {}, summary.photographs ? "The pictures are photographs, read from a folder; whoever they show has rights in them. " : "Every picture is synthetic. ", perceived(), summary.has_names ? " Names may be those of real people, out of IMDb's list; no picture is a photograph of anybody." : ""),
    make("p", { className: "hint" }, "This folder loads nothing from a network and can be copied as it is."));
  }

  return { facts, showAudit, showAbout };
})();
