"""What makes the pictures of a dataset: fixed by its first run, agreed on by every later one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.run import FileIdentity, GeneratorRecord, Run
    from workflows.filling import Filling


def agree(
    dataset: Path, run: Run, plan: pa.Table, filling: Filling, console: Console, *, mend: bool
) -> GeneratorRecord:
    """What makes the pictures, fixed by the first run or the same as then; and its truth."""
    from shards import layout
    from shards.run import agree_on_generator, read_generator
    from tasks.making import making_of

    if mend:
        _set_aside_wrong_generator(dataset, run, filling)
    # The truth is published after generator.json. Looked at in the other order, that of another
    # part that begins just now would seem to be nobody's.
    truth_is_there = (dataset / layout.TRUTH).exists()
    earlier = read_generator(dataset)
    if truth_is_there and earlier is None:
        filling.set_aside(layout.TRUTH, f"has no {layout.GENERATOR}")
    with _truth(dataset, run, plan, earlier, filling, mend=mend) as truth:
        differences = agree_on_generator(
            dataset, making_of(run.config, run.plan.sha256, truth, run.photos), mend=mend
        )
    if differences:
        console.warn(
            f"begun elsewhere, so bytes may differ in the last digits: {'; '.join(differences)}"
        )
        filling.note("stack-differs", differences="; ".join(differences))
    agreed = read_generator(dataset)
    assert agreed is not None
    return agreed


def _set_aside_wrong_generator(dataset: Path, run: Run, filling: Filling) -> None:
    """A generator.json that is damaged, or that no shard bears although they bear this run's."""
    from shards import layout
    from shards.run import makings, read_generator
    from tasks.making import making_of

    try:
        earlier = read_generator(dataset)
    except ValueError as error:
        filling.set_aside(layout.GENERATOR, str(error).partition("\n")[0])
        return
    found = makings(dataset)
    if earlier is None or not found or earlier.fingerprint() in found:
        return
    if making_of(run.config, run.plan.sha256, photos=run.photos).fingerprint() in found:
        filling.set_aside(layout.GENERATOR, "is not what the shards were made by")


@contextmanager
def _truth(
    dataset: Path,
    run: Run,
    plan: pa.Table,
    earlier: GeneratorRecord | None,
    filling: Filling,
    *,
    mend: bool,
) -> Iterator[FileIdentity | None]:
    """The identity of the truth; where it is missing it is drawn, and published after the block."""
    from shards import layout
    from shards.truth import publish_truth, staged_truth, what_is_wrong_with_truth
    from tasks.tell_truth import truth_tables

    path = dataset / layout.TRUTH
    tables = truth_tables(run.config, plan)
    wrong = what_is_wrong_with_truth(dataset, earlier.truth) if earlier else "is missing"
    if earlier and wrong and path.exists():
        if not mend:
            raise ValueError(f"{path}: {wrong}; relume generate --mend sets it aside")
        filling.set_aside(layout.TRUTH, wrong)
    if tables is None or not wrong:
        yield earlier.truth if earlier else None
        return
    with staged_truth(dataset, tables, plan.num_rows) as staged:
        wanted = earlier.truth if earlier and earlier.truth else staged.identity
        yield wanted
        publish_truth(dataset, wanted, staged)
