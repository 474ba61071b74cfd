"""Time zones, locales and countries of a profile, with a guess at what was meant."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from libax_automate.engine.profile.findings import did_you_mean, shown, wrong

#: these need no look into Babel's data, which costs start-up time
_USUAL = frozenset({"pt_PT", "pt_BR", "en_US", "en_GB", "en_IE", "es_ES", "fr_FR", "de_DE", "pt", "en"})
_COUNTRIES = frozenset({"PT", "BR", "US", "GB", "IE", "ES", "FR", "DE", "AO", "MZ", "CV"})


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone; raises a finding with the nearest names."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # "Europe" is a folder; "../x" and NUL are refused by zoneinfo
        from zoneinfo import available_timezones

        zones = available_timezones()
        cities = {zone.rpartition("/")[2].lower(): zone for zone in sorted(zones)}
        guess = cities.get(name.strip().lower().replace(" ", "_"))
        near = f"did you mean {guess!r}?" if guess else did_you_mean_zone(name, zones)
        raise wrong(f"{shown(name)} is no time zone", near) from None


def did_you_mean_zone(name: str, zones: set[str]) -> str:
    """A guess that ignores case, or what zones look like."""
    lower = {zone.lower(): zone for zone in zones}
    from difflib import get_close_matches

    near = get_close_matches(name.lower()[:80], lower, 1, 0.6)
    return f"did you mean {lower[near[0]]!r}?" if near else "IANA names look like Europe/Lisbon or America/Sao_Paulo"


def locale_of(name: str) -> str:
    """The locale as Babel writes it (``pt-PT`` -> ``pt_PT``); raises a finding where Babel has none such."""
    text = name.strip().replace("-", "_")
    if text in _USUAL:
        return text
    from babel import Locale, UnknownLocaleError, localedata

    try:
        found = Locale.parse(text)
    except (ValueError, UnknownLocaleError, TypeError):
        raise wrong(f"{shown(name)} is no locale", _near_locale(text, localedata.locale_identifiers())) from None
    return str(found)


def _near_locale(text: str, known: list[str]) -> str:
    language, _, territory = text.partition("_")
    tidy = f"{language.lower()}_{territory.upper()}" if territory else language.lower()
    if tidy in known:
        return f"did you mean {tidy!r}?"
    usual = [locale for locale in sorted(_USUAL) if locale.startswith(f"{language.lower()}_")]
    return f"did you mean {' or '.join(usual)}?" if usual else _short(did_you_mean(tidy, known))


def _short(hint: str) -> str:
    return hint if hint.startswith("did you") else "locales look like pt_PT, pt_BR or en_US"


def country_of(code: str | None, locale: str) -> str:
    """The ISO 3166 code, by default the locale's; raises a finding for what is none."""
    if code is None:
        match = re.search(r"_([A-Z]{2})(?:_|$)", locale)
        return match[1] if match else ""
    text = code.strip().upper()
    if text in _COUNTRIES:
        return text
    from babel import Locale

    territories = Locale("en").territories
    if not re.fullmatch(r"[A-Z]{2}", text) or text not in territories:
        names = {str(name).lower(): key for key, name in territories.items() if len(key) == 2 and key.isalpha()}
        guess = names.get(code.strip().lower())
        raise wrong(
            f"{shown(code)} is no country", f"did you mean {guess!r}?" if guess else "write its two letters (ISO 3166), such as PT or BR"
        )
    return text
