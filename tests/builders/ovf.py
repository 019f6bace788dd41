"""Descriptors of OVF as their writers shape them, from plain texts: nothing of the code under test."""

from __future__ import annotations

import hashlib

DMTF = "http://schemas.dmtf.org/ovf/envelope/1"
DRAFT = "http://www.vmware.com/schema/ovf/1/envelope"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
VMDK = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
VHD = "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx"
SPACES = (
    f'xmlns:rasd="{CIM}ResourceAllocationSettingData" xmlns:vssd="{CIM}VirtualSystemSettingData"'
    ' xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
FILE = '<File ovf:id="file1" ovf:href="disk.raw" ovf:size="4096"/>'
DISK = '<Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="4096"/>'
NETWORK = '<NetworkSection><Info/><Network ovf:name="LAN"><Description>the net</Description></Network></NetworkSection>'
SYSTEM = "<System><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType></System>"


def item(kind: int, instance: str, attributes: str = "", **fields: object) -> str:
    """An item; *fields* are elements of rasd."""
    texts = "".join(f"<rasd:{name}>{value}</rasd:{name}>" for name, value in fields.items())
    return (
        f"<Item {attributes}><rasd:InstanceID>{instance}</rasd:InstanceID><rasd:ResourceType>{kind}</rasd:ResourceType>"
        f"{texts}</Item>"
    )


CPU = item(3, "1", VirtualQuantity=2)
MEMORY = item(4, "2", AllocationUnits="byte * 2^20", VirtualQuantity=512)
SCSI = item(6, "3", Address=0, ResourceSubType="lsilogic")
DRIVE = item(17, "4", ElementName="Hard disk 1", HostResource="ovf:/disk/disk1", Parent=3, AddressOnParent=0)
CARD = item(10, "5", ElementName="Card", Connection="LAN", ResourceSubType="VmxNet3", Address="00:16:3E:01:02:03")
ITEMS = CPU + MEMORY + SCSI + DRIVE + CARD


def machine(items: str = ITEMS, identifier: str = "vm", more: str = "", name: str = "web", system: str = SYSTEM) -> str:
    return (
        f'<VirtualSystem ovf:id="{identifier}"><Info/><Name>{name}</Name>{more}'
        f"<VirtualHardwareSection><Info/>{system}{items}</VirtualHardwareSection></VirtualSystem>"
    )


def envelope(
    content: str | None = None,
    *,
    files: str = FILE,
    disks: str = DISK,
    sections: str = NETWORK,
    strings: str = "",
    space: str = DMTF,
    head: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """A descriptor. *content*: machines and collections."""
    version = 'ovf:version="1.0"' if space == DMTF else ""
    return (
        f'{head}<Envelope xmlns="{space}" xmlns:ovf="{space}" {SPACES} {version}>'
        f"<References>{files}</References><DiskSection><Info/>{disks}</DiskSection>{sections}"
        f"{machine() if content is None else content}{strings}</Envelope>"
    ).encode()


def draft() -> bytes:
    """A descriptor of VMware's draft 0.9: sections by their types."""
    text = envelope(space=DRAFT).decode()
    for name in ("DiskSection", "NetworkSection", "VirtualHardwareSection"):
        text = text.replace(f"<{name}>", f'<Section xsi:type="ovf:{name}_Type">').replace(f"</{name}>", "</Section>")
    text = text.replace("<VirtualSystem ", '<Content xsi:type="ovf:VirtualSystem_Type" ')
    text = text.replace("</VirtualSystem>", "</Content>").replace("InstanceID", "InstanceId")
    return (
        text.replace("ElementName", "Caption")
        .replace("<rasd:Address>0</rasd:Address>", "<rasd:BusNumber>0</rasd:BusNumber>")
        .encode()
    )


def citrix(name: str = "aa.vhd", size: int = 4096, security: str = "", attributes: str = "") -> bytes:
    """A descriptor as XenCenter writes it: one line of UTF-8 that declares UTF-16."""
    rasd = "rasd:ResourceType"
    return (
        '<?xml version="1.0" encoding="utf-16"?>'
        f'<ovf:Envelope xmlns:ovf="{DMTF}" {SPACES} xmlns:xenovf="http://schemas.citrix.com/ovf/envelope/1"'
        ' xmlns:wsse="urn:wsse" xmlns:xenc="urn:xenc" xenovf:Name="db" xenovf:id="p" xenovf:version="1.0.0">'
        f'<ovf:References><ovf:File ovf:id="aa" ovf:href="{name}" ovf:size="{size}" {attributes}/></ovf:References>'
        '<ovf:DiskSection><ovf:Info>Available Disks</ovf:Info><ovf:Disk xenovf:isBootable="true" ovf:diskId="aa"'
        f' ovf:fileRef="aa" ovf:capacity="4096" ovf:format="{VHD}"/><ovf:Disk xenovf:isBootable="false"'
        ' ovf:diskId="bb" ovf:capacity="1048576"/></ovf:DiskSection>'
        '<ovf:NetworkSection><ovf:Info/><ovf:Network ovf:name="net-uuid"/></ovf:NetworkSection>'
        '<ovf:StartupSection><ovf:Info/><ovf:Item ovf:id="cc" ovf:order="0"/></ovf:StartupSection>'
        f"{security}"
        '<ovf:VirtualSystem ovf:id="cc"><ovf:Info>XenOVF Generated</ovf:Info><ovf:Name>db</ovf:Name>'
        '<ovf:OperatingSystemSection ovf:id="0"><ovf:Info/></ovf:OperatingSystemSection>'
        "<ovf:VirtualHardwareSection><ovf:Info/><ovf:System><vssd:InstanceID>i</vssd:InstanceID>"
        "<vssd:VirtualSystemType>hvm-3.0-unknown</vssd:VirtualSystemType></ovf:System>"
        f"<ovf:Item><rasd:InstanceID>1</rasd:InstanceID><{rasd}>3</{rasd}><rasd:VirtualQuantity>4</rasd:VirtualQuantity>"
        "<rasd:Limit>100000</rasd:Limit></ovf:Item>"
        "<ovf:Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>"
        f"<{rasd}>4</{rasd}><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></ovf:Item>"
        "<ovf:Item><rasd:Address>00163E010203</rasd:Address><rasd:Connection>XenNetwork=net-uuid</rasd:Connection>"
        f"<rasd:ElementName>Pool-wide</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><{rasd}>10</{rasd}></ovf:Item>"
        "<ovf:Item><rasd:Connection>bb,device=0</rasd:Connection><rasd:InstanceID>bb</rasd:InstanceID>"
        f"<{rasd}>19</{rasd}></ovf:Item>"
        "<ovf:Item><rasd:Caption>Hard Disk Image</rasd:Caption><rasd:Connection>aa,device=3</rasd:Connection>"
        f"<rasd:HostResource>ovf:/disk/aa</rasd:HostResource><rasd:InstanceID>aa</rasd:InstanceID><{rasd}>19</{rasd}>"
        "</ovf:Item>"
        f"<ovf:Item><rasd:Caption>FLOPPY</rasd:Caption><rasd:InstanceID>9</rasd:InstanceID><{rasd}>19</{rasd}></ovf:Item>"
        '<xenovf:VirtualSystemOtherConfigurationData id="e" Name="HVM_boot_params"><xenovf:Info/>'
        "<xenovf:Value>order=dc;firmware=uefi</xenovf:Value></xenovf:VirtualSystemOtherConfigurationData>"
        '<xenovf:VirtualSystemOtherConfigurationData id="f" Name="platform"><xenovf:Info/>'
        "<xenovf:Value>nx=true;secureboot=true</xenovf:Value></xenovf:VirtualSystemOtherConfigurationData>"
        '<xenovf:VirtualSystemOtherConfigurationData id="g" Name="HVM-boot-policy"><xenovf:Info/>'
        "<xenovf:Value>BIOS order</xenovf:Value></xenovf:VirtualSystemOtherConfigurationData>"
        "</ovf:VirtualHardwareSection></ovf:VirtualSystem></ovf:Envelope>"
    ).encode()


def security(known: str, version: str = ' xenovf:version="1.3.1"') -> str:
    """What XenCenter says of encryption, for the file of the Id ``xen_1``."""
    return (
        f"<ovf:SecuritySection><ovf:Info/><wsse:Security{version}><xenc:ReferenceList>"
        '<xenc:DataReference ValueType="xen_1"/></xenc:ReferenceList><xenc:EncryptedData><xenc:CipherData>'
        f"<xenc:CipherValue>{known}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></wsse:Security>"
        "</ovf:SecuritySection>"
    )


def manifest(files: dict[str, bytes], algorithm: str = "sha256") -> bytes:
    """As openssl writes it."""
    return "".join(
        f"{algorithm.upper()}({name})= {hashlib.new(algorithm, data).hexdigest()}\n" for name, data in files.items()
    ).encode()
