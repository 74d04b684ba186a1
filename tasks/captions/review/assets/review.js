"use strict";
// Shows one caption after the other, keeps decisions in this browser, gives them out as CSV or JSON.
// Captions come from a model and pictures from strangers: everything is put in as text.
let told = null;
let decisions = {}; // by id: {action, caption, reason}
let shown = []; // the rows that the filter lets through
let at = 0;
let filter = "all";

const find = (id) => document.getElementById(id);
const COLUMNS = ["captions", "id", "action", "caption", "reason", "of"];
const DONE = { accept: "Accepted", reject: "Rejected", edit: "Edited" };
const STATUS = {
  ok: "ok", cut_off: "cut off", refusal: "refusal", empty: "empty", duplicate: "duplicate", rejected: "rejected before",
};
const FILTERS = {
  all: ["all", () => true],
  undecided: ["undecided", (row) => !(row.id in decisions) && !row.review],
  ...Object.fromEntries(Object.entries(STATUS).map(([key, name]) => [key, [name, (row) => row.status === key]])),
  cut: ["cut at 77", (row) => row.cut],
  decided: ["decided", (row) => row.id in decisions],
};

function relume(given) {
  told = given;
  decisions = kept();
  document.title = `${told.name}: captions`;
  find("title").textContent = `Captions of ${told.name}`;
  for (const [key, [name]] of Object.entries(FILTERS)) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.filter = key;
    button.dataset.name = name;
    button.addEventListener("click", () => choose(key));
    find("filters").append(button);
  }
  choose("all");
}

const place = () => `relume-captions ${told.captions}`;

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(place()) ?? "{}");
    const known = new Set(told.rows.map((row) => row.id));
    return Object.fromEntries(Object.entries(found).filter(([id, one]) => known.has(id) && one.action in DONE));
  } catch {
    return {};
  }
}

function keep() {
  try {
    localStorage.setItem(place(), JSON.stringify(decisions));
    find("trouble").hidden = true;
  } catch {
    find("trouble").textContent = "This browser keeps nothing: save the decisions before you close the page.";
    find("trouble").hidden = false;
  }
}

function choose(key) {
  filter = key;
  const words = find("search").value.trim().toLowerCase();
  const fits = (row) => !words || row.id.toLowerCase().includes(words) || text(row).toLowerCase().includes(words);
  shown = told.rows.filter((row) => FILTERS[filter][1](row) && fits(row));
  at = 0;
  show();
}

const text = (row) => (decisions[row.id]?.action === "edit" ? decisions[row.id].caption : row.caption);

function count() {
  for (const button of find("filters").children) {
    const { filter: key, name } = button.dataset;
    const number = told.rows.filter(FILTERS[key][1]).length;
    button.textContent = `${name} ${number.toLocaleString("en")}`;
    button.hidden = number === 0 && key !== "all" && key !== filter;
    button.setAttribute("aria-pressed", String(key === filter));
  }
  const decided = Object.keys(decisions).length;
  find("progress").textContent = `${decided.toLocaleString("en")} of ${told.rows.length.toLocaleString("en")} decided`;
  for (const id of ["save-csv", "save-json"]) find(id).disabled = decided === 0;
}

function flag(name, bad) {
  const made = document.createElement("span");
  made.className = bad ? "flag bad" : "flag";
  made.textContent = name;
  return made;
}

function show() {
  count();
  const row = shown[at];
  find("one").hidden = !row;
  find("none").hidden = Boolean(row);
  if (!row) return;
  find("editing").hidden = true;
  find("caption").hidden = false;
  find("place").textContent = `${(at + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")} · ${row.id}`;
  find("picture").src = row.picture;
  find("picture").alt = `Picture ${row.id}`;
  const flags = [flag(row.reason || STATUS[row.status], row.status !== "ok")];
  if (row.tokens !== null && decisions[row.id]?.action !== "edit") flags.push(flag(`${row.tokens} CLIP tokens${row.cut ? ", cut at 77" : ""}`, row.cut));
  if (row.review) flags.push(flag(`${DONE[row.review].toLowerCase()} before`, false));
  find("flags").replaceChildren(...flags);
  find("caption").textContent = text(row);
  find("caption").className = text(row) ? "" : "empty";
  const decision = decisions[row.id];
  find("decision").className = decision?.action ?? "";
  find("decision").textContent = decision ? DONE[decision.action] + (decision.reason ? `: ${decision.reason}` : "") : "";
  find("reason").value = decision?.reason ?? "";
  find("undo").disabled = !decision;
  find("back").disabled = at === 0;
  find("next").disabled = at === shown.length - 1;
  const after = shown[at + 1];
  if (after) new Image().src = after.picture;
}

function move(by) {
  at = Math.min(shown.length - 1, Math.max(0, at + by));
  show();
}

// The list stays as it was while one goes through it, so that nothing jumps.
function decide(action, caption = "", reason = "") {
  decisions[shown[at].id] = { action, caption, reason };
  keep();
  find("caption").focus(); // so that the next key is no letter of a reason
  if (at < shown.length - 1) move(1);
  else show();
}

function undo() {
  delete decisions[shown[at].id];
  keep();
  show();
}

function edit() {
  find("text").value = text(shown[at]);
  find("caption").hidden = true;
  find("editing").hidden = false;
  find("text").focus();
}

function keepEdit(event) {
  event?.preventDefault();
  const row = shown[at];
  const written = find("text").value.trim().replace(/\s+/g, " ");
  leaveEdit();
  if (!written) return;
  if (written === row.caption) decide("accept");
  else decide("edit", written);
}

function leaveEdit() {
  find("editing").hidden = true;
  find("caption").hidden = false;
  find("caption").focus();
}

function rows() {
  return told.rows.filter((row) => row.id in decisions).map((row) => ({
    captions: told.captions, id: row.id, ...decisions[row.id], of: row.of,
  }));
}

function csv() {
  const quoted = (words) => (/[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words);
  return `${[COLUMNS.join(","), ...rows().map((row) => COLUMNS.map((one) => quoted(row[one])).join(","))].join("\n")}\n`;
}

function save(content, kind) {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob([content], { type: kind === "csv" ? "text/csv" : "application/json" }));
  link.href = url;
  link.download = `review-${told.captions}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const KEYS = {
  a: () => decide("accept"),
  r: () => decide("reject", "", find("reason").value.trim()),
  e: edit,
  u: () => { if (shown[at].id in decisions) undo(); },
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
};

function key(event) {
  if (event.target === find("text")) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keepEdit(event);
    else if (event.key === "Escape") leaveEdit();
    return;
  }
  if (event.target === find("reason") && event.key === "Enter") find("reject").click();
  if (event.target.tagName === "INPUT" && event.key === "Escape") find("caption").focus();
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const done = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!done || !shown[at]) return;
  event.preventDefault();
  done();
}

for (const [id, letter] of [["accept", "a"], ["reject", "r"], ["edit", "e"], ["undo", "u"]]) {
  find(id).addEventListener("click", () => KEYS[letter]());
}
find("back").addEventListener("click", () => move(-1));
find("next").addEventListener("click", () => move(1));
find("editing").addEventListener("submit", keepEdit);
find("cancel").addEventListener("click", leaveEdit);
find("search").addEventListener("input", () => choose(filter));
find("save-csv").addEventListener("click", () => save(csv(), "csv"));
find("save-json").addEventListener("click", () => save(`${JSON.stringify({ decisions: rows() }, null, 2)}\n`, "json"));
document.addEventListener("keydown", key);
