"""What a user would write instead of `relume names`: read_csv, filters, drop_duplicates, sample.

The peer of benchmarks/names.py. With "all" instead of a count it also joins spaces, as the rule
does, and writes every distinct name, so that the two can be compared.
"""

from __future__ import annotations

import csv
import sys

import pandas as pd


def main(source: str, out: str, count: str) -> None:
    """Choose names with pandas alone."""
    people = pd.read_csv(source, sep="\t", na_values="\\N", quoting=csv.QUOTE_NONE)
    acts = people["primaryProfession"].str.contains(
        r"(?:^|,)(?:actor|actress)(?:,|$)", na=False, regex=True
    )
    people = people[acts]
    names = people["primaryName"].str.normalize("NFC")
    if count == "all":
        names = names.str.replace(r"\s+", " ", regex=True)
    people = people.assign(primaryName=names)[names.str.contains(" ", na=False)]
    people = people.drop_duplicates("primaryName")
    if count != "all":
        people = people.sample(int(count), random_state=0)
    people[["nconst", "primaryName", "birthYear", "primaryProfession"]].to_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
