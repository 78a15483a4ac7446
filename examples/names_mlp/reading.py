"""Names from a file, one a line, each line checked; the first names of the US census by default."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST = 60  # characters; a longer line is prose or a table, not a name
FEWEST = 20  # names: with fewer there is nothing to hold out
MOST_LETTERS = 1000  # the bigram table has this many rows and columns
BETWEEN_LETTERS = " -'’·\u200c\u200d"  # the last two shape letters of Persian and Indic scripts


class BadNames(Exception):
    """A file that cannot be used; the message names the file, the line and the fix."""


def census_names() -> list[str]:
    """The first names of the US census of 1990, as the package `names` brings them."""
    package = importlib.util.find_spec("names")
    folders = package and package.submodule_search_locations
    files = (
        [Path(folders[0]) / f"dist.{sex}.first" for sex in ("male", "female")] if folders else []
    )
    if not files or not all(file.is_file() for file in files):
        raise BadNames(
            "the census names come with a package: pip install names\n"
            "or give a file of your own, one name a line: --data FILE"
        )
    lines = [line for file in files for line in file.read_text(encoding="ascii").splitlines()]
    return _distinct(line.split()[0].lower() for line in lines)


def read_names(path: Path) -> list[str]:
    """The different names in a UTF-8 file, in lower case and in the order of the file.

    A name is made of letters of any script, with spaces, hyphens and apostrophes between them.
    Raises BadNames at the first line that is anything else.
    """
    try:
        with path.open("rb") as file:
            lines = iter(lambda: file.readline(16 * LONGEST), b"")
            names = _distinct(_names(path, lines))
    except OSError as error:
        raise BadNames(f"{path}: {error.strerror}. Give a text file: --data FILE") from None
    if len(names) < FEWEST:
        count = f"{len(names)} different name{'s' * (len(names) != 1)}" if names else "no name"
        raise BadNames(f"{path}: holds {count}; at least {FEWEST} are needed, one a line")
    letters = len(set("".join(names)))
    if letters > MOST_LETTERS:
        raise BadNames(
            f"{path}: {letters:,} different letters; at most {MOST_LETTERS:,} can be handled.\n"
            "Write the names in an alphabet, for instance romanised"
        )
    return names


def _names(path: Path, lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        text = unicodedata.normalize("NFC", _decode(path, where, line)).strip()
        if len(text) > LONGEST:
            raise BadNames(
                f"{where}: starts {text[:20]!r} and goes on for more than {LONGEST} characters.\n"
                "Is it one name? Put each name on a line of its own"
            )
        for letter in text:
            if unicodedata.category(letter)[0] not in "LM" and letter not in BETWEEN_LETTERS:
                called = unicodedata.name(letter, "a control character").lower()
                raise BadNames(
                    f"{where}: {text!r} holds {letter!r} ({called}); a name is made of letters,\n"
                    "spaces, hyphens and apostrophes. Correct this line or delete it"
                )
        if text:
            yield unicodedata.normalize("NFC", " ".join(text.lower().split()))


def _decode(path: Path, where: str, line: bytes) -> str:
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadNames(
            f"{where}: this is UTF-16, not UTF-8. Convert it:\n"
            f"iconv -f UTF-16 -t UTF-8 {path} > names-utf8.txt"
        )
    if b"\0" in line:
        raise BadNames(
            f"{where}: holds a zero byte, so this is not a text file.\n"
            "Give a text file in UTF-8, one name a line"
        )
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadNames(
            f"{where}: byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8 text.\n"
            f"If the file is Latin-1: iconv -f LATIN1 -t UTF-8 {path} > names-utf8.txt"
        ) from None


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
