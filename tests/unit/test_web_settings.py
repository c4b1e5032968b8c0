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


def test_an_identity_providers_keys_will_do() -> None:
    WebSettings(_env_file=None, web_jwks_url="https://id.example.org/jwks").require_complete(RECORDER)


def test_https_makes_cookies_secure() -> None:
    assert WebSettings(_env_file=None, web_public_url="https://sessions.example.org").secure
    assert not WebSettings(_env_file=None).secure


def test_every_setting_is_described() -> None:
    assert all(field.description for field in WebSettings.model_fields.values())


def test_categories_are_named_in_json_and_what_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CATEGORY_NAMES", '{"17": "College"}')
    assert WebSettings(_env_file=None).web_category_names == {"17": "College"}
    for wrong in ("{", "[1]", '{"17": {}}'):
        monkeypatch.setenv("WEB_CATEGORY_NAMES", wrong)
        with pytest.raises(ValidationError, match="web_category_names"):
            WebSettings(_env_file=None)
