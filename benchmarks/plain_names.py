"""What a user would write instead of `relume names`: read_csv, filters, drop_duplicates, sample.

The peers of benchmarks/names.py. "same" follows the whole rule and so finds the same names; "lean"
leaves out Unicode and spaces, takes one name for two, and is there to show what that saves.
"""

from __future__ import annotations

import csv
import sys

import pandas as pd


def main(rule: str, source: str, out: str, count: str) -> None:
    """Choose names with pandas alone."""
    people = pd.read_csv(source, sep="\t", na_values="\\N", quoting=csv.QUOTE_NONE)
    acts = people["primaryProfession"].str.contains(
        r"(?:^|,)(?:actor|actress)(?:,|$)", na=False, regex=True
    )
    people = people[acts]
    names = people["primaryName"]
    if rule == "same":
        names = names.str.normalize("NFC").str.replace(r"\s+", " ", regex=True).str.strip()
    people = people.assign(primaryName=names)[names.str.contains(" ", na=False)]
    people = people.drop_duplicates("primaryName")
    if count != "all":
        people = people.sample(int(count), random_state=0)
    people[["nconst", "primaryName", "birthYear", "primaryProfession"]].to_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
