"""The small XML documents of the Queue and Blob services."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from azurerest.errors import Unanswered

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
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
