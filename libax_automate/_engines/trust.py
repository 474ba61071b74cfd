"""Whom a TLS connection believes: the well-known authorities, and those of ``ca_file``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from libax_automate.errors import SetupError

if TYPE_CHECKING:
    import ssl


def certificates(path: Path) -> list[bytes]:
    """The PEM certificates in a file; raises SetupError where it cannot be read or holds none."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a PEM file"
        raise SetupError(f"ca_file {path.name!r} cannot be read: {why}", hint="name a PEM file of certificates") from None
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    if not found:
        raise SetupError(f"ca_file {path.name!r} holds no certificate", hint="name a PEM file of certificates")
    return [certificate.encode("ascii") for certificate in found]


def ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """A client's context that checks names and certificates, from TLS 1.2 on; the environment has no say in it."""
    import ssl

    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file is not None:
        context.load_verify_locations(cadata=b"\n".join(certificates(ca_file)).decode("ascii"))
    return context
