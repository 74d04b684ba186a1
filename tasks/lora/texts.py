"""The text that each picture is learned with: its caption, or the prompt that it was made by.

What is missing is counted by its reason, and refused, left out or learned without a text as asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas.sample import Stage
from shards.reader import Reader
from tasks.captions.file import read_captions, read_rows

NoText = Literal["stop", "skip", "empty"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts by id, of samples that have one, and why others have none."""

    by_id: dict[str, str]
    missing: dict[str, str]

    def counts(self, ids: Sequence[str]) -> dict[str, int]:
        """How many of these samples have none, by reason."""
        return dict(
            sorted(Counter(self.missing[one] for one in ids if one in self.missing).items())
        )

    def settle(
        self, ids: Sequence[str], no_text: NoText, limit: int | None, where: str
    ) -> list[str]:
        """The samples to learn from, at most so many, as settings say of those without a text."""
        if no_text == "skip":
            return [one for one in ids if one not in self.missing][:limit]
        wanted = list(ids[:limit])
        counts = self.counts(wanted)
        if counts and no_text == "stop":
            told = ", ".join(f"{count:,} {why}" for why, count in counts.items())
            first = next(one for one in wanted if one in self.missing)
            raise ValueError(
                f"{where}: {sum(counts.values()):,} of {len(wanted):,} pictures have no text "
                f"({told}), for example {first!r}; caption them, or set data.no_text to "
                '"skip" or "empty"'
            )
        return wanted

    def of(self, sample_id: str) -> str:
        """A sample's text; an empty one where it has none."""
        return self.by_id.get(sample_id, "")


def prompts_of(reader: Reader) -> Texts:
    """The prompts that samples were planned with."""
    by_id, missing = dict[str, str](), dict[str, str]()
    rows = reader.rows
    for one, prompt in zip(
        rows.column("id").to_pylist(), rows.column("prompt").to_pylist(), strict=True
    ):
        if prompt and prompt.strip():
            by_id[one] = prompt
        else:
            missing[one] = "without a prompt"
    return Texts(by_id, missing)


def texts_of(dataset: Path, reader: Reader, stage: Stage, captions: Path | None) -> Texts:
    """The texts of a reader's samples: captions of their stage where given, or else prompts."""
    if captions is None:
        return prompts_of(reader)
    ids: list[str] = reader.rows.column("id").to_pylist()
    found = read_captions(captions, ids, missing="skip", dataset=dataset, stage=stage)
    rows = read_rows(captions)
    statuses = dict(
        zip(rows.column("id").to_pylist(), rows.column("status").to_pylist(), strict=True)
    )
    missing = {
        one: str(statuses.get(one, "not captioned")) for one in ids if one not in found.texts
    }
    return Texts(found.texts, missing)
