"""Archives for tests of imports: made by code, the same each time."""

import json
from pathlib import Path
from typing import Any


def own_events(count: int, *, of: str = "own") -> list[dict[str, Any]]:
    """Canonical events as ``events export`` writes them of another log."""
    return [
        {
            "seq": number + 7, "id": f"{of}-{number}", "user_id": "somebody", "device_id": "thing",
            "type": "heart_rate", "start_time": f"2024-01-{1 + number % 28:02d}T{number // 28 % 24:02d}:00:00.000000Z",
            "end_time": None, "value": {"bpm": 60 + number % 50}, "version": 0, "op": "upsert",
            "received_at": "2025-01-01T00:00:00.000000Z",
        }
        for number in range(count)
    ]  # fmt: skip


def own_lines(path: Path, count: int) -> Path:
    """The same as a file, an event a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in own_events(count)))
    return path
