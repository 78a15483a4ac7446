"""The GPU as ``torch.cuda`` asks for it."""

from __future__ import annotations

from typing import Any

from ..tensor._device import CPU, CUDA, Elsewhere, device, here


def there() -> bool:
    """Whether there is a GPU."""
    return Elsewhere.has_cuda()


def machine(which: object = None) -> Any:
    """The GPU's backend (``_devices.backend.Backend``). AssertionError where there is none;
    RuntimeError where ``which`` names another than the first; ValueError for no GPU at all."""
    if not there():
        here("cuda")
    if isinstance(which, int) and not isinstance(which, bool):
        which = device("cuda", max(which, 0))
    place = here("cuda" if which is None else which)
    if place is not CUDA:
        raise ValueError(f"Expected a cuda device, but got: {place if place is not CPU else 'cpu'}")
    return Elsewhere.on(CUDA).machine()


class DeviceProperties:
    """What a GPU is: ``get_device_properties()``. Sizes in bytes, clocks in kHz."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.name: str = said["name"]
        self.major: int = said["major"]
        self.minor: int = said["minor"]
        self.total_memory: int = said["totalGlobalMem"]
        self.multi_processor_count: int = said["multiProcessorCount"]
        self.max_threads_per_multi_processor: int = said["maxThreadsPerMultiProcessor"]
        self.max_threads_per_block: int = said["maxThreadsPerBlock"]
        self.warp_size: int = said["warpSize"]
        self.regs_per_multiprocessor: int = said["regsPerMultiprocessor"]
        self.shared_memory_per_block: int = said["sharedMemPerBlock"]
        self.shared_memory_per_block_optin: int = said.get("sharedMemPerBlockOptin", 0)
        self.shared_memory_per_multiprocessor: int = said["sharedMemPerMultiprocessor"]
        self.L2_cache_size: int = said["l2CacheSize"]
        self.is_integrated: int = said["integrated"]
        self.is_multi_gpu_board: int = said["isMultiGpuBoard"]
        self.clock_rate: int = said.get("clockRate", 0)
        self.memory_clock_rate: int = said.get("memoryClockRate", 0)
        self.memory_bus_width: int = said["memoryBusWidth"]
        self.pci_bus_id: int = said["pciBusID"]
        self.pci_device_id: int = said["pciDeviceID"]
        self.pci_domain_id: int = said["pciDomainID"]
        uuid = said.get("uuid", b"")
        digits = bytes(uuid).ljust(16, b"\0")[:16].hex()
        cuts = (0, 8, 12, 16, 20, 32)
        self.uuid = "-".join(digits[a:b] for a, b in zip(cuts, cuts[1:]))
        self.gcnArchName = self.name

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory >> 20}MB, "
            f"multi_processor_count={self.multi_processor_count}, uuid={self.uuid}, "
            f"pci_bus_id={self.pci_bus_id}, pci_device_id={self.pci_device_id}, "
            f"pci_domain_id={self.pci_domain_id}, L2_cache_size={self.L2_cache_size >> 20}MB)"
        )
