"""Addresses and networks that a setting names. Pure."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a name or an address is of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def networks(named: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks of those who are believed. ValueError: one is none, or everybody."""
    for each in named:
        try:
            found = ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise ValueError("a proxy is an address or a network, such as 10.0.0.5 or 10.0.0.0/28") from None
        if not found.prefixlen:
            raise ValueError("a network of everybody would let each client say who it is: name the proxies")
    return named
