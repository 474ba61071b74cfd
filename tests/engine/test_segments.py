"""What an SMS takes: the alphabet of 3GPP TS 23.038, its extension table, UCS-2, and the parts of a longer one (PR-31)."""

from __future__ import annotations

import pytest

from libax_automate.engine.segments import Encoding, Size, size_of

#: the default alphabet as the standard's table has it, row by row (23.038, 6.2.1), without the escape
TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå",
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ",
    " !\"#¤%&'()*+,-./",
    "0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNO",
    "PQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmno",
    "pqrstuvwxyzäöñüà",
)


def test_every_letter_of_the_default_alphabet_takes_one_place() -> None:
    assert sum(map(len, TABLE)) == 127
    for letter in "".join(TABLE):
        assert size_of(letter) == Size(Encoding.GSM7, 1, 1)


@pytest.mark.parametrize("letter", [*"^{}\\[~]|€", "\f"])
def test_every_letter_of_the_extension_table_takes_two(letter: str) -> None:
    assert size_of(letter) == Size(Encoding.GSM7, 2, 1)
    assert size_of("a" * 158 + letter).segments == 1
    assert size_of("a" * 159 + letter) == Size(Encoding.GSM7, 161, 2)


@pytest.mark.parametrize(
    "letter", ["ã", "õ", "á", "í", "ó", "ú", "ç", "ê", "â", "ô", "À", "Ã", "`", "\t", "“", "–", "…", "\u00a0", "ª", "º"]
)
def test_what_portuguese_texts_have_beyond_it_needs_ucs2(letter: str) -> None:
    assert size_of(f"Ol{letter}") == Size(Encoding.UCS2, 3, 1, letter)


@pytest.mark.parametrize(
    ("text", "units", "segments"),
    [
        ("", 0, 1),
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("a" * 306, 306, 2),
        ("a" * 307, 307, 3),
        ("a" * 459, 459, 3),
        ("ã" * 70, 70, 1),
        ("ã" * 71, 71, 2),
        ("ã" * 134, 134, 2),
        ("ã" * 135, 135, 3),
    ],
)
def test_longer_texts_are_cut_into_parts_of_153_or_67(text: str, units: int, segments: int) -> None:
    size = size_of(text)
    assert (size.units, size.segments) == (units, segments)


def test_neither_an_escaped_letter_nor_an_emoji_is_cut_in_two() -> None:
    # 152 places, the euro's two go to the next part whole, and so one place is lost
    assert size_of("a" * 152 + "€" + "a" * 151).segments == 2
    assert size_of("a" * 152 + "€" + "a" * 152).segments == 3
    assert size_of("ã" * 66 + "🎂" + "ã" * 65).segments == 2
    assert size_of("ã" * 66 + "🎂" + "ã" * 66).segments == 3
    assert size_of("🎂") == Size(Encoding.UCS2, 2, 1, "🎂")


def test_the_first_letter_that_forces_ucs2_is_named() -> None:
    assert size_of("José já não vê").forced == "á"
    assert size_of("Jose e Andre").forced == ""
