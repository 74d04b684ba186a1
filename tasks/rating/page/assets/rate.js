"use strict";
// The page of a study: asks, keeps the answers in this browser, gives them out as CSV. It knows codes
// of pictures and nothing of what they stand for.
let study = null;
let rater = "";
let shown = []; // what this rater sees, in order: {trial, repeat, pictures}
let answers = []; // of as many as are answered: {order, seconds, at}
let chosen = []; // of the trial that is being answered, the best first
let begun = 0;

const find = (id) => document.getElementById(id);
const SECONDS_EACH = 5;

function relume(told) {
  study = told;
  find("start-question").textContent = told.question;
  find("question").textContent = told.question;
  const num = told.trials.length + told.repeats.length;
  find("num-trials").textContent = `${num} groups of pictures`;
  if (told.trials.every((one) => one.pictures.length === 2)) find("num-trials").textContent = `${num} pairs of pictures`;
  const minutes = Math.max(1, Math.round((num * SECONDS_EACH) / 60));
  find("minutes").textContent = minutes === 1 ? "a minute" : `${minutes} minutes`;
  view("start");
  find("rater").focus();
}

function view(name) {
  for (const id of ["start", "trial", "end"]) find(id).hidden = id !== name;
}

// A seeded generator (mulberry32): the same rater sees the same order after a restart.
function generator(words) {
  let state = 2166136261;
  for (const letter of words) state = Math.imul(state ^ letter.codePointAt(0), 16777619) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(list, random) {
  const made = [...list];
  for (let k = made.length - 1; k > 0; k -= 1) {
    const other = Math.floor(random() * (k + 1));
    [made[k], made[other]] = [made[other], made[k]];
  }
  return made;
}

// All in a random order; what is asked twice comes early, and again among the last.
function arranged() {
  const random = generator(`${study.study} ${rater}`);
  const comesAgain = (trial) => study.repeats.includes(trial.id);
  const single = shuffled(study.trials.filter((trial) => !comesAgain(trial)), random);
  const twice = study.trials.filter(comesAgain);
  const early = Math.floor(single.length * 0.75);
  const first = (trial) => ({ trial, repeat: 0 });
  const order = [
    ...shuffled([...single.slice(0, early), ...twice].map(first), random),
    ...shuffled([...single.slice(early).map(first), ...twice.map((trial) => ({ trial, repeat: 1 }))], random),
  ];
  return order.map((one) => ({ ...one, pictures: shuffled(one.trial.pictures, random) }));
}

const place = () => `relume-study ${study.study} ${rater}`;

function keep() {
  try {
    localStorage.setItem(place(), JSON.stringify(answers));
    find("trouble").hidden = true;
  } catch {
    tell("This browser keeps nothing: save the answers before you close the page.");
  }
}

function kept() {
  try {
    const told = JSON.parse(localStorage.getItem(place()) ?? "[]");
    return Array.isArray(told) ? told.slice(0, shown.length) : [];
  } catch {
    return [];
  }
}

function tell(text) {
  find("trouble").textContent = text;
  find("trouble").hidden = false;
}

function begin(event) {
  event.preventDefault();
  rater = find("rater").value.trim().replace(/\s+/g, " ");
  if (!rater) return;
  shown = arranged();
  answers = kept();
  ask();
}

function ask() {
  chosen = [];
  if (answers.length === shown.length) {
    finish();
    return;
  }
  view("trial");
  const { pictures } = shown[answers.length];
  find("place").textContent = `${answers.length + 1} of ${shown.length}`;
  find("progress").max = shown.length;
  find("progress").value = answers.length;
  find("undo").disabled = answers.length === 0;
  const sides = pictures.length === 2 ? ["Left picture", "Right picture"] : ["First picture", "Second picture", "Third picture"];
  begun = 0;
  const images = pictures.map((code, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.code = code;
    const image = document.createElement("img");
    image.alt = sides[k];
    image.src = `pictures/${code}.png`;
    button.append(image);
    button.addEventListener("click", () => choose(code));
    return button;
  });
  find("pictures").replaceChildren(...images);
  find("question").focus();
  // Answers count from when all pictures are seen.
  const mine = answers.length;
  Promise.all(images.map((button) => button.firstChild.decode())).then(() => {
    if (mine === answers.length) begun = performance.now();
  }, () => tell(`A picture of this page cannot be shown (${pictures.join(", ")}). Tell whoever gave you the page.`));
  const next = shown[answers.length + 1];
  for (const code of next?.pictures ?? []) new Image().src = `pictures/${code}.png`;
}

// With three pictures the best is chosen first, then the better one of the others.
function choose(code) {
  const { pictures } = shown[answers.length];
  if (!begun || chosen.includes(code)) return;
  chosen.push(code);
  const left = pictures.filter((one) => !chosen.includes(one));
  if (left.length > 1) {
    for (const button of find("pictures").children) button.setAttribute("aria-pressed", String(chosen.includes(button.dataset.code)));
    find("place").textContent = `${answers.length + 1} of ${shown.length}: and of these two?`;
    return;
  }
  answers.push({ order: [...chosen, ...left], seconds: (performance.now() - begun) / 1000, at: new Date().toISOString() });
  keep();
  ask();
}

function undo() {
  if (chosen.length) {
    ask();
    return;
  }
  if (!answers.length) return;
  answers.pop();
  keep();
  ask();
}

function finish() {
  view("end");
  find("num-answers").textContent = answers.length;
  find("text").value = csv();
  find("thanks").focus();
}

function csv() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = answers.map((one, k) => [study.study, quoted(rater), k + 1, shown[k].trial.id, shown[k].repeat,
    shown[k].pictures.join(" "), one.order.join(" "), one.seconds.toFixed(2), one.at].join(","));
  return `${["study,rater,place,trial,repeat,shown,order,seconds,at", ...lines].join("\n")}\n`;
}

function save() {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.href = url;
  link.download = `ratings-${study.study}-${rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function another() {
  rater = "";
  find("rater").value = "";
  view("start");
  find("rater").focus();
}

function key(event) {
  if (find("trial").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const { pictures } = shown[answers.length];
  const at = ["1", "2", "3"].indexOf(event.key);
  if (at >= 0 && at < pictures.length) choose(pictures[at]);
  else if (event.key === "ArrowLeft") choose(pictures[0]);
  else if (event.key === "ArrowRight") choose(pictures[pictures.length - 1]);
  else if (event.key === "Backspace") undo();
  else return;
  event.preventDefault();
}

find("who").addEventListener("submit", begin);
find("undo").addEventListener("click", undo);
find("save-part").addEventListener("click", save);
find("save").addEventListener("click", save);
find("another").addEventListener("click", another);
document.addEventListener("keydown", key);
