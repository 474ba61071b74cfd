"""Where requests may go: http(s) to public addresses, resolved once, checked, and connected to as checked (SSRF).

The rule holds for every URL a profile names. It refuses what leads into the machine or its network (loopback, private,
link-local, shared, reserved, multicast, and IPv6 forms that wrap such an IPv4 address), unless ``allow_private`` covers
the address. One refused address among several refuses the name: which of them is used is nobody's choice.
Special-purpose ranges follow the IANA registries (RFC 6890 and its updates).
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from libax_automate.clock import SystemClock
from libax_automate.errors import SetupError, Transient

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
#: host, port -> every address it has, in the order in which to try them; raises OSError
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

#: how long an answer of the resolver is used before it is asked, and checked, again; seconds
FRESH = 60.0

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
#: a last label that resolvers read as a number makes the whole host an IPv4 address (WHATWG URL, "ends in a number")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_QUAD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?")
#: control characters and blanks anywhere, or a backslash: parsers differ on them, so none may stand in a URL
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f-\xa0\\]")

_FOUR: tuple[tuple[ipaddress.IPv4Network, str], ...] = tuple(
    (ipaddress.IPv4Network(net), why)
    for net, why in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
#: the only global unicast space that IANA has handed out
_GLOBAL_SIX = ipaddress.IPv6Network("2000::/3")
_SIX: tuple[tuple[ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.IPv6Network(net), why)
    for net, why in (
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)
_SIX_NAMES: tuple[tuple[ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.IPv6Network(net), why)
    for net, why in (
        ("::1/128", "loopback"),
        ("::/128", "this host"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
#: RFC 6052: an IPv6-only network reaches public IPv4 through it, so the IPv4 address inside is what counts
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def ranges(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks that ``allow_private`` names; raises SetupError at the first that is none."""
    return _ranges(tuple(texts))


@lru_cache(maxsize=64)
def _ranges(texts: tuple[str, ...]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            raise SetupError(
                f"allow_private: {text!r} is not an address range", hint='write it like allow_private = ["10.1.2.3/32"]'
            ) from None
    return tuple(networks)


def refusal(address: Address) -> str | None:
    """Why ``address`` is not a public one, in a word or two; None if it is public."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for net, why in _FOUR if address in net), None)
    inner = address.ipv4_mapped
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return refusal(inner)
    if address not in _GLOBAL_SIX:
        return next((why for net, why in _SIX_NAMES if address in net), "reserved")
    return next((why for net, why in _SIX if address in net), None)


def _allowed(address: Address, networks: tuple[Network, ...]) -> bool:
    if any(address.version == network.version and address in network for network in networks):
        return True
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return inner is not None and any(network.version == 4 and inner in network for network in networks)


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart and put together again by us, so that no second parser can read it differently.

    ``host`` is lower-case ASCII (IDNA) without brackets or a final dot; ``path`` and ``query`` are as given.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    #: set when the host is an address, not a name
    literal: Address | None = None

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``."""
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Target:
    """A place whose every address was checked. Connect to ``addresses``, never to the name again."""

    place: Place
    addresses: tuple[str, ...]


def _bad(what: str, hint: str = "write it like https://api.example.com/v1") -> SetupError:
    # the URL itself stays out of the message: some carry a token in their path
    return SetupError(f"url: {what}", hint=hint)


def _host(text: str) -> tuple[str, Address | None]:
    host = text.removesuffix(".").lower()
    if not host.isascii():
        import idna

        try:
            host = idna.encode(host, uts46=True).decode("ascii").removesuffix(".")
        except (idna.IDNAError, UnicodeError):
            raise _bad("the host name holds characters that no name may have") from None
    if _NUMERIC.fullmatch(host):
        if not _QUAD.fullmatch(host):
            raise _bad(f"host {host!r} is an address in an unusual form", "write it as four decimal numbers, such as 198.51.100.7")
        try:
            return host, ipaddress.IPv4Address(host)
        except ValueError:
            raise _bad(f"host {host!r} is not an address") from None
    if len(host) > 253 or not _HOST.fullmatch(host) or any(len(label) > 63 for label in host.split(".")):
        raise _bad("the host name is malformed")
    return host, None


def place(url: str) -> Place:
    """Take ``url`` apart; raises SetupError for anything but plain ``http(s)://host[:port]/path?query``. Opens no socket."""
    if _AMBIGUOUS.search(url):
        raise _bad("it holds blanks, control characters or a backslash", "remove them, or write them percent-encoded")
    found = _URL.fullmatch(url)
    if found is None:
        raise _bad("it is not a complete URL")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise _bad(f"{scheme}: is not http or https", "use https://")
    if "@" in found["authority"]:
        raise _bad("it holds a user name or password", "put credentials into the app's own options")
    parts = _AUTHORITY.fullmatch(found["authority"])
    if parts is None:
        raise _bad("the host name is malformed")
    literal: Address | None
    if parts["six"] is not None:
        try:
            literal = ipaddress.IPv6Address(parts["six"])
        except ValueError:
            raise _bad("the IPv6 address is malformed") from None
        host = str(literal)
    else:
        host, literal = _host(parts["host"])
    port = int(parts["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise _bad(f"there is no port {port}")
    return Place(scheme, host, port, found["path"] or "", found["query"] or "", literal)


def system_resolve(host: str, port: int) -> Sequence[str]:
    """The machine's resolver, addresses in the order of RFC 6724."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_place(where: Place, allow_private: Iterable[str] = (), *, plain_http: bool = False, resolve: Resolve = system_resolve) -> Target:
    """Resolve ``where`` once and check every address; raises SetupError when one is refused, Transient when the name does not resolve.

    Plain ``http`` goes only to addresses that ``allow_private`` covers, unless ``plain_http`` says otherwise.
    """
    networks = ranges(allow_private)
    texts: Sequence[str]
    if where.literal is not None:
        texts = (str(where.literal),)
    else:
        why = "no address"
        try:
            texts = resolve(where.host, where.port)
        except (OSError, UnicodeError) as error:
            texts, why = (), getattr(error, "strerror", None) or why
        if not texts:
            raise Transient(f"{where.host} cannot be resolved: {why}", hint="check the name, and this machine's DNS")
    covered = True
    for text in texts:
        # a scope ("fe80::1%eth0") never makes an address public
        address = ipaddress.ip_address(text.partition("%")[0])
        if _allowed(address, networks):
            continue
        covered = False
        why_not = refusal(address)
        if why_not is not None:
            raise SetupError(
                f"{where.host} is at {address}, which is not a public address ({why_not})",
                hint=f'if that is meant, give the app allow_private = ["{address}/{address.max_prefixlen}"]',
            )
    if where.scheme == "http" and not (covered or plain_http):
        raise SetupError(f"{where.host}: http:// is not encrypted", hint="use https://")
    return Target(where, tuple(texts))


def check_url(url: str, allow_private: Iterable[str] = (), *, plain_http: bool = False, resolve: Resolve = system_resolve) -> Target:
    """Whether a request may go to ``url``, and to which addresses; :func:`place` and :func:`check_place` in one."""
    return check_place(place(url), allow_private, plain_http=plain_http, resolve=resolve)


class Pin:
    """The one address of a place that requests go to; resolved and checked at first use and again every ``FRESH`` seconds."""

    def __init__(
        self,
        where: Place,
        allow_private: Iterable[str] = (),
        *,
        plain_http: bool = False,
        resolve: Resolve = system_resolve,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.place = where
        self._allow = tuple(allow_private)
        self._plain_http = plain_http
        self._resolve = resolve
        self._lock = threading.Lock()
        self._monotonic = monotonic or SystemClock().monotonic
        self._addresses: tuple[str, ...] = ()
        self._address = ""
        self._until = 0.0
        if where.literal is not None:
            # an address needs no resolver: what is wrong with it is known before anything leaves
            self._take(check_place(where, self._allow, plain_http=plain_http).addresses)
            self._until = float("inf")

    def address(self) -> str:
        """The address to connect to; raises as :func:`check_place` does."""
        if self._monotonic() < self._until:
            return self._address
        with self._lock:
            if self._monotonic() >= self._until:
                try:
                    found = check_place(self.place, self._allow, plain_http=self._plain_http, resolve=self._resolve).addresses
                except Transient:
                    # a resolver that is down for a moment does not take away an address that was checked
                    if not self._address:
                        raise
                else:
                    self._take(found)
                self._until = self._monotonic() + FRESH
            return self._address

    def failed(self, address: str) -> None:
        """Nothing answered at ``address``: the next request goes to another one, if there is one."""
        with self._lock:
            if address == self._address and len(self._addresses) > 1:
                following = self._addresses.index(address) + 1
                self._address = self._addresses[following % len(self._addresses)]

    def _take(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        if self._address not in addresses:
            self._address = addresses[0]
