"""All kinds of findings, by code: what the reference is made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest import registry as guest_registry
from xenimage.checks.kinds import KINDS as CHECK_KINDS
from xenimage.checks.package.kinds import KINDS as PACKAGE_KINDS
from xenimage.containers.ovf.kinds import KINDS as OVF_KINDS
from xenimage.containers.vmx.kinds import KINDS as VMX_KINDS
from xenimage.containers.xva.kinds import KINDS as XVA_KINDS
from xenimage.formats.vhd.checks.findings import KINDS as VHD_KINDS
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def _told(
    severity: Severity,
    code: str,
    title: str,
    *texts: str,
    mend: Mend = Mend.NONE,
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """A kind that is worded where it arises, from what its profile or its image says. *texts*: what, why, act."""
    what, why, act = texts
    return FindingKind(
        code=code, title=title, severity=severity, what=what, why=why, act=act, mend=mend, cases=cases or {}
    )


SOURCES = (
    _told(
        _WARNING,
        "qcow2.corrupt",
        "Image marked as corrupt",
        "The image is marked as corrupt.",
        "QEMU found overlapping or broken metadata in it: data that is read from it may be wrong.",
        "Use another copy, or repair a copy with qemu-img check -r all and compare the content.",
        mend=Mend.LOST,
    ),
    _told(
        _WARNING,
        "qcow2.dirty",
        "Image that was not closed",
        "The image was not closed cleanly: its reference counts may be out of date.",
        "It may be in use by a running guest, or that guest was killed; its last writes may be missing.",
        "Make sure that nothing writes to it; qemu-img check -r all brings the counts up to date.",
        mend=Mend.SAFE,
    ),
    _told(
        _WARNING,
        "qcow2.size",
        "No whole number of sectors",
        "The virtual size is no whole number of sectors.",
        "QEMU cuts the last sector off; here it is kept.",
        "Nothing, unless the disk's size must agree with what QEMU shows.",
    ),
    _told(
        _WARNING,
        "vmdk.no-descriptor",
        "Extent without a descriptor",
        "The file is a sparse extent without a descriptor.",
        "It may be one piece of a larger disk or a delta whose parent has the rest; alone it looks whole.",
        "Open the descriptor, a small text file beside it, instead.",
        mend=Mend.CHOICE,
    ),
    _told(
        _WARNING,
        "vmdk.capacity",
        "Two sizes",
        "The descriptor and the header tell of different numbers of sectors; the header was believed.",
        "Programs that believe the descriptor show the disk with another size.",
        "Check that the disk has the size that its guest expects.",
        mend=Mend.CHOICE,
    ),
    _told(
        _WARNING,
        "vmdk.unclean",
        "Extent that was not closed",
        "The extent was not closed cleanly (uncleanShutdown is set).",
        "What its hypervisor wrote last may be missing, and the guest's file systems may be damaged.",
        "Shut the guest down in its hypervisor, or let the hypervisor check the disk, and export it again.",
        mend=Mend.LOST,
    ),
    _told(
        _WARNING,
        "vmdk.grain-directory",
        "Damaged grain directory",
        "The grain directory cannot be used; its copy, or what the grains say of themselves, served instead.",
        "The file is damaged; other programs may refuse it or read zeros in place of data.",
        "Compare the file's checksum with the original's, or export the disk again.",
        mend=Mend.LOST,
    ),
    _told(
        _WARNING,
        "source.backing.other-name",
        "Parent of another name",
        "The parent that was given has another name than the one that the image was made on.",
        "Nothing in the two files tells whether they belong together, as in qcow2; over another parent a disk reads as"
        " garbage.",
        "Make sure that it is the same disk, moved or renamed.",
        mend=Mend.CHOICE,
    ),
)
WISHES = (
    _told(
        _WARNING,
        "profile.bare-vhd",
        "Target that takes no bundle",
        "The target of the profile does not take the bundle, but the VHD alone.",
        "Nothing on its side unpacks a gzipped tar.",
        "xenimage disk convert SOURCE NEW.vhd --format vhd; the finding has the whole command.",
        mend=Mend.ANEW,
    ),
    _told(
        _ERROR,
        "chain.members",
        "More layers than the target takes",
        "--chain would make more VHDs than the target takes.",
        "The finding has the profile's reason.",
        "Leave out --chain: the layers are then flattened into one VHD.",
        mend=Mend.ANEW,
    ),
    _told(
        _INFO,
        "chain.sizes",
        "Layers of different sizes",
        "The VHDs of the chain have different sizes.",
        "XenServer takes a child that is larger than its parent; Cinder enlarges the parent before it merges.",
        "Nothing.",
    ),
    _told(
        _ERROR,
        "size.profile",
        "Larger than the profile takes",
        "The disk is larger than the profile takes.",
        "The finding names the profile's reason; xenimage profile show prints it too.",
        "Make the disk smaller in the guest and in its image, or choose another profile.",
        mend=Mend.LOST,
    ),
    _told(
        _INFO,
        "size.rounded",
        "Disk that grows",
        "The disk grows to the size that you asked for, or to the next 2 MiB or GiB; the new bytes are zeros.",
        "A VHD that is no multiple of its 2 MiB blocks is enlarged by more than asked at the next resize.",
        "Nothing; a backup GPT is no longer at the end, which guests repair by themselves.",
    ),
    _told(
        _INFO,
        "size.tar",
        "VHD beyond 8 GiB",
        "The VHD may pass 8 GiB; its tar header then gives the size in GNU's base-256 form.",
        "Every GNU tar in a XenServer host reads it; some other tools do not.",
        "Nothing.",
    ),
)
PROPERTIES = (
    _told(
        _WARNING,
        "property.NAME.missing",
        "Property that is missing",
        "The target wants the property, and it is not given.",
        "Only you know its value; the finding has the profile's reason.",
        "Add --property NAME=VALUE.",
        mend=Mend.CHOICE,
    ),
    _told(
        _ERROR,
        "property.NAME.value",
        "Value that the target does not understand",
        "The property has a value that is none of the target's.",
        "The finding has the profile's reason. Often only the case is wrong.",
        "Use one of the values listed.",
        mend=Mend.CHOICE,
    ),
    _told(
        _ERROR,
        "property.NAME.forbidden",
        "Property that must not be set",
        "The property must not be set for the target.",
        "It breaks or misleads the target; the finding has the profile's reason.",
        "Leave it out.",
        mend=Mend.SAFE,
    ),
    _told(
        _ERROR,
        "property.NAME.core",
        "Attribute given as a property",
        "An attribute of the image, such as min_disk, was given as a property.",
        "Glance refuses the upload or overrides what the bundle needs.",
        "Leave it out.",
        mend=Mend.SAFE,
    ),
    _told(
        _WARNING,
        "property.NAME.unread",
        "Property of today's name",
        "The property has today's name, where the driver reads the legacy one.",
        "When a server is built the driver reads the legacy name; today's alone changes nothing.",
        "Add the legacy name too.",
        mend=Mend.SAFE,
    ),
    _told(
        _ERROR,
        "property.os_type.refused",
        "Guest that the target does not take",
        "The target takes no image with this os_type.",
        "It has no drivers or licences for such guests.",
        "Choose another profile (xenimage profile list).",
        mend=Mend.CHOICE,
    ),
    _told(
        _WARNING,
        "property.NAME.contradicts",
        "Property that says other than the guest",
        "The property has a value, or is set at all, although what was found on the disk, or what its package says,"
        " asks for another.",
        "Your value stays. If it is wrong the guest does not start, or is treated as what it is not; the finding has"
        " the reason and what was seen.",
        "Leave the property out, unless you know better.",
        mend=Mend.CHOICE,
        cases={
            "grave": Wording(
                severity=_ERROR,
                what="os_type, hw_firmware_type, xenapi_device_id, or vm_mode of Windows, says other than the disk.",
            ),
            "mild": Wording(severity=_INFO, what="os_admin_user is another than the guest's own."),
        },
    ),
    _told(
        _WARNING,
        "property.xenapi_device_id.trap",
        "Property for old hosts only",
        "The property xenapi_device_id is set.",
        "It makes every start on XenServer 7 and later fail.",
        "Leave it out. If all hosts run XenServer 6.1 to 6.5, choose the profile nova-xenapi-6.",
        mend=Mend.CHOICE,
    ),
    _told(
        _INFO,
        "property.all.unread",
        "Properties that nobody reads",
        "The target knows no image properties: those given will not be read.",
        "It takes the VHD itself, which carries no properties.",
        "Set what they mean where you create the template or the VM.",
    ),
)

RECORDS = (
    _told(
        _ERROR,
        "image.format",
        "Formats of another kind of image",
        "The record of the image has not the disk format and container format of a bundle.",
        "The consumer chooses by these two how it reads an image, and takes no other for a bundle.",
        "Store it anew: the formats of an image cannot be changed once it has data.",
        mend=Mend.ANEW,
    ),
    _told(
        _WARNING,
        "image.min_disk",
        "min_disk below the size of the disk",
        "The record allows flavors on which the disk does not fit.",
        "On a smaller flavor the server fails while it is built, and not when it is asked for.",
        "xenimage image properties IMAGE --fix sets it.",
        mend=Mend.SAFE,
    ),
    _told(
        _WARNING,
        "property.all.case",
        "Name of a property in another case",
        "The name of the property is right but for the case of its letters.",
        "Names of properties are compared letter by letter: this one is read by nobody.",
        "xenimage image properties IMAGE --fix renames it.",
        mend=Mend.SAFE,
    ),
)

KINDS = by_code(
    tuple(CHECK_KINDS.values()),
    tuple(VHD_KINDS.values()),
    OVF_KINDS,
    VMX_KINDS,
    XVA_KINDS,
    PACKAGE_KINDS,
    SOURCES,
    WISHES,
    PROPERTIES,
    RECORDS,
    tuple(guest_registry.KINDS.values()),
)
"""those of xenimage's own"""


def all_kinds() -> dict[str, FindingKind]:
    """Return every kind, those of installed checks of guests included.

    :raises ExtensionError: an installed check cannot be loaded, or has a code that is xenimage's own.
    """
    return KINDS | guest_registry.installed_kinds(KINDS)
