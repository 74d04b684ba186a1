"""`relume facescore`: scores faces, trains the scorer, and compares scores with people."""

from __future__ import annotations

import importlib

from workflows.cli import WRONG, run_verb

PARTS = {
    "score": ("score_face_pictures", "score the faces in pictures or in a dataset's pictures"),
    "train": ("score_train", "train a scorer on pairs of a good and a bad face, or continue"),
    "align": ("score_align", "compare scores with people's rankings (Tables 1, 2 and 4)"),
}
USAGE = "\n".join(
    [
        "usage: relume facescore PART [options]",
        "",
        *(f"  {part:<6} {what}" for part, (_, what) in PARTS.items()),
        "",
        "relume facescore PART --help explains a part.",
    ]
)


def main(argv: list[str]) -> int:
    """Run one part."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else WRONG
    part, *rest = argv
    if part not in PARTS:
        from schemas.mistakes import nearest

        raise ValueError(f"relume facescore {part}: no such part; {nearest(part, list(PARTS))}")
    code: int = importlib.import_module(f"workflows.{PARTS[part][0]}").main(rest)
    return code


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
