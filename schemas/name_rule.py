"""Which people of IMDb's tables may lend their name to a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from schemas.mistakes import nearest
from schemas.settings import FILLED, NON_NEGATIVE, settings

# What IMDb writes in primaryProfession; a misspelt one would silently choose nobody.
# fmt: off
PROFESSIONS = frozenset((
    "accountant", "actor", "actress", "animation_department", "archive_footage", "archive_sound",
    "art_department", "art_director", "assistant", "assistant_director", "camera_department",
    "casting_department", "casting_director", "choreographer", "cinematographer", "composer",
    "costume_department", "costume_designer", "director", "editor", "editorial_department",
    "electrical_department", "executive", "legal", "location_management", "make_up_department",
    "manager", "miscellaneous", "music_artist", "music_department", "podcaster",
    "post_production", "producer", "production_department", "production_designer",
    "production_manager", "publicist", "script_department", "set_decorator", "sound_department",
    "soundtrack", "special_effects", "stunts", "talent_agent", "transportation_department",
    "visual_effects", "writer",
))
# fmt: on


@settings
class NameRule:
    """The filters; a person must pass every one that is given."""

    professions: Annotated[tuple[str, ...], FILLED] = ("actor", "actress")
    """Has one of these among the primary professions, compared as whole words."""
    born_from: int | None = None
    """Born in this year or later; people without a year of birth are then left out."""
    born_to: int | None = None
    """Born in this year or earlier; people without a year of birth are then left out."""
    alive: bool = False
    """Only people without a year of death."""
    min_votes: Annotated[int | None, NON_NEGATIVE] = None
    """The best known title of the person has at least so many votes."""
    max_votes: Annotated[int | None, NON_NEGATIVE] = None
    """No title of the person has more votes: famous names risk likenesses."""

    @staticmethod
    def _known_to_imdb(professions: tuple[str, ...]) -> Iterator[str]:
        for profession in professions:
            if profession not in PROFESSIONS:
                yield (
                    f"professions = {profession!r}: unknown to IMDb;"
                    f" {nearest(profession, sorted(PROFESSIONS))}"
                )

    @staticmethod
    def _years_in_order(born_from: int | None, born_to: int | None) -> Iterator[str]:
        yield from _out_of_order("born_from", born_from, "born_to", born_to)

    @staticmethod
    def _votes_in_order(min_votes: int | None, max_votes: int | None) -> Iterator[str]:
        yield from _out_of_order("min_votes", min_votes, "max_votes", max_votes)

    @property
    def by_votes(self) -> bool:
        """Whether the tables title.principals and title.ratings are needed."""
        return self.min_votes is not None or self.max_votes is not None

    @property
    def by_birth(self) -> bool:
        """Whether a year of birth is needed."""
        return self.born_from is not None or self.born_to is not None


def _out_of_order(low: str, least: int | None, high: str, most: int | None) -> Iterator[str]:
    if least is not None and most is not None and least > most:
        yield f"{low} = {least}, {high} = {most}: nobody is in this range; swap the two"
