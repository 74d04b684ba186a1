"""The report and the figures of an audit, over rows whose people are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from metrics.correction import ConfusionMatrix
from metrics.groups import ATTRIBUTES
from metrics.known_confusions import exact_matrices, known_matrices
from schemas.audit import AUDIT_SCHEMA, AuditRow
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from schemas.sample import Stage
from shards.reader import Reader
from tasks.audit.face_map import draw_face_map
from tasks.audit.figures import write_figures, write_portrait_figures, write_sheet
from tasks.audit.paper_shares import PAPER_SHARES, reread, reread_paper
from tasks.audit.population import populations
from tasks.audit.portraits import portraits
from tasks.audit.report import as_json, build_report, write_report
from tasks.audit.settings import ReportSettings
from tasks.audit.tables import markdown, tables
from tasks.names.kinds import kinds_of_samples, name_kinds

FAST = ReportSettings(draws=100, permutations=20)
WIDTH = 16
YEARS = (10.0, 25.0, 40.0, 60.0)


def audit_row(
    number: int, stage: Stage, codes: Sequence[int], years: float, face: np.ndarray, **fields: Any
) -> AuditRow:
    """A picture of somebody perceived with certainty as of these groups."""
    gender, _, ethnicity = codes
    told: dict[str, Any] = {
        "id": f"s{number:05d}",
        "shard": "train/shard-000000",
        "stage": stage,
        "picture_sha256": None,
        "status": "ok",
        "reason": None,
        "num_faces": 1,
        "detector": "test",
        **{f"box_{side}": 1 for side in ("x", "y", "width", "height")},
        "confidence": 1.0,
        "age": years,
        "age_probabilities": np.eye(101)[int(years)].tolist(),
        "gender_probabilities": np.eye(2)[gender].tolist(),
        "ethnicity_probabilities": np.eye(6)[ethnicity].tolist(),
        "embedding": (face / np.linalg.norm(face)).tolist(),
        "sharpness": 10.0,
        "picture_hash": number * 0x9E3779B97F4A7C15 % 2**63,
        "analyser": "a",
    }
    return AuditRow(**told | fields)


def no_face(row: AuditRow) -> dict[str, Any]:
    """What a picture without a face lacks."""
    lost = ("age", "age_probabilities", "gender_probabilities", "ethnicity_probabilities")
    return {name: None for name in (*lost, "embedding", "sharpness", "confidence")}


def audit(num: int, stages: Sequence[Stage] = ("source",), seed: int = 0) -> pa.Table:
    """People in the paper's enhanced shares; targets look 3 years older, one in ten has no face."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(num):
        shares = PAPER_SHARES["Enhanced"]
        codes = [int(rng.choice(len(one), p=np.array(one) / sum(one))) for one in shares.values()]
        years = YEARS[1 + codes[1]]
        face = rng.standard_normal(WIDTH)
        for stage in stages:
            older = 3.0 if stage == "target" else 0.0
            shift = 0.1 * rng.standard_normal(WIDTH) if stage == "target" else 0.0
            row = audit_row(number, stage, codes, years + older, face + shift)
            lost = {"status": "no_face", "num_faces": 0, **no_face(row)} if number % 10 == 9 else {}
            rows.append(audit_row(number, stage, codes, years + older, face + shift, **lost))
    return to_table(rows, AUDIT_SCHEMA)


def counted_audit(shares: dict[str, tuple[float, ...]], num: int) -> pa.Table:
    """Exactly these shares of each attribute, dealt out independently."""
    rows = []
    columns = []
    for one in shares.values():
        counts = np.round(np.array(one) / sum(one) * num).astype(int)
        counts[-1] += num - counts.sum()
        columns.append(np.repeat(np.arange(len(one)), counts))
    for number, codes in enumerate(zip(*columns, strict=True)):
        years = YEARS[1 + codes[1]]
        rows.append(audit_row(number, "source", codes, years, np.eye(WIDTH)[number % WIDTH]))
    return to_table(rows, AUDIT_SCHEMA)


@pytest.fixture(scope="module")
def report() -> Any:
    rows, other = audit(300, ["source", "target"]), audit(200, seed=1)
    names = {f"s{number:05d}": f"Ann | <b>{number // 3}" for number in range(300)}
    lpips = {f"s{number:05d}": 0.1 for number in range(300)}
    settings = ReportSettings(
        draws=100, permutations=20, target={"gender": {"man": 0.5, "woman": 0.5}}
    )
    return build_report(
        rows,
        "enhanced",
        against=other,
        names=names,
        measures={"LPIPS": lpips},
        procedural=True,
        settings=settings,
    )


def test_the_papers_table_read_again() -> None:
    """FACTS: 0.84 -> 0.97, 0.61 -> 0.69 and 0.606 -> 0.580; sums 1.01 and 0.99."""
    found = {(one.prompt, one.attribute): one for one in reread_paper()}
    evenness = {key: one.normalised_entropy for key, one in found.items()}
    assert evenness["Baseline", "gender"] == pytest.approx(0.84, abs=0.005)
    assert evenness["Enhanced", "gender"] == pytest.approx(0.97, abs=0.005)
    assert evenness["Baseline", "age"] == pytest.approx(0.61, abs=0.005)
    assert evenness["Enhanced", "age"] == pytest.approx(0.69, abs=0.005)
    before, after = found["Baseline", "ethnicity"], found["Enhanced", "ethnicity"]
    assert before.normalised_entropy == pytest.approx(0.606, abs=0.0005)
    assert after.normalised_entropy == pytest.approx(0.580, abs=0.0005)
    assert (before.printed_sum, after.printed_sum) == (1.01, 0.99)
    # Gender and age are more even whatever was rounded; ethnicity is not told by two decimals.
    for attribute in ("gender", "age"):
        assert found["Baseline", attribute].most < found["Enhanced", attribute].least
    assert before.least < after.most
    assert after.least < before.most


@pytest.mark.parametrize(
    ("prompt", "low", "high"), [("Baseline", 0.573, 0.634), ("Enhanced", 0.554, 0.605)]
)
def test_drawn_roundings_give_the_known_range_within_the_exact_one(
    prompt: str, low: float, high: float
) -> None:
    """The range in FACTS is that of random shares within the rounding: nearly the exact one."""
    printed = np.array(PAPER_SHARES[prompt]["ethnicity"])
    drawn = printed + np.random.default_rng(0).uniform(-0.005, 0.005, (100_000, 6))
    drawn /= drawn.sum(axis=1, keepdims=True)
    evenness = -(drawn * np.log(drawn)).sum(axis=1) / np.log(6)
    assert evenness.min() == pytest.approx(low, abs=0.003)
    assert evenness.max() == pytest.approx(high, abs=0.003)
    exact = reread(prompt, "ethnicity", PAPER_SHARES[prompt]["ethnicity"])
    exactly = {"Baseline": (0.571, 0.636), "Enhanced": (0.549, 0.608)}[prompt]
    assert (exact.least_any_sum, exact.most_any_sum) == pytest.approx(exactly, abs=0.0005)
    assert exact.least_any_sum <= evenness.min() <= exact.least_any_sum + 0.006
    assert exact.most_any_sum - 0.006 <= evenness.max() <= exact.most_any_sum


def test_table_one_in_the_papers_form() -> None:
    """The paper's shares fed in come out as its table prints them, where they sum to 1."""
    baseline = {
        **PAPER_SHARES["Baseline"],
        "ethnicity": (0.12, 0.01, 0.01, 0.26, 0.02, 0.58),
    }
    enhanced = {**PAPER_SHARES["Enhanced"], "ethnicity": (0.10, 0.05, 0.04, 0.08, 0.02, 0.71)}
    found = build_report(
        counted_audit(enhanced, 200),
        "enhanced",
        against=counted_audit(baseline, 100),
        settings=FAST,
    )
    assert found.table_one == (
        (
            "Baseline",
            "0.73 : 0.27",
            "0.61 : 0.39 : 0.00",
            "0.12 : 0.01 : 0.01 : 0.26 : 0.02 : 0.58",
        ),
        (
            "Enhanced",
            "0.60 : 0.40",
            "0.40 : 0.58 : 0.02",
            "0.10 : 0.05 : 0.04 : 0.08 : 0.02 : 0.71",
        ),
    )
    gender = found.population("enhanced", "source").attributes["gender"].evenness[0]
    assert gender.normalised_entropy == pytest.approx(0.971, abs=0.001)


def test_what_counts_and_what_does_not(report: Any) -> None:
    one = report.population("enhanced", "source")
    assert (one.num, one.num_counted) == (300, 270)
    assert one.statuses["no_face"] == 30
    for attribute in one.attributes.values():
        assert sum(row.count for row in attribute.rows) == 270
        for row in attribute.rows:
            assert row.worst_low == pytest.approx(row.count / 300)
            assert row.worst_high == pytest.approx((row.count + 30) / 300)
            assert row.sampling_low <= row.share <= row.sampling_high
            assert row.range_low <= row.corrected_low <= row.corrected_high <= row.range_high
    assert sum(cell.count for cell in one.crossed) == 270
    assert all(cell.small == (cell.count < 30) for cell in one.crossed)


def test_pairs_drift_by_three_years(report: Any) -> None:
    (pairs,) = report.pairs
    assert (pairs.num_pairs, pairs.num_counted) == (300, 270)
    assert pairs.years["mean"] == pytest.approx(3, abs=1e-4)
    assert pairs.groups["gender"].changed == 0
    assert pairs.identity["mean"] > 0.9
    assert pairs.below_same_person == 0
    assert pairs.measures["LPIPS"]["num"] == 270


def test_the_correction_finds_the_truth_of_a_blurred_audit() -> None:
    """Women who are seen as men half of the time are found again by the matrix that says so."""
    truth = counted_audit({"gender": (0.5, 0.5), "age": (1.0, 0, 0), "ethnicity": (1.0,) * 6}, 600)
    rows = truth.to_pylist()
    women = [row for row in rows if row["gender_probabilities"][1] == 1]
    for row in women[::2]:
        row["gender_probabilities"] = [1.0, 0.0]
    blurred = pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA)
    seen_half = ConfusionMatrix(
        name="half", note="n", counts=np.array([[500.0, 0], [250.0, 250.0]])
    )
    settings = ReportSettings(draws=200, matrices={**exact_matrices(), "gender": (seen_half,)})
    found = build_report(blurred, "blurred", settings=settings)
    woman = found.population("blurred", "source").attributes["gender"].rows[1]
    assert woman.share == pytest.approx(0.25)
    assert woman.corrected == pytest.approx(0.5)
    assert woman.corrected_low < 0.5 < woman.corrected_high
    assert not woman.sampling_low < 0.5 < woman.sampling_high


def test_names_that_nobody_may_trust_are_escaped(report: Any) -> None:
    page = markdown(report)
    assert "Ann \\| &lt;b&gt;" in page
    assert "<b>" not in page
    assert "procedural" in page
    widths = [len(table.head) == len(row) for table in tables(report) for row in table.rows]
    assert all(widths)
    for line in page.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_the_report_is_the_same_twice_and_plain_json(report: Any, tmp_path: Path) -> None:
    shown = write_report(report, tmp_path / "audit", "Audit of this")
    as_data, as_text = tmp_path / "audit/report.json", tmp_path / "audit/report.md"
    told = json.loads(as_data.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert told["populations"][1]["label"] == "enhanced"
    assert (told["title"], told["selection"]) == ("Audit of this", None)
    assert [one["title"] for one in told["tables"]] == [one.title for one in shown]
    assert told["comparisons"][0]["against"] == "baseline, source"
    assert as_text.read_text() == markdown(report)
    assert as_json({"a": float("inf"), "b": [np.arange(2)]}) == {"a": None, "b": [[0, 1]]}


def test_a_set_without_a_face() -> None:
    rows = audit(40).to_pylist()
    for row in rows:
        row |= {"status": "no_face", "num_faces": 0}
        row |= dict.fromkeys(no_face(row))  # type: ignore[arg-type]
    empty = build_report(pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA), "empty", settings=FAST)
    one = empty.population("empty", "source")
    assert (one.num_counted, one.attributes, one.diversity) == (0, {}, None)
    assert empty.table_one[0][1] == "- : -"
    assert "no face" in markdown(empty)
    assert list(write_figures(empty, Path("unused"))) == []
    with pytest.raises(KeyError, match="nobody, source"):
        empty.population("nobody", "source")


def test_children_only() -> None:
    rows = [
        audit_row(number, "source", (0, 0, 0), 10.0, np.eye(WIDTH)[number]) for number in range(6)
    ]
    found = build_report(to_table(rows, AUDIT_SCHEMA), "young", settings=FAST)
    age = found.population("young", "source").attributes["age"]
    assert age.rows[0].count == 6
    assert np.isnan(age.evenness[0].normalised_entropy)
    assert found.table_one[0][2] == "- : - : -"
    markdown(found)


def broken(change: Callable[[list[dict[str, Any]]], None]) -> pa.Table:
    rows = audit(5).to_pylist()
    change(rows)
    return pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows[1].update(id="s00000"), "has sample 's00000' twice"),
        (lambda rows: rows[1].update(status="fine"), "unknown status 'fine'"),
        (
            lambda rows: rows[1].update(ethnicity_probabilities=[1.0]),
            "ethnicity_probabilities of s00001 has 1 values, should be 6",
        ),
        (lambda rows: rows.clear(), "has no rows"),
    ],
)
def test_rows_that_are_no_audit(change: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build_report(broken(change), "x", settings=FAST)


def test_labels_and_pairs_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="name them apart"):
        build_report(audit(5), "x", against=audit(5), against_label="x", settings=FAST)
    source = audit(5, ["source"])
    target = audit(10, ["source", "target"]).to_pylist()[11::2]
    rows = pa.concat_tables([source, pa.Table.from_pylist(target, schema=AUDIT_SCHEMA)])
    with pytest.raises(ValueError, match="have no sample in common"):
        build_report(rows, "x", settings=FAST)


def test_an_analyser_without_embeddings() -> None:
    rows = audit(30, ["source", "target"]).to_pylist()
    for row in rows:
        row["embedding"] = None
    table = pa.Table.from_pylist(rows, schema=AUDIT_SCHEMA)
    found = build_report(table, "x", settings=FAST)
    assert found.pairs[0].identity == {"num": 0}
    assert found.pairs[0].below_same_person is None
    assert found.populations[0].diversity is None
    portrait = np.zeros((8, 8, 3), dtype=np.uint8)
    assert draw_face_map(populations(table, "x")[0], lambda _: portrait) is None
    markdown(found)


def test_figures_are_the_same_bytes_twice(report: Any, tmp_path: Path) -> None:
    people = populations(audit(60), "enhanced")[0]

    def portrait(sample: str) -> np.ndarray:
        return np.full((16, 16, 3), int(sample[1:]) * 4, dtype=np.uint8)

    def draw(folder: Path) -> dict[str, bytes]:
        told = [
            *write_figures(report, folder),
            *write_portrait_figures(people, portrait, folder),
        ]
        assert {one.file for one in told} == {path.name for path in folder.glob("*.png")}
        assert all(one.title and len(one.alt) > len(one.title) / 2 for one in told)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    one, again = draw(tmp_path / "one"), draw(tmp_path / "again")
    assert one == again
    assert {"distributions.png", "faces-enhanced-source.svg"} < set(one)
    assert not any(b"<dc:date>" in data for data in one.values())
    for path in (tmp_path / "one").glob("*.png"):
        with Image.open(path) as picture:
            # Constrained to the page, and something is drawn up to no edge: nothing is cut off.
            pixels = np.asarray(picture.convert("L"))
            assert pixels.min() < 128
            assert (pixels[:, [0, -1]] == 255).all()
            assert (pixels[[0, -1]] == 255).all()


def test_portraits_and_sheets_come_from_the_shards(generated: Path, tmp_path: Path) -> None:
    with Reader(generated) as reader:
        ids = reader.rows.column("id").to_pylist()[:8]
        rows = [
            audit_row(number, "source", (0, 1, 0), 25.0, np.eye(WIDTH)[number], id=one)
            for number, one in enumerate(ids)
        ]
        one = populations(to_table(rows, AUDIT_SCHEMA), "medium")[0]
        picture = portraits(reader, "source", 32)(ids[0])
        assert picture.shape == (32, 32, 3)
        assert picture.std() > 5
        (drawn,) = write_sheet(one, reader, tmp_path)
        with Image.open(tmp_path / drawn.file) as sheet:
            assert sheet.width > 8 * 64
        nobody = [
            audit_row(0, "source", (0, 1, 0), 25.0, np.eye(WIDTH)[0], id=ids[0], status="error")
        ]
        empty = populations(to_table(nobody, AUDIT_SCHEMA), "medium")[0]
        assert list(write_sheet(empty, reader, tmp_path)) == []


def test_kinds_of_names() -> None:
    names = to_table(
        [
            Name(nconst="nm1", name="Ann Lee", birth_year=1957, professions=["actress", "writer"]),
            Name(nconst="nm2", name="Bo Fu", birth_year=None, professions=[]),
        ],
        NAME_SCHEMA,
    )
    assert name_kinds(names, "birth decade") == {"nm1": "born 1950s", "nm2": "birth unknown"}
    assert name_kinds(names, "profession") == {"nm1": "actress", "nm2": "no profession"}
    both = name_kinds(names, "birth decade and profession")
    assert both["nm1"] == "born 1950s, actress"
    assert kinds_of_samples({"a": "nm2", "b": None, "c": "nm9"}, both) == {"a": both["nm2"]}


def test_settings_begin_with_the_bundled_matrices() -> None:
    assert list(ReportSettings().matrices) == list(known_matrices()) == list(ATTRIBUTES)
