"""Where bytes come from: files, block devices, pipes, images in a cloud."""
