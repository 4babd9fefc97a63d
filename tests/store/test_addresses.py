"""One URL may name several hosts."""

import pytest

from ledger.store.addresses import each_host

LOGIN = "postgresql://service:se%40cret@"


@pytest.mark.parametrize(
    ("url", "each"),
    [
        ("postgresql:///ledger", ["postgresql:///ledger"]),
        (f"{LOGIN}one:5433/ledger", [f"{LOGIN}one:5433/ledger"]),
        (
            f"{LOGIN}one:5433,two,[::1]:5434/ledger?target_session_attrs=read-write",
            [
                f"{LOGIN}one:5433/ledger?target_session_attrs=read-write",
                f"{LOGIN}two/ledger?target_session_attrs=read-write",
                f"{LOGIN}[::1]:5434/ledger?target_session_attrs=read-write",
            ],
        ),
        (
            "postgresql://service@/ledger?host=/a%20place,two&port=5433,5434",
            [
                "postgresql://service@/ledger?host=%2Fa%20place&port=5433",
                "postgresql://service@/ledger?host=two&port=5434",
            ],
        ),
        (
            "postgresql://service@/ledger?host=one,two&port=5433",
            [
                "postgresql://service@/ledger?host=one&port=5433",
                "postgresql://service@/ledger?host=two&port=5433",
            ],
        ),
        (
            "postgresql://one,two/ledger?target_session_attrs=prefer-standby",
            ["postgresql://one,two/ledger?target_session_attrs=prefer-standby"],
        ),
    ],
)
def test_the_url_of_each_host(url: str, each: list[str]) -> None:
    assert list(each_host(url)) == each
