"""The kinds of findings about cloudbase-init."""

from __future__ import annotations

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

_NOTHING = "Servers get no host name, password, keys or network from the cloud."
_INSTALL = "Install cloudbase-init in it before sysprep: https://cloudbase.it/cloudbase-init."
_SCRIPT = (
    "Run bin\\SetSetupComplete.cmd of cloudbase-init before sysprep: it writes the script that starts the service when"
    " the set-up of Windows is through."
)
_ANSWER = "Run sysprep with cloudbase-init's answer file: sysprep /generalize /oobe /unattend:Unattend.xml."
_CONF = "Set metadata_services in cloudbase-init.conf to"
_SERVICES = "cloudbaseinit.metadata.services"
_BOTH = f"{_SERVICES}.configdrive.ConfigDriveService,{_SERVICES}.httpservice.HttpService"

KINDS = by_code(
    (
        FindingKind(
            code="windows.cloudbase-init.none",
            title="No cloudbase-init",
            severity=Severity.ERROR,
            what="cloudbase-init is not installed as a service.",
            why=_NOTHING,
            act=_INSTALL,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.file",
            title="cloudbase-init of which a file is missing",
            severity=Severity.ERROR,
            what="cloudbase-init has no file {path}.",
            why="It fails when it is started. " + _NOTHING,
            act="Repair its installation before sysprep.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.disabled",
            title="cloudbase-init that is disabled",
            severity=Severity.ERROR,
            what="The service cloudbase-init is disabled, and nothing starts it.",
            why=_NOTHING,
            act="Set it to start on demand: sc config cloudbase-init start= demand. " + _SCRIPT,
            mend=Mend.CHOICE,
            cases={
                "revived": Wording(
                    severity=Severity.WARNING,
                    what="The service cloudbase-init is disabled; a script enables it when the set-up of Windows is"
                    " through.",
                    why="If that script does not run, as with OEM keys, servers get nothing from the cloud.",
                )
            },
        ),
        FindingKind(
            code="windows.cloudbase-init.idle",
            title="cloudbase-init that nothing starts",
            severity=Severity.ERROR,
            what="The service cloudbase-init starts on demand, and nothing demands it.",
            why=_NOTHING,
            act=_SCRIPT,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.early",
            title="cloudbase-init that may start too early",
            severity=Severity.WARNING,
            what="The service cloudbase-init starts by itself, also while Windows is set up.",
            why="It may run during the specialize pass, where a restart or a change of users breaks the set-up.",
            act=_SCRIPT + " Or let it start delayed: sc config cloudbase-init start= delayed-auto.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.metadata",
            title="cloudbase-init that does not ask OpenStack",
            severity=Severity.ERROR,
            what="cloudbase-init looks for its metadata neither on a config drive nor at OpenStack's service.",
            why=_NOTHING,
            act=f"{_CONF} {_BOTH}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.http",
            title="cloudbase-init that asks over the network first",
            severity=Severity.INFO,
            what="cloudbase-init asks {url} before it looks for a config drive.",
            why="Where there is no metadata service, each start waits for it some minutes.",
            act=f"{_CONF} {_BOTH}.",
            mend=Mend.CHOICE,
            cases={
                "only": Wording(
                    severity=Severity.WARNING,
                    what="cloudbase-init asks {url} alone, and looks for no config drive.",
                    why="Servers on a network without DHCP or without a metadata service get no host name, password,"
                    " keys or addresses.",
                )
            },
        ),
        FindingKind(
            code="windows.cloudbase-init.drive",
            title="Config drive that is not looked for where it is",
            severity=Severity.ERROR,
            what="cloudbase-init does not look for a config drive on whole disks.",
            why="There the target shows it: it is attached as a plain disk, which is not found. " + _NOTHING,
            act="Set raw_hdd=true, and locations=cdrom,hdd,partition, in the section config_drive of"
            " cloudbase-init.conf; or config_drive_raw_hhd=true in its section DEFAULT.",
            mend=Mend.CHOICE,
            cases={
                "cdrom": Wording(
                    what="cloudbase-init does not look for a config drive on CDs.",
                    why="There the target shows it. " + _NOTHING,
                    act="Set cdrom=true, and locations=cdrom,hdd,partition, in the section config_drive of"
                    " cloudbase-init.conf.",
                ),
                "iso": Wording(
                    what="cloudbase-init does not read config drives of ISO 9660.",
                    why="That is what Nova makes, unless it is told to make FAT. " + _NOTHING,
                    act="Set types=vfat,iso in the section config_drive of cloudbase-init.conf.",
                ),
            },
        ),
        FindingKind(
            code="windows.cloudbase-init.helper",
            title="Program that reads config drives, and is missing",
            severity=Severity.ERROR,
            what="cloudbase-init needs {path} to read a config drive, and it is not there.",
            why="A config drive of ISO 9660, which Nova makes, is not read. " + _NOTHING,
            act="Repair the installation of cloudbase-init, or correct the path in cloudbase-init.conf.",
            mend=Mend.CHOICE,
            cases={
                "fat": Wording(
                    severity=Severity.WARNING, why="Where Nova is told to make config drives of FAT, they are not read."
                )
            },
        ),
        FindingKind(
            code="windows.cloudbase-init.plugins",
            title="cloudbase-init without usual plugins",
            severity=Severity.WARNING,
            what="cloudbase-init runs without {names}.",
            why="Servers lack what these do: host name, user, password, the size of the disk, user data or network.",
            act="Name them in plugins of cloudbase-init.conf, or take that line out to have the default.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.unattend-conf",
            title="cloudbase-init that may break the set-up of Windows",
            severity=Severity.WARNING,
            what="cloudbase-init-unattend.conf has no {names}.",
            why="In the specialize pass cloudbase-init may then restart the machine, or stop its service: the set-up of"
            " Windows fails or starts over.",
            act="Write allow_reboot=false and stop_service_on_exit=false into cloudbase-init-unattend.conf.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.specialize",
            title="Set-up of Windows without cloudbase-init",
            severity=Severity.WARNING,
            what="No answer file runs cloudbase-init in the specialize pass.",
            why="The host name is set only after the set-up of Windows, and costs one more restart of each server.",
            act=_ANSWER,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.devices",
            title="Set-up of Windows that forgets devices",
            severity=Severity.WARNING,
            what="No answer file says PersistAllDeviceInstalls, and neither does the registry.",
            why="sysprep then removes the PV devices, and a server has to find them anew at its first start.",
            act=_ANSWER,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.cloudbase-init.booted",
            title="cloudbase-init that ran already",
            severity=Severity.WARNING,
            what="cloudbase-init ran for {ids} already: the system was a server.",
            why="What it made there is in every server of the image: users, keys, volumes, files. A new server has a"
            " new id, so it runs again.",
            act="Delete the keys in the evidence and cloudbase-init's logs before sysprep.",
            mend=Mend.CHOICE,
        ),
    )
)
