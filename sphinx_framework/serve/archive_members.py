"""The members of zip and tar archives, told by what they are and not by what they say."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sphinx_framework.serve.archive_names import check_name, unsafe
from sphinx_framework.serve.problems import Problem

_END, _END_SIZE = b"PK\x05\x06", 22
_LOCAL = b"PK\x03\x04"
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_DIRECTORY_BYTES = 1024  # of one member in a zip's directory, generously
_HEADER_BYTES = 4096  # of one member in a tar, generously


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one archive may hold."""

    entries: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member with a safe name; ``open`` gives its content, before the next one is taken."""

    name: str
    folder: bool
    open: Callable[[], IO[bytes]]


def members(archive: Path, limits: Limits) -> Iterator[Member]:
    """Read an archive by its first bytes; raises :class:`Problem`, or what the readers raise."""
    with open(archive, "rb") as file:
        head = file.read(512)
    if head[:4] in (_LOCAL, _END):
        yield from _zip_members(archive, limits)
    elif head[:2] == b"\x1f\x8b":
        with gzip.open(archive) as unzipped:
            counted = _Counted(unzipped, limits)
            yield from _tar_members(counted, limits)
            while counted.read(1 << 16):
                pass  # to the end, where the checksum is
    elif head[257:262] == b"ustar":
        with open(archive, "rb") as file:
            yield from _tar_members(file, limits)
    else:
        raise Problem(
            "scene-invalid",
            "The upload is no archive.",
            hint="Send a zip, tar or tar.gz of a scene folder.",
        )


def too_large(limits: Limits) -> Problem:
    """More bytes came out than may."""
    mega = limits.unpacked_bytes / 1e6
    return Problem("upload-too-large", f"The archive unpacks to more than {mega:g} MB.")


def _too_many(limits: Limits) -> Problem:
    return Problem("upload-too-large", f"The archive has more than {limits.entries} members.")


def _zip_members(archive: Path, limits: Limits) -> Iterator[Member]:
    with open(archive, "rb") as raw:
        if _directory_bytes(raw) > limits.entries * _DIRECTORY_BYTES:
            raise _too_many(limits)
        with zipfile.ZipFile(raw) as opened:
            infos = opened.infolist()
            if len(infos) > limits.entries:
                raise _too_many(limits)
            if infos and min(info.header_offset for info in infos) > 0:
                raise zipfile.BadZipFile("something lies before the first member")
            names = [_checked_zip_name(raw, info) for info in infos]
            for name, info in zip(names, infos, strict=True):
                yield Member(name, info.is_dir(), _Opening(opened, info))


class _Opening:
    """Opens one member of a zip."""

    def __init__(self, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._opened, self._info = opened, info

    def __call__(self) -> IO[bytes]:
        return self._opened.open(self._info)


def _checked_zip_name(raw: IO[bytes], info: zipfile.ZipInfo) -> str:
    original = info.orig_filename  # ZipFile cuts `filename` at a NUL
    name = check_name(original)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unsafe(name, "is a link or a device")
    if info.flag_bits & 0x41:
        raise unsafe(name, "is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Problem("scene-invalid", "The zip uses a compression other than deflate.")
    raw.seek(info.header_offset)
    header = raw.read(30)
    if len(header) < 30 or header[:4] != _LOCAL:
        raise zipfile.BadZipFile("no local header")
    local = raw.read(int.from_bytes(header[26:28], "little"))
    plain = not info.flag_bits & 0x800
    if local != original.encode("cp437" if plain else "utf-8"):
        raise unsafe(name, "has another name in its local header")
    if plain:
        local.decode("utf-8")  # raises where the name is in another encoding
    return name


def _directory_bytes(raw: IO[bytes]) -> int:
    """The size of a zip's directory, before anything reads it."""
    size = raw.seek(0, io.SEEK_END)
    raw.seek(max(0, size - (1 << 16) - _END_SIZE - _LOCATOR_SIZE))
    tail = raw.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise zipfile.BadZipFile("no end of the directory")
    stated = int.from_bytes(tail[at + 12 : at + 16], "little")
    locator = tail[max(0, at - _LOCATOR_SIZE) : at]
    if locator[:4] == _LOCATOR:
        raw.seek(min(size, int.from_bytes(locator[8:16], "little")))
        record = raw.read(56)
        stated = max(stated % 0xFFFFFFFF, int.from_bytes(record[40:48], "little"))
    return stated


def _tar_members(source: Any, limits: Limits) -> Iterator[Member]:
    with closing(tarfile.open(fileobj=source, mode="r|", errorlevel=2)) as opened:
        for count, info in enumerate(opened, 1):
            if count > limits.entries:
                raise _too_many(limits)
            name = check_name(info.name)
            if not (info.isreg() or info.isdir()) or info.issparse():
                raise unsafe(name, "is a link or a device")
            yield Member(name, info.isdir(), _TarOpening(opened, info))


class _TarOpening:
    """Opens the current member of a tar that is read once, front to back."""

    def __init__(self, opened: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._opened, self._info = opened, info

    def __call__(self) -> IO[bytes]:
        return self._opened.extractfile(self._info) or io.BytesIO()


class _Counted:
    """A decompressing reader that gives out no more than an archive may hold."""

    def __init__(self, source: Any, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self._left = limits.unpacked_bytes + limits.entries * _HEADER_BYTES + (1 << 20)

    def read(self, size: int) -> bytes:
        data = bytes(self._source.read(size))
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._limits)
        return data
