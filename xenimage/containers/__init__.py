"""What holds disks: a bundle today; each container is a package of its own."""
