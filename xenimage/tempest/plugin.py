"""The plugin, as tempest finds it by its entry point."""

from __future__ import annotations

import os
from typing import Any

from tempest.test_discover import plugins

from xenimage.tempest import config


class XenimageTempestPlugin(plugins.TempestPlugin):  # type: ignore[misc]
    """Where the tests are, and the options that they read."""

    def load_tests(self) -> tuple[str, str]:
        """Return the directory of the tests, and the one that holds the package."""
        here = os.path.dirname(os.path.abspath(__file__))
        return os.path.join(here, "tests"), os.path.dirname(os.path.dirname(here))

    def register_opts(self, conf: Any) -> None:
        """Add the options to tempest's own."""
        conf.register_opt(config.ENABLED, group="service_available")
        conf.register_group(config.GROUP)
        conf.register_opts(config.OPTIONS, config.GROUP)

    def get_opt_lists(self) -> list[tuple[str, list[Any]]]:
        """Return the options by group, for tempest's sample configuration."""
        return [(config.GROUP.name, config.OPTIONS), ("service_available", [config.ENABLED])]
