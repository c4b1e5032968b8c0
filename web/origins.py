"""Origins (RFC 6454): scheme, host and port, written as browsers send them."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_HOST = 253  # characters: RFC 1035
_HOST = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def origin(address: str) -> str:
    """The origin of an address, without path and default port. Raises `ValueError`."""
    address = address.strip()
    if not address.isprintable() or " " in address or "\\" in address:
        raise ValueError("has characters that no address has")
    parts = urlsplit(address)
    if parts.scheme not in _DEFAULT_PORTS or not address.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not name a user or a password")
    port = _port(parts)
    host = _host(parts.hostname or "")
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches this host."""
    address = _address(host.strip("[]"))
    return address.is_loopback if address else host.lower().rstrip(".") == "localhost"


def _port(parts: SplitResult) -> int | None:
    """None for the scheme's own."""
    port = parts.port  # raises ValueError for what is no port
    if port == 0:
        raise ValueError("port 0 is none that browsers call")
    return None if port == _DEFAULT_PORTS[parts.scheme] else port


def _host(host: str) -> str:
    address = _address(host)
    if address is not None:
        return f"[{address.compressed}]" if address.version == 6 else str(address)
    if not host.isascii():
        raise ValueError("must write its host as browsers send it, in ASCII (xn--...)")
    if not _HOST.fullmatch(host) or len(host) > _LONGEST_HOST:
        raise ValueError("names no host that a browser could call")
    return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
