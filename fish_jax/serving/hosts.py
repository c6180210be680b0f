"""The host names under which requests may reach a server.

A page elsewhere may give its own name the address of this machine, and so read what a server at a
loopback address says (DNS rebinding). There, a request must name an address, `localhost`, or a host
that the owner of the server has named.
"""

import ipaddress
import re
from collections.abc import Collection

from fish_jax.errors import UserError

NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9_])?"
HEADER = re.compile(rf"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>{NAME}))\.?(?::\d{{0,5}})?")


def parse_hosts(text: str) -> frozenset[str]:
    """Reads the names of `--hosts`, separated by commas.

    Raises:
      UserError: one is no name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(NAME, name):
            raise UserError(
                f"--hosts={text}: {name} is not a host name; leave out https:// and the port: "
                "fish.example.org,www.example.org"
            )
    return frozenset(name.lower() for name in names)


def refusal(header: str, address: str, hosts: Collection[str]) -> str:
    """Says why a request is refused, or nothing.

    Args:
      header: `Host` of the request, "" if there is none.
      address: at which the server listens. At others than a loopback one any name will do, unless
        there are `hosts`.
      hosts: from `parse_hosts`.

    Returns:
      A sentence, or "" for a request to be answered.
    """
    if not hosts and not ipaddress.ip_address(address).is_loopback:
        return ""
    found = HEADER.fullmatch(header)
    if not found:
        return "the request has no host name"
    name = (found["address"] or found["name"]).lower()
    if name in hosts or name == "localhost" or name.endswith(".localhost") or _is_address(name):
        return ""
    return f"this server does not answer to the name {name}: start it with --hosts={name}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
