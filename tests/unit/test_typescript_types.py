"""The types of the TypeScript client are those of the schemas; each is declared once, and what is used is there."""

import re

from scripts.support import typescript_types

DECLARED = re.compile(r"^export (?:type|interface|const) (\w+)", re.MULTILINE)
USED = re.compile(r"\b(?:body|answer|Array<|: )\s*:? ?([A-Z]\w+)\b")


def test_the_file_is_current() -> None:
    assert typescript_types.page() == typescript_types.PATH.read_text(encoding="utf-8"), "run scripts/docs"


def test_each_type_is_declared_once_and_each_that_is_used_is_declared() -> None:
    page = typescript_types.page()
    declared = DECLARED.findall(page)

    assert len(declared) > 20
    assert sorted(set(declared)) == sorted(declared)
    assert set(USED.findall(page)) - set(declared) <= {"Array", "Record"}


def test_what_narrows_is_left_out_and_what_a_value_is_stays() -> None:
    schema = {
        "type": "object",
        "required": ["kg", "stages"],
        "properties": {
            "kg": {"type": "number", "minimum": 1},
            "note": {"type": ["string", "null"]},
            "stages": {"type": "array", "items": {"enum": ["rem", "deep"]}},
        },
    }

    assert typescript_types.typed(schema) == (
        '{\n  kg: number;\n  note?: string | null | undefined;\n  stages: Array<"rem" | "deep">;\n}'
    )
