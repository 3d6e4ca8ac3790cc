# long: a table of everything that HealthKit knows
"""What HealthKit calls things, and what they are here: quantities, categories, workouts."""

from typing import Final

from healthsync_mqtt.formats.reading.words import underscored

#: Our type, and the quantities that become it, without ``HKQuantityTypeIdentifier``.
_QUANTITIES: Final = {
    "steps": "StepCount",
    "distance": "DistanceWalkingRunning",
    "distance_cycling": "DistanceCycling",
    "distance_swimming": "DistanceSwimming",
    "distance_wheelchair": "DistanceWheelchair",
    "distance_snow_sports": "DistanceDownhillSnowSports",
    "energy_active": "ActiveEnergyBurned",
    "energy_basal": "BasalEnergyBurned",
    "floors": "FlightsClimbed",
    "exercise_time": "AppleExerciseTime",
    "wheelchair_pushes": "PushCount",
    "swimming_strokes": "SwimmingStrokeCount",
    "falls": "NumberOfTimesFallen",
    "met": "PhysicalEffort",
    "heart_rate": "HeartRate",
    "resting_heart_rate": "RestingHeartRate",
    "walking_heart_rate": "WalkingHeartRateAverage",
    "heart_rate_recovery": "HeartRateRecoveryOneMinute",
    "hrv_sdnn": "HeartRateVariabilitySDNN",
    "vo2_max": "VO2Max",
    "atrial_fibrillation_burden": "AtrialFibrillationBurden",
    "respiratory_rate": "RespiratoryRate",
    "spo2": "OxygenSaturation",
    "perfusion_index": "PeripheralPerfusionIndex",
    "blood_alcohol": "BloodAlcoholContent",
    "electrodermal_activity": "ElectrodermalActivity",
    "breathing_disturbances": "AppleSleepingBreathingDisturbances",
    "body_temperature": "BodyTemperature",
    "basal_body_temperature": "BasalBodyTemperature",
    "skin_temperature": "AppleSleepingWristTemperature",
    "glucose": "BloodGlucose",
    "insulin_delivery": "InsulinDelivery",
    "weight": "BodyMass",
    "lean_mass": "LeanBodyMass",
    "height": "Height",
    "waist_circumference": "WaistCircumference",
    "bmi": "BodyMassIndex",
    "body_fat_percentage": "BodyFatPercentage",
    "walking_speed": "WalkingSpeed",
    "running_speed": "RunningSpeed",
    "cycling_speed": "CyclingSpeed",
    "stair_ascent_speed": "StairAscentSpeed",
    "stair_descent_speed": "StairDescentSpeed",
    "running_power": "RunningPower",
    "cycling_power": "CyclingPower",
    "cadence_revolutions": "CyclingCadence",
    "functional_threshold_power": "CyclingFunctionalThresholdPower",
    "step_length": "WalkingStepLength",
    "running_stride_length": "RunningStrideLength",
    "vertical_oscillation": "RunningVerticalOscillation",
    "ground_contact_time": "RunningGroundContactTime",
    "walking_asymmetry": "WalkingAsymmetryPercentage",
    "double_support": "WalkingDoubleSupportPercentage",
    "walking_steadiness": "AppleWalkingSteadiness",
    "six_minute_walk_distance": "SixMinuteWalkTestDistance",
    "fev1": "ForcedExpiratoryVolume1",
    "fvc": "ForcedVitalCapacity",
    "pef": "PeakExpiratoryFlowRate",
    "inhaler_usage": "InhalerUsage",
    "hydration": "DietaryWater",
    "caffeine": "DietaryCaffeine",
    "alcohol": "NumberOfAlcoholicBeverages",
    "environmental_sound": "EnvironmentalAudioExposure",
    "headphone_sound": "HeadphoneAudioExposure",
    "daylight_time": "TimeInDaylight",
    "uv_exposure": "UVExposure",
}
QUANTITIES: Final = {f"HKQuantityTypeIdentifier{theirs}": ours for ours, theirs in _QUANTITIES.items()}

OWN_UNITS: Final = {
    **dict.fromkeys(
        (
            "steps", "floors", "wheelchair_pushes", "swimming_strokes", "falls", "inhaler_usage", "alcohol",
            "breathing_disturbances", "uv_exposure", "bmi",
        ),
        "count",
    ),
    "met": "kcal/hr·kg",
    "electrodermal_activity": "mcS",
    "vo2_max": "mL/min·kg",
}  # fmt: skip
"""How HealthKit spells our unit where the usual ways do not know it."""

#: The nutrients of ``food`` by their quantities.
_NUTRIENTS: Final = {
    "energy_kcal": "EnergyConsumed", "carbohydrate_g": "Carbohydrates", "protein_g": "Protein", "fat_g": "FatTotal",
    "saturated_fat_g": "FatSaturated", "monounsaturated_fat_g": "FatMonounsaturated",
    "polyunsaturated_fat_g": "FatPolyunsaturated", "fiber_g": "Fiber", "sugar_g": "Sugar",
    "cholesterol_mg": "Cholesterol", "sodium_mg": "Sodium", "potassium_mg": "Potassium", "calcium_mg": "Calcium",
    "magnesium_mg": "Magnesium", "iron_mg": "Iron", "zinc_mg": "Zinc", "phosphorus_mg": "Phosphorus",
    "chloride_mg": "Chloride", "copper_mg": "Copper", "manganese_mg": "Manganese", "iodine_ug": "Iodine",
    "selenium_ug": "Selenium", "chromium_ug": "Chromium", "molybdenum_ug": "Molybdenum", "vitamin_a_ug": "VitaminA",
    "thiamin_mg": "Thiamin", "riboflavin_mg": "Riboflavin", "niacin_mg": "Niacin",
    "pantothenic_acid_mg": "PantothenicAcid", "vitamin_b6_mg": "VitaminB6", "biotin_ug": "Biotin",
    "folate_ug": "Folate", "vitamin_b12_ug": "VitaminB12", "vitamin_c_mg": "VitaminC", "vitamin_d_ug": "VitaminD",
    "vitamin_e_mg": "VitaminE", "vitamin_k_ug": "VitaminK",
}  # fmt: skip
NUTRIENTS: Final = {f"HKQuantityTypeIdentifierDietary{theirs}": ours for ours, theirs in _NUTRIENTS.items()}
PRESSURES: Final = {
    "HKQuantityTypeIdentifierBloodPressureSystolic": "systolic",
    "HKQuantityTypeIdentifierBloodPressureDiastolic": "diastolic",
}
SLEEP: Final = "HKCategoryTypeIdentifierSleepAnalysis"
SLEEP_STAGES: Final = {
    "InBed": "in_bed", "Asleep": "asleep", "AsleepUnspecified": "asleep", "Awake": "awake", "AsleepCore": "light",
    "AsleepDeep": "deep", "AsleepREM": "rem",
}  # fmt: skip
"""The ends of ``HKCategoryValueSleepAnalysis…``."""

STAND_HOUR: Final = "HKCategoryTypeIdentifierAppleStandHour"
STAND_TIME: Final = "HKQuantityTypeIdentifierAppleStandTime"

_CATEGORY: Final = "HKCategoryTypeIdentifier"
_SEVERITIES: Final = {
    "Unspecified": "unspecified", "NotPresent": "not_present", "Mild": "mild", "Moderate": "moderate",
    "Severe": "severe", "Present": "unspecified",
}  # fmt: skip
_FLOWS: Final = {"Unspecified": "unspecified", "None": "none", "Light": "light", "Medium": "medium", "Heavy": "heavy"}
_TESTS: Final = {"Negative": "negative", "Positive": "positive", "Indeterminate": "indeterminate"}

#: A category: our type, the field that its value is of, its words by the ends of theirs, and the word for another one.
CATEGORIES: Final[dict[str, tuple[str, str, dict[str, str], str]]] = {
    f"{_CATEGORY}{name}": row
    for name, row in {
        "MindfulSession": ("mindfulness", "activity", {}, "unknown"),
        "HighHeartRateEvent": ("heart_notification", "notification", {}, "high_heart_rate"),
        "LowHeartRateEvent": ("heart_notification", "notification", {}, "low_heart_rate"),
        "IrregularHeartRhythmEvent": ("heart_notification", "notification", {}, "irregular_rhythm"),
        "LowCardioFitnessEvent": ("heart_notification", "notification", {}, "low_cardio_fitness"),
        "MenstrualFlow": ("menstrual_flow", "flow", _FLOWS, "unspecified"),
        "IntermenstrualBleeding": ("intermenstrual_bleeding", "flow", {}, "unspecified"),
        "OvulationTestResult": (
            "ovulation_test",
            "result",
            {
                **_TESTS,
                "LuteinizingHormoneSurge": "luteinizing_hormone_surge",
                "EstrogenSurge": "estrogen_surge",
            },
            "indeterminate",
        ),
        "CervicalMucusQuality": (
            "cervical_mucus",
            "appearance",
            {"Dry": "dry", "Sticky": "sticky", "Creamy": "creamy", "Watery": "watery", "EggWhite": "egg_white"},
            "unknown",
        ),
        "SexualActivity": ("sexual_activity", "protection", {}, "unknown"),
        "PregnancyTestResult": ("pregnancy_test", "result", _TESTS, "indeterminate"),
        "ProgesteroneTestResult": ("progesterone_test", "result", _TESTS, "indeterminate"),
        "Contraceptive": (
            "contraceptive",
            "method",
            {
                "Unspecified": "unspecified", "Oral": "oral", "Implant": "implant", "Injection": "injection",
                "IntrauterineDevice": "intrauterine_device", "IntravaginalRing": "intravaginal_ring", "Patch": "patch",
            },
            "unspecified",
        ),
    }.items()
}  # fmt: skip

_SYMPTOMS: Final = underscored(
    "abdominal cramps", "acne", "appetite changes", "bladder incontinence", "bloating", "chest tightness or pain",
    "chills", "constipation", "coughing", "diarrhea", "dizziness", "dry skin", "fainting", "fatigue", "fever",
    "generalized body ache", "hair loss", "headache", "heartburn", "loss of smell", "loss of taste",
    "lower back pain", "nausea", "night sweats", "rapid pounding or fluttering heartbeat", "runny nose",
    "shortness of breath", "sinus congestion", "skipped heartbeat", "sore throat", "vomiting", "wheezing",
)  # fmt: skip


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split())


SYMPTOMS: Final[dict[str, tuple[str, str]]] = {
    **{f"{_CATEGORY}{_camel(theirs)}": ("symptom", ours) for theirs, ours in _SYMPTOMS.items()},
    **{
        f"{_CATEGORY}{_camel(theirs)}": ("mental_symptom", theirs.replace(" ", "_"))
        for theirs in ("mood changes", "memory lapse", "sleep changes")
    },
    **{
        f"{_CATEGORY}{_camel(theirs)}": ("reproductive_symptom", theirs.replace(" ", "_"))
        for theirs in ("breast pain", "pelvic pain", "vaginal dryness", "hot flashes")
    },
}
SEVERITIES: Final = _SEVERITIES

#: Activities whose name is another one here, by the ends of ``HKWorkoutActivityType…``.
_ACTIVITIES: Final = {
    "TraditionalStrengthTraining": "strength_training", "HighIntensityIntervalTraining":
    "high_intensity_interval_training", "MixedMetabolicCardioTraining": "mixed_cardio", "Stairs": "stair_climbing",
    "StairClimbing": "stair_climbing", "SkatingSports": "skating", "SurfingSports": "surfing",
    "CardioDance": "dance", "SocialDance": "dance", "DanceInspiredTraining": "dance",
    "WheelchairWalkPace": "wheelchair", "WheelchairRunPace": "wheelchair", "SwimBikeRun": "multisport",
    "PreparationAndRecovery": "cooldown", "MartialArts": "martial_arts", "TaiChi": "tai_chi",
    "UnderwaterDiving": "underwater_diving", "HandCycling": "hand_cycling", "MindAndBody": "mind_and_body",
}  # fmt: skip


_INDOORS: Final = frozenset({"running", "walking", "cycling", "rowing"})


def activity_of(theirs: str, *, indoor: bool | None) -> str:
    """Our word for ``HKWorkoutActivityType…``; of a few there is one for indoors."""
    name = theirs.removeprefix("HKWorkoutActivityType")
    ours = _ACTIVITIES.get(name) or "".join(
        f"_{letter.lower()}" if letter.isupper() and place else letter.lower() for place, letter in enumerate(name)
    )
    return f"indoor_{ours}" if indoor and ours in _INDOORS else ours
