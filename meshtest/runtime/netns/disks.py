"""What a pod's program finds on its disk because its manifest mounts it: on tmpfs, in the pod's mount namespace alone.

Where this machine has no such folder, the nearest one that exists gets a tmpfs which shows what was in it: nothing is
ever made on the machine's own disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.runtime.netns import files, kernel

if TYPE_CHECKING:
    from meshtest.mesh.disk import Disk


def mount(disk: Disk) -> None:
    """Put it there; raises OSError where nothing can be mounted."""
    for folder in disk.folders:
        _make_room(Path(folder))
        kernel.mount("meshtest", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
    for path, (content, mode) in disk.files.items():
        target = Path(path)
        if not _is_below(target, disk.folders):
            _rebuild_above(target.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            _take_away(target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)


def _make_room(folder: Path) -> None:
    if not folder.is_dir():
        _rebuild_above(folder)
        folder.mkdir(parents=True)


def _rebuild_above(folder: Path) -> None:
    """Have new entries of the nearest folder that is there stand on a tmpfs."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    if there == files.ROOT:
        files.rebuild_root()
    else:
        files.rebuild(there)


def _is_below(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _take_away(target: Path) -> None:
    """A file of the machine is shown there by a mount of its own."""
    if target.exists():
        kernel.unmount(str(target))
        target.unlink()
