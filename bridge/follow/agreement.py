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
