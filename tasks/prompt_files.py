"""Prompts of people out of COCO's captions, and of MJHQ-30K equally by category.

Paper 3 takes 1,000 prompts about people of COCO 2017's validation captions and 500 of each of
MJHQ's ten categories. It does not say which, so a seeded draw does.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.prompt import Prompt
from schemas.seeds import stable_hash

COCO, MJHQ = "coco", "mjhq"
# Whole words, singular and plural, that name a person by themselves. Not couple, family, baby,
# infant, adult, male, female and groom, which captions of animals have as well ("a couple of
# giraffes"). No professions: there is no end of them. One more caption of the same picture mostly
# has a plain word.
PERSON_WORDS = frozenset(
    {
        *("man", "men", "woman", "women", "boy", "boys", "girl", "girls", "person", "persons"),
        *("people", "child", "children", "kid", "kids", "toddler", "toddlers", "lady", "ladies"),
        *("guy", "guys", "gentleman", "gentlemen", "teenager", "teenagers", "bride", "brides"),
    }
)
# A man-made lake has nobody in it.
_WORD = re.compile(r"man[- ]made|[a-z]+")


def coco_prompts(path: Path, seed: int = 0) -> list[Prompt]:
    """A prompt about people of each picture that has one, out of captions_*.json, drawn by seed.

    Of a picture's captions with a word for a person the one of lowest id is taken.
    """
    told = _read(path)
    if not isinstance(told, dict) or not isinstance(told.get("annotations"), list):
        raise ValueError(f"{path}: has no annotations; give COCO's captions_val2017.json")
    first: dict[int, tuple[int, str]] = {}
    for number, one in enumerate(told["annotations"]):
        try:
            picture, caption_id, text = int(one["image_id"]), int(one["id"]), _line(one["caption"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ValueError(
                f"{path}: annotation {number}: lacks image_id, id or caption; "
                "give COCO's captions_val2017.json"
            ) from None
        about_people = not PERSON_WORDS.isdisjoint(_WORD.findall(text.lower()))
        if about_people and caption_id < first.get(picture, (caption_id + 1, ""))[0]:
            first[picture] = (caption_id, text)
    prompts = [
        Prompt(id=f"{COCO}-{picture:012d}", prompt=text, category="people")
        for picture, (_, text) in first.items()
    ]
    return _drawn(prompts, seed)


def mjhq_prompts(path: Path, seed: int = 0) -> list[Prompt]:
    """All prompts of meta_data.json, one of each category in turn, so that beginnings are even."""
    told = _read(path)
    if not isinstance(told, dict):
        raise ValueError(f"{path}: is no table of prompts; give MJHQ-30K's meta_data.json")
    by_category: dict[str, list[Prompt]] = {}
    for key, one in told.items():
        if not isinstance(one, dict) or not {"category", "prompt"} <= one.keys():
            raise ValueError(f"{path}: {key}: lacks category or prompt; give MJHQ's meta_data.json")
        prompt = Prompt(id=f"{MJHQ}-{key}", prompt=_line(one["prompt"]), category=one["category"])
        by_category.setdefault(prompt.category, []).append(prompt)
    drawn = {category: _drawn(by_category[category], seed) for category in sorted(by_category)}
    return list(_in_turn(list(drawn.values())))


def chosen(prompts: list[Prompt], count: int, path: Path) -> list[Prompt]:
    """The first so many; ValueError where there are fewer, or not as many of each category."""
    if count > len(prompts):
        raise ValueError(f"{path}: has {len(prompts):,} such prompts, --count asks for {count:,}")
    taken = prompts[:count]
    sizes = Counter(one.category for one in taken)
    if len(set(sizes.values())) > 1 and count % len(sizes) == 0:
        least = min(sizes, key=lambda category: sizes[category])
        raise ValueError(
            f"{path}: category {least!r} has only {sizes[least]:,} prompts, so {count:,} are not "
            "the same number of each; lower --count"
        )
    return taken


def _drawn(prompts: list[Prompt], seed: int) -> list[Prompt]:
    return sorted(prompts, key=lambda one: (stable_hash("prompt", seed, one.id), one.id))


def _in_turn(groups: list[list[Prompt]]) -> Iterator[Prompt]:
    for place in range(max(map(len, groups), default=0)):
        yield from (group[place] for group in groups if place < len(group))


def _line(text: str) -> str:
    return " ".join(text.split())


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is not JSON: {error}") from None
