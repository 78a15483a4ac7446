"""A state_dict that does not fit: the error ends with the line that mends it, and the line works.

PyTorch lists the keys and leaves it at that.
"""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau import nn


class Net(nn.Module):
    """Two named layers, so that keys have parts."""

    def __init__(self, first: str = "encoder", second: str = "head", width: int = 3) -> None:
        super().__init__()
        setattr(self, first, nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width)))
        setattr(self, second, nn.Linear(width, 1))


class Wrapper(nn.Module):
    """What DataParallel and compile do to the names."""

    def __init__(self, inner: nn.Module, name: str) -> None:
        super().__init__()
        self.add_module(name, inner)


class Many(nn.Sequential):
    """More names than fit into a line."""

    def __init__(self, names: str) -> None:
        super().__init__(OrderedDict((f"{names}{i}", nn.Linear(i + 1, 2)) for i in range(6)))


def compiled_inside() -> nn.Module:
    net = Net()
    net.encoder = Wrapper(net.encoder, "_orig_mod")
    return net


CASES: dict[str, tuple[Callable[[], Any], Callable[[], nn.Module], str]] = {
    "DataParallel's prefix": (lambda: Wrapper(Net(), "module").state_dict(), Net, "'module.'"),
    "compile's prefix": (lambda: Wrapper(Net(), "_orig_mod").state_dict(), Net, "'_orig_mod.'"),
    "a prefix too few": (lambda: Net().state_dict(), lambda: Wrapper(Net(), "module"), "'module.'"),
    "compiled inside": (lambda: compiled_inside().state_dict(), Net, "'_orig_mod.'"),
    "a layer renamed": (lambda: Net(second="fc").state_dict(), Net, "'fc.', 'head.'"),
    "both renamed": (lambda: Net("body", "fc").state_dict(), Net, "'body.', 'encoder.'"),
    "many renamed": (lambda: Many("a").state_dict(), lambda: Many("b"), "dict(zip("),
    "a checkpoint": (lambda: {"epoch": 3, "model": Net().state_dict()}, Net, "['model']"),
}


def fix_of(message: str) -> str:
    return re.search(r"load (\{.*\}|dict\(.*\)|state_dict\[.*\])$", message, re.MULTILINE)[1]


@pytest.mark.parametrize("case", CASES)
def test_the_error_ends_with_the_line_that_loads(case: str) -> None:
    make, build, told = CASES[case]
    state_dict, model = make(), build()
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict") as caught:
        model.load_state_dict(state_dict)
    assert told in str(caught.value)
    mended = eval(fix_of(str(caught.value)), {"state_dict": state_dict, "model": model})
    assert str(model.load_state_dict(mended)) == "<All keys matched successfully>"
    source = state_dict.get("model", state_dict)
    assert torch.equal(next(iter(model.state_dict().values())), next(iter(source.values())))


@pytest.mark.parametrize(
    "state_dict",
    [Net(width=4, second="fc").state_dict(), OrderedDict(nope=torch.ones(1)), {}],
    ids=["other shapes", "another model", "empty"],
)
def test_no_line_where_none_would_load(state_dict: dict) -> None:
    with pytest.raises(RuntimeError) as caught:
        Net().load_state_dict(state_dict)
    assert "load {" not in str(caught.value)
    assert "Missing key(s) in state_dict" in str(caught.value)


def test_nothing_loads_in_silence() -> None:
    state_dict = Wrapper(Net(), "module").state_dict()
    with pytest.warns(UserWarning, match="has loaded nothing into Net.*\n.*removeprefix"):
        keys = Net().load_state_dict(state_dict, strict=False)
    assert len(keys.unexpected_keys) == len(state_dict)


def test_a_part_may_be_loaded_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = Net()
        Net(second="fc").load_state_dict(net.state_dict(), strict=False)
        Net().load_state_dict({}, strict=False)
        Net().load_state_dict(net.state_dict())
