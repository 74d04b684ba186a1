"""The sections of a datasheet in a dataset's card: what it is for, who seems to be in it, licences.

Only what run.json tells is filled in. Numbers about people stand in an audit, with their intervals.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.config import ProceduralSettings
from schemas.run import Run

_PERCEIVED = """\
## Who seems to be in it

`relume audit` counts perceived gender, age and ethnicity. *Perceived* is meant: a classifier names
what it sees in a picture of nobody. Such classifiers are wrong often and not evenly: on photographs
of FairFace's validation set DeepFace's were published to be right about ethnicity in six of ten
cases and to recognise less than half of the women. So the audit's headline shares are corrected by
that error and bear an interval; raw shares must not be quoted without it.
"""
_PROCEDURAL_PEOPLE = """\
## Who seems to be in it

Nobody: drawings. `truth.parquet` tells the parameters of each, in the words of the audit, so that
the audit can be tested by them. They say nothing about people.
"""
_NAMES = """\
The names in the prompts are those of real people. They are there to vary faces, not to depict
anybody: no picture was made from a photograph, whether one resembles its name was not sought, and
`relume audit` measures how much of a face its name explains. Do not publish a picture together with
its name as if it showed that person, and do not use the set to recognise people.
"""
_IMDB = """\
- Names come from IMDb's files, which are licensed for personal and non-commercial use. Rows and
  json members hold names and IMDb identifiers.
"""
_FLUX_DEV = """\
- FLUX.1-dev is under the FLUX.1 [dev] Non-Commercial License. It lets its outputs be used, but not
  to train, fine-tune or distill a model that competes with it. Read the licence before a head that
  was trained on these targets is used beyond research.
"""
_FLUX_SCHNELL = "- FLUX.1-schnell is under Apache-2.0.\n"


def datasheet(run: Run) -> Iterator[str]:
    """The sections, for the body of a card."""
    config = run.config
    procedural = isinstance(config.generator, ProceduralSettings)
    yield "\n## What it is for\n"
    yield (
        "Training and judging small image-to-image heads that give a fast model's pictures the "
        "finish of its slow teacher's: a source is the fast model's picture, a target the slow "
        "model's version of it, a teacher the slow model's own. It is no sample of any "
        "population.\n"
    )
    yield _PROCEDURAL_PEOPLE if procedural else _PERCEIVED
    if config.dataset.has_names:
        yield _NAMES
    licences = list(_licences(run))
    if licences:
        yield "## Licences\n"
        yield "".join(licences)


def _licences(run: Run) -> Iterator[str]:
    if run.names is not None:
        yield _IMDB
    models = {stage.model for stage in run.config.stage.values()}
    if any("FLUX.1-dev" in model for model in models):
        yield _FLUX_DEV
    if any("FLUX.1-schnell" in model for model in models):
        yield _FLUX_SCHNELL
