import pytest
from pydantic import ValidationError

from web.origins import is_loopback, origin
from web.settings import WebSettings


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://x.org", "https://x.org"),
        ("https://x.org/", "https://x.org"),
        (" https://x.org\n", "https://x.org"),
        ("HTTPS://X.Org:443/a/b?q=1#f", "https://x.org"),
        ("http://x.org:80", "http://x.org"),
        ("https://x.org:80", "https://x.org:80"),
        ("http://x.org:8080/", "http://x.org:8080"),
        ("https://x.org:", "https://x.org"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", "http://[::1]:8080"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://localhost:3000/", "http://localhost:3000"),
    ],
)
def test_an_address_is_reduced_to_its_origin(address: str, expected: str) -> None:
    assert origin(address) == expected
    assert WebSettings(_env_file=None, web_public_url=address).web_public_url == expected


@pytest.mark.parametrize(
    "nonsense",
    [
        "x.org",
        "//x.org",
        "https:x.org",
        "https:/x.org",
        "https://",
        "https:///x",
        "https://:443",
        "ftp://x.org",
        "javascript:alert(1)",
        "null",
        "*",
        "https://*.x.org",
        "https://user:pw@x.org",
        "https://x.org:99999",
        "https://x.org:abc",
        "https://x.org:0",
        "https://x.org:-1",
        "https://x y.org",
        "https://x\n.org",
        "https://x\0.org",
        "https://x..org",
        "https://-x.org",
        "https://[::1",
        "https://[x]",
        "https://x.org\\@y.org",
        "https://x;y.org",
        "https://%41.org",
        "https://bücher.example",
        f"https://{'a' * 300}.org",
    ],
)
def test_nonsense_is_refused_at_the_start_in_words(nonsense: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WebSettings(_env_file=None, web_public_url=nonsense)
    (error,) = refused.value.errors()
    assert error["loc"] == ("web_public_url",)
    assert error["type"] == "value_error"
    assert "\n" not in error["msg"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org", ""])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)
