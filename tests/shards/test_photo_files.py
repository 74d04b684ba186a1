"""What is taken out of a folder of photographs: names, ids, subsets, and what refuses to fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.photo import PlannedPhoto
from shards.photo_files import (
    chosen_photos,
    find_photos,
    photo_id,
    photos_identity,
    photos_parquet,
    publish_photos,
    read_as_planned,
    read_photos,
    with_checksums,
)


def put(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def photos(count: int) -> list[PlannedPhoto]:
    told = (f"{number:05d}.png" for number in range(count))
    return [PlannedPhoto(id=photo_id(one), path=one, bytes=1, sha256=None) for one in told]


def test_every_picture_is_found_in_the_order_of_the_paths(tmp_path: Path) -> None:
    put(tmp_path, "01000/01000.png", "00000/00001.PNG", "00000/00000.png", "b.jpeg", "a.webp")
    put(tmp_path, ".cache/c.png", ".d.png", "LICENSE.txt", "00000/e.gif")
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "b.jpeg")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere")
    found = find_photos(tmp_path)
    assert [one.path for one in found.photos] == [
        "00000/00000.png", "00000/00001.PNG", "01000/01000.png", "a.webp", "b.jpeg", "linked.jpg"
    ]  # fmt: skip
    assert found.photos[0] == PlannedPhoto(
        id="00000-00000", path="00000/00000.png", bytes=15, sha256=None
    )
    assert found.others == 2


def test_a_layout_of_ffhq_is_no_part_of_an_id() -> None:
    assert photo_id("images1024x1024/00000/00012.png") == photo_id("00000/00012.png")
    assert photo_id("images1024x1024.png") == "images1024x1024"


@given(
    st.lists(
        st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_an_id_is_a_name_that_tars_and_readers_take(parts: list[str]) -> None:
    path = "/".join(part.replace(".", "x") for part in parts)
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", photo_id(path + ".png"))
    # A dot in a name is a letter that had to go, and not the end of the name.
    assert "." not in photo_id(f"{path}.v2.png")
    assert photo_id(f"{path}.v2.png") != photo_id(f"{path}_v2.png")


def test_ids_that_would_be_one_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/b.png", "a-b.jpg")
    told = r"a-b\.jpg and a/b\.png would both be 'a-b'; rename one"
    with pytest.raises(ValueError, match=told):
        find_photos(tmp_path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "\udcff.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"the name '\\udcff\.png' is not UTF-8; rename that file"):
        find_photos(tmp_path)


def test_no_folder_and_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder of pictures; check the path"):
        find_photos(tmp_path / "nothing")
    put(tmp_path, "a.gif")
    with pytest.raises(ValueError, match="holds no PNG, JPEG or WebP; name the folder"):
        find_photos(tmp_path)


def test_a_smaller_count_is_part_of_a_larger_one_and_what_is_skipped_shares_nothing() -> None:
    whole = photos(100)
    some, more = (chosen_photos(whole, count, 0, 5) for count in (20, 60))
    rest = chosen_photos(whole, 40, 60, 5)
    assert [one for one in whole if one in some] == some
    assert {one.id for one in some} < {one.id for one in more}
    assert {one.id for one in more} | {one.id for one in rest} == {one.id for one in whole}
    assert some != chosen_photos(whole, 20, 0, 6)
    assert len(some) == 20
    # Not the first files of a folder, which may be sorted by anything.
    assert max(int(one.path[:5]) for one in some) > 80


def test_a_folder_with_too_few_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dataset.count = 9: the folder has 8 pictures; lower"):
        chosen_photos(photos(8), 9, 0, 0)
    with pytest.raises(ValueError, match=r"has 3 pictures after the 5 that generator.skip passes"):
        chosen_photos(photos(8), 4, 5, 0)


def test_the_table_comes_back_and_another_one_is_refused(tmp_path: Path) -> None:
    some = photos(3)
    data = photos_parquet(some)
    identity = photos_identity(data, some)
    with pytest.raises(ValueError, match=r"has no photos\.parquet; mend"):
        read_photos(tmp_path, identity, "mend")
    publish_photos(tmp_path, data)
    assert list(read_photos(tmp_path, identity, "mend").values()) == some
    (tmp_path / "photos.parquet").write_bytes(photos_parquet(photos(2)))
    with pytest.raises(ValueError, match=r"is not the table that was planned; mend"):
        read_photos(tmp_path, identity, "mend")
    publish_photos(tmp_path, data)
    assert list(read_photos(tmp_path, identity, "mend").values()) == some


def test_a_file_that_is_gone_or_changed_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b/c.png")
    first, second = with_checksums(tmp_path, find_photos(tmp_path).photos)
    assert read_as_planned(tmp_path, first) == b"a.png"
    (tmp_path / "a.png").write_bytes(b"A.png")
    with pytest.raises(ValueError, match=r"a\.png: has changed since it was planned; put the"):
        read_as_planned(tmp_path, first)
    (tmp_path / "a.png").write_bytes(b"longer")
    with pytest.raises(ValueError, match=r"a\.png: has 6 bytes, and had 5 when it was planned"):
        read_as_planned(tmp_path, first)
    (tmp_path / "b/c.png").unlink()
    with pytest.raises(ValueError, match=r"c\.png: is gone since it was planned; put the planned"):
        read_as_planned(tmp_path, second)
