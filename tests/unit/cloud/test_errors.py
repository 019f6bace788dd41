"""Errors of the cloud's libraries in our own words."""

from __future__ import annotations

import ddt
import glanceclient.exc
import keystoneauth1.exceptions
import openstack.exceptions

from tests.base import TestCase
from xenimage.cloud.errors import CloudError, NoImageError, translated
from xenimage.exceptions import ConfigError, FormatError, UsageError, XenimageError

CASES = (
    (glanceclient.exc.HTTPNotFound("gone"), NoImageError, "w: no such image in this cloud"),
    (
        glanceclient.exc.HTTPConflict("409 Conflict: Image &#x27;a&#x27; is <b>busy</b>. (Request-ID: req-1)"),
        CloudError,
        "w: the cloud answered 409: Image 'a' is busy",
    ),
    (glanceclient.exc.HTTPInternalServerError("x" * 5000), CloudError, f"w: the cloud answered 500: {'x' * 400} ..."),
    (keystoneauth1.exceptions.Unauthorized("no"), CloudError, "w: keystone: the cloud answered 401: no"),
    (keystoneauth1.exceptions.EndpointNotFound("none for image"), CloudError, "w: none for image"),
    (
        openstack.exceptions.ConfigException("Cloud x was not found."),
        ConfigError,
        "w: Cloud x was not found, expected a cloud",
    ),
    (TypeError("vhdx is not valid"), UsageError, "w: vhdx is not valid"),
    (
        ConnectionRefusedError(111, "Connection refused"),
        CloudError,
        "w: the connection to the cloud failed: connection refused",
    ),
    (
        glanceclient.exc.CommunicationError("to http://me:secret@host/v2 failed"),
        CloudError,
        "w: to http://host/v2 failed",
    ),
    (KeyError("strange"), CloudError, "w: KeyError: 'strange'"),
)


@ddt.ddt
class TranslatedTest(TestCase):
    @ddt.data(*CASES)
    @ddt.unpack
    def test_error(self, error: Exception, kind: type[XenimageError], text: str) -> None:
        with self.assertRaises(kind) as caught, translated("w"):
            raise error
        self.assertEqual(text, str(caught.exception))
        self.assertIs(error, caught.exception.__cause__)

    def test_our_own_come_through(self) -> None:
        mine = FormatError("broken")
        with self.assertRaises(FormatError) as caught, translated("w"):
            raise mine
        self.assertIs(mine, caught.exception)

    @ddt.data((0, True), (503, True), (500, False), (401, False), (429, True))
    @ddt.unpack
    def test_what_may_be_tried_again(self, status: int, again: bool) -> None:
        self.assertIs(again, CloudError("x", status=status).transient)
