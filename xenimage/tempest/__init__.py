"""A tempest plugin: whether a cloud converts images while it imports them. Tempest is its host, no requirement."""
