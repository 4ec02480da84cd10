"""SOAP 1.1, as little of it as is needed: an envelope with flat questions, and the texts of the answer. Pure."""

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from connectors.contract import Answer

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "Accept": "text/xml", "SOAPAction": '""'}


def request(namespace: str, operation: str, parameters: Mapping[str, Any] | None = None) -> bytes:
    """The envelope that asks for an operation. Parameters are texts, or further parameters by name."""
    inner = _written(parameters or {})
    return (
        f'<?xml version="1.0" encoding="utf-8"?><env:Envelope xmlns:env="{ENVELOPE}" xmlns:ser="{namespace}">'
        f"<env:Header/><env:Body><ser:{operation}>{inner}</ser:{operation}></env:Body></env:Envelope>"
    ).encode("utf-8", "replace")


def _written(parameters: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_written(value) if isinstance(value, Mapping) else escape(_keepable(str(value)))}</{name}>"
        for name, value in parameters.items()
    )


def _keepable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(character for character in text if character in "\t\n" or character >= " ").replace("\x7f", "")


def result(answer: Answer) -> str | None:
    """The text in the answer's `return`, empty where it holds none; None: it is no answer to a question in SOAP."""
    body = _body(answer)
    if body is None or _local(body) == "Fault":
        return None
    return next((element.text or "" for element in body.iter() if _local(element) == "return"), "")


def fault(answer: Answer) -> tuple[str, str] | None:
    """The sentence of a fault and the name of its detail; None where the answer is no fault."""
    body = _body(answer)
    if body is None or _local(body) != "Fault":
        return None
    sentence = next((element.text or "" for element in body if _local(element) == "faultstring"), "")
    details = (inner for element in body if _local(element) == "detail" for inner in element)
    return sentence.strip(), next((_local(inner) for inner in details), "")


def _body(answer: Answer) -> Element | None:
    """What is in the body of the envelope."""
    if b"Envelope" not in answer.body[:2000]:
        return None
    try:
        root: Element = fromstring(answer.body)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    body = next((element for element in root if _local(element) == "Body"), None)
    return next(iter(body), None) if body is not None and _local(root) == "Envelope" else None


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
