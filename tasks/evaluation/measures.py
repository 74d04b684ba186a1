"""From features to the numbers of an evaluation, by docs/protocol.md; no picture is looked at.

Tables of distances take minutes at 2,048 features, so each is kept in a file of its own and not
computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from metrics.frechet import Eigenvalues, numpy_eigenvalues
from metrics.gap import GapTable, Halves, gap_table, square_root_slack
from metrics.identity import IdentityKept, identity_kept
from metrics.kernel_gap import cmmd_gap, kid_gap
from metrics.neighbour_gap import neighbour_gap
from metrics.same_prompts import SamePromptRow, same_prompt_rows
from metrics.subsampling import Estimate, estimate
from schemas.evaluate import SOURCE, TARGET, TEACHER
from schemas.measure import ONLY_TAP, PROMPTED
from schemas.settings import fingerprint
from shards import filesystem
from shards.encoding import json_bytes
from shards.provenance import code_version
from tasks.features.networks import DETAIL, PAIRS, PAIRS_LPIPS

Kept = TypeVar("Kept")
Arrays = NDArray[np.floating]
# A rounding of a distance of zero, relative to the largest of the three.
_SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class Evidence:
    """Features of all rows on the same prompts, in the same order, and which half each is of.

    `features(row, label, tap)` reads them; `identity` is one number for all that they are of.
    """

    rows: tuple[str, ...]
    in_a: NDArray[np.bool_]
    features: Callable[[str, str, int], Arrays]
    identity: str

    @property
    def num(self) -> int:
        """How many prompts all rows have."""
        return len(self.in_a)

    def halves(self, row: str, label: str, tap: int) -> Halves:
        """The features of a row, by half."""
        found = self.features(row, label, tap)
        return Halves(found[self.in_a], found[~self.in_a])


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """How near a row is to a reference on other prompts, without taking features for Gaussians."""

    kid: Estimate
    precision: Estimate
    recall: Estimate
    cmmd: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What a row's pictures are like by themselves and beside their own source and target."""

    means: dict[str, Estimate]
    identity: IdentityKept | None


def gaps(
    evidence: Evidence,
    label: str,
    tap: int,
    reference: str,
    *,
    draws: int,
    seed: int,
    kept: Path,
    eigenvalues: Eigenvalues = numpy_eigenvalues,
) -> GapTable:
    """Distances and closures of all rows against one of them, which is the reference."""

    def compute() -> GapTable:
        found = {row: evidence.halves(row, label, tap) for row in evidence.rows}
        there = found.pop(reference)
        return gap_table(found, there, draws=draws, seed=seed, eigenvalues=eigenvalues)

    key = {"gaps": [label, tap, reference], "rows": evidence.rows, "draws": draws, "seed": seed}
    return _kept(kept, {**key, "of": evidence.identity}, GapTable, compute)


def same_prompts(
    evidence: Evidence,
    label: str,
    tap: int,
    *,
    draws: int,
    seed: int,
    kept: Path,
    eigenvalues: Eigenvalues = numpy_eigenvalues,
) -> tuple[SamePromptRow, ...]:
    """The paper's own numbers; ValueError where three distances cannot be of one set of pictures.

    The teacher's pictures of these prompts are a row like any other.
    """

    def compute() -> tuple[SamePromptRow, ...]:
        found = {row: evidence.features(row, label, tap) for row in evidence.rows}
        source, target = found.pop(SOURCE), found.pop(TARGET)
        return same_prompt_rows(
            found, source, target, draws=draws, seed=seed, eigenvalues=eigenvalues
        )

    key = {"same": [label, tap], "rows": evidence.rows, "draws": draws, "seed": seed}
    rows = _kept(kept, {**key, "of": evidence.identity}, tuple[SamePromptRow, ...], compute)
    check_triangles(rows, f"{label}, {tap}")
    return rows


def check_triangles(rows: Sequence[SamePromptRow], what: str) -> None:
    """Raise a ValueError where the square roots of distances break the triangle inequality."""
    by_name = {row.name: row for row in rows}
    gap = by_name[SOURCE].to_target
    assert gap is not None
    for row in rows:
        if row.to_source is None or row.to_target is None:
            continue
        three = row.to_source.value, row.to_target.value, gap.value
        if square_root_slack(*three) < -_SLACK * float(np.sqrt(max(three))):
            raise ValueError(
                f"row {row.name!r}, {what}: distances {', '.join(f'{one:.4g}' for one in three)} "
                "cannot be of one set of pictures each; remove the folder of features and "
                "evaluate again"
            )


def nearness(
    evidence: Evidence,
    row: str,
    reference: str,
    headline: tuple[str, int],
    *,
    with_cmmd: bool,
    draws: int,
    seed: int,
    kept: Path,
) -> Nearness:
    """KID, precision and recall by the headline's features, and CMMD by CLIP's."""

    def halves(name: str, label: str, tap: int) -> Halves:
        found = evidence.halves(name, label, tap)
        return Halves(_whole(found.a), _whole(found.b))

    def compute() -> Nearness:
        one, other = halves(row, *headline), halves(reference, *headline)
        among = neighbour_gap(one, other, draws=draws, seed=seed)
        in_clip = None
        if with_cmmd:
            seen = halves(row, "cmmd", ONLY_TAP), halves(reference, "cmmd", ONLY_TAP)
            in_clip = cmmd_gap(*seen, draws=draws, seed=seed)
        return Nearness(
            kid=kid_gap(one, other, draws=draws, seed=seed),
            precision=among.precision,
            recall=among.recall,
            cmmd=in_clip,
        )

    key = {"near": [row, reference, *headline], "cmmd": with_cmmd, "draws": draws, "seed": seed}
    return _kept(kept, {**key, "of": evidence.identity}, Nearness, compute)


def looks(evidence: Evidence, row: str, labels: Sequence[str]) -> Looks:
    """Means over all prompts, with the errors of means."""
    means: dict[str, Estimate] = {}
    if "clip_iqa" in labels:
        means["clip_iqa"] = _mean(evidence.features(row, "clip_iqa", ONLY_TAP)[:, 0])
    if "face_score" in labels:
        scores = evidence.features(row, "face_score", ONLY_TAP)[:, 0]
        means["face_score"] = _mean(scores)
        means["faces_scored"] = _mean(np.isfinite(scores))
    for label in PROMPTED:
        if label in labels:
            values = evidence.features(row, label, ONLY_TAP)
            means[label] = _mean(values[:, 0])
            means[f"{label}_prompted"] = _mean(np.isfinite(values[:, 0]))
            means[f"{label}_cut"] = _mean(values[:, 1])
    if "pairs" in labels:
        values = evidence.features(row, "pairs", ONLY_TAP)
        names = (*PAIRS, *PAIRS_LPIPS)[: values.shape[1]]
        means |= {name: _mean(values[:, at]) for at, name in enumerate(names)}
    if "detail" in labels:
        values = evidence.features(row, "detail", ONLY_TAP)
        means |= {name: _mean(values[:, at]) for at, name in enumerate(DETAIL)}
        fine = np.hypot(values[:, DETAIL.index("finest")], values[:, DETAIL.index("fine")])
        means["high"] = _mean(fine)
    kept = None
    if "identity" in labels:
        before, after = (evidence.features(one, "identity", ONLY_TAP) for one in (SOURCE, row))
        kept = identity_kept(before, after)
    return Looks(means=means, identity=kept)


def cautions_of(table: GapTable, reference: str) -> list[str]:
    """What a reader of a table of gaps has to know, beside what the table says itself."""
    told = list(table.cautions)
    floor = table.floor.infinity
    if not floor.low <= 0 <= floor.high:
        told.append(
            f"the floor's FD-infinity is {floor.value:.4g} ({floor.low:.4g} to {floor.high:.4g}) "
            "and should hold 0: too few prompts for so many features, or halves that differ"
        )
    for row in table.rows:
        one, other = row.closure, row.floor_corrected
        if one is None or other is None or row.name == SOURCE:
            continue
        if abs(one.value - other.value) > 1.96 * float(np.hypot(one.error, other.error)):
            told.append(
                f"{row.name}: closure {one.value:.2f} and floor-corrected {other.value:.2f} "
                f"differ by more than their errors against the {reference}: neither is a headline"
            )
    return told


def fastest_eigenvalues() -> Eigenvalues:
    """Of a GPU where there is one, else numpy's; both of float64."""
    import torch

    if not torch.cuda.is_available():
        return numpy_eigenvalues

    def on_gpu(symmetric: NDArray[np.float64]) -> NDArray[np.float64]:
        there = torch.from_numpy(symmetric).to("cuda")
        return np.asarray(torch.linalg.eigvalsh(there).cpu().numpy(), np.float64)

    return on_gpu


def references(rows: Sequence[str]) -> list[str]:
    """What rows are compared with."""
    return [one for one in (TARGET, TEACHER) if one in rows]


def _whole(features: Arrays) -> Arrays:
    """One vector a picture: the mean over its places."""
    return features.mean(1) if features.ndim == 3 else features


def _mean(values: Arrays) -> Estimate:
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return estimate(float("nan"), float("nan"))
    its_error = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else 0.0
    return estimate(float(known.mean()), its_error)


def _kept(folder: Path, key: Mapping[str, Any], kind: Any, compute: Callable[[], Kept]) -> Kept:
    """What was computed before from the same things by the same code, or now."""
    path = folder / f"{fingerprint({**key, 'code': code_version()})[:24]}.json"
    adapter: TypeAdapter[Kept] = TypeAdapter(kind)
    if path.is_file():
        return adapter.validate_json(path.read_bytes())
    found = compute()
    plain = [asdict(one) for one in found] if isinstance(found, tuple) else asdict(found)  # type: ignore[call-overload]
    filesystem.make_folder(folder)
    filesystem.replace_file(folder, path, filesystem.plain(json_bytes(plain)))
    return found
