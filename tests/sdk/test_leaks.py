"""The search for leaks must find what it looks for."""

import base64
from pathlib import Path

import pytest

from leaks import leaks

KEY = "sk-Zz0123456789_-abcdefghijklmnop"


LEAKS = {
    "clear": f"Authorization: Bearer {KEY}".encode(),
    "other case, no prefix": KEY.removeprefix("sk-").upper().encode(),
    "hexadecimal": KEY.encode().hex().encode(),
    "UTF-16": KEY.encode("utf-16-le"),
    "percent-encoded": "".join(f"%{byte:02x}" for byte in KEY.encode()).encode(),
}
for offset in range(3):
    LEAKS[f"base64, offset {offset}"] = base64.b64encode(b"x" * offset + KEY.encode() + b"tail")
    LEAKS[f"base64url, offset {offset}"] = base64.urlsafe_b64encode(b"x" * offset + KEY.encode())


@pytest.mark.parametrize("content", LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_is_found_in_every_spelling(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"\0before" + content + b"after\xff")
    assert leaks([tmp_path], {"key": KEY}) != []


def test_a_hint_is_no_leak(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"{KEY[:5]}…{KEY[-4:]}")
    assert leaks([tmp_path], {"key": KEY}) == []
