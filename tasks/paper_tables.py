"""What the paper prints in its Tables 1 to 4, to stand beside what was made here, never in it."""

from __future__ import annotations

from tasks.audit.paper_shares import PAPER_HEAD, PAPER_SHARES
from tasks.text_tables import Table

_RATES = ("0.0001", "0.0002", "0.0003")


def paper_table_1() -> Table:
    """Shares of perceived groups, section 3.2."""
    rows = tuple(
        (prompt, *(" : ".join(f"{one:.2f}" for one in shares) for shares in attributes.values()))
        for prompt, attributes in PAPER_SHARES.items()
    )
    return Table(title="Table 1, the paper's", head=PAPER_HEAD, rows=rows, num_words=4, note="")


def paper_table_2() -> Table:
    """CycleGAN's grid, section 5.2."""
    return Table(
        title="Table 2, the paper's",
        head=("lambda", *(f"{what} at LR {rate}" for rate in _RATES for what in ("L", "SSIM"))),
        rows=(
            ("10", "0.96", "0.96", "0.98", "0.95", "1.59", "0.68"),
            ("5", "0.85", "0.95", "1.02", "0.95", "1.44", "0.75"),
            ("2", "0.72", "0.95", "0.90", "0.96", "1.36", "0.80"),
        ),
        num_words=1,
        note="Best loss and SSIM of the full cycle.",
    )


def paper_table_3() -> Table:
    """ESA-CycleGAN's grid, section 5.2."""
    return Table(
        title="Table 3, the paper's",
        head=("lambda", "L at LR 0.0001", "SSIM at LR 0.0001"),
        rows=(("10", "1.22", "0.92"), ("5", "0.77", "0.96"), ("2", "0.61", "0.95")),
        num_words=1,
        note="",
    )


def paper_table_4() -> Table:
    """Distances on the same prompts, section 5.3."""
    return Table(
        title="Table 4, the paper's",
        head=("row", "FID to schnell", "FID to dev", "difference", "CLIP-IQA"),
        rows=(
            ("FLUX.1-schnell", "-", "0.37", "-", "0.35"),
            ("FLUX.1-dev", "0.37", "-", "-", "0.36"),
            ("LoRA Realism", "0.32", "0.59", "-0.27", "0.34"),
            ("Ours (pairwise)", "0.54", "0.53", "0.01", "0.34"),
            ("Ours (non-pairwise)", "0.75", "0.34", "0.41", "0.35"),
        ),
        num_words=1,
        note="On the same prompts, with a reference that it does not describe; FIDs this small are "
        "not those of Inception's last layer at 2,048 features.",
    )
