"""A page for people who would rather look: one file without scripts, and without anything that is loaded."""
