"""``xenimage-vhd-util``: as much of blktap's ``vhd-util`` as OpenStack calls, for hosts that have none.

The sub-commands, options, outputs and exit codes are upstream's (blktap, ``vhd/lib/vhd-util-*.c``), also where they are
odd: programs read them. What differs, and why, stands in doc/source/reference/vhd-util.rst. Results go to standard
output, which consumers parse; the reasons that upstream logs to syslog go to standard error.
"""
