"""Settings come from the environment alone, and a start is refused with every reason at once."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from ledger.cli.client_settings import ClientSettings
from ledger.domain.errors import Invalid
from ledger.identity.guessable import is_guessable_key, is_guessable_password
from ledger.setting_groups.serving import Environment
from ledger.setting_groups.telemetry import LogFormat, LogLevel
from ledger.setting_values import Problem
from ledger.settings import Settings, SettingsRefused, ensure_secret_key, known_names

STRONG_KEY = "vH1p9Q-4sZxT0rWb7KdLmE2uYc8JfNga"
PRODUCTION = {"LEDGER_ENVIRONMENT": "production", "LEDGER_SECRET_KEY": STRONG_KEY}


def refusal(**environ: str) -> SettingsRefused:
    with pytest.raises(SettingsRefused) as refused:
        Settings.load(environ)
    return refused.value


def only_line(**environ: str) -> str:
    (problem,) = refusal(**environ).problems
    return str(problem)


def test_nothing_has_to_be_set():
    settings = Settings.load({})

    assert (settings.host, settings.port) == ("127.0.0.1", 8002)
    assert settings.data_dir == Path(".ledger")
    assert settings.environment is Environment.DEVELOPMENT
    assert settings.database_url is None
    assert settings.secret_key is None
    assert settings.admin_username == "admin"
    assert settings.admin_password is None
    assert settings.service_name == "decision-ledger"
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.max_sessions == 500
    assert settings.max_claims is None
    assert (settings.db_pool_min_size, settings.db_pool_max_size) == (2, 8)
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, LogFormat.CONSOLE)
    assert settings.cors_origins == ()
    assert settings.trusted_proxies == ()


def test_every_value_can_be_set():
    settings = Settings.load(
        PRODUCTION
        | {
            "LEDGER_DATABASE_URL": "postgresql://service:pw@one:5432,two:5432/ledger",
            "LEDGER_OWNER_DATABASE_URL": "postgres://owner:pw@one/ledger",
            "LEDGER_DATA_DIR": "/var/lib/ledger",
            "LEDGER_PG_BIN": "/usr/lib/postgresql/17/bin",
            "LEDGER_PG_USER": "postgres",
            "LEDGER_HOST": "::",
            "LEDGER_PORT": "0",
            "LEDGER_ADMIN_USERNAME": "ops",
            "LEDGER_ADMIN_PASSWORD": "tidal-Marmot-19",
            "LEDGER_SERVICE_NAME": "ledger of the SOC",
            "LEDGER_CORS_ORIGINS": "https://console.example.org, http://localhost:3000",
            "LEDGER_TRUSTED_PROXIES": "10.0.0.1,fd00::/8",
            "LEDGER_WEBHOOK_ALLOWED_NETWORKS": "10.1.0.0/16",
            "LEDGER_DB_POOL_MIN_SIZE": "3",
            "LEDGER_DB_POOL_MAX_SIZE": "3",
            "LEDGER_MAX_BODY_BYTES": "2048",
            "LEDGER_MAX_SESSIONS": "1",
            "LEDGER_MAX_CLAIMS": "3",
            "LEDGER_LOG_LEVEL": "WARNING",
            "LEDGER_LOG_FORMAT": "console",
        }
    )

    assert settings.is_production
    assert settings.database_url == SecretStr("postgresql://service:pw@one:5432,two:5432/ledger")
    assert settings.owner_database_url == SecretStr("postgres://owner:pw@one/ledger")
    assert settings.data_dir == Path("/var/lib/ledger")
    assert (settings.pg_bin, settings.pg_user) == (Path("/usr/lib/postgresql/17/bin"), "postgres")
    assert (settings.host, settings.port) == ("::", 0)
    assert settings.secret_key == SecretStr(STRONG_KEY)
    assert (settings.admin_username, settings.admin_password) == ("ops", SecretStr("tidal-Marmot-19"))
    assert settings.service_name == "ledger of the SOC"
    assert settings.cors_origins == ("https://console.example.org", "http://localhost:3000")
    assert settings.trusted_proxies == (ip_network("10.0.0.1"), ip_network("fd00::/8"))
    assert settings.webhook_allowed_networks == (ip_network("10.1.0.0/16"),)
    assert (settings.db_pool_min_size, settings.db_pool_max_size) == (3, 3)
    assert (settings.max_body_bytes, settings.max_sessions, settings.max_claims) == (2048, 1, 3)
    assert (settings.log_level, settings.log_format) == (LogLevel.WARNING, LogFormat.CONSOLE)


def test_lists_may_be_written_as_json():
    settings = Settings.load({"LEDGER_CORS_ORIGINS": '["https://one.example","https://two.example"]'})

    assert settings.cors_origins == ("https://one.example", "https://two.example")


def test_settings_built_by_hand_take_lists_as_they_are():
    assert Settings(cors_origins=("https://one.example",)).cors_origins == ("https://one.example",)


def test_production_logs_json_unless_told_otherwise():
    assert Settings.load(PRODUCTION).log_format is LogFormat.JSON


def test_an_empty_variable_is_not_set():
    assert Settings.load({"LEDGER_PORT": "", "LEDGER_SECRET_KEY": ""}) == Settings.load({})


def test_settings_never_change_and_never_show_a_secret():
    settings = Settings.load(
        {"LEDGER_SECRET_KEY": STRONG_KEY, "LEDGER_DATABASE_URL": "postgresql://a:hunter2@h/d"}
    )

    assert STRONG_KEY not in repr(settings)
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_settings_built_by_hand_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LEDGER_PORT", "1234")

    assert Settings().port == 8002
    assert Settings.load().port == 1234


def test_all_problems_are_told_at_once_one_line_each():
    refused = refusal(
        LEDGER_ENVIRONMENT="production",
        LEDGER_PORT="http",
        LEDGER_PROT="8002",
        LEDGER_DB_POOL_MIN_SIZE="9",
        LEDGER_CORS_ORIGINS="*",
        LEDGER_LOG_LEVEL="loud",
        LEDGER_TRUSTED_PROXIES="10.0.0.1,proxy",
        LEDGER_OWNER_DATABASE_URL="postgresql://owner:pw@host/ledger",
    )

    assert isinstance(refused, Invalid)
    assert refused.code == "settings-refused"
    assert [problem.about for problem in refused.problems] == [
        "LEDGER_PROT",
        "LEDGER_PORT",
        "LEDGER_CORS_ORIGINS",
        "LEDGER_TRUSTED_PROXIES",
        "LEDGER_LOG_LEVEL",
        "LEDGER_DB_POOL_MIN_SIZE",
        "LEDGER_OWNER_DATABASE_URL",
        "LEDGER_SECRET_KEY",
    ]
    first, *lines = refused.lines()
    assert first == "The settings do not allow a start. Change what is listed and start again."
    assert lines == [f"  - {line}" for line in refused.context["problems"]]
    assert all("\n" not in line for line in lines)


def test_a_start_can_add_its_own_problems():
    refused = SettingsRefused([Problem("database", "PostgreSQL 14 is too old; bring 15 or newer")])

    assert refused.context == {"problems": ["database: PostgreSQL 14 is too old; bring 15 or newer."]}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("LEDGER_PROT", "LEDGER_PORT"),
        ("LEDGER_DATABSE_URL", "LEDGER_DATABASE_URL"),
        ("LEDGER_SECRET", "LEDGER_SECRET_KEY"),
        ("ledger_port", "LEDGER_PORT"),
        ("LEDGER_", None),
        ("LEDGER_XYZZY", None),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name, nearest):
    line = only_line(**{name: "1"})

    assert line.startswith(f"{name}: is no setting; the nearest one is LEDGER_")
    assert nearest is None or line.endswith(f" {nearest}.")


def test_names_of_clients_tests_and_other_programs_are_not_unknown():
    settings = Settings.load(
        {
            "LEDGER_URL": "http://other",
            "LEDGER_TOKEN": "t",
            "LEDGER_TEST_DATABASE_URL": "x",
            "LEDGER_TEST_ANYTHING": "x",
            "LEDGERX": "x",
            "PATH": "/bin",
        }
    )

    assert settings == Settings.load({})
    assert {"LEDGER_URL", "LEDGER_TOKEN", "LEDGER_PORT"} <= set(known_names())


def test_what_kubernetes_adds_for_a_service_called_ledger_is_explained():
    refused = refusal(
        LEDGER_SERVICE_HOST="10.0.0.1", LEDGER_PORT_8002_TCP="x", LEDGER_PORT="tcp://10.0.0.1:8002"
    )

    assert len(refused.problems) == 3
    assert all("enableServiceLinks: false" in problem.advice for problem in refused.problems)


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("PORT", "eighty", "must be a whole number from 0 (any free port) to 65535, not 'eighty'."),
        ("PORT", "65536", "must be a whole number from 0 (any free port) to 65535, not '65536'."),
        ("PORT", "-1", "must be a whole number from 0 (any free port) to 65535, not '-1'."),
        ("PORT", "80.5", "must be a whole number from 0 (any free port) to 65535, not '80.5'."),
        (
            "HOST",
            "http://localhost",
            "must be an address or a host name, like 127.0.0.1 or ::, not 'http://localhost'.",
        ),
        (
            "HOST",
            "localhost\n",
            "must be an address or a host name, like 127.0.0.1 or ::, not 'localhost\\n'.",
        ),
        ("ENVIRONMENT", "staging", "must be development or production, not 'staging'."),
        ("LOG_FORMAT", "xml", "must be console or json, not 'xml'."),
        ("DB_POOL_MAX_SIZE", "0", "must be a whole number from 1 to 1000, not '0'."),
        ("MAX_SESSIONS", "9" * 200, f"must be a whole number from 1 to 100000, not '{'9' * 100}'."),
        ("TLOG_PUBLIC", "maybe", "must be true or false, not 'maybe'."),
        ("TRACE_SAMPLE_RATIO", "nan", "must be a number from 0 to 1, not 'nan'."),
        ("ADMIN_USERNAME", "me", "must be 3 to 50 characters, not 'me'."),
        ("SECRET_KEY", "short-and-private", "must be at least 32 characters."),
        ("ADMIN_PASSWORD", "private", "must be at least 8 characters."),
        ("TRUSTED_PROXIES", "10.0.0.1/8", None),
        ("TRUSTED_PROXIES", "*", None),
        (
            "WEBHOOK_ALLOWED_NETWORKS",
            "everything",
            "must be addresses or networks, separated by commas, like 10.0.0.1,192.168.0.0/24, not 'everything'.",
        ),
        ("CORS_ORIGINS", "[", 'must be a list, like ["first","second"] or first,second.'),
        ("CORS_ORIGINS", "console.example.org", None),
        ("CORS_ORIGINS", "https://a.example/path", None),
        ("CORS_ORIGINS", "https://*.example.org", None),
    ],
)
def test_a_bad_value_is_explained_in_plain_words(name, value, advice):
    line = only_line(**{f"LEDGER_{name}": value})

    assert line.startswith(f"LEDGER_{name}: ")
    assert advice is None or line == f"LEDGER_{name}: {advice}"
    for prose_of_the_library in ("Input should", "type=", "pydantic"):
        assert prose_of_the_library not in line


@pytest.mark.parametrize("name", ["LEDGER_DATABASE_URL", "LEDGER_READ_DATABASE_URL"])
def test_a_database_url_is_checked_and_never_repeated(name):
    line = only_line(**{name: "mysql://sam:hunter2@host/ledger"})

    assert "postgresql://user:password@host:5432/database" in line
    assert "hunter2" not in line


def test_a_redis_url_is_checked_and_never_repeated():
    line = only_line(LEDGER_REDIS_URL="http://:hunter2@cache:6379")

    assert "redis://:password@host:6379/0" in line
    assert "hunter2" not in line
    assert Settings.load({"LEDGER_REDIS_URL": "rediss://cache/1"}).redis_url is not None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "console.example.org",
        "https://console.example.org/",
        "https://console.example.org/path",
        "https://console.example.org?x=1",
        "https://sam@console.example.org",
        "https://(console|desk).example.org",
        "^https://console.example.org$",
        "https://console.example.org$",
        r"https://console\.example\.org",
        "https://console..example.org",
        "https://console.example.org:port",
        "ftp://console.example.org",
        "https://",
    ],
)
def test_an_origin_is_exact_and_no_pattern(origin):
    line = only_line(LEDGER_CORS_ORIGINS=origin)

    assert line.startswith(f"LEDGER_CORS_ORIGINS: {origin!r} is no origin")


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://[2001:db8::1]:8443", "https://10.0.0.1", "https://Console.example"],
)
def test_an_origin_may_be_an_address_and_have_a_port(origin):
    assert Settings.load({"LEDGER_CORS_ORIGINS": origin}).cors_origins == (origin,)


@pytest.mark.parametrize("origin", ["*", "https://*.example.org", "https://*", "http*://console.example.org"])
def test_a_wildcard_origin_is_refused_wherever_it_stands(origin):
    assert only_line(LEDGER_CORS_ORIGINS=origin).startswith("LEDGER_CORS_ORIGINS: a wildcard ")


def test_a_wildcard_origin_is_refused_in_development_too():
    assert only_line(LEDGER_CORS_ORIGINS="https://one.example,*").startswith(
        "LEDGER_CORS_ORIGINS: a wildcard "
    )


def test_the_least_number_of_connections_is_not_above_the_most():
    line = only_line(LEDGER_DB_POOL_MIN_SIZE="5", LEDGER_DB_POOL_MAX_SIZE="4")

    assert line == (
        "LEDGER_DB_POOL_MIN_SIZE: 5 is above LEDGER_DB_POOL_MAX_SIZE, 4; lower it or raise the other."
    )


def test_a_rule_about_a_value_that_cannot_be_read_waits():
    refused = refusal(LEDGER_DB_POOL_MIN_SIZE="20", LEDGER_DB_POOL_MAX_SIZE="many")

    assert [problem.about for problem in refused.problems] == ["LEDGER_DB_POOL_MAX_SIZE"]


def test_the_owners_login_needs_the_services_login():
    assert only_line(LEDGER_OWNER_DATABASE_URL="postgresql://o@h/d").startswith(
        "LEDGER_OWNER_DATABASE_URL: needs"
    )


@pytest.mark.parametrize(
    "key",
    [
        "a" * 40,
        "ab" * 20,
        "0123456789" * 4,
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "change-me-change-me-please-do-it-now",
        "CHANGEME_9f8a7b6c5d4e3f2a1b0c9d8e7f6a",
        "your-secret-key-goes-here-1234567890",
        "1122112211221122112211221122112233",
    ],
)
def test_production_refuses_a_key_that_is_easy_to_guess(key):
    line = only_line(LEDGER_ENVIRONMENT="production", LEDGER_SECRET_KEY=key)

    assert line.startswith("LEDGER_SECRET_KEY: is easy to guess; make one with: python3 -c ")
    assert key not in line
    assert Settings.load({"LEDGER_SECRET_KEY": key}).secret_key == SecretStr(key)  # development may


def test_previous_keys_are_a_list_of_keys_that_could_have_been_current():
    other = STRONG_KEY[::-1]
    settings = Settings.load({"LEDGER_PREVIOUS_SECRET_KEYS": f"{STRONG_KEY},{other}"})

    assert [key.get_secret_value() for key in settings.previous_secret_keys] == [STRONG_KEY, other]
    assert STRONG_KEY not in repr(settings)
    assert "fewer than 32" in only_line(LEDGER_PREVIOUS_SECRET_KEYS=f"{STRONG_KEY},short")
    easy = only_line(**PRODUCTION, LEDGER_PREVIOUS_SECRET_KEYS="change-me-" * 4)
    assert "easy to guess" in easy
    assert "change-me" not in easy


@pytest.mark.parametrize(
    "key", [STRONG_KEY, "8f14e45fceea167a5a36dedd4bea2543", "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcw"]
)
def test_a_random_key_is_not_called_easy_to_guess(key):
    assert not is_guessable_key(key)


def test_production_refuses_to_start_without_a_key():
    line = only_line(LEDGER_ENVIRONMENT="production")

    assert line.startswith("LEDGER_SECRET_KEY: production needs at least 32 characters; make one with: ")


@pytest.mark.parametrize(
    "password",
    [
        "changeme",
        "Admin123!",
        "P@ssw0rd2026",
        "adminadmin",
        "12345678",
        "aaaaaaaa",
        "qwertyuiop",
        "ops-ops-ops-1",
    ],
)
def test_production_refuses_a_password_that_is_easy_to_guess(password):
    line = only_line(**PRODUCTION, LEDGER_ADMIN_USERNAME="ops", LEDGER_ADMIN_PASSWORD=password)

    assert line.startswith("LEDGER_ADMIN_PASSWORD: is easy to guess; ")
    assert password not in line


@pytest.mark.parametrize("password", ["tidal-Marmot-19", "correct horse battery", "Xk9#mQ2v"])
def test_an_unusual_password_is_not_called_easy_to_guess(password):
    assert not is_guessable_password(password, "admin")


def test_the_users_own_name_adorned_is_easy_to_guess():
    assert is_guessable_password("Beatrix-2026", "beatrix")
    assert not is_guessable_password("Beatrix-2026", "sam")


NOTARY_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_the_keys_of_the_notary_are_32_bytes_and_are_not_shown():
    settings = Settings.load({"LEDGER_NOTARY_KEY": f"{NOTARY_KEY},{NOTARY_KEY}"})

    assert [key.get_secret_value() for key in settings.notary_key] == [NOTARY_KEY, NOTARY_KEY]
    assert NOTARY_KEY not in repr(settings)
    for wrong in (NOTARY_KEY[4:], f"{NOTARY_KEY},short", "ä" * 44):
        line = only_line(LEDGER_NOTARY_KEY=wrong)
        assert line.startswith("LEDGER_NOTARY_KEY: must be 32 bytes in base64")
        assert wrong not in line


def test_production_refuses_a_key_that_others_may_have_beside_a_guard_of_its_own():
    given = {**PRODUCTION, "LEDGER_NOTARY_KEY": NOTARY_KEY}

    assert only_line(**given).startswith("LEDGER_NOTARY_KEY: needs LEDGER_NOTARY_STATE_URL beside it")
    for more in (
        {"LEDGER_NOTARY_STATE_URL": "postgresql://me:secret@elsewhere/guard"},
        {"LEDGER_NOTARY_STATE_URL": "file:///var/lib/guard/state"},
        {"LEDGER_NOTARY": "false"},
        {"LEDGER_ENVIRONMENT": "development"},
    ):
        assert Settings.load({**given, **more}).notary_key


@pytest.mark.parametrize("url", ["file:///var/lib/guard/state", "postgresql://me:secret@elsewhere/guard"])
def test_the_guard_of_the_notary_may_be_elsewhere(url):
    settings = Settings.load({"LEDGER_NOTARY_STATE_URL": url})
    assert settings.notary_state_url == SecretStr(url)


@pytest.mark.parametrize(
    "url", ["/var/lib/guard", "file://host/state", "file:state", "https://guard.example"]
)
def test_a_guard_that_is_neither_a_file_nor_a_database_is_refused(url):
    assert only_line(LEDGER_NOTARY_STATE_URL=url).startswith(
        "LEDGER_NOTARY_STATE_URL: must be a URL like file:///"
    )


def test_the_guard_is_not_in_the_database_that_it_guards():
    url = "postgresql://me:secret@here/ledger"
    line = only_line(LEDGER_NOTARY_STATE_URL=url, LEDGER_DATABASE_URL=url)
    assert line.startswith("LEDGER_NOTARY_STATE_URL: must be another database")


@pytest.mark.parametrize("name", ["log.example.org/decisions", "a", "ledger.invalid/1:2_3~4-5"])
def test_a_log_may_be_given_a_name(name):
    assert Settings.load({"LEDGER_NOTARY_ORIGIN": name}).notary_origin == name


@pytest.mark.parametrize("name", ["a log", "a+b", "/log", "log\n", "l" * 201])
def test_a_name_that_no_note_could_hold_is_refused(name):
    assert only_line(LEDGER_NOTARY_ORIGIN=name).startswith("LEDGER_NOTARY_ORIGIN: must be a name like")


def test_metrics_may_have_a_port_and_a_token():
    settings = Settings.load({"LEDGER_METRICS_PORT": "9102", "LEDGER_METRICS_TOKEN": "a-token-of-metrics"})

    assert (settings.metrics_port, settings.metrics_token) == (9102, SecretStr("a-token-of-metrics"))
    assert "a-token-of-metrics" not in repr(settings)


def test_metrics_on_the_service_s_own_port_are_refused():
    line = only_line(LEDGER_PORT="9102", LEDGER_METRICS_PORT="9102")
    assert line.startswith("LEDGER_METRICS_PORT: is LEDGER_PORT too; choose another")


def test_two_ports_may_both_be_any_free_one():
    assert Settings.load({"LEDGER_PORT": "0", "LEDGER_METRICS_PORT": "0"}).metrics_port == 0


@pytest.mark.parametrize("token", ["two words", "schlüssel", "tab\tin-it"])
def test_a_token_of_metrics_that_no_header_holds_is_refused_and_not_shown(token):
    line = only_line(LEDGER_METRICS_TOKEN=token)
    assert line.startswith("LEDGER_METRICS_TOKEN: must be printable ASCII without a space")
    assert token not in line


def test_traces_go_to_a_collector_in_the_share_that_is_given():
    settings = Settings.load(
        {"LEDGER_OTLP_ENDPOINT": "http://me:hunter2@collector:4318", "LEDGER_TRACE_SAMPLE_RATIO": "0.5"}
    )

    assert settings.otlp_endpoint == SecretStr("http://me:hunter2@collector:4318")
    assert settings.trace_sample_ratio == 0.5
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317"])
def test_a_collector_that_is_no_url_of_http_is_refused(url):
    assert only_line(LEDGER_OTLP_ENDPOINT=url).startswith("LEDGER_OTLP_ENDPOINT: ")


# The secret key of a development machine


def test_a_given_key_is_used_and_nothing_is_written(tmp_path):
    settings = Settings(secret_key=SecretStr(STRONG_KEY), data_dir=tmp_path / "data")

    assert ensure_secret_key(settings) == SecretStr(STRONG_KEY)
    assert not settings.data_dir.exists()


def test_development_makes_a_key_once_and_keeps_it_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "deep" / "data")

    key = ensure_secret_key(settings)

    assert not is_guessable_key(key.get_secret_value())
    assert ensure_secret_key(settings) == key
    (kept,) = settings.data_dir.iterdir()
    assert kept.name == "secret_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) & 0o066 == 0


def test_all_who_ask_at_once_get_the_same_key(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")

    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: ensure_secret_key(settings).get_secret_value(), range(64)))

    assert len(keys) == 1
    assert [kept.name for kept in settings.data_dir.iterdir()] == ["secret_key"]


def test_two_processes_that_start_together_agree_on_the_key(tmp_path):
    script = "from ledger.settings import *; print(ensure_secret_key(Settings.load()).get_secret_value())"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            env={"LEDGER_DATA_DIR": str(tmp_path / "data")},
        )
        for _ in range(4)
    ]

    assert len({process.communicate(timeout=60)[0] for process in started}) == 1
    assert {process.returncode for process in started} == {0}


def test_production_never_makes_a_key(tmp_path):
    with pytest.raises(SettingsRefused, match="LEDGER_SECRET_KEY"):
        ensure_secret_key(Settings(environment=Environment.PRODUCTION, data_dir=tmp_path))

    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "secret_key").write_text("short", encoding="ascii")
    (tmp_path / "folder" / "secret_key").mkdir(parents=True)

    for data_dir in (tmp_path, tmp_path / "folder"):
        with pytest.raises(SettingsRefused) as refused:
            ensure_secret_key(Settings(data_dir=data_dir))
        assert refused.value.problems[0].about == str(data_dir / "secret_key")


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    for data_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsRefused) as refused:
            ensure_secret_key(Settings(data_dir=data_dir))
        (problem,) = refused.value.problems
        assert problem.about == "LEDGER_DATA_DIR"
        assert str(data_dir) in problem.advice


# Clients of a running service


def test_a_client_speaks_to_this_machine_unless_told_otherwise():
    assert ClientSettings.load(environ={}) == ClientSettings(
        url="http://127.0.0.1:8002", token=None, is_named=False
    )


def test_a_client_takes_the_option_before_the_environment():
    environ = {"LEDGER_URL": "https://ledger.example/", "LEDGER_TOKEN": "t"}

    assert ClientSettings.load(environ=environ) == ClientSettings(
        url="https://ledger.example", token=SecretStr("t")
    )
    assert ClientSettings.load(url="http://other:1", environ=environ).url == "http://other:1"


@pytest.mark.parametrize(("option", "about"), [("ledger.example", "--url"), (None, "LEDGER_URL")])
def test_a_client_names_a_url_that_is_none(option, about):
    with pytest.raises(SettingsRefused) as refused:
        ClientSettings.load(url=option, environ={"LEDGER_URL": "ftp://ledger.example"})

    assert refused.value.problems[0].about == about


def test_a_clients_settings_do_not_mind_the_services():
    assert ClientSettings.load(environ={"LEDGER_PORT": "nonsense", "LEDGER_NEW": "1"}).token is None
