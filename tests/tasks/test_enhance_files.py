"""Files through a head: which are meant, what becomes of each, and what is there already."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.heads.head import Head
from schemas.enhance import Enhanced, EnhanceSettings
from schemas.part import parse_part
from shards import filesystem
from tasks import enhance_files
from tasks.enhance.inputs import Item, find_pictures
from tasks.enhance.journal import PictureJournal
from tasks.enhance_files import EnhanceFiles, Stopped, _Room
from tests.heads import small_head

WHOLE = parse_part("1/1")


@pytest.fixture(scope="module")
def head() -> Head:
    return small_head()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """a.png, sub/a.png, b.jpg of three sizes, and a file that is none."""
    folder, chance = tmp_path / "given", np.random.default_rng(0)
    (folder / "sub").mkdir(parents=True)
    for name, side in (("a.png", 40), ("sub/a.png", 40), ("b.jpg", 56)):
        levels = chance.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / name)
    (folder / "notes.txt").write_text("none")
    return folder


def enhance(
    head: Head, out: Path, items: list[Item], batch_size: int = 2, part: str = "1/1"
) -> list[Enhanced]:
    settings = EnhanceSettings(batch_size=batch_size)
    files = EnhanceFiles(
        head.enhancer(), settings, "png", PictureJournal(out, parse_part(part)), coders=2
    )
    return sorted(files.run(items), key=lambda one: one.picture)


def levels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def names(given: list[str], out: Path) -> list[tuple[str, str]]:
    return [(one.picture.name, one.file) for one in find_pictures(given, out, ".png").items]


def test_files_folders_and_patterns(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", str(pictures)
    everything = [("a.png", "a.png"), ("b.jpg", "b.png"), ("a.png", "sub/a.png")]
    assert names([whole], out) == everything
    assert find_pictures([whole], out, ".png").others == 1
    assert names([f"{whole}/**/*.png"], out) == [("a.png", "a.png"), ("a.png", "sub/a.png")]
    assert names([f"{whole}/*/a.*"], out) == [("a.png", "sub/a.png")]
    assert names([f"{whole}/sub/a.png"], out) == [("a.png", "a.png")]
    # Each once, by its first name.
    assert names([f"{whole}/b.jpg", whole], out) == [everything[1], everything[0], everything[2]]
    # A file that is named is taken, whatever its name.
    assert names([f"{whole}/notes.txt"], out) == [("notes.txt", "notes.png")]
    monkeypatch.chdir(pictures)
    assert names(["*.png"], out) == [("a.png", "a.png")]
    (pictures / ".hidden.png").touch()
    assert names([whole], out) == everything
    (pictures / "odd[1].png").touch()
    assert names([f"{whole}/odd[1].png"], out) == [("odd[1].png", "odd[1].png")]


def test_inputs_that_are_nothing(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, told in [
        ("nowhere.png", "nowhere.png: no such picture, folder or pattern"),
        (f"{pictures}/*.gif", "holds no picture"),
        (str(tmp_path / "empty"), "holds no picture"),
    ]:
        with pytest.raises(ValueError, match=told.replace("*", r"\*")):
            find_pictures([given], tmp_path / "out", ".png")
    for out in (pictures, pictures / "sub" / "deeper"):
        with pytest.raises(ValueError, match="choose a place outside"):
            find_pictures([str(pictures)], out, ".png")


def test_two_pictures_of_one_name_and_one_that_would_be_replaced(
    pictures: Path, tmp_path: Path, head: Head
) -> None:
    inputs = [str(pictures / "a.png"), str(pictures / "sub" / "a.png"), str(pictures / "b.jpg")]
    found = find_pictures(inputs, tmp_path / "out", ".png").items
    told = {one.picture: one.why for one in enhance(head, tmp_path / "out", found)}
    assert "would become a.png, as" in str(told[inputs[0]])
    assert "into two folders" in str(told[inputs[1]])
    assert told[inputs[2]] is None
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["b.png"]
    # A file by itself, and its own folder.
    (one,) = find_pictures(inputs[:1], pictures, ".png").items
    assert "a picture that was given; choose another --out" in str(one.why_not)


def test_what_is_there_stays(pictures: Path, tmp_path: Path, head: Head) -> None:
    out = tmp_path / "out"
    items = find_pictures([str(pictures)], out, ".png").items
    first = enhance(head, out, items)
    assert [one.how for one in first] == ["made"] * 3
    for item in items:
        wanted = head(levels_of(item.picture)).astype(int)
        assert np.abs(levels_of(out / item.file) - wanted).max() <= 1
    before = {path: path.stat() for path in out.rglob("*.png")}
    assert [one.how for one in enhance(head, out, items)] == ["there"] * 3
    assert {path: path.stat() for path in out.rglob("*.png")} == before
    # Touched, but the same.
    items[0].picture.touch()
    assert [one.how for one in enhance(head, out, items)] == ["there"] * 3
    # One that is gone is made anew; the bytes are the same.
    kept = (out / "b.png").read_bytes()
    (out / "b.png").unlink()
    assert [one.how for one in enhance(head, out, items)] == ["there", "made", "there"]
    assert (out / "b.png").read_bytes() == kept
    # Another part knows them too.
    assert [one.how for one in enhance(head, out, items, part="1/2")] == ["there"] * 3


def test_nothing_is_written_over(pictures: Path, tmp_path: Path, head: Head) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    items = find_pictures([str(pictures)], out, ".png").items
    told = enhance(head, out, items)
    assert [one.how for one in told] == ["refused", "made", "made"]
    assert "is none of relume enhance; move it away" in str(told[0].why)
    assert (out / "a.png").read_bytes() == b"mine"
    Image.new("RGB", (8, 8)).save(pictures / "b.jpg")
    told = enhance(head, out, items)
    assert "is not what" in str(told[1].why)
    assert "remove that one, or choose another --out" in str(told[1].why)


def test_a_name_taken_meanwhile_is_left_alone(
    pictures: Path, tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = filesystem.publish_staged

    def too_late(staged: Path, path: Path) -> None:
        path.write_bytes(b"another program's")
        publish(staged, path)

    monkeypatch.setattr(filesystem, "publish_staged", too_late)
    (one,) = enhance(head, tmp_path / "out", [Item(pictures / "a.png", "a.png")])
    assert "was put there by another program" in str(one.why)


def test_a_kill_before_the_name_loses_nothing(
    pictures: Path, tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its line and its name, and in the middle of its line."""
    out, items = tmp_path / "out", [Item(pictures / "a.png", "a.png")]

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "publish_staged", killed)
        with pytest.raises(Killed):
            enhance(head, out, items)
    lines = (out / "pictures.jsonl").read_bytes()
    assert json.loads(lines)["file"] == "a.png"
    assert not (out / "a.png").exists()
    (out / "pictures.jsonl").write_bytes(lines[:-30])
    assert [one.how for one in enhance(head, out, items)] == ["made"]
    assert [one.how for one in enhance(head, out, items)] == ["there"]


def test_bad_pictures_are_said_and_the_others_go_on(
    pictures: Path, tmp_path: Path, head: Head
) -> None:
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:900])
    (pictures / "empty.png").touch()
    Image.new("RGB", (1, 1), (9, 99, 199)).save(pictures / "one.png")
    Image.new("CMYK", (20, 20)).save(pictures / "cmyk.jpg")
    (pictures / "folder.png").mkdir()
    (pictures / "gone.png").symlink_to(tmp_path / "nowhere")
    out = tmp_path / "out"
    items = find_pictures([str(pictures)], out, ".png").items
    # What goes away after it was found, and a folder that is called a picture.
    (pictures / "sub" / "a.png").rename(tmp_path / "away.png")
    items.append(Item(pictures / "folder.png", "folder.png"))
    told = {one.picture.removeprefix(f"{pictures}/"): one for one in enhance(head, out, items)}
    made = {name for name, one in told.items() if one.how == "made"}
    assert made == {"a.png", "b.jpg", "one.png", "cmyk.jpg"}
    assert "is damaged" in str(told["cut.png"].why)
    assert "is empty" in str(told["empty.png"].why)
    assert "cannot be read: No such file" in str(told["sub/a.png"].why)
    assert "cannot be read: Is a directory" in str(told["folder.png"].why)
    assert str(told["gone.png"].why) == (
        f"is a link to {tmp_path / 'nowhere'}, which is not there; mend the link"
    )
    assert "CMYK without a profile" in told["cmyk.jpg"].notes[0]
    assert levels_of(out / "one.png").shape == (1, 1, 3)


def test_links_that_lead_nowhere_are_counted(pictures: Path, tmp_path: Path) -> None:
    """By name a picture, one that turns in a circle, and one that is no picture by its name."""
    (pictures / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (pictures / "round.png").symlink_to(pictures / "round.png")
    before = find_pictures([str(pictures)], tmp_path / "out", ".png")
    (pictures / "notes").symlink_to(tmp_path / "nowhere.txt")
    for given in (str(pictures), str(pictures / "*")):
        found = find_pictures([given], tmp_path / "out", ".png")
        broken = {one.picture.name for one in found.items if "is a link to" in str(one.why_not)}
        assert broken == {"gone.png", "round.png"}
    after = find_pictures([str(pictures)], tmp_path / "out", ".png")
    assert (after.others, len(after.items)) == (before.others + 1, len(before.items))


def test_what_a_format_cannot_hold_is_said(pictures: Path, tmp_path: Path, head: Head) -> None:
    Image.new("RGBA", (20, 20)).save(pictures / "alpha.png")
    journal = PictureJournal(tmp_path / "out", WHOLE)
    files = EnhanceFiles(head.enhancer(), EnhanceSettings(), "jpeg", journal, coders=1)
    (told,) = files.run([Item(pictures / "alpha.png", "alpha.jpg")])
    assert "JPEG cannot hold; use --format png" in str(told.why)


def test_large_pictures_wait_for_each_other(
    pictures: Path, tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there is room for goes alone; nobody waits for ever."""
    monkeypatch.setattr(enhance_files, "_MOST_PIXELS", 50 * 50)
    items = find_pictures([str(pictures)], tmp_path / "out", ".png").items
    assert [one.how for one in enhance(head, tmp_path / "out", items)] == ["made"] * 3


def test_who_waits_for_room_is_told_to_stop() -> None:
    room, told = _Room(10), []
    room.take(8)

    def wait() -> None:
        try:
            room.take(5)
        except Stopped:
            told.append("stopped")

    waiting = threading.Thread(target=wait)
    waiting.start()
    room.stop()
    waiting.join(10)
    assert told == ["stopped"]


def test_a_full_disk_ends_the_run(
    pictures: Path, tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "pictures.jsonl")

    items = find_pictures([str(pictures)], tmp_path / "out", ".png").items
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "append_line", full)
        with pytest.raises(OSError, match="No space left"):
            enhance(head, tmp_path / "out", items)
    assert list((tmp_path / "out").glob("**/*.png")) == []
    assert [one.how for one in enhance(head, tmp_path / "out", items)] == ["made"] * 3
