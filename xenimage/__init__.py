"""Turn disk images into what a Xen cloud boots, and back."""
