"""How many messages an SMS is: the alphabet it needs, and the parts it is cut into (3GPP TS 23.038, TS 23.040)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: the default alphabet of 3GPP TS 23.038, 6.2.1, by code; 0x1B leads to the extension table
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: its extension table, 6.2.1.1: each character takes two places
_EXTENSION = frozenset("\f^{}\\[~]|€")


class Encoding(StrEnum):
    """The alphabet of an SMS."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


#: places in an SMS that stands alone, and in each part of a longer one, whose header takes six octets
_ALONE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
_PART = {Encoding.GSM7: 153, Encoding.UCS2: 67}


@dataclass(frozen=True, slots=True)
class Size:
    """What a text takes as an SMS."""

    encoding: Encoding
    #: septets of GSM-7, or UTF-16 code units
    units: int
    segments: int
    #: the first character that GSM-7 has not got; "" where it has them all
    forced: str = ""


def size_of(text: str) -> Size:
    """The size of ``text``; an empty one is one segment. Nothing is cut in two: an escaped character or a surrogate pair stays whole."""
    forced = next((char for char in text if char not in _BASIC and char not in _EXTENSION), "")
    encoding = Encoding.UCS2 if forced else Encoding.GSM7
    wide = [1 + (ord(char) > 0xFFFF) for char in text] if forced else [1 + (char in _EXTENSION) for char in text]
    units = sum(wide)
    if units <= _ALONE[encoding]:
        return Size(encoding, units, 1, forced)
    segments, room = 1, _PART[encoding]
    for width in wide:
        if width > room:
            segments, room = segments + 1, _PART[encoding]
        room -= width
    return Size(encoding, units, segments, forced)
