"""What a guest's file systems do not use: ranges of its disk that may read as zeros. Claims nothing that is in doubt.

The readers here take bitmaps and descriptors only, never files for their content. They raise FormatError where a
volume breaks its own rules, NotReadyError where it was not closed, UnsupportedError where it holds what is not known
here; :mod:`xenimage.guest.free.survey` turns these into an answer for the disk.
"""
