"""Unit tests of the checks of packages."""
