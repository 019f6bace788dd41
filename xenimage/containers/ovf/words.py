"""What all kinds of findings about an OVF package have in common: words, and a short way to write one down."""

from __future__ import annotations

from xenimage.model.finding import Severity
from xenimage.model.kind import Describe

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
ANEW = "Write the package anew with xenimage package convert."
EXPORT = "Export the machine again, or correct the descriptor by hand."
kind = Describe(group="ovf")
