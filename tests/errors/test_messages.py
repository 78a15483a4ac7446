"""What users are told of their mistakes, word for word."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import flambeau

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("mistakes", HERE / "mistakes.py")
mistakes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mistakes)
MESSAGES = json.loads((HERE / "messages.json").read_text())


@pytest.mark.parametrize("name", mistakes.MISTAKES)
def test_message(name: str) -> None:
    assert mistakes.message(mistakes.MISTAKES[name], flambeau) == MESSAGES[name]


def test_every_mistake_is_noticed() -> None:
    assert set(MESSAGES) == set(mistakes.MISTAKES)
    assert len(MESSAGES) >= 60
    assert "no exception" not in MESSAGES.values()


def test_the_module_path_follows_lists_and_sequences() -> None:
    assert "in Net.blocks[0].1 (Linear 9->2), mistakes.py:" in MESSAGES["linear_in_a_model"]
