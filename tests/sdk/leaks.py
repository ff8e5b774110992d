"""Looks for secrets in bytes, in clear and in the spellings that software gives them by itself."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote


def spellings(secret: str) -> dict[str, bytes]:
    """What to look for, by name. A leading `sk-` is left out: it is no secret and may be cut off before a key is kept."""
    raw = secret.removeprefix("sk-").encode()
    assert len(raw) >= 16, "a shorter secret would be found by chance"
    found = {
        "clear": raw,
        "percent-encoded": quote(raw, safe="").encode(),
        "percent-encoded throughout": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "hexadecimal": raw.hex().encode(),
        "UTF-16": raw.decode().encode("utf-16-le"),
    }
    # Base64 of a longer text spells its parts in three ways, by where they begin.
    for offset in range(3):
        bits_before, bits_until = offset * 8, (offset + len(raw)) * 8
        encoded = base64.b64encode(b"\0" * offset + raw)
        part = encoded[-(-bits_before // 6) : bits_until // 6]
        found[f"base64, offset {offset}"] = part
        found[f"base64url, offset {offset}"] = part.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def leaks(places: Iterable[Path], secrets: Mapping[str, str]) -> list[str]:
    """One line for each secret that a file holds. Folders are read with all that is below them."""
    lines = []
    for file in files(places):
        content = file.read_bytes().lower()
        for name, secret in secrets.items():
            lines += [
                f"{file}: {name}, {spelling}"
                for spelling, wanted in spellings(secret).items()
                if wanted.lower() in content
            ]
    return lines


def files(places: Iterable[Path]) -> list[Path]:
    """The places that are files, and the files below those that are folders."""
    return [
        file
        for place in places
        for file in ([place] if place.is_file() else sorted(place.rglob("*")))
        if file.is_file()
    ]
