"""What a person takes, and what ails: doses of medication, and symptoms.

``label`` is the word of a source, where it is none of ours: phones say such words in the language of their user.
"""

from healthsync_mqtt.model.entries import parts
from healthsync_mqtt.model.event_type import Quantity, Text, TimeKind, Words

TYPES = (
    parts(
        "medication_dose",
        TimeKind.INSTANT,
        (
            Words("status", ("taken", "skipped", "snoozed", "not_interacted", "not_logged", "unknown")),
            Text("medication"),
        ),
        (
            Quantity("dose", "1", 0, 100_000, usual=1),
            Text("dose_unit", 64),
            Text("code", 64),
            Words("coding", ("rxnorm", "atc", "snomed", "pzn", "ndc", "other")),
            Text("label", 128),
        ),
        example={"status": "taken", "medication": "Ibuprofen 400 mg", "dose": 1, "dose_unit": "tablet"},
        aliases=("medication",),
    ),
    parts(
        "symptom",
        TimeKind.INSTANT,
        (
            Words(
                "symptom",
                (
                    "abdominal_cramps", "acne", "appetite_changes", "bladder_incontinence", "bloating",
                    "chest_tightness_or_pain", "chills", "constipation", "coughing", "diarrhea", "dizziness",
                    "dry_skin", "fainting", "fatigue", "fever", "generalized_body_ache", "hair_loss", "headache",
                    "heartburn", "loss_of_smell", "loss_of_taste", "lower_back_pain", "nausea", "night_sweats",
                    "rapid_pounding_or_fluttering_heartbeat", "runny_nose", "shortness_of_breath", "sinus_congestion",
                    "skipped_heartbeat", "sore_throat", "vomiting", "wheezing", "other",
                ),
            ),
        ),
        (
            Words("severity", ("unspecified", "not_present", "mild", "moderate", "severe")),
            Text("label", 128),
            Text("severity_label", 128),
        ),
        example={"symptom": "headache", "severity": "mild"},
        aliases=("symptoms",),
    ),
)  # fmt: skip
