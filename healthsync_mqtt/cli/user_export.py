"""healthsync user export"""

from pathlib import Path
from typing import Annotated

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, now_us
from healthsync_mqtt.exports.destination import one_file
from healthsync_mqtt.exports.person import write_person
from healthsync_mqtt.exports.person_parts import PersonFiles, person_parts
from healthsync_mqtt.model.times import iso


def export(
    name: Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The archive (ZIP) to write.")],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Write everything about a user into one archive: events with history, consents, devices, days, what was done.

    It has an index.html, is private to this account, and is there only when it is whole. No secret is in it.

    Example: healthsync user export alice -o alice.zip
    """
    from healthsync_mqtt.adapters.link_descriptions import kept_links  # only an archive needs adapters

    place = DataDirectory(data)
    with place.registry() as registry:
        registry.user_once(name)
        place.audit("user.exported", user=name)
        with one_file(out) as file:
            files = PersonFiles(place.path, registry, place.audit_log(), kept_links(place.path, name))
            parts = person_parts(files, name)
            counts = write_person(file, f"What is stored of {name}", iso(now_us()), parts)
    if json:
        output.emit({"user_id": name, "file": str(out), "entries": counts})
    else:
        output.say(f"wrote {sum(counts.values())} entries in {len(counts)} files to {out}; begin with its index.html")
