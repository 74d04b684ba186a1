"""The sections of a datasheet in a dataset's card: what is in it, how it was made, who, licences.

Only what run.json and the rows tell is filled in. Numbers about people stand in an audit, with
their intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.generator import ProceduralSettings
from schemas.photo import FolderSettings
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
The names in the prompts are those of real people, as far as they come from IMDb's list. They are
there to vary faces, not to depict anybody: no picture was made from a photograph, whether one
resembles its name was not sought, and `relume audit` measures how much of a face its name explains.
Do not publish a picture together with its name as if it showed that person, and do not use the set
to recognise people.
"""
_IMDB = """\
- Names that come from IMDb's files are licensed for personal and non-commercial use. Rows and json
  members hold names and IMDb identifiers.
"""
_FLUX_DEV = """\
- FLUX.1-dev is under the FLUX.1 [dev] Non-Commercial License. It lets its outputs be used, but not
  to train, fine-tune or distill a model that competes with it. Read the licence before a head that
  was trained on these targets is used beyond research.
"""
_FLUX_SCHNELL = "- FLUX.1-schnell is under Apache-2.0.\n"


_COLLECTION = """\
## How it was made

By Relume, from a plan that fixes every prompt and seed before the first picture: `run.json` has all
settings, `generator.json` what the models were, down to the hashes of their weights, and on what
they ran. Nobody was photographed, asked or paid, and nothing was taken from the web. A picture is
saved as the model gave it: PNG, without loss, neither cropped nor retouched, and none was chosen by
its looks. What is published never changes; another plan makes another dataset.
"""
_PAIRS = """\
## How it was made

By `relume facepairs`, from a plan that has a row for each of a picture's largest faces: `run.json`
and `generator.json` have all settings and the hashes of the models' weights. A face was found by
a detector, its box masked, and painted anew from noise by an inpainting model. What is published
never changes. The good pictures are another dataset's, whose card says whether they show real
people, and what may be done with them; the bad ones show them distorted. Do not publish either
with a name.
"""
_PHOTOGRAPHS = """\
## Whose they are

The photographs were made by others, and often show real people. Relume knows neither their licence
nor whether anybody agreed: that stands with the collection that they come from. FFHQ's photographs
bear their photographers' licences one by one, and its makers ask that it is not used to recognise
people. Captions and audits of them are words of models about real people: keep them with the
pictures, and publish neither by name.
"""
_MOST_REASONS = 8


def licence_lines(run: Run) -> list[str]:
    """What the front matter of a card says of licences; nothing where none is known."""
    if not list(_licences(run)):
        return []
    # No licence of the hub's list says what several of them together allow.
    return ["license: other", "license_name: see-licences-in-this-card"]


def datasheet(run: Run, num_made: int, failures: Mapping[str, int]) -> Iterator[str]:
    """The sections, for the body of a card; `failures` counts samples by the reason of failing."""
    config = run.config
    if "bad" in config.dataset.stages:
        yield "\n## What it is for\n"
        yield "Training and judging what tells good faces from bad ones, or makes better ones.\n"
        yield "## What is in it\n"
        yield from _composition(run, num_made, failures)
        yield _PAIRS
        return
    if isinstance(config.generator, FolderSettings):
        yield from _of_photographs(run, num_made, failures)
        return
    procedural = isinstance(config.generator, ProceduralSettings)
    yield "\n## What it is for\n"
    yield (
        "Training and judging small image-to-image heads that give a fast model's pictures the "
        "finish of its slow teacher's: a source is the fast model's picture, a target the slow "
        "model's version of it, a teacher the slow model's own. It is no sample of any "
        "population.\n"
    )
    yield "## What is in it\n"
    yield from _composition(run, num_made, failures)
    yield _COLLECTION
    yield _PROCEDURAL_PEOPLE if procedural else _PERCEIVED
    if config.dataset.has_names:
        yield _NAMES
    licences = list(_licences(run))
    if licences:
        yield "## Licences\n"
        yield "".join(licences)


def _of_photographs(run: Run, num_made: int, failures: Mapping[str, int]) -> Iterator[str]:
    """A datasheet that claims nothing about pictures which Relume has not made."""
    yield "\n## What is in it\n"
    pictures = " and ".join(f"a {stage}" for stage in run.config.dataset.stages)
    yield (
        f"{num_made:,} of {run.plan.rows:,} planned samples: {pictures} each. A sample's split is "
        "drawn from a hash of its id, which is made of its file's path.\n"
    )
    yield from _failed(failures)
    yield _PHOTOGRAPHS


def _composition(run: Run, num_made: int, failures: Mapping[str, int]) -> Iterator[str]:
    dataset, num = run.config.dataset, f"{run.plan.rows:,}"
    pictures = " and ".join(f"a {stage}" for stage in dataset.stages)
    named = ", and a name in the prompt" if dataset.has_names else ", under one prompt"
    if dataset.has_prompts:
        named = ", under a prompt of its own"
    yield (
        f"{num_made:,} of {num} planned samples: {pictures} each{named}. A sample's split is drawn "
        "from a hash of its name or, without one, of its id, so no name is in two splits. Nothing "
        "is left out that was made well; nothing refers to anything outside.\n"
    )
    yield from _failed(failures)


def _failed(failures: Mapping[str, int]) -> Iterator[str]:
    total = sum(failures.values())
    if not total:
        yield "No sample failed.\n"
        return
    yield f"{total:,} failed and have a row with the reason, but no picture:\n"
    common = sorted(failures.items(), key=lambda one: (-one[1], one[0]))
    lines = [f"- {count:,}: {' '.join(why.split())}" for why, count in common[:_MOST_REASONS]]
    if len(common) > _MOST_REASONS:
        lines.append(f"- {sum(count for _, count in common[_MOST_REASONS:]):,}: other reasons")
    yield "\n".join(lines) + "\n"


def _licences(run: Run) -> Iterator[str]:
    if run.names is not None:
        yield _IMDB
    models = {stage.model for stage in run.config.stage.values()}
    if any("FLUX.1-dev" in model for model in models):
        yield _FLUX_DEV
    if any("FLUX.1-schnell" in model for model in models):
        yield _FLUX_SCHNELL
