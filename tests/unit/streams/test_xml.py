"""XML that contradicts itself, grows, or names other files."""

from __future__ import annotations

import ddt
from hypothesis import given
from hypothesis import strategies as st

from tests.base import TestCase
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, XenimageError
from xenimage.limits import STRICT, Limits
from xenimage.streams.xml import decode

TEXT = '<?xml version="1.0" encoding="{}"?>\n<a><!-- no --><?no no?><b c="é">Grüße €</b></a>'


@ddt.ddt
class EncodingTestCase(TestCase):
    """What the bytes are, and what they say they are."""

    def assert_read(self, data: bytes, repairs: tuple[str, ...] = ()) -> None:
        document = decode(data, STRICT)
        self.assertEqual(["b"], [child.tag for child in document.root])
        self.assertEqual(("é", "Grüße €"), (document.root[0].get("c"), document.root[0].text))
        self.assertEqual(repairs, document.repairs)

    @ddt.data("utf-8", "UTF-8", "windows-1252", "iso-8859-15", "gb18030")
    def test_an_encoding_of_the_list(self, name: str) -> None:
        text = TEXT if name != "gb18030" else TEXT.replace("ß", "ss").replace("Grüsse €", "Grüße €")
        self.assert_read(text.format(name).encode(name))

    @ddt.data("utf-8-sig", "utf-16")
    def test_a_byte_order_mark_is_believed_before_the_declaration(self, codec: str) -> None:
        for declared in ("utf-8", "utf-16", "windows-1252"):
            self.assert_read(TEXT.format(declared).encode(codec))

    @ddt.data("utf-16-le", "utf-16-be")
    def test_utf_16_is_seen_without_a_mark(self, codec: str) -> None:
        self.assert_read(TEXT.format("utf-16").encode(codec))

    @ddt.data("utf-16", "UTF-16", "unicode")
    def test_utf_16_declared_in_single_bytes_is_a_mistake(self, name: str) -> None:
        repairs = (f"the XML declares the encoding {name}, but is UTF-8",)
        self.assert_read(TEXT.format(name).encode(), repairs)

    def test_without_a_declaration_it_is_utf_8(self) -> None:
        self.assert_read(TEXT.partition("\n")[2].encode())

    @ddt.data("utf-7", "zlib", "rot13", "cp037", "iso-2022-jp")
    def test_other_encodings_are_refused(self, name: str) -> None:
        with self.assertRaisesRegex(UnsupportedError, f"^the XML declares the encoding '{name}', expected UTF-8$"):
            decode(TEXT.format(name).encode(), STRICT)

    def test_bytes_that_are_not_of_the_encoding(self) -> None:
        with self.assertRaisesRegex(FormatError, "^the XML has the byte 0xe9 at 0x3, expected text in utf-8$"):
            decode("<a>é</a>".encode("latin-1"), STRICT)


@ddt.ddt
class RefusalTestCase(TestCase):
    """What is not parsed at all."""

    @ddt.data(
        b"<!DOCTYPE a><a/>",
        b'<?xml version="1.0"?> <!-- x - y --><?p ?q?>\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    )
    def test_a_document_type(self, data: bytes) -> None:
        for lax in (False, True):
            with self.assertRaisesRegex(UnsafeError, "^the XML has a document type declaration, expected none: it can"):
                decode(data, STRICT, lax=lax)

    def test_its_name_elsewhere_is_text(self) -> None:
        self.assertEqual("<!DOCTYPE", decode(b"<a><!--<!DOCTYPE--><![CDATA[<!DOCTYPE]]></a>", STRICT).root.text)

    @ddt.data(
        (b"", "Document is empty"),
        (b"<a>", "Premature end"),
        (b"<a></b>", "Opening and ending tag mismatch"),
        (b"<a/>x", "Extra content"),
        (b"text", "Start tag expected"),
        (b"<a>&x;</a>", "Entity 'x' not defined"),
        (b"<a>\x01</a>", "PCDATA invalid Char value 1"),
    )
    @ddt.unpack
    def test_what_is_no_xml(self, data: bytes, reason: str) -> None:
        for lax in (False, True):
            with self.assertRaisesRegex(FormatError, rf"^is not well-formed XML \({reason}.*, expected an XML docu"):
                decode(data, STRICT, lax=lax)

    def test_an_inclusion_is_an_element(self) -> None:
        data = b'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="/etc/hostname" parse="text"/></a>'
        self.assertEqual("{http://www.w3.org/2001/XInclude}include", decode(data, STRICT).root[0].tag)


@ddt.ddt
class BoundTestCase(TestCase):
    """What would take memory or time."""

    def test_size(self) -> None:
        with self.assertRaisesRegex(LimitError, r"^the bytes of the XML is 11, expected at most 10 \(limit xml_s"):
            decode(b"<a>1234</a>", Limits(xml_size=10))

    @ddt.data(b"<a>" + b"<b/>" * 9 + b"</a>", b"<a " + b"".join(b"b%d='' " % n for n in range(9)) + b"/>")
    def test_nodes(self, data: bytes) -> None:
        self.assertIsNotNone(decode(data, Limits(xml_nodes=10)).root)
        with self.assertRaisesRegex(LimitError, r"^the number of elements and attributes of the XML is 10, .*xml_n"):
            decode(data, Limits(xml_nodes=9))

    def test_depth(self) -> None:
        data = b"<a>" * 64 + b"</a>" * 64
        self.assertIsNotNone(decode(data, STRICT).root)
        with self.assertRaisesRegex(LimitError, r"^the depth of the XML is 65, expected at most 64 \(limit xml_d"):
            decode(b"<b>" + data + b"</b>", STRICT)

    @ddt.data(
        b"<a>" * 390_000,
        b"<!--" + b"-" * (9 << 20),
        b"<?" + b"?" * (9 << 20),
        b" " * (9 << 20),
        b"<!-- -->" * (300 << 10),
        b"<?xml " + b" " * (9 << 20),
    )
    def test_hostile_text_ends(self, data: bytes) -> None:
        with self.assertRaises(XenimageError):
            decode(data, STRICT, lax=True)


@ddt.ddt
class LaxTestCase(TestCase):
    """Namespaces that are not well-formed, as some packages in circulation have them."""

    def test_an_undeclared_prefix(self) -> None:
        data = b'<e xmlns="urn:e">\n<s:t q:u="1">x</s:t></e>'
        with self.assertRaisesRegex(FormatError, "Namespace prefix q for u on t is not defined"):
            decode(data, STRICT)
        document = decode(data, STRICT, lax=True)
        self.assertEqual("x", document.root[0].text)
        self.assertEqual(
            (
                "the XML's line 2: Namespace prefix q for u on t is not defined",
                "the XML's line 2: Namespace prefix s on t is not defined",
            ),
            tuple(sorted(document.repairs)),
        )

    def test_a_namespace_with_a_blank(self) -> None:
        data = b'<e xmlns="urn:e"><t xmlns="http://x/y z"/></e>'
        self.assertTrue(decode(data, STRICT, lax=True).repairs)

    @ddt.data(b"<a><b></a>", b"<x:a><b></x:a>", b"<a b=1/>", b"<a>&</a>")
    def test_nothing_else_is_recovered(self, data: bytes) -> None:
        with self.assertRaisesRegex(FormatError, "^is not well-formed XML"):
            decode(data, STRICT, lax=True)

    @given(st.text(alphabet="<>/ab:= \"'&;!-[]?\n", max_size=60))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        for lax in (False, True):
            try:
                document = decode(text.encode(), STRICT, lax=lax)
            except XenimageError:
                continue
            self.assertTrue(lax or not document.repairs)
