"""Default devices and tensor types, legacy storages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as torch


@pytest.fixture(autouse=True)
def default() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


def test_the_default_device_is_the_cpu() -> None:
    assert torch.get_default_device() == torch.device("cpu")
    for device in ("cpu", None, torch.device("cpu")):
        torch.set_default_device(device)
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        torch.set_default_device("cuda")
    with torch.device("cpu"):
        assert torch.ones(2).device.type == "cpu"


def test_the_default_tensor_type() -> None:
    torch.set_default_tensor_type(torch.DoubleTensor)
    assert torch.ones(1).dtype == torch.float64
    torch.set_default_tensor_type("torch.HalfTensor")
    assert torch.ones(1).dtype == torch.float16
    torch.set_default_tensor_type("torch.FloatTensor")
    for wrong, phrase in (
        (torch.float32, "invalid type object"),
        (torch.LongTensor, "only floating-point types"),
        ("torch.cuda.FloatTensor", "not available"),
        ("nothing", "invalid type object"),
    ):
        with pytest.raises(TypeError, match=phrase):
            torch.set_default_tensor_type(wrong)
    assert torch.get_default_dtype() == torch.float32


def test_legacy_storages() -> None:
    assert torch.FloatStorage(3).size() == 3 and torch.FloatStorage().size() == 0
    assert torch.LongStorage([1, 2]).tolist() == [1, 2]
    assert isinstance(torch.ones(2).storage(), torch.FloatStorage)
    assert not isinstance(torch.ones(2).storage(), torch.LongStorage)
    assert torch.BFloat16Storage.dtype == torch.bfloat16
    assert torch.ByteStorage.from_buffer(b"abcd").tolist() == [97, 98, 99, 100]
    assert torch.ShortStorage.from_buffer(b"\1\2\3\4", byte_order="big").tolist() == [258, 772]
    with pytest.raises(ValueError, match="byte_order"):
        torch.ByteStorage.from_buffer(b"a", byte_order="odd")
