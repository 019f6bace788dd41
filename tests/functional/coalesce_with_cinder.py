"""Run by Cinder's own Python: ``coalesce_with_cinder.py SCRATCH BUNDLE`` turns the bundle into its coalesced VHD.

It is what ``cinder-volume`` does with an image of ``disk_format=vhd``, ``container_format=ovf``, before qemu-img.
"""

from __future__ import annotations

import sys

from cinder.image import image_utils
from oslo_config import cfg

scratch, bundle = sys.argv[1:]
cfg.CONF([], project="cinder", default_config_files=[], default_config_dirs=[])
cfg.CONF.set_override("image_conversion_dir", scratch)
image_utils.replace_xenserver_image_with_coalesced_vhd(bundle)
