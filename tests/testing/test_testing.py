"""torch.testing, held against what PyTorch answered (golden.json)."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import answer, recorded, scenarios

import flambeau as torch

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    got, wanted = answer(SCENARIOS[name], torch), GOLDEN[name]
    assert len(got) == len(wanted)
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        assert g == w, f"{name}[{i}]"


def test_a_bool_is_no_number() -> None:
    with pytest.raises(AssertionError, match=r"The \(d\)types do not match: <class 'bool'>"):
        torch.testing.assert_close(True, 1)


def test_subclasses_may_be_refused() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    torch.testing.assert_close(parameter, torch.ones(2))
    with pytest.raises(TypeError, match="No comparison pair"):
        torch.testing.assert_close(parameter, torch.ones(2), allow_subclasses=False)


def test_assert_allclose_mixes_dtypes_and_takes_nan_for_equal() -> None:
    with pytest.warns(FutureWarning, match="assert_close"):
        torch.testing.assert_allclose(
            [1.0, float("nan")], torch.tensor([1.0, float("nan")]).double()
        )
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_allclose([1.0], [1.1])
