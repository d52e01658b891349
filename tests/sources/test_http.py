"""The client of sources on the web, against a server that does what servers do."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from recommender import __version__
from recommender.errors import FetchError
from recommender.sources.connections import is_public
from recommender.sources.http import Client, Manners
from tests.sources.site import Request, Site

NO_DATES = [
    (told, 0, 1)
    for told in (
        *("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Wed, 99 Foo 2025 99:99:99 +9999", "Mon, 01 Jan 2024 00:00:00 GMT"),
        *("Mon, 01 Jan 0000 00:00:00 GMT", "1e9", "1.5", "\xb2", "-0"),
    )
]
"""What no server should give as Retry-After, and a moment that has passed: as good as none."""

QUICK = Manners(rate=10_000, retries=2, first_wait=0.001, read_seconds=0.2, total_seconds=0.25)


def sends(content: bytes = b"", status: int = 200, **headers: str) -> Callable[[Request], None]:
    return lambda request: request.send(content, status, **headers)


def fetch(site: Site, *, pause: Callable[[float], None] = time.sleep, **manners: Any) -> bytes:
    """What stands at the site's first page."""
    from dataclasses import replace

    with Client(site.address, replace(QUICK, **manners), pause=pause) as client:
        return client.get(site.address).content


def refused(site: Site, **manners: Any) -> str:
    """The one line with which the site's first page is refused."""
    with pytest.raises(FetchError) as caught:
        fetch(site, **manners)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def drips(request: Request) -> None:
    """A byte now and then, for ever."""
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b".")
        request.wfile.flush()
        time.sleep(0.05)


def drips_headers(request: Request) -> None:
    """An answer that never comes to its content."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        request.wfile.write(b"X-More: 1\r\n")
        time.sleep(0.05)


def breaks_off(request: Request) -> None:
    """Half of what was promised, then silence for ever: the connection goes."""
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"half")
    request.close_connection = True


def says_nothing(request: Request) -> None:
    time.sleep(0.8)
    request.close_connection = True


def speaks_otherwise(request: Request) -> None:
    request.wfile.write(b"220 mail.example ESMTP\r\n")
    request.close_connection = True


def endless_headers(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-More: 1\r\n" * 100_000 + b"\r\n")
    request.close_connection = True


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def test_the_client_says_who_it_is(site: Site) -> None:
    """The User-Agent is the program with its version, and nothing of the library beneath."""
    fetch(site)
    assert site.agents == {f"recommender/{__version__}"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(site: Site, status: int) -> None:
    """An error of the moment costs a retry, no more."""
    site.instead = [sends(status=status), sends(b"here")]
    assert fetch(site) == b"here"
    assert len(site.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451, 501])
def test_what_does_not_pass_is_asked_once(site: Site, status: int) -> None:
    """A page that is refused or missing is not asked for again."""
    site.instead = [sends(status=status), sends(b"never")]
    assert str(status) in refused(site)
    assert len(site.asked) == 1


def cut_chunks(request: Request) -> None:
    """The first of several chunks, then the connection goes."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n9\r\nsec")
    request.close_connection = True


def never_ends(request: Request) -> None:
    """Chunk after chunk, as fast as they are taken."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    request.close_connection = True


def test_a_body_that_never_ends_is_left(site: Site) -> None:
    """At the largest size, in one request; what has been read is let go of."""
    site.instead = [never_ends]
    assert "larger than 1 MiB" in refused(site, size_limit=1 << 20, total_seconds=20.0, read_seconds=5.0)
    assert len(site.asked) == 1


def test_a_server_that_recovers_is_read_to_its_end(site: Site) -> None:
    """Two failures, a cut body, then the answer: nothing of the halves is left in it."""
    site.instead = [sends(status=500), cut_chunks, sends(b"whole")]
    assert fetch(site) == b"whole"


@pytest.mark.parametrize(
    "instead", [breaks_off, cut_chunks, says_nothing, speaks_otherwise, drips, drips_headers, endless_headers]
)
def test_a_connection_that_fails_is_tried_again_then_given_up(site: Site, instead: Callable[[Request], None]) -> None:
    """Half-dead, silent, foreign and endless answers end in one line after three tries, in bounded time."""
    site.instead = [instead] * 3
    started = time.monotonic()
    assert "(3 tries); try again later" in refused(site)
    assert time.monotonic() - started < 5
    assert len(site.asked) == 3


def test_retry_after_is_obeyed(site: Site) -> None:
    """In seconds or as a date; what is no number is passed over."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    waits: list[float] = []
    for told, least, most in [("7", 7, 7), (later, 55, 60), ("soon", 0, 1), ("-3", 0, 1), ("", 0, 1), *NO_DATES]:
        waits.clear()
        site.instead = [sends(status=429, Retry_After=told), sends(b"here")]
        assert fetch(site, pause=waits.append) == b"here"
        assert least <= max(waits) <= most, (told, waits)


@pytest.mark.parametrize("told", ["86400", "9" * 40, "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_site_that_wants_to_be_left_alone_is(site: Site, told: str) -> None:
    """A Retry-After beyond the bound ends the fetch at once, however absurd it is."""
    site.instead = [sends(status=503, Retry_After=told)]
    assert re.search(r"left alone for [\d,]+ seconds; try again later", refused(site))
    assert len(site.asked) == 1


def test_waits_grow(site: Site) -> None:
    """Each wait is twice the one before, give or take a half."""
    waits: list[float] = []
    site.instead = [sends(status=500)] * 5
    with pytest.raises(FetchError):
        fetch(site, pause=waits.append, retries=4, first_wait=1.0)
    waits = [wait for wait in waits if wait > 0.4]
    assert len(waits) == 4
    assert all(2**n / 2 <= wait <= 2**n * 1.5 for n, wait in enumerate(waits))


def test_requests_keep_their_distance(site: Site) -> None:
    """No more than so many a second."""
    with Client(site.address, Manners(rate=20)) as client:
        started = time.monotonic()
        for _ in range(4):
            client.get(site.address)
        assert time.monotonic() - started >= 0.15
        assert client.requests == 4


def test_what_is_too_large_is_not_read(site: Site) -> None:
    """By the bytes that come, whatever the headers say; and by the bytes that they unpack to."""
    site.instead = [sends(bytes(3000))]
    assert "larger than 2,000 bytes" in refused(site, size_limit=2000)
    site.instead = [sends(bomb(64), Content_Encoding="gzip")]
    assert "unpacks to more than 8 MiB" in refused(site, unpacked_limit=8 << 20)
    site.instead = [sends(gzip.compress(b"a") * 3, Content_Encoding="gzip")]
    assert fetch(site) == b"aaa"


@pytest.mark.parametrize(
    ("content", "coding", "said"),
    [
        (b"no gzip at all", "gzip", "damaged"),
        (gzip.compress(b"text" * 99)[:-9], "gzip", "end too early"),
        (gzip.compress(b"text") + b"rest", "gzip", "damaged"),
        (b"whatever", "br", "not asked for"),
        (b"whatever", "gzip, gzip", "not asked for"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(site: Site, content: bytes, coding: str, said: str) -> None:
    """Damaged and unknown codings end in one line."""
    site.instead = [sends(content, Content_Encoding=coding)] * 3
    assert said in refused(site)


@pytest.mark.parametrize(
    "target",
    [
        *("http://other.example/", "https://other.example/x", "//other.example/", "http://169.254.169.254/latest/meta-data/"),
        *("http://localhost/", "http://[::1]/", "http://0.0.0.0/", "http://2130706433/", "http://0x7f000001/", "http://127.1/"),
        *("http://10.0.0.1/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"),
        *(
            "http://user:hidden@127.0.0.1/",
            "http://127.0.0.1:6379/",
            "http://127.0.0.1:99999/",
            "http://[::1",
            "",
            "javascript:1",
        ),
        "http://127.0.0.1@other.example/",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(site: Site, target: str) -> None:
    """Another site, another port, a private network, another scheme: one line, and no second request."""
    site.instead = [sends(status=302, Location=target)]
    assert "redirects" in refused(site)
    assert len(site.asked) == 1


def test_redirects_within_the_site_are_followed_but_not_for_ever(site: Site) -> None:
    """Up to five, relative ones too."""
    site.instead = [sends(status=301, Location="/a"), sends(status=307, Location="b?c=1"), sends(b"here")]
    assert fetch(site) == b"here"
    assert site.asked == ["/", "/a", "/b?c=1"]
    site.instead = [sends(status=302, Location="/")] * 9
    assert "more than 5 times" in refused(site)


def resolving(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """Let names resolve to addresses, and connect to loopback whatever they are."""

    real = socket.getaddrinfo

    def found(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        named = names.get(host.replace(".", "_"))
        return real(host if named is None else named, port, *rest, **options)

    monkeypatch.setattr("recommender.sources.connections.socket.getaddrinfo", found)


def test_a_name_that_leads_into_a_private_network_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user named site.example, www.site.example must not be the metadata service, by redirect or by link."""
    resolving(monkeypatch, site_example="127.0.0.1", www_site_example="169.254.169.254")
    port = site.address.rpartition(":")[2]
    site.instead = [sends(status=302, Location=f"http://www.site.example:{port}/")]
    with Client(f"http://site.example:{port}/", QUICK) as client:
        with pytest.raises(FetchError, match="private network"):
            client.get(f"http://site.example:{port}/")
        with pytest.raises(FetchError, match="private network"):
            client.get(f"http://www.site.example:{port}/")
    assert len(site.asked) == 1


def test_a_named_host_may_be_private_and_an_allowed_one_may_be_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user named is what the user wants."""
    resolving(monkeypatch, site_example="127.0.0.1", cdn_example="127.0.0.1")
    port = site.address.rpartition(":")[2]
    site.instead = [sends(status=302, Location=f"http://cdn.example:{port}/x"), sends(b"here")]
    with Client(f"http://site.example:{port}", Manners(allowed_hosts=frozenset({"cdn.example"}))) as client:
        assert client.get(f"http://site.example:{port}").content == b"here"


def test_private_addresses_are_known() -> None:
    """Also those that are wrapped in addresses of IPv6."""
    private = "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 ::1 :: fe80::1%eth0"
    wrapped = "255.255.255.255 fc00::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1::1 ::ffff:169.254.169.254"
    assert not [address for address in f"{private} {wrapped}".split() if is_public(address)]
    assert all(map(is_public, ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"]))


@pytest.mark.parametrize(
    "address",
    [
        *("", "site.example", "ftp://site.example", "file:///etc/passwd", "http://", "http:///x", "http://[::1", "http://a b/"),
        *(
            "http://user:hidden@site.example/",
            "http://site.example:x/",
            "http://site.example:99999/",
            "http://s\x00e/",
            "http://\ud800/",
        ),
        "http://" + "a" * 300 + "\u00e4.example/",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(address: str) -> None:
    """Before anything is asked, and without a password in the message."""
    with pytest.raises(FetchError) as caught, Client(address) as client:
        client.get(address)
    assert re.fullmatch(r"[^\n]+", str(caught.value))
    assert "hidden" not in str(caught.value)


def test_addresses_in_other_scripts_are_asked_for(site: Site) -> None:
    """Letters that are not ASCII are written as the web writes them; what is written so already stays."""
    with Client(site.address, QUICK) as client:
        site.pages["/caf%C3%A9"] = (b"here", {})
        assert client.get(f"{site.address}/café").content == b"here"
        assert client.get(f"{site.address}/caf%C3%A9").content == b"here"
