"""What users agree to as followers of the log need it: whether anything is, and a text that changes with it. Pure."""

from healthsync_mqtt.identity.consent.decisions import ALWAYS, Permission


def agrees(permission: Permission, now_us: int) -> bool:
    """Whether anything is permitted now."""
    return any(now_us < span.until_us for span in (permission.rest, *permission.types.values()))


def agreed_text(permission: Permission, now_us: int) -> tuple[str, int]:
    """What is permitted now, as a text that is another one when that is; and until when it is so."""
    lines, until_us = [], ALWAYS
    for name, span in (("*", permission.rest), *sorted(permission.types.items())):
        if now_us < span.until_us:
            lines.append(f"{name} {span.since_us}")
            until_us = min(until_us, span.until_us)
        elif name != "*":
            lines.append(f"{name} -")
    return "\n".join(lines), until_us


def both_cover(share: Permission, evaluated: Permission, type_name: str, now_us: int) -> bool:
    """Whether what was worked out of a type may be told: only where all that it is made of may be shared."""
    shared, used = share.span(type_name), evaluated.span(type_name)
    return now_us < min(shared.until_us, used.until_us) and shared.since_us <= used.since_us
