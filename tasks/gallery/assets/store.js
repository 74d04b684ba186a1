"use strict";
// Data files are scripts that call relume.take(key, value): a page opened from disk may load scripts,
// but not fetch files. This file loads each once, keeps the last ones, and makes elements.
const relume = (() => {
  const KEPT = 64; // chunks of rows that stay in memory
  const values = new Map();
  const waiting = new Map();

  function take(key, value) {
    values.set(key, value);
  }

  function load(key) {
    if (values.has(key)) {
      const value = values.get(key);
      values.delete(key); // to the end: the first of the map is the longest unused
      values.set(key, value);
      return Promise.resolve(value);
    }
    if (waiting.has(key)) return waiting.get(key);
    const loading = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const path = `${key}.js`;
      script.src = path;
      script.onload = () => {
        script.remove();
        if (values.has(key)) resolve(values.get(key));
        else reject(new Error(`${path} does not hold what it should`));
      };
      script.onerror = () => {
        script.remove();
        reject(new Error(`${path} cannot be read`));
      };
      document.head.append(script);
    }).finally(() => waiting.delete(key));
    waiting.set(key, loading);
    loading.then(() => forget("rows/"), () => {});
    return loading;
  }

  function forget(prefix) {
    const keys = [...values.keys()].filter((key) => key.startsWith(prefix));
    for (const key of keys.slice(0, Math.max(0, keys.length - KEPT))) values.delete(key);
  }

  // The only way in which this page makes elements: strings become text, never markup.
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined) continue;
      if (name in element && name !== "role") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const padded = (number, digits) => String(number).padStart(digits, "0");
  // A value as it is written for people; addresses keep it as it is.
  const words = (value) => value.replaceAll("_", " ");
  const number = (value) => value.toLocaleString("en");
  const find = (id) => document.getElementById(id);

  // A row of the dataset by its position: {id, name, ...}.
  async function row(position) {
    const size = values.get("data/summary").rows_per_chunk;
    const chunk = await load(`rows/${padded(Math.floor(position / size), 6)}`);
    const one = { position };
    for (const column of Object.keys(chunk)) one[column] = chunk[column][position % size];
    one.title = one.name ?? one.id;
    return one;
  }

  return { take, load, make, padded, words, number, find, row, parts: {},
           get summary() { return values.get("data/summary"); } };
})();
