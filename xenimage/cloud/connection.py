"""The way to a cloud: ``clouds.yaml`` and the ``OS_*`` variables, read as openstacksdk reads them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from xenimage.cloud.errors import translated
from xenimage.cloud.images import GlanceImages
from xenimage.exceptions import ConfigError, ExtensionError

if TYPE_CHECKING:
    from xenimage.model.image import CloudOptions

LOG = logging.getLogger(__name__)


def connect(options: CloudOptions) -> GlanceImages:
    """Find the image service of a cloud, and prove that the cloud knows us.

    :raises ExtensionError: the libraries are not installed.
    :raises ConfigError: the configuration names no cloud that could be used.
    :raises CloudError: the cloud does not answer, or does not know us.
    """
    _require_libraries()
    with translated(options.cloud or "the cloud"):
        from openstack.config import OpenStackConfig

        auth = {name: value for name, value in options.settings if name in _AUTH}
        others: dict[str, Any] = {name: value for name, value in options.settings if name not in _AUTH}
        try:
            region = OpenStackConfig(app_name="xenimage").get_one(cloud=options.cloud, auth=auth, **others)
        except TypeError as error:  # a setting that is not of this way to log in
            raise ConfigError(
                f"the settings do not belong together: {error}",
                expected="those of one way to log in",
                where=options.cloud or "the cloud",
                tip="Unset the OS_* variables that OS_AUTH_TYPE does not know.",
            ) from error
        return _images(region, options.timeout)


def connect_region(region: Any, timeout: float) -> GlanceImages:
    """The same for a configuration of openstacksdk's that somebody else has read.

    :param region: an ``openstack.config.cloud_region.CloudRegion``.
    :param timeout: seconds that the cloud may be silent, unless the configuration says so.
    :raises ExtensionError: the libraries are not installed.
    :raises CloudError: the cloud does not answer, or does not know us.
    """
    _require_libraries()
    with translated("the cloud"):
        return _images(region, timeout)


_AUTH = frozenset(
    {
        "auth_url",
        "endpoint",
        "username",
        "user_id",
        "user_domain_id",
        "user_domain_name",
        "project_id",
        "project_name",
        "project_domain_id",
        "project_domain_name",
        "system_scope",
    }
)
"""settings that are the authentication's"""


def _images(region: Any, timeout: float) -> GlanceImages:
    import glanceclient
    from glanceclient.common.utils import strip_version

    session = region.get_session()
    session.timeout = session.timeout or timeout
    endpoint = region.get_endpoint("image")
    # glanceclient puts /v2 into every path itself: with one in the endpoint each call would be a 404.
    override = strip_version(endpoint)[0] if endpoint else None
    client = glanceclient.Client(
        "2",
        session=session,
        endpoint_override=override,
        region_name=region.get_region_name("image"),
        interface=region.get_interface("image"),
    )
    client.http_client.get_token()
    place = override or client.http_client.get_endpoint() or ""
    LOG.info("images at %s", place)
    return GlanceImages(client, str(place), session.get_project_id() or "")


def _require_libraries() -> None:
    try:
        import glanceclient
        import keystoneauth1
        import openstack
    except ImportError as error:
        raise ExtensionError(
            f"the library {error.name} is not installed",
            expected="the client's libraries",
            tip="Run: pip install 'xenimage[client]'",
        ) from error
    LOG.debug("clients: %s, %s, %s", glanceclient.__name__, keystoneauth1.__name__, openstack.__name__)
