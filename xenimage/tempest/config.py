"""The options, in tempest.conf."""

from __future__ import annotations

from oslo_config import cfg

ENABLED = cfg.BoolOpt("xenimage", default=False, help="Whether the cloud has xenimage in image_import_plugins.")
GROUP = cfg.OptGroup(name="xenimage", title="Images for Xen")
OPTIONS = [
    cfg.StrOpt(
        "profile", default="nova-xenapi", help="What [xenimage] profile is in Glance's configuration: a target's name."
    ),
    cfg.BoolOpt("extract", default=False, help="Whether xenimage_extract is in image_import_plugins, too."),
    cfg.StrOpt(
        "kit",
        help=(
            "Directory of a kit that 'xenimage sample kit' wrote. By default one is written for the time of the tests."
        ),
    ),
    cfg.IntOpt("import_timeout", default=300, min=1, help="Seconds that one import may take."),
    cfg.IntOpt("import_interval", default=1, min=1, help="Seconds between two looks at an image that is imported."),
]
