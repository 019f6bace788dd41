"""Whether a package is whole, and who says so: its manifest and its certificate held against its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.containers.ovf.certificate import now, read_certificate
from xenimage.containers.ovf.kinds import Notes, found
from xenimage.containers.ovf.manifest import coverage, digest, read_manifest
from xenimage.containers.ovf.names import safe_name, spellings
from xenimage.exceptions import TransferError, XenimageError
from xenimage.model.finding import Severity
from xenimage.model.machine import Proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.ovf.manifest import Entry
    from xenimage.containers.ovf.store import Store
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.transfer import Progress


def beside(store: Store, suffix: str) -> str | None:
    """Name of the manifest or certificate that belongs to the descriptor; None if there is none."""
    base = store.descriptor[: -len(".ovf")] if store.descriptor.lower().endswith(".ovf") else store.descriptor
    name = store.find(f"{base}{suffix}") or store.find(f"{base}{suffix.upper()}")
    if name is not None:
        return name
    others = store.others(suffix)
    return others[0] if len(others) == 1 else None


def read_small(store: Store, name: str, limits: Limits, what: str) -> bytes:
    """All of a small file.

    :raises LimitError: it is larger than the limit ``descriptor_size``.
    """
    source = store.open(name)
    try:
        limits.require("descriptor_size", source.size, what)
        return source.read(0, source.size)
    finally:
        source.close()


def prove(
    store: Store, files: Sequence[str], limits: Limits, progress: Progress, encryption: str, *, alone: bool = False
) -> tuple[Proof, tuple[Finding, ...]]:
    """Hold every file against the manifest, and the manifest against the certificate.

    :param files: real names of the files that the descriptor refers to.
    :param encryption: of the package, for the proof.
    :param alone: whether only *files* and the descriptor are looked at, and not what else the manifest lists.
    :raises LimitError: the manifest is too large.
    """
    notes = Notes()
    name = beside(store, ".mf")
    if name is None:
        notes.add(found("manifest.absent"))
        return Proof(encryption=encryption), notes.all()
    data = read_small(store, name, limits, "the bytes of the manifest")
    entries = read_manifest(data, limits, notes)
    for finding in coverage(entries, store.descriptor, files):
        notes.add(finding)
    _compare(store, entries, frozenset((store.descriptor, *files)) if alone else None, notes, progress)
    sound = not any(each.severity is Severity.ERROR or each.code == "ovf.manifest.missing" for each in notes.all())
    signature, signer = _signature(store, data, limits, notes)
    proof = Proof(
        manifest="verified" if sound else "not verified",
        algorithms=tuple(sorted({entry.algorithm for entry in entries})),
        signature=signature,
        signer=signer,
        encryption=encryption,
    )
    return proof, notes.all()


def _compare(
    store: Store, entries: Sequence[Entry], wanted: frozenset[str] | None, notes: Notes, progress: Progress
) -> None:
    there = [
        (entry, name)
        for entry in entries
        if (name := _there(store, entry, notes)) and (wanted is None or name in wanted)
    ]
    progress.start("checking", sum(_size(store, name) for _, name in there))
    try:
        for entry, name in there:
            source = store.open(name)
            try:
                actual = digest(source, entry.algorithm, progress.advance)
            finally:
                source.close()
            if actual != entry.digest:
                notes.add(
                    found(
                        "manifest.mismatch",
                        name=name,
                        algorithm=entry.algorithm,
                        actual=actual,
                        expected=entry.digest,
                        where=name,
                    )
                )
    finally:
        progress.stop()


def _size(store: Store, name: str) -> int:
    source = store.open(name)
    source.close()
    return source.size


def _there(store: Store, entry: Entry, notes: Notes) -> str | None:
    for spelling in spellings(entry.name):
        try:
            name = store.find(safe_name(spelling))
        except TransferError:
            raise
        except XenimageError:  # a name that leads out is that of no file of the package
            name = None
        if name is not None:
            return name
    notes.add(found("manifest.missing", name=entry.name))
    return None


def _signature(store: Store, manifest: bytes, limits: Limits, notes: Notes) -> tuple[str, str]:
    """The form of the signature and its maker; empty texts if there is none that holds."""
    name = beside(store, ".cert")
    if name is None:
        return "", ""
    try:
        certificate = read_certificate(read_small(store, name, limits, "the bytes of the certificate"))
        form = certificate.verify(manifest)
    except TransferError:
        raise
    except XenimageError as error:
        notes.add(found("certificate.damaged", error=error))
        return "", ""
    signer = certificate.signer
    if not form:
        notes.add(found("certificate.mismatch", signer=signer))
        return "", signer
    if form == "citrix":
        notes.add(found("certificate.citrix", signer=signer))
    if not certificate.valid_at(now()):
        start, stop = certificate.holder.not_valid_before_utc, certificate.holder.not_valid_after_utc
        notes.add(found("certificate.expired", signer=signer, start=f"{start:%Y-%m-%d}", stop=f"{stop:%Y-%m-%d}"))
    notes.add(found("certificate.trust", signer=signer, issuer=certificate.issuer))
    return form, signer
