"""The examples of docs/how_compile_works.md run."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how_compile_works.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number, capsys):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    exec(compile(EXAMPLES[number], f"{PAGE.name}, example {number}", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_step_becomes_what_the_page_says():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    (step,) = [text for text in EXAMPLES if "AdamW" in text]
    names = {}
    exec(step.partition("told =")[0], names)
    told = names["step"].explain()
    page = PAGE.read_text(encoding="utf-8")
    for line in told.split("\n"):
        if "kernel over" in line or " product " in line or "operations became" in line:
            assert line.strip() in page
    assert names["loss"].item() < 1.0
