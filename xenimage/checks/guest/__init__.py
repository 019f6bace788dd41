"""Opinions on what was seen in a guest's disks: pure functions of facts and a target."""
