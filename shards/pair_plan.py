"""What a dataset of face pairs is planned as: for each picture a row per face that it may have.

Rows are fixed before anybody looks for faces. A sample keeps split, half, shard, name and prompt of
its picture; its id says which face, the largest first. A picture without that face is a failed row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.config import StageSettings
from schemas.facepairs import PAIR_STAGES, FacePairSettings
from schemas.run import FileIdentity, Run
from schemas.sample import SPLITS, Split, plan_schema
from schemas.seeds import stable_hash
from schemas.settings import as_plain, fingerprint
from shards.encoding import parquet_bytes, sha256
from shards.plan import CONFIG_KEY

_BEFORE_FACE = "-f"


def pair_id(sample_id: str, face: int) -> str:
    """The id of the pair of a picture's face; the largest is 1."""
    return f"{sample_id}{_BEFORE_FACE}{face}"


def picture_and_face(sample_id: str) -> tuple[str, int]:
    """The id of the picture that a pair is of, and which face of it."""
    picture, _, face = sample_id.rpartition(_BEFORE_FACE)
    return picture, int(face)


def plan_of_pairs(
    run: Run,
    plan: pa.Table,
    settings: FacePairSettings,
    *,
    split: Split | None = None,
    only: Collection[str] | None = None,
    prompts: Mapping[str, str] | None = None,
) -> tuple[Run, bytes]:
    """The run and plan of the face pairs of a dataset.

    `split`, `only`, the ids of a selection, and `prompts`, captions by id in place of the pictures'
    own prompts, leave other pictures out.
    """
    pictures = [
        row
        for row in plan.to_pylist()
        if (split is None or row["split"] == split)
        and (only is None or row["id"] in only)
        and (prompts is None or row["id"] in prompts)
    ]
    if not pictures:
        raise ValueError("nothing to pair: no sample is in both the split and the selection")
    # Those that are left out close up in the draw: rank counts against the rows of this plan.
    drawn = sorted(row["train_rank"] for row in pictures if row["train_rank"] is not None)
    closed_up = {rank: place for place, rank in enumerate(drawn)}
    rows: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    for picture in pictures:
        for face in range(1, settings.faces + 1):
            place = places.get(picture["shard"], 0)
            places[picture["shard"]] = place + 1
            rank = closed_up.get(picture["train_rank"])
            row = _row(picture, face, place, rank, settings)
            rows.append(row if prompts is None else row | {"prompt": prompts[picture["id"]]})
    config = _config(run, settings, {row["split"] for row in rows})
    schema = plan_schema(PAIR_STAGES)
    facts = {**schema.metadata, CONFIG_KEY: fingerprint(as_plain(config)).encode()}
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata(facts))
    data = parquet_bytes(table)
    identity = FileIdentity(sha256=sha256(data), rows=table.num_rows)
    return replace(run, config=config, plan=identity, part_of=run.plan), data


def _row(
    picture: dict[str, Any], face: int, place: int, rank: int | None, settings: FacePairSettings
) -> dict[str, Any]:
    told = ("split", "half", "shard", "name", "nconst", "prompt")
    own = pair_id(picture["id"], face)
    return {
        **{key: picture[key] for key in told},
        "id": own,
        "index": place,
        # Faces of a picture stay together, so that fractions stay nested and keep their pictures.
        "train_rank": None if rank is None else rank * settings.faces + face - 1,
        # The good picture and the mask are not drawn.
        "good_seed": 0,
        "bad_seed": stable_hash("seed", settings.seed, own, "bad"),
        "mask_seed": 0,
    }


def _config(run: Run, settings: FacePairSettings, splits: Collection[str]) -> Any:
    given, paint = run.config.stage[settings.stage], settings.inpaint
    return replace(
        run.config,
        stage={
            "good": given if given.strength is None else replace(given, strength=None),
            "bad": StageSettings(
                model=paint.model,
                revision=paint.revision,
                steps=paint.steps,
                guidance=paint.guidance,
            ),
            "mask": StageSettings(model=settings.finder.detector, revision=settings.finder.engine),
        },
        dataset=replace(
            run.config.dataset,
            stages=PAIR_STAGES,
            splits=tuple(one for one in SPLITS if one in splits),
            shard_size=run.config.dataset.shard_size * settings.faces,
            batch_size=settings.batch_size,
        ),
    )
