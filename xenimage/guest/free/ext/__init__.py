"""ext2, ext3 and ext4: superblock, group descriptors and block bitmaps."""
