"""Refusals, empty captions, twins and openings are told by the text alone."""

from __future__ import annotations

import pytest

from tasks.captions.texts import in_one_line, judged, openings, twin_key

REFUSALS = [
    ("I'm sorry, but I can't help with that.", "is sorry"),
    ("Sorry! There is nothing.", "is sorry"),
    ("I am very sorry.", "is sorry"),
    ("As an AI language model, I describe things.", "is a machine"),
    ("I\u2019m just an AI assistant.", "is a machine"),
    ("I cannot identify the person.", "cannot"),
    ("Unfortunately, I don\u2019t have information on her.", "cannot"),
    ("I'm unable to see who it is.", "cannot"),
    ("We won't describe people.", "cannot"),
    ("No image was provided.", "sees no picture"),
    ("Please provide an image of the person.", "sees no picture"),
]
CAPTIONS = [
    "A woman who cannot stop smiling.",
    "The man looks sorry for himself; his eyes are grey.",
    "An AI-looking portrait? No, a man in a suit.",
    "A sign reads: no entry.",
    "She is able to see far.",
    "Ein Mann mit grauem Bart.",
    "一位微笑的女士",
]


@pytest.mark.parametrize(("text", "name"), REFUSALS)
def test_refusals_are_known(text: str, name: str) -> None:
    assert judged(text, cut=False) == ("refusal", f"refusal: {name}")
    assert judged(text, cut=True)[0] == "refusal"


@pytest.mark.parametrize("text", CAPTIONS)
def test_captions_are_no_refusals(text: str) -> None:
    assert judged(text, cut=False) == ("ok", None)
    assert judged(text, cut=True) == ("cut_off", "cut off at max_new_tokens")


@pytest.mark.parametrize("text", ["", "   ", "...", "\u2026 !?"])
def test_no_words_are_empty(text: str) -> None:
    assert judged(in_one_line(text), cut=False) == ("empty", "says nothing")


def test_a_caption_is_one_line() -> None:
    assert in_one_line("  A man.\n\n\tHe\u00a0smiles. ") == "A man. He smiles."


def test_twins_differ_in_capitals_spaces_and_punctuation_alone() -> None:
    assert twin_key("A man, smiling.") == twin_key("a  MAN smiling")
    assert twin_key("Straße") == twin_key("STRASSE")
    assert twin_key("A man") != twin_key("A man smiling")


def test_openings_are_counted_and_ordered() -> None:
    said = ["A man who smiles", "a man, who looks", "The woman is", "Well", "The woman was"]
    assert openings(said, 3) == [("a man who", 2), ("the woman is", 1), ("the woman was", 1)]
    assert openings([], 3) == []
