"""The small XML documents of the Queue, Blob and File services."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from azurerest.errors import Invalid, Unanswered

# A carriage return would be read back as a line feed.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape(text: str) -> str:
    """Text as XML content. Raises Invalid when it holds a character that XML cannot."""
    if found := _NOT_XML.search(text):
        raise Invalid(f"XML cannot hold the character {found[0]!r}")
    return text.translate(_ESCAPES)


def parse(body: bytes) -> Element:
    """The root element. A document type is refused, so there are no entities to expand. Raises Unanswered."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text:
            raise Unanswered("a document type in the service's answer")
        return ElementTree.fromstring(text)  # noqa: S314
    except (UnicodeDecodeError, ElementTree.ParseError) as fault:
        raise Unanswered(f"the service's answer is not XML: {fault}") from fault


def text_of(element: Element, tag: str) -> str:
    """Text of a child, "" when it is missing or empty."""
    return element.findtext(tag) or ""


def name_of(element: Element) -> str:
    """The name of what a listing holds. Raises Unanswered."""
    name = element.find("Name")
    if name is None or not name.text:
        raise Unanswered("the service's listing has an entry without a name")
    return unquote(name.text) if name.get("Encoded") == "true" else name.text
