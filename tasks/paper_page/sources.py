"""What a page is made from: what the steps left in their folders, and what pictures they are of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.heads.head import Head
from schemas.config import Preset, read_preset
from schemas.generator import ProceduralSettings
from schemas.reproduce import ReproduceSettings, read_reproduce
from tasks.paper_page.told import Told, read_told
from tasks.reproduce_steps import AUDIT, COSTS, EVALUATION, HEADS, SWEEP

# A checkpoint of fewer bytes is none of those that the paper used.
_TINY_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that the page is made from."""

    config: Path
    out: Path
    preset: Preset
    settings: ReproduceSettings
    heads: dict[str, Head]
    audit: Told | None
    sweep: Told | None
    evaluation: Told | None
    costs: Told | None
    # What the pictures are, where they are not those of the paper's models.
    kind: str


def gather(config: Path, out: Path) -> Sources:
    """What there is of it: a step that was not done is None."""
    preset, settings = read_preset(config), read_reproduce(config)
    heads = {
        one.title: Head.from_pretrained(out / HEADS / one.name / "head")
        for one in settings.head
        if (out / HEADS / one.name / "head/model.safetensors").exists()
    }
    return Sources(
        config=config,
        out=out,
        preset=preset,
        settings=settings,
        heads=heads,
        audit=read_told(out / AUDIT),
        sweep=read_told(out / SWEEP),
        evaluation=read_told(out / EVALUATION),
        costs=read_told(out / COSTS),
        kind=_kind(preset),
    )


def _kind(preset: Preset) -> str:
    if isinstance(preset.generator, ProceduralSettings):
        return "procedural"
    sizes = [
        sum(path.stat().st_size for path in Path(stage.model).rglob("*.safetensors"))
        for stage in preset.stage.values()
        if Path(stage.model).is_dir()
    ]
    return "tiny" if sizes and max(sizes) < _TINY_BYTES else ""
