"""Sites through a proxy of the environment: the guard against private networks is no weaker for it."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from recommender.errors import FetchError
from recommender.sources.http import Client, Manners
from recommender.sources.proxies import proxy_of
from tests.sources.site import Request, Server, Site

QUICK = Manners(rate=10_000, retries=1, first_wait=0.001, read_seconds=2.0)
QUICK_ELSEWHERE = Manners(rate=10_000, retries=0, allowed_hosts=frozenset({"www.site.example"}))


class ProxyRequest(Request):
    """A request to a proxy: an address as a whole, or CONNECT; names that end in .example are its own to look up."""

    tunnel_to: tuple[str, int] | None = None

    def do_GET(self) -> None:  # noqa: N802
        if self.headers["Proxy-Authorization"]:
            self.server.site.agents.add(base64.b64decode(self.headers["Proxy-Authorization"].split()[1]).decode())
        super().do_GET()

    def do_CONNECT(self) -> None:  # noqa: N802
        self.server.site.asked.append(f"CONNECT {self.path}")
        if self.tunnel_to is None:
            self.send_error(403, "Not from here")
            return
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.tunnel_to) as far:
            there = threading.Thread(target=pump, args=(far, self.connection), daemon=True)
            there.start()
            pump(self.connection, far)
            there.join(5)
        self.close_connection = True


def pump(source: socket.socket, target: socket.socket) -> None:
    """Bytes from one connection to another, until there are no more."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A proxy on loopback that answers as one site for all names, and notes what it was asked for; the environment names it."""
    site = Site()
    server = Server(("127.0.0.1", 0), ProxyRequest)
    server.site = site
    site.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://ann:s%20t@{site.address}")
    site.instead = [lambda request: request.send(b"here")] * 9
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_named_site_is_asked_through_the_proxy(proxy: Site) -> None:
    """By its whole address, for the name is not looked up here; with the account, which goes to the proxy alone."""
    with Client("http://site.example/a", QUICK) as client:
        assert client.get("http://site.example/a?b=1").content == b"here"
    assert proxy.asked == ["http://site.example/a?b=1"]
    assert "ann:s t" in proxy.agents


def test_what_is_on_this_machine_is_asked_directly(proxy: Site, site: Site) -> None:
    """A loopback address means this machine, not that of the proxy."""
    with Client(site.address, QUICK) as client:
        assert client.get(site.address).status == 200
    assert proxy.asked == []


@pytest.mark.parametrize("bypass", ["site.example", ".example", "other.test, example", "*"])
def test_what_no_proxy_names_is_asked_directly(proxy: Site, monkeypatch: pytest.MonkeyPatch, bypass: str) -> None:
    """By the name or its end; here it is then looked up and does not exist."""
    monkeypatch.setenv("NO_PROXY", bypass)
    with Client("http://site.example", QUICK) as client, pytest.raises(FetchError, match="no server is known by the name"):
        client.get("http://site.example")
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_was_not_named_is_not_asked_through_a_proxy(proxy: Site, scheme: str) -> None:
    """www.site.example could lead into the private network of the proxy, and nobody here would see it."""
    url = f"{scheme}://www.site.example/"
    with Client("http://site.example", QUICK) as client:
        with pytest.raises(FetchError, match=r"private network; allow that host with --allow-host www\.site\.example"):
            client.get(url)
        proxy.instead = [lambda request: request.send(b"", 302, Location=url)]
        with pytest.raises(FetchError, match="redirects elsewhere"):
            client.get("http://site.example")
    assert proxy.asked == ["http://site.example/"]
    with Client("http://site.example", QUICK_ELSEWHERE) as client:
        assert client.permits(url)


def test_the_proxy_itself_is_no_part_of_the_site(proxy: Site) -> None:
    """That the user named it as a proxy does not let a site lead there."""
    with Client("http://site.example", QUICK) as client:
        for url in (f"http://{proxy.address}/", "http://169.254.169.254/"):
            with pytest.raises(FetchError, match="another site"):
                client.get(url)
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_told_apart_from_the_site(proxy: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers name it, without the password, and say which variables to look at."""
    proxy.instead = [lambda request: request.send(b"", 407)]
    with Client("http://site.example", QUICK) as client, pytest.raises(FetchError, match=r"password \(407\).*HTTP_PROXY"):
        client.get("http://site.example")
    with Client("https://site.example", QUICK) as client, pytest.raises(FetchError) as caught:
        client.get("https://site.example")
    assert f"no way through the proxy {proxy.address} (403 Not from here); look at HTTPS_PROXY" in str(caught.value)
    assert proxy.asked[-1] == "CONNECT site.example:443"
    monkeypatch.setenv("HTTP_PROXY", "http://ann:secret@127.0.0.1:9")
    monkeypatch.delenv("http_proxy", raising=False)
    with Client("http://site.example", QUICK) as client, pytest.raises(FetchError) as caught:
        client.get("http://site.example")
    assert "cannot be reached through the proxy 127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not shutil.which("openssl"), reason="it makes a certificate with openssl")
def test_tls_goes_through_the_proxy_to_the_site(proxy: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked against the name of the site: one that nobody vouches for is refused."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=site.example -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(server.accept()[0], server_side=True)

        threading.Thread(target=greet, daemon=True).start()
        monkeypatch.setattr(ProxyRequest, "tunnel_to", server.getsockname())
        with Client("https://site.example", QUICK) as client, pytest.raises(FetchError, match="certificate is not valid"):
            client.get("https://site.example")
    assert proxy.asked == ["CONNECT site.example:443"]


@pytest.mark.parametrize(
    "told", ["socks5://127.0.0.1:1080", "http://", "http://[::1", "http://a:99999", "http://a b:1", "ftp://a"]
)
def test_what_is_no_proxy_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """With the name of the variable, and not passed over: a site behind a proxy must not be asked directly by mistake."""
    monkeypatch.setenv("HTTP_PROXY", told)
    with (
        Client("http://site.example", QUICK) as client,
        pytest.raises(FetchError, match=r"the variable HTTP_PROXY: .*; name http"),
    ):
        client.get("http://site.example")


def test_which_proxy_is_read_as_other_programs_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small letters count before large ones, a scheme has its own proxy, a proxy without a scheme speaks HTTP."""
    monkeypatch.setenv("HTTP_PROXY", "http://large:1")
    monkeypatch.setenv("http_proxy", "small:3128")
    told = proxy_of(urlsplit("http://site.example/"))
    assert told is not None
    assert (told.url, told.account) == ("http://small:3128", None)
    assert proxy_of(urlsplit("https://site.example/")) is None
    assert proxy_of(urlsplit("http://[::1]/")) is None
