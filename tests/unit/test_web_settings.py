from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from agent.session.errors import SettingsIncomplete
from agent.settings import Settings
from web.settings import WebSettings

RECORDER = Settings(_env_file=None, database_url=SecretStr("postgresql://me@db/recorder"))


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WebSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsIncomplete) as raised:
        WebSettings(_env_file=None).require_complete(Settings(_env_file=None, database_url=SecretStr("")))
    assert [name.split()[0] for name in raised.value.missing] == ["DATABASE_URL", "WEB_JWT_SECRET"]


def test_a_secret_that_can_be_guessed_is_refused_and_not_shown() -> None:
    settings = WebSettings(_env_file=None, web_jwt_secret=SecretStr("secret"))
    with pytest.raises(SettingsIncomplete, match="32 bytes") as raised:
        settings.require_complete(RECORDER)
    assert "'secret'" not in str(raised.value)


JWKS = "https://id.example.org/jwks"


def test_an_identity_providers_keys_will_do_for_its_tokens_to_us() -> None:
    theirs: dict[str, Any] = {"web_jwt_issuer": "https://id.example.org/", "web_jwt_audience": "coaching"}
    WebSettings(_env_file=None, web_jwks_url=JWKS, **theirs).require_complete(RECORDER)
    for missing in theirs:
        settings = WebSettings(_env_file=None, web_jwks_url=JWKS, **(theirs | {missing: ""}))
        with pytest.raises(SettingsIncomplete, match=f"{missing.upper()} .WEB_JWKS_URL needs it."):
            settings.require_complete(RECORDER)


@pytest.mark.parametrize(
    ("public_url", "host", "secure"),
    [
        ("https://sessions.example.org", "127.0.0.1", True),
        ("http://sessions.example.org", "0.0.0.0", False),
        ("", "0.0.0.0", True),
        ("", "::", True),
        ("", "web.internal", True),
        ("", "127.0.0.1", False),
        ("", "::1", False),
        ("", "localhost", False),
    ],
)
def test_cookies_are_secure_unless_it_is_said_or_plain_that_there_is_no_https(
    public_url: str, host: str, secure: bool
) -> None:
    assert WebSettings(_env_file=None, web_public_url=public_url, web_host=host).secure is secure


def test_allowed_origins_are_reduced_to_origins() -> None:
    told = "https://App.example.org/, http://localhost:3000,,https://app.example.org:443/x"
    settings = WebSettings(_env_file=None, web_allowed_origins=told)
    assert settings.allowed_origins == ["https://app.example.org", "http://localhost:3000"]
    assert WebSettings(_env_file=None, web_allowed_origins=" , ").allowed_origins == []


@pytest.mark.parametrize("told", ["*", "https://a.org,*", "null", "https://*.example.org", "app.example.org"])
def test_origins_that_would_allow_everybody_or_nobody_are_refused(told: str) -> None:
    with pytest.raises(ValidationError, match="web_allowed_origins"):
        WebSettings(_env_file=None, web_allowed_origins=told)


@pytest.mark.parametrize("told", ["session id", "a;b", "a=b", "ä", "x" * 101])
def test_a_cookie_name_that_no_browser_sends_is_refused(told: str) -> None:
    with pytest.raises(ValidationError, match="web_cookie_name"):
        WebSettings(_env_file=None, web_cookie_name=told)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in WebSettings.model_fields.values())


def test_categories_are_named_in_json_and_what_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CATEGORY_NAMES", '{"17": "College"}')
    assert WebSettings(_env_file=None).web_category_names == {"17": "College"}
    for wrong in ("{", "[1]", '{"17": {}}'):
        monkeypatch.setenv("WEB_CATEGORY_NAMES", wrong)
        with pytest.raises(ValidationError, match="web_category_names"):
            WebSettings(_env_file=None)
