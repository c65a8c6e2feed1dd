"""Which device does the work, and in which precision."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import torch

from nuclick_qp.errors import DeviceError

DEVICE_IS_FULL = (torch.OutOfMemoryError, MemoryError)  # what a network raises then
Precision = Literal["auto", "float32", "bfloat16", "float16"]


def choose_device(name: str) -> torch.device:
    """Give the device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    DeviceError
        If the name is no device, or this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise DeviceError(f"{name!r} is no device; use auto, cpu, cuda, cuda:N or mps") from err
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}.get(device.type)
    if there is None:
        raise DeviceError(f"{name!r} is not supported; use auto, cpu, cuda, cuda:N or mps")
    if not there or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"this machine has no device {name!r}; use --device auto or cpu")
    return device


def choose_precision(device: torch.device) -> Literal["float32", "bfloat16", "float16"]:
    """Give the fastest precision that the device has in hardware."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device.type == "mps":
        return "float16"
    features = torch.backends.cpu.get_cpu_capability()
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if features.startswith("AVX512") and native else "float32"


def usable_cores() -> int:
    """Give how many cores this program may keep busy: what ``OMP_NUM_THREADS`` says, else those that the system lets it use."""
    named = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if named.isdecimal() and int(named):
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_core_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Give threads in each of which torch works on one core.

    Several OpenMP threads wait for one another by spinning: as soon as another program keeps a core busy, a click
    takes six times as long as on one. Threads that share work out among themselves lose no more than that core.
    """
    return ThreadPoolExecutor(count, name, torch.set_num_threads, (1,))


def use_one_thread(device: torch.device) -> None:
    """Let a network on the CPU work on one thread from now on, in this whole process; why, says `one_core_threads`."""
    if device.type == "cpu":
        torch.set_num_threads(1)


def free_memory() -> None:
    """Give back what torch keeps of the device's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
