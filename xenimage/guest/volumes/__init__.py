"""What stands in a partition: recognised by its magic, described by its superblock."""
