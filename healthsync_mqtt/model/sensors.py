"""What Home Assistant is told of each type: one entry a type, and every type has one or a reason why not.

Facts: Home Assistant's table of sensor device classes. A unit that a device class does not have is refused there, a
total is asked for energies and volumes, and a text has neither unit nor state class; so an amount of a moment's
interval (412 steps in a quarter of an hour) has no state class: only totals of a day add up there.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Sensor(NamedTuple):
    """One number, or word, of a type as a sensor.

    ``field`` is that of the type's points; its number is divided by ``per`` and called ``key`` then. ``total``: it
    belongs to the day or time whose start is named beside it. A sensor without a unit of a text has ``text``.
    """

    field: str
    unit: str | None
    device_class: str | None = None
    icon: str | None = None
    precision: int = 0
    label: str = ""
    key: str = ""
    per: int = 1
    state_class: str | None = "measurement"

    @property
    def name(self) -> str:
        """Its name in the state."""
        return self.key or self.field


def _text(field: str, icon: str, label: str = "") -> Sensor:
    return Sensor(field, None, icon=icon, label=label, state_class=None)


def _day(field: str, unit: str, device_class: str | None, icon: str) -> Sensor:
    """An amount of a day so far."""
    return Sensor(field, unit, device_class, icon, state_class="total")


def _amount(
    field: str, unit: str, device_class: str | None, icon: str, precision: int = 0, *, label: str = ""
) -> Sensor:
    """An amount of the time that its event lasted."""
    return Sensor(field, unit, device_class, icon, precision, label, state_class=None)


def _minutes(field: str, key: str, label: str, icon: str = "mdi:bed-clock") -> Sensor:
    """Seconds of ours in minutes."""
    return Sensor(field, "min", "duration", icon, 0, label, key, 60)


def _score(icon: str, precision: int = 0) -> tuple[Sensor]:
    return (Sensor("score", None, None, icon, precision),)


_WALK: Final = "mdi:walk"
_BIKE: Final = "mdi:bike"
_RUN: Final = "mdi:run"
_FIRE: Final = "mdi:fire"
_HEART: Final = "mdi:heart-pulse"
_LUNGS: Final = "mdi:lungs"
_SCALE: Final = "mdi:scale-bathroom"
_FLOW: Final = "mdi:water"
_BPM: Final = (Sensor("bpm", "bpm", None, _HEART),)
_BREATHS: Final = (Sensor("breaths_per_minute", "breaths/min", None, _LUNGS, 1),)
_KG: Final = (Sensor("kg", "kg", "weight", _SCALE, 1),)
_SPEED: Final = (Sensor("meters_per_second", "m/s", "speed", "mdi:speedometer", 1),)
_WATTS: Final = (Sensor("watts", "W", "power", "mdi:lightning-bolt"),)
_HRV: Final = (Sensor("ms", "ms", "duration", _HEART),)
_SOUND: Final = (Sensor("db", "dB", "sound_pressure", "mdi:volume-high"),)
_CELSIUS: Final = (Sensor("celsius", "°C", "temperature", "mdi:thermometer", 1),)


def _percent(icon: str, precision: int = 0) -> tuple[Sensor]:
    return (Sensor("percent", "%", None, icon, precision),)


SENSORS: Final[Mapping[str, tuple[Sensor, ...]]] = {
    # What a body does
    "steps": (_amount("steps", "steps", None, _WALK),),
    "distance": (_amount("meters", "m", "distance", _WALK),),
    "distance_cycling": (_amount("meters", "m", "distance", _BIKE),),
    "distance_swimming": (_amount("meters", "m", "distance", "mdi:swim"),),
    "distance_wheelchair": (_amount("meters", "m", "distance", "mdi:wheelchair"),),
    "distance_snow_sports": (_amount("meters", "m", "distance", "mdi:ski"),),
    "energy_active": (_amount("kcal", "kcal", "energy", _FIRE),),
    "energy_basal": (_amount("kcal", "kcal", "energy", _FIRE),),
    "energy_total": (_amount("kcal", "kcal", "energy", _FIRE),),
    "floors": (_amount("floors", "floors", None, "mdi:stairs-up"),),
    "elevation_gain": (_amount("meters", "m", "distance", "mdi:elevation-rise"),),
    "exercise_time": (_amount("minutes", "min", "duration", _RUN),),
    "wheelchair_pushes": (_amount("pushes", "pushes", None, "mdi:wheelchair"),),
    "swimming_strokes": (_amount("strokes", "strokes", None, "mdi:swim"),),
    "falls": (_amount("falls", "falls", None, "mdi:human-handsdown"),),
    "met": (Sensor("met", "MET", None, _RUN, 1),),
    "daily_steps": (_day("steps", "steps", None, _WALK),),
    "daily_distance": (_day("meters", "m", "distance", _WALK),),
    "daily_floors": (_day("floors", "floors", None, "mdi:stairs-up"),),
    "daily_elevation_gain": (_day("meters", "m", "distance", "mdi:elevation-rise"),),
    "daily_energy_active": (_day("kcal", "kcal", "energy", _FIRE),),
    "daily_energy_basal": (_day("kcal", "kcal", "energy", _FIRE),),
    "daily_energy_total": (_day("kcal", "kcal", "energy", _FIRE),),
    "active_minutes_light": (_day("minutes", "min", "duration", _WALK),),
    "active_minutes_moderate": (_day("minutes", "min", "duration", _RUN),),
    "active_minutes_vigorous": (_day("minutes", "min", "duration", _RUN),),
    "stand_time": (_day("minutes", "min", "duration", "mdi:human-male"),),
    "stand_hours": (_day("hours", "h", "duration", "mdi:human-male"),),
    "sedentary_time": (_day("minutes", "min", "duration", "mdi:seat"),),
    # Heart
    "heart_rate": _BPM,
    "resting_heart_rate": _BPM,
    "walking_heart_rate": _BPM,
    "daily_heart_rate": (
        Sensor("mean_bpm", "bpm", None, _HEART, label="mean"),
        Sensor("low_bpm", "bpm", None, _HEART, label="lowest"),
        Sensor("high_bpm", "bpm", None, _HEART, label="highest"),
    ),
    "heart_rate_recovery": _BPM,
    "hrv_rmssd": _HRV,
    "hrv_sdnn": _HRV,
    "daily_hrv_rmssd": _HRV,
    "daily_hrv_sdnn": _HRV,
    "heart_notification": (_text("notification", "mdi:heart-flash"),),
    "atrial_fibrillation_burden": _percent("mdi:heart-flash", 1),
    "ecg": (
        _text("classification", _HEART),
        Sensor("bpm", "bpm", None, _HEART, label="heart rate"),
    ),
    "pulse_wave_velocity": _SPEED,
    "vascular_age": (Sensor("years", "years", None, _HEART),),
    "vo2_max": (Sensor("ml_per_kg_min", "mL/kg/min", None, _LUNGS, 1),),
    # Vital signs. A percentage of blood or body is no humidity, battery or power factor.
    "spo2": _percent(_LUNGS),
    "daily_spo2": _percent(_LUNGS, 1),
    "respiratory_rate": _BREATHS,
    "daily_respiratory_rate": _BREATHS,
    "body_temperature": _CELSIUS,
    "skin_temperature": _CELSIUS,
    # A difference is no temperature: 0.2 °C would become 32.4 °F. The class for it is younger than discovery by device.
    "skin_temperature_delta": (Sensor("celsius", "°C", None, "mdi:thermometer-plus", 1),),
    "perfusion_index": _percent("mdi:hand-front-right", 1),
    "electrodermal_activity": (Sensor("microsiemens", "µS", None, "mdi:hand-front-right", 1),),
    # Body
    "weight": _KG,
    "height": (Sensor("meters", "m", "distance", "mdi:human-male-height", 2),),
    "bmi": (Sensor("kg_m2", "kg/m²", None, _SCALE, 1),),
    "body_fat_percentage": _percent("mdi:percent", 1),
    "fat_mass": _KG,
    "lean_mass": _KG,
    "muscle_mass": _KG,
    "bone_mass": _KG,
    "body_water": _KG,
    "body_water_percentage": _percent("mdi:water-percent", 1),
    "muscle_percentage": _percent("mdi:arm-flex", 1),
    "visceral_fat": (Sensor("rating", None, None, _SCALE, 1),),
    "waist_circumference": (Sensor("cm", "cm", "distance", "mdi:tape-measure", 1),),
    "hip_circumference": (Sensor("cm", "cm", "distance", "mdi:tape-measure", 1),),
    "basal_metabolic_rate": (Sensor("kcal_per_day", "kcal/d", None, _FIRE),),
    "metabolic_age": (Sensor("years", "years", None, _SCALE),),
    # Blood
    "glucose": (Sensor("mg_dl", "mg/dL", "blood_glucose_concentration", "mdi:diabetes"),),
    "blood_pressure": (
        Sensor("systolic", "mmHg", "pressure", _HEART, label="systolic"),
        Sensor("diastolic", "mmHg", "pressure", _HEART, label="diastolic"),
        Sensor("pulse", "bpm", None, _HEART, label="pulse"),
    ),
    "insulin_delivery": (_amount("units", "IU", None, "mdi:needle", 1),),
    "blood_alcohol": _percent("mdi:glass-wine", 2),
    # Sleep
    "sleep": (
        _minutes("duration_s", "duration_min", "duration", "mdi:bed"),
        _minutes("total_asleep_s", "total_asleep_min", "asleep", "mdi:sleep"),
        _minutes("deep_s", "deep_min", "deep"),
        _minutes("rem_s", "rem_min", "REM"),
        _minutes("light_s", "light_min", "light"),
        _minutes("latency_s", "latency_min", "latency"),
        Sensor("efficiency_percent", "%", None, "mdi:sleep", 0, "efficiency"),
    ),
    "snoring": (_amount("minutes", "min", "duration", "mdi:sleep"),),
    "breathing_disturbances": (Sensor("per_hour", "1/h", None, _LUNGS, 1),),
    # Food
    "food": (
        _amount("energy_kcal", "kcal", "energy", "mdi:food", 0, label="energy"),
        _amount("protein_g", "g", "weight", "mdi:food-steak", 0, label="protein"),
        _amount("carbohydrate_g", "g", "weight", "mdi:bread-slice", 0, label="carbohydrate"),
        _amount("fat_g", "g", "weight", "mdi:oil", 0, label="fat"),
    ),
    "hydration": (_amount("ml", "mL", "volume", "mdi:cup-water"),),
    "caffeine": (_amount("mg", "mg", "weight", "mdi:coffee"),),
    "alcohol": (_amount("drinks", "drinks", None, "mdi:glass-wine", 1),),
    # Workouts
    "workout": (
        _text("activity", _RUN),
        _minutes("duration_s", "duration_min", "duration", _RUN),
        _amount("distance_m", "m", "distance", _RUN, 0, label="distance"),
        _amount("energy_kcal", "kcal", "energy", _FIRE, 0, label="energy"),
        Sensor("heart_rate_mean_bpm", "bpm", None, _HEART, 0, "mean heart rate"),
        Sensor("heart_rate_high_bpm", "bpm", None, _HEART, 0, "highest heart rate"),
    ),
    "speed": _SPEED,
    "running_speed": _SPEED,
    "cycling_speed": _SPEED,
    "power": _WATTS,
    "running_power": _WATTS,
    "cycling_power": _WATTS,
    "cadence_steps": (Sensor("steps_per_minute", "steps/min", None, _RUN),),
    "cadence_revolutions": (Sensor("revolutions_per_minute", "rpm", None, _BIKE),),
    "functional_threshold_power": _WATTS,
    # How a body moves
    "walking_speed": _SPEED,
    "step_length": (Sensor("cm", "cm", "distance", _WALK),),
    "walking_asymmetry": _percent(_WALK, 1),
    "double_support": _percent(_WALK, 1),
    "walking_steadiness": _percent(_WALK),
    "stair_ascent_speed": _SPEED,
    "stair_descent_speed": _SPEED,
    "six_minute_walk_distance": (Sensor("meters", "m", "distance", _WALK),),
    "running_stride_length": (Sensor("meters", "m", "distance", _RUN, 2),),
    "ground_contact_time": (Sensor("ms", "ms", "duration", _RUN),),
    "vertical_oscillation": (Sensor("cm", "cm", "distance", _RUN, 1),),
    # Lungs. A volume is a total there, and a breath is not.
    "fev1": (Sensor("liters", "L", None, _LUNGS, 2),),
    "fvc": (Sensor("liters", "L", None, _LUNGS, 2),),
    "pef": (Sensor("liters_per_minute", "L/min", "volume_flow_rate", _LUNGS),),
    "inhaler_usage": (_amount("puffs", "puffs", None, _LUNGS),),
    # Scores
    "stress": _score("mdi:head-alert"),
    "daily_stress": _score("mdi:head-alert"),
    "body_battery": _score("mdi:battery-heart"),
    "sleep_score": _score("mdi:sleep"),
    "readiness": _score("mdi:gauge"),
    "recovery": _score("mdi:gauge"),
    "strain": _score("mdi:gauge", 1),
    "activity_score": _score(_RUN),
    "nightly_recharge": _score("mdi:sleep", 1),
    # Around the body
    "environmental_sound": _SOUND,
    "headphone_sound": _SOUND,
    "uv_exposure": (Sensor("uv_index", "UV index", None, "mdi:sun-wireless", 1),),
    "daylight_time": (_amount("minutes", "min", "duration", "mdi:weather-sunny"),),
    # Mind and cycle: shown where they are named, as nothing of them is meant by all
    "state_of_mind": (Sensor("valence", None, None, "mdi:emoticon-outline", 1),),
    "mindfulness": (_minutes("duration_s", "duration_min", "duration", "mdi:meditation"),),
    "mental_assessment": _score("mdi:clipboard-text"),
    "menstruation": (_text("flow", _FLOW),),
    "menstrual_flow": (_text("flow", _FLOW),),
    "intermenstrual_bleeding": (_text("flow", _FLOW),),
    "ovulation_test": (_text("result", "mdi:test-tube"),),
    "cervical_mucus": (_text("appearance", _FLOW),),
    "pregnancy_test": (_text("result", "mdi:test-tube"),),
    "progesterone_test": (_text("result", "mdi:test-tube"),),
    "contraceptive": (_text("method", "mdi:pill"),),
    "pregnancy": (_text("state", "mdi:human-pregnant"),),
    "basal_body_temperature": _CELSIUS,
}
"""By type, in the order of the catalogue."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "workout_route": "a route is many places, and a sensor has one state",
    "medication_dose": "the newest dose says nothing without the name of its drug, which is free text",
    "symptom": "the newest symptom hides the others of the same day",
    "mental_symptom": "the newest symptom hides the others of the same day",
    "reproductive_symptom": "the newest symptom hides the others of the same day",
    "sexual_activity": "an occurrence, which has no state",
}
"""Types that are no sensor, and why."""
