"""Judges the folder that a SQLite store is to live in, and makes its files so that only their owner can read them.

It turns a path into warnings or a `StoreUnfit` in words; it never removes anything but its own temporary file.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from engine.errors import StoreUnfit

FREE_BYTES_MIN: Final = 100 << 20
"""Less room than this is refused."""

FREE_BYTES_WARN: Final = 1 << 30

NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs",
     "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"}
)  # fmt: skip
"""SQLite's log needs memory shared between processes, and locks and fsync that mean it: these have not all three."""


def judge(path: Path, mounts: Path = Path("/proc/self/mounts")) -> list[str]:
    """Warnings about the folder of `path`. Raises StoreUnfit if the store cannot live there."""
    home = path.absolute().parent
    if not home.is_dir():
        raise StoreUnfit(f"{path}: there is no folder `{home}`", mend=f"mkdir -p {home}")
    if not os.access(home, os.W_OK | os.X_OK):
        raise StoreUnfit(f"{path}: the folder `{home}` is not writable", mend="give this user the right to write it")
    kind = file_system(home, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnfit(
            f"{path}: `{home}` is on a network file system ({kind}), where SQLite's locks and fsync are not to be "
            "relied on",
            mend="put the store on a local disk, or into PostgreSQL",
        )
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES_MIN:
        raise StoreUnfit(f"{path}: only {free >> 20} MB are free in `{home}`", mend="make room: 1 GB at least")
    if free < FREE_BYTES_WARN:
        return [f"{path}: only {free >> 20} MB are free in `{home}`; 1 GB at least is advised"]
    return []


def file_system(home: Path, mounts: Path) -> str:
    """The kind of file system that `home` is on, or `""` where the operating system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    resolved = home.resolve()
    best, kind = -1, ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        if resolved.is_relative_to(mounted) and len(mounted.parts) >= best:
            best, kind = len(mounted.parts), found
    return kind


def own(path: Path) -> None:
    """Sees to it that `path` belongs to this user and is closed to all others. Raises StoreUnfit."""
    found = path.stat()
    user = os.geteuid()
    if found.st_uid != user and user != 0:
        raise StoreUnfit(
            f"{path}: the file belongs to user number {found.st_uid}, this is {user}",
            mend="run duolog as the owner of its store",
        )
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnfit(f"{path}: not a file that can be read and written", mend=f"chmod 0600 {path}")
    if found.st_mode & 0o077:
        path.chmod(0o600)


def make(path: Path) -> None:
    """Makes an empty file that only its owner can read, unless there is one. -wal and -shm get the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    own(path)


def replace(path: Path, text: str) -> None:
    """Replaces the file's content in one step, readable by its owner only. A reader sees the old or the new text."""
    fresh = path.with_name(path.name + ".new")
    file = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(path)
