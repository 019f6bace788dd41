"""XVA, the export of a XenServer pool: a tar of ``ova.xml`` and of each disk in chunks of a mebibyte."""
