"""Glance's door: import plugins that turn disks into bundles and bundles into disks. Glance is their host."""
