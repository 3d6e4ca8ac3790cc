"""healthsync doctor"""

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.doctor.checks import examine
from healthsync_mqtt.cli.doctor.finding import Grade
from healthsync_mqtt.cli.options import DATA, FreshData, Json

_MARKS = {Grade.GOOD: "ok", Grade.NOTE: "note", Grade.BAD: "BAD"}


def doctor(data: FreshData = DATA, json: Json = False) -> None:
    """Check this machine and the data directory; every finding names its fix. Exit code 1 if one is bad.

    Example: healthsync doctor
    """
    findings = list(examine(data))
    output.listing(
        (
            {"check": found.check, "grade": found.grade.value, "message": found.message, "fix": found.fix}
            for found in findings
        ),
        {"grade": "", "check": "CHECK", "message": "FOUND", "fix": "FIX"},
        as_json=json,
        shown={"grade": lambda grade: _MARKS[Grade(grade)]},
    )
    if any(found.grade is Grade.BAD for found in findings):
        raise typer.Exit(1)
