"""NTFS: the bitmap of its clusters, its log, and a few files of Windows."""
