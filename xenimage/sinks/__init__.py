"""Where bytes go to: files, pipes, images in a cloud."""
