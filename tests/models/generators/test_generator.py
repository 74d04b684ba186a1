from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.generators.build import build_generator
from models.generators.procedural.painter import paint_teacher
from schemas.config import DatasetConfig, dataset_config, read_preset
from schemas.settings import as_plain, resolve
from shards.plan import make_plan, planned_samples
from shards.provenance import ROOT


def changed(config: DatasetConfig, **stage: object) -> DatasetConfig:
    tables = as_plain(config)
    tables["stage"]["source"] |= stage
    return resolve(DatasetConfig, tables, "test")


@pytest.fixture
def config(small_config: Path) -> DatasetConfig:
    return dataset_config(read_preset(small_config), "small", "test")


def test_a_batch_has_a_picture_for_each_stage(config: DatasetConfig) -> None:
    generator = build_generator(config)
    generator.load()
    _, samples = next(planned_samples(make_plan(config, None)))
    made = generator.make(samples)
    assert list(made) == ["source", "target"]
    for pixels in made.values():
        assert (pixels.shape, pixels.dtype) == ((len(samples), 64, 64, 3), np.uint8)
    assert {stage: model.weights for stage, model in generator.identity().items()} == {
        "source": {},
        "target": {},
    }


def test_teachers_and_sources_alone() -> None:
    preset = read_preset(Path("configs/demo.toml"))
    for name, stages in (("baseline", ["source"]), ("teacher", ["teacher"])):
        config = dataset_config(preset, name, "demo")
        tables = as_plain(config)
        tables["dataset"] |= {"prompt": "A portrait", "count": 40, "size_px": 64}
        config = resolve(DatasetConfig, tables, "test")
        _, samples = next(planned_samples(make_plan(config, None)))
        made = build_generator(config).make(samples)
        assert list(made) == stages
        if name == "teacher":
            seeds = [sample.seeds["teacher"] for sample in samples]
            again = paint_teacher(["A portrait"] * len(seeds), seeds, 64)
            assert np.array_equal(made["teacher"], again)


@pytest.mark.parametrize(
    ("field", "value", "wanted"), [("model", "flux", "procedural"), ("revision", "0", "3")]
)
def test_another_painter_is_refused(
    config: DatasetConfig, field: str, value: str, wanted: str
) -> None:
    message = f"stage.source.{field} = '{value}': this painter is '{wanted}'"
    with pytest.raises(ValueError, match=message):
        build_generator(changed(config, **{field: value}))


def test_torch_is_for_models_alone(small_config: Path) -> None:
    """Painting needs no torch, which takes seconds to import."""
    code = (
        "import sys; from pathlib import Path\n"
        "from models.generators.build import build_generator\n"
        "from schemas.config import dataset_config, read_preset\n"
        f"config = dataset_config(read_preset(Path({str(small_config)!r})), 'small', 'test')\n"
        "build_generator(config).load(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
