"""healthsync source …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, known_names, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.descriptions.sources import described_sources
from healthsync_mqtt.errors import Noun, UnknownNameError

app = new_group("What measured for a user, and which of it counts where several measured the same.")

User = Annotated[str, typer.Option(help="Whose.", autocompletion=completion.users)]
_COLUMNS = {"place": "PLACE", "source": "SOURCE", "events": "EVENTS", "types": "TYPES", "last": "LAST"}


@app.command("list")
def list_sources(*, user: User, data: Data = DATA, json: Json = False) -> None:
    """List the sources of a user's events: a device, and the app behind it where the events name one.

    PLACE is the user's own order; those without one come after: what is worn, then what is neither, then phones.

    Example: healthsync source list --user alice
    """
    place = DataDirectory(data)
    place.expect_user(user)
    with place.registry() as registry:
        preferred = registry.sources.of(user)
    place.audit("sources.listed", user=user)
    output.listing(
        _listed(place, user, preferred),
        _COLUMNS,
        as_json=json,
        empty=f"nothing of {user} has been summed up yet; a running service does it",
    )


def _listed(place: DataDirectory, user: str, preferred: tuple[str, ...]) -> list[dict[str, Any]]:
    return [told(line) for line in described_sources(DataPaths(root=place.path).summaries_db, user, preferred)]


@app.command("prefer")
def prefer(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="The best first, as `source list` names them.", autocompletion=completion.sources),
    ] = None,
    *,
    user: User,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say which sources count first where several measured the same; without any: none before the others.

    A running service works every day of the user out again.

    Example: healthsync source prefer watch-1 phone --user alice
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        registry.user(user)
        preferred = registry.sources.of(user)  # one that was taken stays one, whatever became of its events
    known = {*known_names.sources(data, user), *preferred}
    for name in sources or []:
        if name not in known:
            hint = f"healthsync source list --user {user}"
            raise UnknownNameError(Noun.source, name, f"{user} has no source {name}", hint=hint, owner=user)
    with place.changing() as change:
        order = change.registry.sources.prefer(user, sources or [], now_us())
        change.note("sources.preferred", user=user, sources=len(order))
    words = ", ".join(order) if order else "none before the others"
    output.told({"user_id": user, "sources": list(order)}, f"the order of {user}'s sources: {words}", as_json=json)
