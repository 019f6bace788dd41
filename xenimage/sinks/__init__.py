"""Where bytes go to: files, pipes."""
