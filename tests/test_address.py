"""Where requests may go: the rule, against a corpus of URL forms, with a stub resolver and no socket."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libax_automate.address import FRESH, Pin, check_url, place, ranges, refusal
from libax_automate.errors import SetupError, Transient

#: a resolver that behaves like the world's: some names point inwards
NAMES = {
    "api.example.com": ["93.184.215.14"],
    "two.example.com": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "metadata.example.com": ["169.254.169.254"],
    "half.example.com": ["93.184.215.14", "10.0.0.7"],
    "half6.example.com": ["93.184.215.14", "fd00::7"],
    "mapped.example.com": ["::ffff:192.168.1.10"],
    "scoped.example.com": ["fe80::1%eth0"],
    "zero.example.com": ["0.0.0.0"],
    "nat64-private.example.com": ["64:ff9b::a00:1"],
    "nat64-public.example.com": ["64:ff9b::5db8:d70e"],
    "xn--bcher-kva.example": ["93.184.215.14"],
    "db": ["10.1.2.3"],
}


def resolve(host: str, port: int) -> Sequence[str]:
    """The stub: unknown names do not resolve."""
    assert 0 < port < 65536
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


REFUSED = [
    # schemes
    "ftp://api.example.com/", "file:///etc/passwd", "gopher://api.example.com/", "javascript:alert(1)", "data:text/plain,x",
    "//api.example.com/", "api.example.com", "https:api.example.com", "https:/api.example.com", "https://", "", "https:///x",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "ldap://api.example.com", "dict://127.0.0.1:11211/",
    # loopback, private, link-local, shared, reserved, multicast
    "https://127.0.0.1/", "https://127.1.2.3:8443/x", "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/",
    "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://100.127.255.254/",
    "https://0.0.0.0/", "https://0.1.2.3/", "https://192.0.0.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/",
    "https://203.0.113.9/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/", "https://255.255.255.255/",
    "https://192.88.99.1/",
    # other ways to write an IPv4 address
    "https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
    "https://127.1/", "https://127.0.1/", "https://127.0.0.01/", "https://127.0.0.0x1/", "https://0/", "https://0x/",
    "https://127.0.0.1./", "https://127.0.0.256/", "https://1.2.3.4.5/", "https://4294967296/", "https://１２７.0.0.1/",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://%31%32%37.0.0.1/", "https://0000000127.0.0.1/",
    "https://3232235777/", "https://0XA9FEA9FE/",
    # IPv6
    "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[::ffff:0:7f00:1]/", "https://[::127.0.0.1]/", "https://[fc00::1]/", "https://[fd12:3456::1]/", "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[64:ff9b::10.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[2002:c0a8:101::1]/", "https://[2001:0:5ef5:79fb::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/", "https://[4000::1]/", "https://[::1", "https://::1/", "https://[1::2::3]/",
    "https://[127.0.0.1]/", "https://[v1.a]/",
    # names that point inwards
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://localhost.localdomain/", "https://127.0.0.1.nip.example/",
    "https://metadata.example.com/", "https://half.example.com/", "https://half6.example.com/", "https://mapped.example.com/",
    "https://scoped.example.com/", "https://zero.example.com/", "https://nat64-private.example.com/", "https://db/", "https://ｌocalhost/",
    # who is the host?
    "https://api.example.com@127.0.0.1/", "https://127.0.0.1@api.example.com/", "https://user:pw@api.example.com/", "https://@api.example.com/",
    "https://api.example.com\\@127.0.0.1/", "https://127.0.0.1\\.api.example.com/",
    "https://api.example.com:80:80/", "https://api.example.com:0/", "https://api.example.com:65536/", "https://api.example.com:8a/",
    "https://api.example.com:-1/", "https://api example.com/", "https://api.example.com/\r\nHost: 127.0.0.1", "https://api.example.com\t/",
    "https://api.\x00example.com/", " https://api.example.com/", "https://api.example.com/\u00a0x", "https://api..example.com/", "https://.example.com/",
    "https://-api.example.com/", "https://api.example.com../", "https://api%2eexample.com/", "https://api.example.com%00.x/", "https://{}/",
    "https://" + "a" * 64 + ".example.com/", "https://" + "a." * 127 + "com/", "https://xn--/", "https://a\u200d\u0300.example/",
    # not encrypted
    "http://api.example.com/", "http://93.184.215.14/",
]  # fmt: skip

TAKEN = {
    "https://api.example.com": "https://api.example.com",
    "https://API.Example.COM:443/v1?x=1#y": "https://api.example.com",
    "HTTPS://api.example.com:8443/": "https://api.example.com:8443",
    "https://api.example.com./v1": "https://api.example.com",
    "https://two.example.com/": "https://two.example.com",
    "https://93.184.215.14/": "https://93.184.215.14",
    "https://[2606:2800:21f:cb07:6820:80DA:af6b:8b2c]:444/": "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:444",
    "https://[::ffff:93.184.215.14]/": "https://[::ffff:5db8:d70e]",
    "https://nat64-public.example.com/": "https://nat64-public.example.com",
    "https://bücher.example/": "https://xn--bcher-kva.example",
    "https://BÜCHER.example/": "https://xn--bcher-kva.example",
    "https://api.example.com#@127.0.0.1/": "https://api.example.com",
    "https://api.example.com?@127.0.0.1/": "https://api.example.com",
    "https://api.example.com/@127.0.0.1/": "https://api.example.com",
}


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_leads_inwards_or_is_ambiguous_is_refused(url: str, socket_disabled: None) -> None:
    with pytest.raises(SetupError) as refused:
        check_url(url, resolve=resolve)
    assert refused.value.hint


@pytest.mark.parametrize(("url", "origin"), TAKEN.items())
def test_a_public_url_is_taken_and_put_together_again(url: str, origin: str, socket_disabled: None) -> None:
    target = check_url(url, resolve=resolve)
    assert target.place.origin == origin
    assert target.addresses


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(REFUSED) >= 60


def test_a_refusal_names_host_address_reason_and_what_to_write() -> None:
    with pytest.raises(SetupError) as refused:
        check_url("https://db/x?key=sekret", resolve=resolve)
    assert refused.value.message == "db is at 10.1.2.3, which is not a public address (private)"
    assert 'allow_private = ["10.1.2.3/32"]' in refused.value.hint
    assert "sekret" not in str(refused.value)


def test_a_covered_address_is_allowed_and_needs_no_tls() -> None:
    assert check_url("http://db/", ["10.0.0.0/8"], resolve=resolve).addresses == ("10.1.2.3",)
    assert check_url("http://127.0.0.1:8080/", ["127.0.0.1/32"]).addresses == ("127.0.0.1",)
    assert check_url("http://[::1]:8080/", ["::1/128"]).addresses == ("::1",)
    assert check_url("https://mapped.example.com/", ["192.168.1.0/24"], resolve=resolve)
    with pytest.raises(SetupError):
        check_url("http://db/", ["10.1.2.4/32"], resolve=resolve)


def test_one_uncovered_address_among_several_refuses_the_name() -> None:
    with pytest.raises(SetupError, match="::1"):
        check_url("http://localhost/", ["127.0.0.1/32"], resolve=resolve)
    assert check_url("http://localhost/", ["127.0.0.1/32", "::1/128"], resolve=resolve)


def test_plain_http_to_a_public_address_needs_its_flag() -> None:
    with pytest.raises(SetupError, match="not encrypted"):
        check_url("http://api.example.com/", resolve=resolve)
    assert check_url("http://api.example.com/", plain_http=True, resolve=resolve)
    with pytest.raises(SetupError, match="private"):
        check_url("http://db/", plain_http=True, resolve=resolve)


def test_a_name_that_does_not_resolve_is_transient() -> None:
    with pytest.raises(Transient, match="cannot be resolved: Name or service not known"):
        check_url("https://nowhere.example.com/", resolve=resolve)
    with pytest.raises(Transient, match="no address"):
        check_url("https://nowhere.example.com/", resolve=lambda host, port: [])


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0", "all", "", "10.0.0.0/33"])
def test_a_malformed_range_is_named(text: str) -> None:
    with pytest.raises(SetupError, match="allow_private"):
        ranges([text])


def test_an_address_is_refused_by_the_constructor_before_anything_is_asked() -> None:
    with pytest.raises(SetupError, match="loopback"):
        Pin(place("https://127.0.0.1/"))


@given(st.ip_addresses())
def test_no_address_that_python_calls_private_counts_as_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if refusal(address) is None:
        inner = address
        if isinstance(address, ipaddress.IPv6Address):
            inner = address.ipv4_mapped or (
                ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in ipaddress.ip_network("64:ff9b::/96") else address
            )
        assert inner.is_global
        assert not inner.is_multicast


@given(st.text(max_size=60))
def test_any_text_is_taken_apart_or_refused_never_a_crash(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://api.example.com/{text}"):
        try:
            found = place(url)
        except SetupError:
            continue
        assert found.host.isascii()
        assert found.host == found.host.lower()


class _Rebinding:
    """A resolver that answers something else each time, and a clock beside it."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, OSError):
            raise answer
        return answer


def _pin(resolver: _Rebinding, now: list[float]) -> Pin:
    return Pin(place("https://api.example.com/"), resolve=resolver, monotonic=lambda: now[0])


def test_a_name_is_resolved_once_and_stays_pinned() -> None:
    resolver, now = _Rebinding(["93.184.215.14"], ["127.0.0.1"]), [1000.0]
    pin = _pin(resolver, now)
    assert [pin.address() for _ in range(3)] == ["93.184.215.14"] * 3
    assert resolver.asked == 1


def test_a_name_that_turns_inwards_later_is_refused_when_asked_again() -> None:
    resolver, now = _Rebinding(["93.184.215.14"], ["127.0.0.1"]), [1000.0]
    pin = _pin(resolver, now)
    pin.address()
    now[0] += FRESH
    for _ in range(2):
        with pytest.raises(SetupError, match="loopback"):
            pin.address()


def test_an_address_that_is_still_right_is_kept_and_a_new_one_taken() -> None:
    resolver = _Rebinding(["93.184.215.14"], ["93.184.215.15", "93.184.215.14"], ["93.184.215.16"])
    now = [1000.0]
    pin = _pin(resolver, now)
    seen = []
    for _ in range(3):
        seen.append(pin.address())
        now[0] += FRESH
    assert seen == ["93.184.215.14", "93.184.215.14", "93.184.215.16"]


def test_a_resolver_that_is_down_for_a_moment_does_not_stop_a_checked_address() -> None:
    resolver, now = _Rebinding(["93.184.215.14"], OSError("down")), [1000.0]
    pin = _pin(resolver, now)
    pin.address()
    now[0] += FRESH
    assert pin.address() == "93.184.215.14"


def test_after_a_failure_the_next_address_is_tried() -> None:
    resolver, now = _Rebinding(["93.184.215.14", "93.184.215.15"]), [1000.0]
    pin = _pin(resolver, now)
    pin.failed(pin.address())
    assert pin.address() == "93.184.215.15"
    pin.failed("93.184.215.14")  # another thread's older failure
    assert pin.address() == "93.184.215.15"
    pin.failed("93.184.215.15")
    assert pin.address() == "93.184.215.14"
