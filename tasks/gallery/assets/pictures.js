"use strict";
// Pictures of a row: cut out of its sheet, or the exact PNG where the gallery has one. Drawn on canvases,
// so that a sheet needs to stay in memory only while it is drawn from.
relume.parts.pictures = (() => {
  const { make, padded } = relume;
  const KEPT = 12;
  const images = new Map();

  function image(path) {
    if (!images.has(path)) {
      const one = new Image();
      one.src = path;
      images.set(path, one.decode().then(() => one, () => {
        images.delete(path);
        throw new Error(`${path} cannot be read`);
      }));
      for (const old of [...images.keys()].slice(0, Math.max(0, images.size - KEPT))) images.delete(old);
    }
    return images.get(path);
  }

  function place(position) {
    const { pairs_per_sheet: pairs, sheet_columns: columns, picture_px: px, stages } = relume.summary;
    const inside = position % pairs;
    return {
      path: `sheets/${padded(Math.floor(position / pairs), 6)}.webp`,
      x: (inside % columns) * stages.length * px,
      y: Math.floor(inside / columns) * px,
      px,
    };
  }

  function canvas(px, words) {
    return make("canvas", { width: px, height: px, role: "img", "aria-label": words });
  }

  function words(row, stage) {
    return `${stage} of ${row.title}`;
  }

  // A canvas for each stage, painted once the sheet is there; `ready` says when.
  function small(row) {
    const { path, x, y, px } = place(row.position);
    const drawn = relume.summary.stages.map(({ stage }) => canvas(px, words(row, stage)));
    const ready = image(path).then((sheet) => {
      drawn.forEach((one, k) => one.getContext("2d").drawImage(sheet, x + k * px, y, px, px, 0, 0, px, px));
    });
    return { drawn, ready };
  }

  function large(row) {
    if (!row.exact) return small(row);
    const px = relume.summary.size_px;
    const drawn = relume.summary.stages.map(({ stage }) => canvas(px, words(row, stage)));
    const ready = Promise.all(relume.summary.stages.map(async ({ stage }, k) => {
      const picture = await image(`pictures/${row.id}.${stage}.png`);
      drawn[k].getContext("2d").drawImage(picture, 0, 0);
    }));
    return { drawn, ready };
  }

  function prefetch(position) {
    image(place(position).path).catch(() => {});
  }

  return { small, large, prefetch };
})();
