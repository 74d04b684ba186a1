"""What the pages promise about the house itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from shards.provenance import ROOMS, ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 600


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_verbs_that_are_there(page: Path) -> None:
    from workflows.cli import VERBS

    for verb in re.findall(r"^(?:\$ )?relume ([a-z]+)", page.read_text(), re.MULTILINE):
        assert verb in VERBS, verb


def test_every_room_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(ROOMS)
    for room in ROOMS:
        assert (ROOT / room / "__init__.py").exists()
