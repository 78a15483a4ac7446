"""examples/names_mlp: its data, its command line, and its numbers beside PyTorch's."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "names_mlp"
FLAMBEAU = [sys.executable, "-m", "flambeau", "run", str(EXAMPLE / "train.py")]
PYTORCH = [sys.executable, str(EXAMPLE / "train.py")]
SYLLABLES = ("an", "be", "lo", "mi", "ra", "ko", "the", "li")
NAMES = [first + middle + last for first in SYLLABLES for middle in SYLLABLES for last in "aeo"]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"names_mlp_{name}", EXAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reading = load("reading")


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path}


def run(command: list[str], *arguments: str | Path, status: int = 0) -> str:
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES), encoding="utf-8")
    return path


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(reading.BadNames) as caught:
        reading.read_names(path)
    return str(caught.value).replace(f"{path}", "FILE")


PLENTY = "\n".join(NAMES).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "FILE: holds no name; at least 20 are needed, one a line"),
        (b"\n \n\r\n", "FILE: holds no name; at least 20 are needed, one a line"),
        (b"anna\nanna\n", "FILE: holds 1 different name; at least 20 are needed, one a line"),
        (
            b"anna\n\x7fELF\x00\x01\n",
            "FILE, line 2: holds a zero byte, so this is not a text file.\n"
            "Give a text file in UTF-8, one name a line",
        ),
        (
            "anna\nzoë\n".encode("utf-16"),
            "FILE, line 1: this is UTF-16, not UTF-8. Convert it:\n"
            "iconv -f UTF-16 -t UTF-8 FILE > names-utf8.txt",
        ),
        (
            "anna\nbea\nzoë\n".encode("latin-1"),
            "FILE, line 3: byte 3 (0xeb) is not UTF-8 text.\n"
            "If the file is Latin-1: iconv -f LATIN1 -t UTF-8 FILE > names-utf8.txt",
        ),
        (
            b"anna\nr2d2\n",
            "FILE, line 2: 'r2d2' holds '2' (digit two); a name is made of letters,\n"
            "spaces, hyphens and apostrophes. Correct this line or delete it",
        ),
        (
            b"j. r.\n",
            "FILE, line 1: 'j. r.' holds '.' (full stop); a name is made of letters,\n"
            "spaces, hyphens and apostrophes. Correct this line or delete it",
        ),
        (
            b"a\tb\n",
            "FILE, line 1: 'a\\tb' holds '\\t' (a control character); a name is made of letters,\n"
            "spaces, hyphens and apostrophes. Correct this line or delete it",
        ),
        (
            b"anna\n" + b"once upon a time there was a " * 200,
            "FILE, line 2: starts 'once upon a time the' and goes on for more than 60 characters."
            "\nIs it one name? Put each name on a line of its own",
        ),
        (
            "\n".join(chr(0x4E00 + i) for i in range(1001)).encode(),
            "FILE: 1,001 different letters; at most 1,000 can be handled.\n"
            "Write the names in an alphabet, for instance romanised",
        ),
    ],
)
def test_refuses_a_file_with_its_line_and_the_fix(
    tmp_path: Path, content: bytes, message: str
) -> None:
    assert refusal(tmp_path / "names.txt", content) == message


def test_refuses_what_is_not_a_file(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file or dir")):
        with pytest.raises(reading.BadNames, match=reason):
            reading.read_names(path)


def test_reads_names_of_any_script(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    odd = "\ufeffZOË\r\nzoe\u0308\r\n  Mary-Jane \r\n\r\nO'Neil\r\nЖанна\r\nमीरा\r\nJean  Paul\r\n"
    path.write_bytes(odd.encode() + PLENTY.replace(b"\n", b"\r\n"))
    found = reading.read_names(path)
    assert found[:6] == ["zoë", "mary-jane", "o'neil", "жанна", "मीरा", "jean paul"]
    assert found[6:] == NAMES


def test_trains_and_says_so(names: Path, tmp_path: Path) -> None:
    losses = tmp_path / "losses.txt"
    text = run(
        FLAMBEAU, "--data", names, "--steps", "300", "--no-picture", "--losses", losses, "--seed", 3
    )
    assert f"192 names from {names}, 19 of them held out" in text
    assert "better than the bigram counts" in text
    assert f"losses   {losses}" in text
    values = [float(line) for line in losses.read_text().splitlines()]
    assert len(values) == 300
    assert sum(values[-50:]) < sum(values[:50])


def test_draws_the_picture(names: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    out = tmp_path / "picture.png"
    text = run(FLAMBEAU, "--data", names, "--steps", "20", "--out", out)
    assert f"picture  {out}" in text
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: 0 is not a whole number from 1 to 1000000000"),
        (["--batch", "x"], "argument --batch: x is not a whole number from 1 to 100000"),
        (["--out", "a.pdf"], "the picture is a PNG: --out a.pdf.png"),
        (
            ["--losses", "/nowhere/losses", "--no-picture"],
            "cannot write /nowhere/losses: is its folder there, and yours to write in?",
        ),
    ],
)
def test_refuses_before_the_training(arguments: list[str], message: str) -> None:
    assert message in run(FLAMBEAU, *arguments, status=2)


def test_a_bad_file_ends_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(b"anna\n\x00\n")
    text = run(FLAMBEAU, "--no-picture", "--data", path, status=1)
    assert text.startswith(f"train.py: {path}, line 2: holds a zero byte")
    assert "Traceback" not in text


def test_stops_at_an_interrupt_and_still_samples(names: Path, tmp_path: Path) -> None:
    losses = tmp_path / "losses.txt"
    child = subprocess.Popen(
        [*FLAMBEAU, "--data", names, "--no-picture", "--losses", losses, "--steps", "1000000"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with child:
        text = ""
        for line in child.stdout:
            text += line
            if "network at the start" in line:
                break
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
        text += child.communicate(timeout=60)[0]
    assert child.returncode == 130, text
    assert "Traceback" not in text
    done = int(text.split("stopped after ")[1].split(" of")[0].replace(",", ""))
    assert f"stopped after {done:,} of 1,000,000 steps" in text
    assert "\nnow           " in text
    assert len(losses.read_text().splitlines()) == done


@pytest.mark.torch
def test_numbers_are_those_of_pytorch(names: Path, tmp_path: Path) -> None:
    arguments = ["--no-picture", "--steps", "1000"]
    if importlib.util.find_spec("names") is None:
        arguments += ["--data", str(names)]
    printed, losses = [], []
    for command in (PYTORCH, FLAMBEAU):
        file = tmp_path / f"losses-{len(losses)}.txt"
        text = run(command, *arguments, "--losses", file)
        printed.append([line for line in text.splitlines() if line.startswith("at the start")])
        losses.append([float(line) for line in file.read_text().splitlines()])
    assert len(losses[0]) == 1000
    assert max(abs(a - b) for a, b in zip(*losses, strict=True)) < 1e-4
    assert printed[0] == printed[1]
