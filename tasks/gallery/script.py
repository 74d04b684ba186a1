"""Data as small scripts: a page opened from disk may load a script, but may not fetch a file.

Each file calls one function of the page with a key and plain JSON. It must never hold more program
than that; names in it are strings, whatever they say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUFFIX = ".js"


def script_bytes(key: str, value: Any) -> bytes:
    """The script that hands a value to the page under a key."""
    compact = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    return f"relume.take({_text(key, compact)},{_text(value, compact)});\n".encode()


def write_script(gallery: Path, key: str, value: Any) -> int:
    """Write a value where the page looks for its key; how many bytes that took."""
    path = gallery / f"{key}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(script_bytes(key, value))


def _text(value: Any, options: dict[str, Any]) -> str:
    # Both end a line in JavaScript older than 2019, where JSON lets them stand in a string.
    text = json.dumps(value, **options)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
