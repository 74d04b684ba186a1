"""What a captioner is asked, by versioned templates: another wording is another template.

A template's text never changes once captions were made with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.mistakes import nearest

OWN = "own"
# Paper 2: rich, detailed captions on expression, age, hairstyle and other distinguishing
# attributes; its wording is not told.
QUESTIONS: Mapping[str, str] = {
    "portrait-1": "Describe the person in this photograph in rich detail: the expression, the "
    "apparent age, the hairstyle, and other distinguishing attributes of the face. Do not guess "
    "who it is.",
    # Stable Diffusion reads 77 tokens: what a longer caption says at its end is never seen.
    "portrait-short-1": "Describe the person in this photograph in one sentence of at most forty "
    "words: the expression, the apparent age, the hairstyle, and other distinguishing attributes "
    "of the face. Do not guess who it is.",
    "picture-1": "Describe this picture in one sentence of at most forty words.",
}


def question_of(template: str) -> str:
    """The question of a template; ValueError names the nearest one there is."""
    if template not in QUESTIONS:
        raise ValueError(f"--template {template}: unknown; {nearest(template, list(QUESTIONS))}")
    return QUESTIONS[template]


def prompt_of(question: str) -> str:
    """The question as LLaVA 1.5 was taught to be asked."""
    return f"USER: <image>\n{question} ASSISTANT:"
