"""Which cloud: the options that choose one, and the way to it, also below the ``openstack`` command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from xenimage import api
from xenimage.model.image import CloudOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.cli.command import Command
    from xenimage.model.image import Images

_SETTINGS = {
    "--os-auth-type": ("TYPE", "how to log in: password, v3applicationcredential, token, none ..."),
    "--os-auth-url": ("URL", "address of keystone"),
    "--os-endpoint": ("URL", "address of glance, for --os-auth-type none or admin_token"),
    "--os-image-endpoint-override": ("URL", "address of glance, in place of the one in the catalogue"),
    "--os-username": ("NAME", "the user"),
    "--os-user-domain-name": ("NAME", "the user's domain"),
    "--os-project-name": ("NAME", "the project"),
    "--os-project-domain-name": ("NAME", "the project's domain"),
    "--os-region-name": ("NAME", "the region"),
    "--os-interface": ("KIND", "public, internal or admin"),
    "--os-cacert": ("FILE", "certificates of the authorities that are trusted"),
}
"""options and what they are: openstacksdk has the same names, without ``os_``"""

_SECRETS = ("--os-password", "--os-token", "--os-auth-token", "--os-application-credential-secret")


class _Refused(argparse.Action):
    """An option that would put a secret where every user of the machine can read it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - the signature of an action
        values: str | Sequence[Any] | None,  # noqa: ARG002
        option_string: str | None = None,
    ) -> NoReturn:
        """Refuse it, without repeating it."""
        name = (option_string or "").removeprefix("--").replace("-", "_").upper()
        parser.error(
            f"{option_string} is not taken: a command line can be read by every user of the machine."
            f" Set {name} in the environment, or use clouds.yaml or secure.yaml"
        )


def add_cloud(parser: argparse.ArgumentParser, command: Command) -> None:
    """Add the options that choose a cloud, where the program around *command* has none of its own."""
    if _has_own(command):
        return
    group = parser.add_argument_group("cloud")
    group.add_argument(
        "--os-cloud", metavar="NAME", help="a cloud of clouds.yaml (default: OS_CLOUD, or the OS_* variables)"
    )
    for option, (metavar, text) in _SETTINGS.items():
        group.add_argument(option, metavar=metavar, help=text)
    for option in _SECRETS:
        group.add_argument(option, action=_Refused, help=argparse.SUPPRESS)


def connect(command: Command, args: argparse.Namespace) -> Images:
    """Go to the cloud that the options choose.

    :raises ConfigError: they choose none that could be used. Else as the library's function.
    """
    if _has_own(command):
        app = command.app
        return api.connect_region(app.cloud_config.get_one(cloud=app.options.cloud, argparse=app.options))
    settings = []
    for option in _SETTINGS:
        name = option.removeprefix("--").replace("-", "_")
        value = getattr(args, name)
        if value is not None:
            settings.append((name.removeprefix("os_"), value))
    return api.connect_cloud(CloudOptions(cloud=args.os_cloud, settings=tuple(settings)))


def _has_own(command: Command) -> bool:
    """Whether this is a command below ``openstack``, whose own options choose the cloud."""
    return hasattr(command.app, "cloud_config")
