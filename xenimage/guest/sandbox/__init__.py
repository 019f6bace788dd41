"""The inspection in a process of its own that has nothing but two pipes: whoever reads damaged file systems may die."""
