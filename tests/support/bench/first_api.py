"""The first HealthSync API as its main.py was: a list in memory, on uvicorn as it comes; the port is its argument."""

import sys
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
events_db: "list[HealthEvent]" = []


class HealthEvent(BaseModel):
    id: str
    user_id: int
    type: str
    start_time: datetime
    end_time: datetime | None = None
    value: dict[str, Any]
    device: dict[str, Any] | None = None


@app.post("/sync/events")
async def sync_events(events: list[HealthEvent]) -> dict[str, int]:
    events_db.extend(events)
    return {"received": len(events)}


@app.get("/events/{user_id}")
async def get_events(user_id: int) -> list[HealthEvent]:
    return [each for each in events_db if each.user_id == user_id]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
