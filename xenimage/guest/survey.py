"""What lies on the disks of a guest: tables, partitions, logical volumes, and the file systems that can be read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.guest.filesystems.registry import is_read, open_volume
from xenimage.guest.lvm.group import logical_volumes
from xenimage.guest.partitions.layout import ESP, LDM_TYPES, STORAGE_SPACES
from xenimage.guest.partitions.table import is_extended, read_layout
from xenimage.guest.tree import Tree
from xenimage.guest.volumes.recognise import recognise
from xenimage.guest.window import DiskReader, Part
from xenimage.model.guest.layout import Layout, Partition, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.notes import Notes
    from xenimage.guest.window import Budget, Readable
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

_ESP_TYPES = frozenset({ESP, "0xef"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A partition or logical volume, and the file system in it if that can be read."""

    disk: int
    partition: Partition
    source: Readable
    filesystem: FileSystem | None = None

    @property
    def name(self) -> str:
        """As findings call it: ``disk 0, partition 2``, ``vg/root``; ``disk 0`` where one volume fills it."""
        if self.partition.type == "lvm":
            return self.partition.name
        return f"disk {self.disk}, partition {self.partition.number}" if self.partition.number else f"disk {self.disk}"

    @property
    def is_esp(self) -> bool:
        """Whether firmware looks for loaders there."""
        return self.partition.type in _ESP_TYPES


class Survey:
    """Goes over the disks and keeps what it found, so that an early end loses nothing.

    :param names: of the disks, for display.
    :param told: called after each step.
    """

    def __init__(
        self,
        disks: Sequence[Disk],
        names: Sequence[str],
        budget: Budget,
        limits: Limits,
        notes: Notes,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._disks = disks
        self._budget = budget
        self._limits = limits
        self._notes = notes
        self._told = told
        self.layouts = [
            Layout(index=index, name=name, size=disk.facts.virtual_size, scheme="")
            for index, (disk, name) in enumerate(zip(disks, names, strict=True))
        ]
        self.places: list[Place] = []

    def run(self) -> None:
        """Look at all disks.

        :raises Stopped: the inspection is over.
        """
        for index, disk in enumerate(self._disks):
            with self._notes.tried(f"disk {index}"):
                error = disk.unreadable()
                if error is not None:
                    self._notes.add(f"disk {index}", str(error))
                    continue
                self._divide(index, DiskReader(disk, self._budget))
        self._join()

    def close(self) -> None:
        """Close the file systems; the disks stay open."""
        for place in self.places:
            if place.filesystem is not None:
                place.filesystem.close()

    def trees(self, *kinds: str) -> Iterator[tuple[Place, Tree]]:
        """Yield the places whose file system's kind begins with one of *kinds*, each as a tree of its own."""
        for place in self.places:
            if place.filesystem is not None and place.filesystem.volume.kind.startswith(kinds):
                yield place, Tree(place.filesystem, self._limits)

    def esp(self, disk: int = 0) -> tuple[Place, Tree] | None:
        """The first EFI system partition that can be read, one of the disk with that index before others."""
        found = [(place, tree) for place, tree in self.trees("fat") if place.is_esp]
        return min(found, key=lambda one: one[0].disk != disk, default=None)

    def system_partition(self, disk: int) -> Place | None:
        """The partition that the boot code of an MBR goes on with."""
        if self.layouts[disk].scheme != "mbr":
            return None
        return next((place for place in self.places if place.disk == disk and place.partition.active), None)

    def named(self) -> dict[str, FileSystem]:
        """The file systems by the names that a Linux guest may call them by; the first one of a name wins."""
        found: dict[str, FileSystem] = {}
        for place in self.places:
            if place.filesystem is not None:
                for name in _linux_names(place):
                    found.setdefault(name, place.filesystem)
        return found

    def _divide(self, index: int, source: Readable) -> None:
        layout = read_layout(source, index, self.layouts[index].name)
        self.layouts[index] = layout
        self._told()
        for partition in layout.partitions:
            if is_extended(partition) or partition.offset >= source.size:
                continue
            part = Part(source, partition.offset, partition.length)
            self._look(Place(disk=index, partition=partition, source=part))

    def _join(self) -> None:
        """Put physical volumes of LVM together, and look at what lies in the logical ones."""
        physical = [place for place in self.places if place.partition.volume and place.partition.volume.kind == "lvm2"]
        if not physical:
            return
        for logical in logical_volumes([place.source for place in physical], self._notes, self._limits):
            disk = physical[logical.first].disk
            partition = Partition(
                number=0,
                offset=0,
                length=logical.size,
                type="lvm",
                type_name="logical volume",
                name=logical.name,
                volume=Volume(kind=""),
            )
            layout = self.layouts[disk]
            self.layouts[disk] = dataclasses.replace(layout, partitions=(*layout.partitions, partition))
            if logical.source is not None:
                self._look(Place(disk=disk, partition=partition, source=logical.source))

    def _look(self, place: Place) -> None:
        """Recognise and open what stands at *place*, and put it into the disk's layout."""
        with self._notes.tried(place.name):
            volume = named_by_type(place.partition.type) or recognise(place.source)
            place = self._with(place, volume)
            if is_read(volume.kind):
                filesystem = open_volume(place.source, self._limits, volume)
                filesystem.volume = dataclasses.replace(filesystem.volume, readable=True)
                place = dataclasses.replace(self._with(place, filesystem.volume), filesystem=filesystem)
        self.places.append(place)
        self._told()

    def _with(self, place: Place, volume: Volume) -> Place:
        """The same place with *volume* in its partition, in the layout too."""
        partition = dataclasses.replace(place.partition, volume=volume)
        layout = self.layouts[place.disk]
        partitions = tuple(partition if one == place.partition else one for one in layout.partitions)
        self.layouts[place.disk] = dataclasses.replace(layout, partitions=partitions)
        return dataclasses.replace(place, partition=partition)


def named_by_type(partition_type: str) -> Volume | None:
    """The volume that the partition's type alone tells of, because nothing in it does."""
    if partition_type in LDM_TYPES:
        return Volume(kind="ldm")
    return Volume(kind="storage-spaces") if partition_type == STORAGE_SPACES else None


def _linux_names(place: Place) -> Iterator[str]:
    """What ``/etc/fstab`` may say for *place*."""
    partition = place.partition
    if partition.volume is not None:
        for tag, value in (("UUID", partition.volume.uuid), ("LABEL", partition.volume.label)):
            if value:
                yield f"{tag}={value}"
    if partition.type == "lvm":
        group, _, volume = partition.name.partition("/")
        yield f"/dev/{group}/{volume}"
        # The device mapper joins the two with one hyphen, so those inside are doubled.
        yield "/dev/mapper/" + "-".join(part.replace("-", "--") for part in (group, volume))
        return
    if partition.uuid:
        yield f"PARTUUID={partition.uuid}"
    if partition.name:
        yield f"PARTLABEL={partition.name}"
