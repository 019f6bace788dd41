"""Where bytes come from: files, block devices, archives."""
