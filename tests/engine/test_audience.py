"""The words of ``audience``."""

from __future__ import annotations

from typing import Any

import pytest

from libax_automate.engine.audience import WORDS, Audience
from libax_automate.engine.profile.keys import AUDIENCE
from libax_automate.errors import ProfileError


@pytest.mark.parametrize(
    ("words", "record", "verdict"),
    [
        ((), {"status": "inactive"}, None),
        (("all",), {"status": "inactive"}, None),
        (("active",), {"status": "active"}, None),
        (("active",), {"status": None}, None),
        (("active",), {}, None),
        (("active",), {"status": "inactive"}, "inactive"),
        (("inactive",), {"status": "inactive"}, None),
        (("inactive",), {}, "active"),
        (("person",), {"person_type": "person"}, None),
        (("person",), {}, None),
        (("person",), {"person_type": "company"}, "a company"),
        (("company",), {"person_type": "company"}, None),
        (("company",), {}, "a person"),
        (("no-mobile",), {"mobile": None}, None),
        (("no-mobile",), {"mobile": "+351912345678"}, "has a mobile"),
        (("no-email",), {"email": ""}, None),
        (("no-email",), {"email": "a@example.com"}, "has an e-mail"),
        (("active", "person", "no-mobile"), {"status": "active", "person_type": "company"}, "a company"),
        (("active", "person", "no-mobile"), {"status": "active", "person_type": "person"}, None),
    ],
)
def test_every_word_is_a_test_of_the_record(words: tuple[str, ...], record: dict[str, Any], verdict: str | None) -> None:
    assert Audience(words).verdict(record) == verdict


@pytest.mark.req("LX-49")
def test_no_mobile_by_mail_and_no_email_by_text_reach_each_person_once_at_most() -> None:
    both = {"email": "a@example.com", "mobile": "+351912345678"}
    for record in (both, {**both, "mobile": None}, {**both, "email": None}):
        by_mail = Audience(["no-mobile"]).verdict(record) is None and record["email"]
        by_text = Audience(["no-email"]).verdict(record) is None and record["mobile"]
        assert not (by_mail and by_text)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ProfileError, match="no-telephone"):
        Audience(["no-telephone"])


def test_profiles_and_the_engine_know_the_same_words() -> None:
    assert {*WORDS, "all"} == {*AUDIENCE}
