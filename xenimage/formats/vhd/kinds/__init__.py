"""Every kind of finding that a VHD can give: the one source of its messages and of their reference."""
