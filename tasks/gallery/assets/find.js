"use strict";
// Which rows match: names and ids are searched, attributes compared. Loads names and codes when first
// needed, and keeps them; nothing here draws.
relume.parts.find = (() => {
  const { load, padded } = relume;
  // Letters that Unicode does not take apart into a letter and a mark.
  const LETTERS = { "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h" };
  const folded = []; // a block's names and ids as they are compared
  const codes = new Map();
  const positions = new Map(); // of ids that were met
  let results = { key: null, found: null };

  function fold(text) {
    return text.normalize("NFD").replace(/\p{Mn}/gu, "").toLowerCase()
      .replace(/[ßøłđðþæœıħ]/g, (letter) => LETTERS[letter])
      .replace(/[\u2018\u2019\u02bc]/g, "'").replace(/[\u2010-\u2015]/g, "-")
      .replace(/\s+/gu, " ").trim();
  }

  async function block(number) {
    if (!folded[number]) {
      const { id, name } = await load(`data/search/${padded(number, 3)}`);
      folded[number] = {
        id,
        lower: id.map((one) => one.toLowerCase()),
        name: name.map((one) => (one === null ? "" : fold(one))),
      };
    }
    return folded[number];
  }

  // 3: the name begins so; 2: a word of it does; 1: somewhere; 0: not at all. All words must be there.
  function likeness(name, id, query, words) {
    if (name.startsWith(query) || id === query) return 3;
    let least = 3;
    for (const word of words) {
      const at = name.indexOf(word);
      if (at < 0) return id.startsWith(query) ? 1 : 0;
      const begins = at === 0 || name.includes(` ${word}`) || name.includes(`-${word}`);
      least = Math.min(least, begins ? 2 : 1);
    }
    return least;
  }

  async function byQuery(query, tell) {
    const words = query.split(" ");
    const ranked = [[], [], [], []];
    const { num_blocks: count, rows_per_block: size } = relume.summary;
    const blocks = Array.from({ length: count }, (_, number) => block(number));
    for (let number = 0; number < count; number += 1) {
      const { lower, name } = await blocks[number];
      for (let k = 0; k < name.length; k += 1) {
        ranked[likeness(name[k], lower[k], query, words)].push(number * size + k);
      }
      tell(number + 1, count);
    }
    return [...ranked[3], ...ranked[2], ...ranked[1]];
  }

  async function codesOf(key) {
    if (!codes.has(key)) {
      const text = atob(await load(`data/filters/${key}`));
      codes.set(key, Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    }
    return codes.get(key);
  }

  // A test of a position for each attribute that is filtered by.
  async function tests(state) {
    const wanted = [];
    for (const one of relume.summary.attributes) {
      const values = state.filters.get(one.key);
      if (!values) continue;
      const column = await codesOf(one.key);
      const chosen = one.values.map((value) => values.has(value));
      wanted.push((position) => chosen[column[position]] === true);
    }
    if (state.shard) {
      const [start, end] = shardRange(state.shard);
      wanted.push((position) => position >= start && position < end);
    }
    return wanted;
  }

  function shardRange(shard) {
    const { names, counts } = relume.summary.shards;
    const number = names.indexOf(shard);
    if (number < 0) return [0, 0];
    const start = counts.slice(0, number).reduce((sum, count) => sum + count, 0);
    return [start, start + counts[number]];
  }

  // The positions that match, as {count, at(k), indexOf(position)}; all rows cost no memory.
  async function matches(state, tell = () => {}) {
    const query = fold(state.query);
    const key = JSON.stringify([query, state.shard, [...state.filters].map(([k, v]) => [k, [...v]])]);
    if (results.key === key) return results.found;
    const wanted = await tests(state);
    let found;
    if (!query && !wanted.length) {
      const count = relume.summary.num_rows;
      found = { count, at: (k) => k, indexOf: (position) => position };
    } else {
      const from = query ? await byQuery(query, tell) : null;
      const list = [];
      const count = from ? from.length : relume.summary.num_rows;
      for (let k = 0; k < count; k += 1) {
        const position = from ? from[k] : k;
        if (wanted.every((test) => test(position))) list.push(position);
      }
      found = { count: list.length, at: (k) => list[k], indexOf: (position) => list.indexOf(position) };
    }
    results = { key, found };
    return found;
  }

  // Where an id is, or -1: an address may name one that was not met yet.
  async function position(id) {
    if (positions.has(id)) return positions.get(id);
    for (let number = 0; number < relume.summary.num_blocks; number += 1) {
      const at = (await block(number)).id.indexOf(id);
      if (at >= 0) return number * relume.summary.rows_per_block + at;
    }
    return -1;
  }

  return { matches, position, met: (row) => positions.set(row.id, row.position), fold };
})();
