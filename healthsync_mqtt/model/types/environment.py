"""What is around a person: sound and light."""

from healthsync_mqtt.model.entries import instant, interval
from healthsync_mqtt.model.event_type import Quantity

TYPES = (
    instant("environmental_sound", Quantity("db", "dB", 0, 200, usual=58), "environmental_audio_exposure"),
    instant("headphone_sound", Quantity("db", "dB", 0, 200, usual=71), "headphone_audio_exposure"),
    instant("uv_exposure", Quantity("uv_index", "1", 0, 30, usual=4), "uv_index"),
    interval("daylight_time", Quantity("minutes", "min", 0, 1440, usual=25), "time_in_daylight"),
)
