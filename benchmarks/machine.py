"""What was measured on: cores, memory and kind of disk; never a host, a user or a path."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mounts")
MEMORY: Final = Path("/proc/meminfo")
DEVICES: Final = Path("/sys/dev/block")


def describe(folder: Path, server_version: str) -> dict[str, str]:
    """Describe the machine; ``folder`` lies on the disk that matters."""
    return {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _memory(),
        "disk": _disk(folder),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PostgreSQL": server_version,
        "asyncpg": version("asyncpg"),
    }


def filesystem(folder: Path) -> str:
    """Name the kind of file system that ``folder`` lies on; ``unknown`` elsewhere than on Linux."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return "unknown"
    found = ("", "unknown")
    for _, place, kind, *_ in mounts:
        if folder.resolve().is_relative_to(place) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


def resident(pid: int | str = "self") -> dict[str, int]:
    """Tell a process's memory in bytes: ``now`` and ``peak``; empty where the system does not say."""
    wanted = {"VmRSS:": "now", "VmHWM:": "peak"}
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    except OSError:
        return {}
    return {wanted[line[0]]: int(line[1]) * 1024 for line in lines if line and line[0] in wanted}


def cpu_seconds(pid: int) -> float:
    """Tell how long a process has kept the processors busy; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory() -> str:
    try:
        kilobytes = int(MEMORY.read_text().split()[1])
    except OSError:
        return "unknown"
    return f"{kilobytes / 1024**2:.0f} GiB"


def _disk(folder: Path) -> str:
    device = folder.stat().st_dev
    block = DEVICES / f"{os.major(device)}:{os.minor(device)}"
    kind = "unknown kind"
    for place in (block, block.resolve().parent):
        try:
            rotates = (place / "queue" / "rotational").read_text().strip() == "1"
        except OSError:
            continue
        is_virtual = "/virtio" in str(place.resolve())
        kind = "virtual disk" if is_virtual else "rotating disk" if rotates else "solid-state disk"
        break
    return f"{kind}, {filesystem(folder)}"
