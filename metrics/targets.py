"""What a balanced set should look like: shares of groups, given or uniform, joint or marginal."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.groups import ATTRIBUTES, Codes, Floats, joint_codes
from schemas.truth import AGE_GROUPS

_SUM_TOLERANCE = 1e-6
# Between the groups of one cell of a joint target, for example "woman | 51+".
SEPARATOR = " | "


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """Wanted shares over the cells of some attributes.

    Cells are all combinations of the attributes' groups, the last attribute running fastest. Each
    row of `members` is a group that has a share (a cell of a joint target, or a group of one
    attribute of a marginal one) and says which cells count for it.
    """

    attributes: tuple[str, ...]
    cells: tuple[str, ...]
    groups: tuple[str, ...]
    members: Floats
    shares: Floats


def uniform_target(attributes: Sequence[str], *, joint: bool = False) -> Target:
    """Equal shares of the groups of each attribute, of adults where age is one of them."""
    even = {name: dict.fromkeys(_usual(name), 1 / len(_usual(name))) for name in _known(attributes)}
    if not joint:
        return marginal_target(even)
    combined = [SEPARATOR.join(one) for one in itertools.product(*even.values())]
    return joint_target(attributes, dict.fromkeys(combined, 1 / len(combined)))


def given_target(shares: Mapping[str, Mapping[str, float]]) -> Target:
    """Shares for each attribute by itself, or for combinations of some: "gender | age" alone."""
    combined = [name for name in shares if SEPARATOR in name]
    if not combined:
        return marginal_target(shares)
    if len(shares) > 1:
        raise ValueError(
            f"target {combined[0]}: combinations stand alone; leave out {', '.join(shares)[:60]}"
        )
    return joint_target(combined[0].split(SEPARATOR), shares[combined[0]])


def marginal_target(shares: Mapping[str, Mapping[str, float]]) -> Target:
    """Shares for the groups of each attribute by itself; a group that is not named gets none."""
    attributes = _known(list(shares))
    cells = _cells(attributes)
    groups, members, wanted = [], [], []
    for place, attribute in enumerate(attributes):
        checked = _checked(attribute, shares[attribute], ATTRIBUTES[attribute])
        for group, share in checked.items():
            groups.append(f"{attribute} = {group}")
            members.append([float(cell[place] == group) for cell in cells])
            wanted.append(share)
    return _target(attributes, cells, groups, members, wanted)


def joint_target(attributes: Sequence[str], shares: Mapping[str, float]) -> Target:
    """Shares for combinations of groups, each named like "woman | 51+"; others get none."""
    known = _known(attributes)
    cells = _cells(known)
    names = [SEPARATOR.join(cell) for cell in cells]
    checked = _checked(SEPARATOR.join(known), shares, names)
    members = np.eye(len(cells)).tolist()
    return _target(known, cells, names, members, list(checked.values()))


def target_cells(codes: Mapping[str, Codes], target: Target) -> Codes:
    """The cell of each row, from its codes by attribute; -1 where an attribute lacks."""
    return joint_codes([(codes[name], len(ATTRIBUTES[name])) for name in target.attributes])


def _target(
    attributes: Sequence[str],
    cells: Sequence[tuple[str, ...]],
    groups: Sequence[str],
    members: Sequence[Sequence[float]],
    shares: Sequence[float],
) -> Target:
    return Target(
        attributes=tuple(attributes),
        cells=tuple(SEPARATOR.join(cell) for cell in cells),
        groups=tuple(groups),
        members=np.array(members),
        shares=np.array(shares),
    )


def _usual(attribute: str) -> tuple[str, ...]:
    """The groups that a uniform target means: nobody under 18."""
    return AGE_GROUPS if attribute == "age" else ATTRIBUTES[attribute]


def _cells(attributes: Sequence[str]) -> list[tuple[str, ...]]:
    return list(itertools.product(*(ATTRIBUTES[name] for name in attributes)))


def _known(attributes: Sequence[str]) -> list[str]:
    if not attributes:
        raise ValueError(f"target: names no attribute; known here: {', '.join(ATTRIBUTES)}")
    for name in attributes:
        if name not in ATTRIBUTES:
            raise ValueError(f"target {name!r}: {_nearest(name, list(ATTRIBUTES))}")
    if len(set(attributes)) < len(attributes):
        raise ValueError(f"target {', '.join(attributes)}: names an attribute twice")
    return list(attributes)


def _checked(where: str, shares: Mapping[str, float], known: Sequence[str]) -> dict[str, float]:
    """A share for every known group; a ValueError for unknown groups and wrong sums."""
    for group, share in shares.items():
        if group not in known:
            raise ValueError(
                f"target {where}: group {group!r} is unknown; {_nearest(group, known)}"
            )
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not (math.isfinite(share) and 0 <= share <= 1):
            raise ValueError(f"target {where}: share {share!r} of {group!r}: should be 0 to 1")
    total = sum(shares.values())
    if abs(total - 1) > _SUM_TOLERANCE:
        raise ValueError(f"target {where}: shares sum to {total:.4g}, should be 1")
    return {group: float(shares.get(group, 0.0)) for group in known}


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(known[:8])}" + (", ..." if len(known) > 8 else "")
