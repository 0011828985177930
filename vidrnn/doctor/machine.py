"""What the machine has, as far as the standard library tells."""

import os
import platform
import resource
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from vidrnn.backbones.cache_folder import cache_folder
from vidrnn.doctor.remarks import Remark
from vidrnn.names import quoted
from vidrnn.processes import usable_cores

_FASTER = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")  # what OpenVINO and PyTorch use
_LEAST_FILES = 1024  # a decoder takes about ten, a pack one for each shard
_SHARED = "/dev/shm"  # noqa: S108  looked at, not written
_LEAST_DISK = 2 * 10**9


def remarks_on_machine(place: Path) -> list[Remark]:
    """CPU, memory, disk and limits.

    Args:
        place: a folder on the disk that counts, or one that is still to be made.
    """
    return [_cpu(), _memory(), _disk(place), _shared_memory(), _open_files(), _cache()]


def _cpu() -> Remark:
    model, flags = platform.processor() or platform.machine(), set[str]()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        model, flags = fields.get("model name", model), set(fields.get("flags", "").split())
    found = [flag for flag in _FASTER if flag in flags]
    speed = ", ".join(found) if found else "none of " + ", ".join(_FASTER)
    cores, all_cores = usable_cores(), os.cpu_count() or 1
    return Remark("machine", "CPU", f"{model}; {cores} of {all_cores} cores may be used; {speed}")


def _memory() -> Remark:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return Remark("machine", "memory", "unknown", "note")
    return Remark("machine", "memory", in_words(size))


def _disk(place: Path) -> Remark:
    there = existing(place)
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Remark("machine", "disk", f"{quoted(there)} cannot be looked at ({error})", "note")
    if not os.access(there, os.W_OK):
        return Remark("machine", "disk", f"nothing can be written to {quoted(there)}", "note", "name another folder")
    value = f"{in_words(free)} free at {quoted(there)}"
    if free < _LEAST_DISK:
        return Remark("machine", "disk", value, "note", "free some space; `vidrnn check` says how much features take")
    return Remark("machine", "disk", value)


def _shared_memory() -> Remark:
    try:
        size = shutil.disk_usage(_SHARED).total
    except OSError:
        return Remark("machine", _SHARED, "there is none; vidrnn does without")
    return Remark("machine", _SHARED, f"{in_words(size)}; vidrnn does without, PyTorch's own data loaders do not")


def _open_files() -> Remark:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    value = f"{_limit(soft)} may be open at a time"
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        may = hard == resource.RLIM_INFINITY or hard >= _LEAST_FILES
        advice = f"`ulimit -n {_LEAST_FILES}` before vidrnn" if may else "ask whoever runs the machine"
        return Remark("machine", "files", value, "note", f"raise it to {_LEAST_FILES}: {advice}")
    return Remark("machine", "files", value)


def _limit(number: int) -> str:
    return "any number" if number == resource.RLIM_INFINITY else str(number)


def _cache() -> Remark:
    folder = cache_folder()
    if folder is None:
        return Remark("machine", "cache", "no home folder", "note", "set VIDRNN_CACHE to a folder that can be written")
    try:
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
        with tempfile.TemporaryFile(dir=existing(folder)):
            pass
    except OSError as error:
        value = f"{quoted(folder)} cannot be written ({error.strerror or error})"
        return Remark("machine", "cache", value, "note", "converted networks are made anew each time; set VIDRNN_CACHE")
    return Remark("machine", "cache", f"{quoted(folder)}, {in_words(size)}")


def existing(place: Path) -> Path:
    """The folder itself, or the nearest above it that is there; it may be a file, where there can be no folder."""
    place = place.absolute()
    return next((folder for folder in (place, *place.parents) if folder.exists()), Path("/"))


def in_words(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in {"B", "kB"} else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
