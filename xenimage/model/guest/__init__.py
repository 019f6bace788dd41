"""What was seen inside a guest's disks: facts without opinions, as plain values."""
