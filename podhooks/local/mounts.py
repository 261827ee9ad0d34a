"""A container's view of the file system, built from bind mounts in a private mount namespace.

The view is the host's file system with the container's volumes in it. Nothing is ever made on the host: a mount point
that the host lacks is made in a tmpfs that stands for its parent directory and shows the host's entries through bind
mounts. Runs in the process that becomes the container, before `exec`; imports little, for that process is forked often.
"""

from __future__ import annotations

import ctypes
import os
import stat

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
LOCKED_FLAGS = 2 | 4 | 8  # nosuid, nodev, noexec: a remount in a user namespace must keep them
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). OSError names the target."""
    arguments = (
        source.encode(),
        target.encode(),
        kind and kind.encode(),
        ctypes.c_ulong(flags),
        data and data.encode(),
    )
    _check(_libc.mount(*arguments), f"mount {target}")


def bind(source: str, target: str) -> None:
    mount(source, target, None, MS_BIND | MS_REC)


def make_read_only(target: str) -> None:
    """Turn a bind mount into a read-only one."""
    flags = os.statvfs(target).f_flag & LOCKED_FLAGS
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def enter_pid_namespace() -> None:
    """The next child is PID 1 of a new PID namespace. Without root this takes a user namespace with the same user."""
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWPID)
        return
    except PermissionError:
        unshare(CLONE_NEWUSER | CLONE_NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


class View:
    """The new root under construction at `root`, an empty directory of the host."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._own: set[str] = set()  # directories that lie in our own tmpfs, as the container sees their paths
        self._volumes: list[str] = []
        self._read_only: list[str] = []
        unshare(CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        self._mirror("/")

    def add(self, source: str, path: str, *, read_only: bool = False) -> None:
        """Show `source` (file or directory of the host) at `path`. Call in order of depth."""
        target = os.path.realpath(path)
        self._ensure(target, directory=os.path.isdir(source))
        bind(source, self._root + target)
        self._volumes.append(target)
        if read_only:
            self._read_only.append(target)

    def ensure_directory(self, path: str) -> None:
        self._ensure(os.path.realpath(path), directory=True)

    def enter(self) -> None:
        """Make the view the root of this process. The old root is out of reach afterwards."""
        for target in self._read_only:
            make_read_only(self._root + target)
        os.chdir(self._root)
        if hasattr(_libc, "pivot_root") and _libc.pivot_root(b".", b".") == 0:
            _check(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
        else:  # the host's root is an initramfs, or the C library lacks the call
            os.chroot(".")
        os.chdir("/")

    def _ensure(self, target: str, *, directory: bool) -> None:
        here = self._root + target
        if os.path.lexists(here):
            if os.path.isdir(here) != directory:
                what = "a directory" if directory else "a file"
                raise OSError(f"{target} can't be a mount point for {what}: it is something else on this machine")
            return
        parent = os.path.dirname(target)
        self._ensure(parent, directory=True)
        if not self._is_ours(parent):
            self._mirror(parent)
        if directory:
            os.mkdir(here)
            self._own.add(target)
        else:
            _touch(here)

    def _is_ours(self, directory: str) -> bool:
        return directory in self._own or any(directory == v or directory.startswith(v + "/") for v in self._volumes)

    def _mirror(self, directory: str) -> None:
        """Cover a host directory with a tmpfs that shows the same entries."""
        target = self._root + directory.rstrip("/")
        known = os.stat(directory)
        mount("tmpfs", target, "tmpfs", 0, f"mode={stat.S_IMODE(known.st_mode):o}")
        mount("none", target, None, MS_UNBINDABLE)  # or binding /tmp would bind the view into itself
        for entry in os.scandir(directory):
            _show(entry, f"{target}/{entry.name}")
        self._own.add(directory)


def _show(entry: os.DirEntry[str], target: str) -> None:
    """One host entry in a mirror. What can't be shown (no access, vanished) is left out, as it would be useless."""
    try:
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.path == "/proc":
            os.mkdir(target)
            _mount_proc(target)
        else:
            os.mkdir(target) if entry.is_dir() else _touch(target)
            bind(entry.path, target)
    except OSError:
        return


def _mount_proc(target: str) -> None:
    """The new PID namespace's own /proc, or the host's where that is forbidden (/proc/self is right in both)."""
    try:
        mount("proc", target, "proc", 0)
    except OSError:
        bind("/proc", target)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC | os.O_WRONLY, 0o644))
