"""Which network addresses the service may be sent to by what a user writes: those of the public internet."""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Addresses that look public and lead inside: Azure's platform endpoint, IPv6 that wraps IPv4, IPv6's old private range.
_INSIDE: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("168.63.129.16/32", "64:ff9b::/96", "2002::/16", "2001::/32", "fec0::/10")
)


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet: no private, local, shared, multicast or metadata address."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(mapped)
    if any(address.version == network.version and address in network for network in _INSIDE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def literal(host: str) -> Address | None:
    """The address that a host of a URL spells out, if it does; also in the spellings of C's inet_aton (127.1)."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return _old_spelling(host)


def _old_spelling(host: str) -> Address | None:
    parts = host.rstrip(".").split(".")
    if not 1 <= len(parts) <= 4:
        return None
    try:
        numbers = [int(part, 8 if part[:1] == "0" and part[1:].isdigit() else 0) for part in parts]
    except ValueError:
        return None
    *front, last = numbers
    if any(not 0 <= number < 256 for number in front) or not 0 <= last < 256 ** (5 - len(parts)):
        return None
    value = sum(number << 8 * (3 - place) for place, number in enumerate(front))
    return ipaddress.IPv4Address(value + last)
