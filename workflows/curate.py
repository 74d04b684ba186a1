"""`relume curate`: chooses samples by what an audit found, to a target."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted

if TYPE_CHECKING:
    import pyarrow as pa

    from metrics.targets import Target
    from schemas.sample import Stage
    from tasks.choose_samples import Selection


_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Choose samples of an audited dataset: leave out what is unfit, come to a target.

    The file names every audited sample, whether it is taken, and why not. relume train, gallery and
    audit take it as --selection.
    """

    audit: tyro.conf.Positional[Path]
    """folder of relume audit"""
    out: Path
    """the selection, a parquet file"""
    target: str | None = None
    """uniform, or a TOML file of shares; without it all that is fit is taken"""
    attributes: tuple[Literal["gender", "age", "ethnicity"], ...] = ("gender", "age", "ethnicity")
    """what a uniform target is uniform in"""
    joint: Annotated[bool, tyro.conf.arg(help="uniform over combinations, not each by itself")] = (
        False
    )
    size: int | None = None
    """how many samples to take; without it as many as the target allows"""
    tolerance: float = 0.01
    """how far a share may be from the target's"""
    stage: Literal["source", "target", "teacher"] | None = None
    """the pictures that say who a sample shows; without it the targets"""
    min_sharpness: float | None = None
    """leave out faces that are less sharp; report.md tells what is usual"""
    near_cosine: float | None = None
    """leave out faces that are at least this alike to one that is kept, for example 0.95"""
    min_identity: float | None = None
    """leave out pairs whose faces are less alike than this cosine"""
    draws: Path | None = None
    """names.parquet: also say which kinds of names to draw more of to reach the target"""
    by: Literal["birth decade", "profession", "birth decade and profession"] = "birth decade"
    """what makes a kind of name"""
    seed: int = 0
    """of the choice among equals"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Choose samples."""
    arguments = parse(Arguments, "curate", argv)
    _check(arguments)
    from schemas.audit_record import AuditRecord
    from shards.encoding import read_parquet
    from shards.gathering import ROWS
    from shards.record_file import read_record
    from tasks.choose_samples import Wish, choose_samples
    from tasks.selection_file import write_selection

    if not (arguments.audit / ROWS).exists():
        raise ValueError(f"{arguments.audit}: has no {ROWS}; make one with relume audit")
    rows = read_parquet(arguments.audit / ROWS)
    target = _target(arguments)
    wish = Wish(
        stage=arguments.stage,
        target=target,
        size=arguments.size,
        tolerance=arguments.tolerance,
        min_sharpness=arguments.min_sharpness,
        near_cosine=arguments.near_cosine,
        min_identity=arguments.min_identity,
        seed=arguments.seed,
    )
    selection = choose_samples(rows, str(arguments.audit), wish)
    record = read_record(arguments.audit / "audit.json", AuditRecord)
    write_selection(arguments.out, selection.table, record.dataset)
    told = _told(arguments, selection, target)
    if arguments.draws is not None and target is not None:
        told["draws"] = _draws(arguments, rows, selection.stage, target)
    console = Console()
    if arguments.json:
        console.result(json.dumps(told, ensure_ascii=False))
    else:
        _tell(console, told)
    return DONE if selection.num_selected else INCOMPLETE


def _check(arguments: Arguments) -> None:
    if arguments.out.suffix != ".parquet":
        raise ValueError(f"--out {arguments.out}: is a table; let the name end in .parquet")
    from tasks.selection_file import refuse_other_file

    refuse_other_file(arguments.out)
    if arguments.size is not None and arguments.size < 1:
        raise ValueError(f"--size {arguments.size}: should be at least 1")
    if not 0 <= arguments.tolerance < 1:
        raise ValueError(f"--tolerance {arguments.tolerance}: should be 0 to 1")
    for option in ("min_identity", "near_cosine"):
        value = getattr(arguments, option)
        # NaN is in no range.
        if value is not None and not -1 <= value <= 1:
            raise ValueError(
                f"--{option.replace('_', '-')} {value:g}: is a cosine; should be -1 to 1"
            )
    if arguments.min_sharpness is not None and not arguments.min_sharpness >= 0:
        raise ValueError(f"--min-sharpness {arguments.min_sharpness:g}: should be at least 0")
    if arguments.joint and arguments.target != "uniform":
        raise ValueError(
            "--joint: is of --target uniform; shares of combinations stand in the file, under "
            '["gender | age"]'
        )
    if arguments.draws is not None and arguments.target is None:
        raise ValueError("--draws: more names are drawn towards a target; give one")


def _target(arguments: Arguments) -> Target | None:
    from metrics.targets import given_target, uniform_target
    from tasks.audit.settings import read_target

    if arguments.target is None:
        return None
    if arguments.target == "uniform":
        return uniform_target(arguments.attributes, joint=arguments.joint)
    return given_target(read_target(Path(arguments.target)))


def _told(arguments: Arguments, selection: Selection, target: Target | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "selection": str(arguments.out),
        "stage": selection.stage,
        "selected": selection.num_selected,
        "of": selection.table.num_rows,
        "left_out": dict(selection.reasons.most_common()),
    }
    if target is not None and selection.choice is not None:
        told["shares"] = [
            {"group": group, "target": float(wanted), "reached": float(reached)}
            for group, wanted, reached in zip(
                target.groups, target.shares, selection.choice.reached, strict=True
            )
        ]
        told["limited_by"] = list(selection.choice.limited_by)
        told["short"] = [
            {"group": one.group, "available": one.available, "wanted": one.wanted}
            for one in selection.short
        ]
    return told


def _draws(arguments: Arguments, rows: pa.Table, stage: Stage, target: Target) -> dict[str, Any]:
    from dataclasses import asdict

    from tasks.audit.more_names import more_names

    assert arguments.draws is not None
    return asdict(
        more_names(rows, stage, arguments.draws, arguments.by, target, arguments.tolerance)
    )


def _tell(console: Console, told: dict[str, Any]) -> None:
    console.heading(f"{told['selection']}: {told['selected']:,} of {told['of']:,} samples")
    console.facts({why: counted(count, "sample") for why, count in told["left_out"].items()})
    if "shares" in told:
        console.table(
            ("perceived", "target", "reached"),
            [
                (one["group"], f"{one['target']:.1%}", f"{one['reached']:.1%}")
                for one in told["shares"]
                if one["target"] or one["reached"]
            ],
        )
        if told["limited_by"]:
            console.note(f"no more fit the target: too few of {_some(told['limited_by'])}")
        for one in told["short"]:
            console.note(
                f"all that is fit at the target's shares would need {one['wanted']:,} of "
                f"{one['group']}; there are {one['available']:,}"
            )
    if "draws" in told:
        draws = told["draws"]
        if draws["reachable"]:
            console.heading(f"{counted(draws['extra'], 'more name')} would reach the target")
        else:
            console.heading(
                f"no mix of these kinds of names reaches the target; {draws['extra']:,} more of "
                "these come nearest"
            )
        console.table(
            ("kind of name", "to draw", "pictures that tell"),
            [(one["kind"], f"{one['extra']:,}", f"{one['seen']:,}") for one in draws["draws"]],
        )
        if draws["too_few"]:
            console.note(f"too few even then: {_some(draws['too_few'])}")


def _some(groups: list[str]) -> str:
    """As many groups as a line can bear; --json has all."""
    more = len(groups) - _NAMED
    return ", ".join(groups[:_NAMED]) + (f" and {more:,} more, see --json" if more > 0 else "")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
