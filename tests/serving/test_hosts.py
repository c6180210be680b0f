"""By which names requests may call a server."""

import pytest

from fish_jax.errors import UserError
from fish_jax.serving.hosts import parse_hosts, refusal

OURS = ("127.0.0.1", "localhost:8000", "LOCALHOST", "localhost.", "x.localhost:80", "[::1]:8000")
OTHERS = (
    "evil.example",
    "fish.example.org:443",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
)
NONE = ("", "a b", "evil.example\r\nX: y", "a" * 300, "a,b", "[::1", "user@localhost", "ü.example")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.5", "::1"])
def test_at_a_loopback_address(address):
    assert [refusal(header, address, ()) for header in OURS] == [""] * len(OURS)
    for header in OTHERS:
        name = header.split(":")[0]
        expected = f"this server does not answer to the name {name}: start it with --hosts={name}"
        assert refusal(header, address, ()) == expected
    assert {refusal(header, address, ()) for header in NONE} == {"the request has no host name"}


def test_addresses_have_no_name_that_could_be_another():
    assert refusal("192.168.1.5:8000", "127.0.0.1", ()) == ""
    assert refusal("[fe80::1]", "127.0.0.1", ()) == ""
    assert refusal("1.2.3.4.5", "127.0.0.1", ()) != ""


def test_names_of_the_owner():
    names = parse_hosts(" Fish.example.org,www.example.org, ")
    assert names == {"fish.example.org", "www.example.org"}
    for header in ("FISH.example.org", "fish.example.org:443", "fish.example.org.", *OURS):
        assert refusal(header, "127.0.0.1", names) == ""
    assert "not answer to the name evil.example" in refusal("evil.example", "127.0.0.1", names)
    assert "not answer to the name a.fish.example.org" in refusal(
        "a.fish.example.org", "127.0.0.1", names
    )


def test_elsewhere_any_name_will_do_unless_there_are_names():
    assert {refusal(header, "0.0.0.0", ()) for header in (*OTHERS, *NONE)} == {""}
    assert refusal("evil.example", "0.0.0.0", parse_hosts("fish.example.org")) != ""
    assert parse_hosts("") == frozenset()


@pytest.mark.parametrize(
    "wrong", ["https://fish.example.org", "fish.example.org:80", "*", "a b", "-x", "fish.org/"]
)
def test_what_is_no_name(wrong):
    with pytest.raises(UserError, match="is not a host name; leave out https://"):
        parse_hosts(f"fish.example.org,{wrong}")
