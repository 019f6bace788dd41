"""VHD: the format of Virtual PC, as blktap extends and reads it."""
