"""The whole of an inspection, in this process: from disks to facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest import linux, windows
from xenimage.guest.firmware import firmware_facts
from xenimage.guest.linux.initrd import Allowance
from xenimage.guest.notes import Notes, Stopped
from xenimage.guest.survey import Survey
from xenimage.guest.tree import Tree
from xenimage.guest.window import Budget
from xenimage.model.guest.facts import FirmwareFacts, GuestFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.survey import Place
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.guest.linux import LinuxFacts
    from xenimage.model.guest.windows import WindowsFacts


def _nobody(facts: GuestFacts) -> None:
    """Tell nobody."""


def inspect(
    disks: Sequence[Disk], limits: Limits, names: Sequence[str], tell: Callable[[GuestFacts], None] = _nobody
) -> GuestFacts:
    """Look into the disks of one guest. Damage ends up in the facts, never in an exception.

    :param disks: in the order of the guest's; they stay open.
    :param names: of the disks, one each, for display.
    :param tell: called with the facts so far after each step, for one who may not live to hear the end.
    """
    inspection = _Inspection(disks, limits, names, tell)
    stopped = ""
    try:
        inspection.run()
    except Stopped as error:
        stopped = str(error)
    finally:
        inspection.survey.close()
    return inspection.facts(stopped)


class _Inspection:
    """What was found until now."""

    def __init__(
        self, disks: Sequence[Disk], limits: Limits, names: Sequence[str], tell: Callable[[GuestFacts], None]
    ) -> None:
        self._limits = limits
        self._tell = tell
        self._budget = Budget(limits)
        self._allowance = Allowance(self._budget.check)
        self._notes = Notes()
        self.survey = Survey(disks, names, self._budget, limits, self._notes, self._told)
        self._firmware = FirmwareFacts()
        self._systems: list[str] = []
        self._windows: WindowsFacts | None = None
        self._linux: LinuxFacts | None = None

    def run(self) -> None:
        """Look at everything; what is found is kept as it comes.

        :raises Stopped: before the end.
        """
        self.survey.run()
        esp = self.survey.esp()
        with self._notes.tried(esp[0].name if esp else "the firmware's part"):
            first = self.survey.layouts[0] if self.survey.layouts else None
            self._firmware = firmware_facts(first, esp[1] if esp else None)
        self._told()
        for place, tree in self.survey.trees("ntfs"):
            self._look_for_windows(place, tree)
            self._told()
        volumes = self.survey.named()
        for place, tree in self.survey.trees("ext", "xfs"):
            self._look_for_linux(place, tree, volumes)
            self._told()

    def _look_for_windows(self, place: Place, tree: Tree) -> None:
        esp = self.survey.esp(place.disk)
        active = self.survey.system_partition(place.disk)
        system = None
        if active is not None and active.filesystem is not None and active.name != place.name:
            system = Tree(active.filesystem, self._limits)
        with self._notes.tried(f"Windows on {place.name}"):
            found = windows.look(tree, place.name, self._notes, esp[1] if esp else None, system, self._limits)
            if found is not None:
                self._systems.append(f"Windows on {place.name}")
                self._windows = self._windows or found

    def _look_for_linux(self, place: Place, tree: Tree, volumes: Mapping[str, FileSystem]) -> None:
        esp = self.survey.esp(place.disk)
        name = f"Linux on {place.name}"

        def tell(found: LinuxFacts) -> None:
            if name not in self._systems:
                self._systems.append(name)
            if self._linux is None or self._linux.place == found.place:
                self._linux = found
            self._told()

        with self._notes.tried(name):
            linux.look(
                tree,
                place.name,
                self._notes,
                esp[1] if esp else None,
                volumes,
                self._limits,
                tell=tell,
                allowance=self._allowance,
            )

    def _told(self) -> None:
        self._tell(self.facts(""))

    def facts(self, stopped: str) -> GuestFacts:
        """Everything, as it stands."""
        for place in self.survey.places:
            for loss in place.filesystem.losses if place.filesystem else ():
                self._notes.add(f"{loss.what} on {place.name}", loss.why)
        return GuestFacts(
            disks=tuple(self.survey.layouts),
            firmware=self._firmware,
            windows=self._windows,
            linux=self._linux,
            systems=tuple(self._systems),
            unread=tuple(self._notes.unread),
            stopped=stopped,
            cost=self._budget.cost(),
        )
