// Written by scripts/docs from the schemas; changes made here are lost.

/** Topics that a client uses, by name. */
export const TOPICS = {
  device_events: "users/{user}/devices/{device}/events",
  receipts: "users/{user}/devices/{device}/receipts",
  status: "users/{user}/devices/{device}/status",
  enroll_request: "enroll/{client}/request",
  enroll_response: "enroll/{client}/response",
} as const;

/** Why an event was not accepted. More words may come. */
export type Reason =
  | "malformed"
  | "too_large"
  | "too_many"
  | "too_deep"
  | "decompress_limit"
  | "repeated_key"
  | "missing_field"
  | "unknown_field"
  | "wrong_type"
  | "bad_number"
  | "bad_id"
  | "bad_string"
  | "bad_time"
  | "naive_time"
  | "future_time"
  | "bad_interval"
  | "unknown_type"
  | "out_of_range"
  | "identity_mismatch"
  | "not_allowed"
  | "no_consent"
  | "unknown_unit";

export type EventDevice = {
  platform?: string | null | undefined;
  model?: string | null | undefined;
  manufacturer?: string | null | undefined;
  type?: string | null | undefined;
  os_version?: string | null | undefined;
  app_version?: string | null | undefined;
  firmware?: string | null | undefined;
  [name: string]: string | number | boolean | null | undefined;
};

export type EventSource = {
  provider?: string | null | undefined;
  record_id?: string | null | undefined;
  recording?: "auto" | "active" | "manual" | "unknown" | null | undefined;
  app?: string | null | undefined;
  app_version?: string | null | undefined;
  [name: string]: string | number | boolean | null | undefined;
};

/** The value of an event by its type, as it is sent. */
export interface EventValues {
  steps: {
    steps: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  distance: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  distance_cycling: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  distance_swimming: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  distance_wheelchair: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  distance_snow_sports: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  energy_active: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  energy_basal: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  energy_total: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  floors: {
    floors: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  elevation_gain: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  exercise_time: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  wheelchair_pushes: {
    pushes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  swimming_strokes: {
    strokes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  falls: {
    falls: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  met: {
    met: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_steps: {
    steps: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_distance: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_floors: {
    floors: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_elevation_gain: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_energy_active: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_energy_basal: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_energy_total: {
    kcal: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  active_minutes_light: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  active_minutes_moderate: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  active_minutes_vigorous: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  stand_time: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  stand_hours: {
    hours: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  sedentary_time: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  heart_rate: {
    bpm: number;
    low_bpm?: number | null | undefined;
    high_bpm?: number | null | undefined;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    low_bpm?: number | null | undefined;
    high_bpm?: number | null | undefined;
    source?: string | undefined;
  };
  resting_heart_rate: {
    bpm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  walking_heart_rate: {
    bpm: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_heart_rate: {
    mean_bpm: number;
    low_bpm?: number | null | undefined;
    high_bpm?: number | null | undefined;
    source?: string | undefined;
  };
  heart_rate_recovery: {
    bpm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  hrv_rmssd: {
    ms: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  hrv_sdnn: {
    ms: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_hrv_rmssd: {
    ms: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_hrv_sdnn: {
    ms: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  heart_notification: {
    notification: "irregular_rhythm" | "high_heart_rate" | "low_heart_rate" | "low_cardio_fitness" | "atrial_fibrillation";
    bpm?: number | null | undefined;
    threshold_bpm?: number | null | undefined;
    source?: string | undefined;
  };
  atrial_fibrillation_burden: {
    percent: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  ecg: {
    classification: "sinus_rhythm" | "atrial_fibrillation" | "inconclusive" | "inconclusive_low_heart_rate" | "inconclusive_high_heart_rate" | "inconclusive_poor_recording" | "inconclusive_other" | "not_set" | "unknown";
    label?: string | null | undefined;
    hz?: number | null | undefined;
    lead?: "I" | "II" | "III" | "aVR" | "aVL" | "aVF" | "V1" | "V2" | "V3" | "V4" | "V5" | "V6" | "other" | null | undefined;
    bpm?: number | null | undefined;
    microvolts?: Array<number> | undefined;
    source?: string | undefined;
  };
  pulse_wave_velocity: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  vascular_age: {
    years: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  vo2_max: {
    ml_per_kg_min: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  spo2: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_spo2: {
    percent: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  respiratory_rate: {
    breaths_per_minute: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_respiratory_rate: {
    breaths_per_minute: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  body_temperature: {
    celsius: number;
    site?: "armpit" | "finger" | "forehead" | "mouth" | "rectum" | "temporal_artery" | "toe" | "ear" | "wrist" | "vagina" | "unknown" | null | undefined;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    site?: "armpit" | "finger" | "forehead" | "mouth" | "rectum" | "temporal_artery" | "toe" | "ear" | "wrist" | "vagina" | "unknown" | null | undefined;
    source?: string | undefined;
  };
  skin_temperature: {
    celsius: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  skin_temperature_delta: {
    celsius: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  perfusion_index: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  electrodermal_activity: {
    microsiemens: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  weight: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  height: {
    meters: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  bmi: {
    kg_m2: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  body_fat_percentage: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  fat_mass: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  lean_mass: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  muscle_mass: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  bone_mass: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  body_water: {
    kg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  body_water_percentage: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  muscle_percentage: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  visceral_fat: {
    rating: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  waist_circumference: {
    cm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  hip_circumference: {
    cm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  basal_metabolic_rate: {
    kcal_per_day: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  metabolic_age: {
    years: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  glucose: {
    mg_dl: number;
    meal?: "fasting" | "before_meal" | "after_meal" | "general" | "unknown" | null | undefined;
    specimen?: "capillary_blood" | "interstitial_fluid" | "plasma" | "serum" | "tears" | "whole_blood" | "venous_blood" | "unknown" | null | undefined;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    meal?: "fasting" | "before_meal" | "after_meal" | "general" | "unknown" | null | undefined;
    specimen?: "capillary_blood" | "interstitial_fluid" | "plasma" | "serum" | "tears" | "whole_blood" | "venous_blood" | "unknown" | null | undefined;
    source?: string | undefined;
  } | {
    mmol_l: number;
    meal?: "fasting" | "before_meal" | "after_meal" | "general" | "unknown" | null | undefined;
    specimen?: "capillary_blood" | "interstitial_fluid" | "plasma" | "serum" | "tears" | "whole_blood" | "venous_blood" | "unknown" | null | undefined;
    source?: string | undefined;
  };
  blood_pressure: {
    systolic: number;
    diastolic: number;
    pulse?: number | null | undefined;
    position?: "standing" | "sitting" | "lying" | "reclining" | "unknown" | null | undefined;
    site?: "left_arm" | "right_arm" | "left_wrist" | "right_wrist" | "unknown" | null | undefined;
    source?: string | undefined;
  };
  insulin_delivery: {
    units: number;
    reason?: "basal" | "bolus" | "correction" | "unknown" | null | undefined;
    source?: string | undefined;
  };
  blood_alcohol: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  sleep: {
    stages?: Array<{
      stage: "awake" | "awake_in_bed" | "in_bed" | "out_of_bed" | "asleep" | "light" | "deep" | "rem" | "unknown";
      start_time: string;
      end_time: string;
    }> | undefined;
    nap?: boolean | null | undefined;
    total_asleep_s?: number | null | undefined;
    latency_s?: number | null | undefined;
    efficiency_percent?: number | null | undefined;
    awakenings?: number | null | undefined;
    heart_rate_mean_bpm?: number | null | undefined;
    heart_rate_low_bpm?: number | null | undefined;
    hrv_rmssd_ms?: number | null | undefined;
    respiratory_rate?: number | null | undefined;
    in_bed_s?: number | null | undefined;
    awake_s?: number | null | undefined;
    light_s?: number | null | undefined;
    deep_s?: number | null | undefined;
    rem_s?: number | null | undefined;
    scores?: Array<{
      provider: string;
      name: string;
      points: number;
    }> | undefined;
    source?: string | undefined;
  };
  snoring: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  breathing_disturbances: {
    per_hour: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  food: {
    meal?: "breakfast" | "lunch" | "dinner" | "snack" | "unknown" | null | undefined;
    items?: Array<{
      name: string;
      grams?: number | null | undefined;
      milliliters?: number | null | undefined;
      servings?: number | null | undefined;
      energy_kcal?: number | null | undefined;
      protein_g?: number | null | undefined;
      carbohydrate_g?: number | null | undefined;
      sugar_g?: number | null | undefined;
      fiber_g?: number | null | undefined;
      fat_g?: number | null | undefined;
      saturated_fat_g?: number | null | undefined;
      trans_fat_g?: number | null | undefined;
      monounsaturated_fat_g?: number | null | undefined;
      polyunsaturated_fat_g?: number | null | undefined;
      unsaturated_fat_g?: number | null | undefined;
      cholesterol_mg?: number | null | undefined;
      sodium_mg?: number | null | undefined;
      potassium_mg?: number | null | undefined;
      calcium_mg?: number | null | undefined;
      magnesium_mg?: number | null | undefined;
      iron_mg?: number | null | undefined;
      zinc_mg?: number | null | undefined;
      phosphorus_mg?: number | null | undefined;
      chloride_mg?: number | null | undefined;
      copper_mg?: number | null | undefined;
      manganese_mg?: number | null | undefined;
      iodine_ug?: number | null | undefined;
      selenium_ug?: number | null | undefined;
      chromium_ug?: number | null | undefined;
      molybdenum_ug?: number | null | undefined;
      vitamin_a_ug?: number | null | undefined;
      thiamin_mg?: number | null | undefined;
      riboflavin_mg?: number | null | undefined;
      niacin_mg?: number | null | undefined;
      pantothenic_acid_mg?: number | null | undefined;
      vitamin_b6_mg?: number | null | undefined;
      biotin_ug?: number | null | undefined;
      folate_ug?: number | null | undefined;
      vitamin_b12_ug?: number | null | undefined;
      vitamin_c_mg?: number | null | undefined;
      vitamin_d_ug?: number | null | undefined;
      vitamin_e_mg?: number | null | undefined;
      vitamin_k_ug?: number | null | undefined;
      caffeine_mg?: number | null | undefined;
      alcohol_g?: number | null | undefined;
      water_ml?: number | null | undefined;
    }> | undefined;
    energy_kcal?: number | null | undefined;
    protein_g?: number | null | undefined;
    carbohydrate_g?: number | null | undefined;
    sugar_g?: number | null | undefined;
    fiber_g?: number | null | undefined;
    fat_g?: number | null | undefined;
    saturated_fat_g?: number | null | undefined;
    trans_fat_g?: number | null | undefined;
    monounsaturated_fat_g?: number | null | undefined;
    polyunsaturated_fat_g?: number | null | undefined;
    unsaturated_fat_g?: number | null | undefined;
    cholesterol_mg?: number | null | undefined;
    sodium_mg?: number | null | undefined;
    potassium_mg?: number | null | undefined;
    calcium_mg?: number | null | undefined;
    magnesium_mg?: number | null | undefined;
    iron_mg?: number | null | undefined;
    zinc_mg?: number | null | undefined;
    phosphorus_mg?: number | null | undefined;
    chloride_mg?: number | null | undefined;
    copper_mg?: number | null | undefined;
    manganese_mg?: number | null | undefined;
    iodine_ug?: number | null | undefined;
    selenium_ug?: number | null | undefined;
    chromium_ug?: number | null | undefined;
    molybdenum_ug?: number | null | undefined;
    vitamin_a_ug?: number | null | undefined;
    thiamin_mg?: number | null | undefined;
    riboflavin_mg?: number | null | undefined;
    niacin_mg?: number | null | undefined;
    pantothenic_acid_mg?: number | null | undefined;
    vitamin_b6_mg?: number | null | undefined;
    biotin_ug?: number | null | undefined;
    folate_ug?: number | null | undefined;
    vitamin_b12_ug?: number | null | undefined;
    vitamin_c_mg?: number | null | undefined;
    vitamin_d_ug?: number | null | undefined;
    vitamin_e_mg?: number | null | undefined;
    vitamin_k_ug?: number | null | undefined;
    caffeine_mg?: number | null | undefined;
    alcohol_g?: number | null | undefined;
    water_ml?: number | null | undefined;
    source?: string | undefined;
  };
  hydration: {
    ml: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  caffeine: {
    mg: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  alcohol: {
    drinks: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  workout: {
    activity: "american_football" | "archery" | "australian_football" | "badminton" | "barre" | "baseball" | "basketball" | "bowling" | "boxing" | "calisthenics" | "climbing" | "cooldown" | "core_training" | "cricket" | "cross_country_skiing" | "cross_training" | "curling" | "cycling" | "dance" | "disc_sports" | "downhill_skiing" | "elliptical" | "equestrian_sports" | "fencing" | "fishing" | "fitness_gaming" | "flexibility" | "functional_strength_training" | "golf" | "gymnastics" | "hand_cycling" | "handball" | "high_intensity_interval_training" | "hiking" | "hockey" | "hunting" | "ice_hockey" | "ice_skating" | "indoor_cycling" | "indoor_rowing" | "indoor_running" | "indoor_walking" | "jump_rope" | "kickboxing" | "lacrosse" | "martial_arts" | "mind_and_body" | "mixed_cardio" | "mountain_biking" | "multisport" | "open_water_swimming" | "other" | "paddle_sports" | "padel" | "paragliding" | "pickleball" | "pilates" | "play" | "pool_swimming" | "racquetball" | "rowing" | "rugby" | "running" | "sailing" | "scuba_diving" | "skateboarding" | "skating" | "skiing" | "snow_sports" | "snowboarding" | "snowshoeing" | "soccer" | "softball" | "squash" | "stair_climbing" | "step_training" | "strength_training" | "stretching" | "surfing" | "swimming" | "table_tennis" | "tai_chi" | "tennis" | "track_and_field" | "trail_running" | "transition" | "treadmill" | "underwater_diving" | "volleyball" | "walking" | "water_fitness" | "water_polo" | "water_sports" | "weightlifting" | "wheelchair" | "wrestling" | "yoga";
    name?: string | null | undefined;
    indoor?: boolean | null | undefined;
    active_s?: number | null | undefined;
    distance_m?: number | null | undefined;
    energy_kcal?: number | null | undefined;
    energy_total_kcal?: number | null | undefined;
    steps?: number | null | undefined;
    heart_rate_mean_bpm?: number | null | undefined;
    heart_rate_low_bpm?: number | null | undefined;
    heart_rate_high_bpm?: number | null | undefined;
    speed_mean_m_s?: number | null | undefined;
    speed_high_m_s?: number | null | undefined;
    power_mean_w?: number | null | undefined;
    power_high_w?: number | null | undefined;
    cadence_steps_per_minute?: number | null | undefined;
    cadence_revolutions_per_minute?: number | null | undefined;
    elevation_gain_m?: number | null | undefined;
    elevation_loss_m?: number | null | undefined;
    floors?: number | null | undefined;
    strokes?: number | null | undefined;
    met_mean?: number | null | undefined;
    temperature_celsius?: number | null | undefined;
    humidity_percent?: number | null | undefined;
    laps?: Array<{
      start_time: string;
      end_time: string;
      active_s?: number | null | undefined;
      distance_m?: number | null | undefined;
      energy_kcal?: number | null | undefined;
      steps?: number | null | undefined;
      heart_rate_mean_bpm?: number | null | undefined;
      heart_rate_high_bpm?: number | null | undefined;
      speed_mean_m_s?: number | null | undefined;
      speed_high_m_s?: number | null | undefined;
      power_mean_w?: number | null | undefined;
      power_high_w?: number | null | undefined;
      cadence_steps_per_minute?: number | null | undefined;
      cadence_revolutions_per_minute?: number | null | undefined;
      elevation_gain_m?: number | null | undefined;
      elevation_loss_m?: number | null | undefined;
      strokes?: number | null | undefined;
    }> | undefined;
    splits?: Array<{
      start_time: string;
      end_time: string;
      active_s?: number | null | undefined;
      distance_m?: number | null | undefined;
      energy_kcal?: number | null | undefined;
      steps?: number | null | undefined;
      heart_rate_mean_bpm?: number | null | undefined;
      heart_rate_high_bpm?: number | null | undefined;
      speed_mean_m_s?: number | null | undefined;
      speed_high_m_s?: number | null | undefined;
      power_mean_w?: number | null | undefined;
      power_high_w?: number | null | undefined;
      cadence_steps_per_minute?: number | null | undefined;
      cadence_revolutions_per_minute?: number | null | undefined;
      elevation_gain_m?: number | null | undefined;
      elevation_loss_m?: number | null | undefined;
      strokes?: number | null | undefined;
    }> | undefined;
    pauses?: Array<{
      start_time: string;
      end_time: string;
    }> | undefined;
    zones?: Array<{
      of: "heart_rate" | "power" | "speed" | "cadence";
      seconds: number;
      low?: number | null | undefined;
      high?: number | null | undefined;
    }> | undefined;
    source?: string | undefined;
  };
  workout_route: {
    places: Array<[number, number, number, number | null]>;
    workout_id?: string | null | undefined;
    source?: string | undefined;
  };
  speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  running_speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  cycling_speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  power: {
    watts: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  running_power: {
    watts: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  cycling_power: {
    watts: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  cadence_steps: {
    steps_per_minute: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  cadence_revolutions: {
    revolutions_per_minute: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  functional_threshold_power: {
    watts: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  walking_speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  step_length: {
    cm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  walking_asymmetry: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  double_support: {
    percent: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  walking_steadiness: {
    percent: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  stair_ascent_speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  stair_descent_speed: {
    meters_per_second: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  six_minute_walk_distance: {
    meters: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  running_stride_length: {
    meters: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  ground_contact_time: {
    ms: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  vertical_oscillation: {
    cm: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  fev1: {
    liters: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  fvc: {
    liters: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  pef: {
    liters_per_minute: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  inhaler_usage: {
    puffs: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  stress: {
    score: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daily_stress: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  body_battery: {
    score: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  sleep_score: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  readiness: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  recovery: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  strain: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  activity_score: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  nightly_recharge: {
    score: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  environmental_sound: {
    db: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  headphone_sound: {
    db: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  uv_exposure: {
    uv_index: number;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  daylight_time: {
    minutes: number;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    source?: string | undefined;
  };
  medication_dose: {
    status: "taken" | "skipped" | "snoozed" | "not_interacted" | "not_logged" | "unknown";
    medication: string;
    dose?: number | null | undefined;
    dose_unit?: string | null | undefined;
    code?: string | null | undefined;
    coding?: "rxnorm" | "atc" | "snomed" | "pzn" | "ndc" | "other" | null | undefined;
    label?: string | null | undefined;
    source?: string | undefined;
  };
  symptom: {
    symptom: "abdominal_cramps" | "acne" | "appetite_changes" | "bladder_incontinence" | "bloating" | "chest_tightness_or_pain" | "chills" | "constipation" | "coughing" | "diarrhea" | "dizziness" | "dry_skin" | "fainting" | "fatigue" | "fever" | "generalized_body_ache" | "hair_loss" | "headache" | "heartburn" | "loss_of_smell" | "loss_of_taste" | "lower_back_pain" | "nausea" | "night_sweats" | "rapid_pounding_or_fluttering_heartbeat" | "runny_nose" | "shortness_of_breath" | "sinus_congestion" | "skipped_heartbeat" | "sore_throat" | "vomiting" | "wheezing" | "other";
    severity?: "unspecified" | "not_present" | "mild" | "moderate" | "severe" | null | undefined;
    label?: string | null | undefined;
    severity_label?: string | null | undefined;
    source?: string | undefined;
  };
  state_of_mind: {
    valence: number;
    kind?: "emotion" | "mood" | null | undefined;
    labels?: Array<"amazed" | "amused" | "angry" | "annoyed" | "anxious" | "ashamed" | "brave" | "calm" | "confident" | "content" | "disappointed" | "discouraged" | "disgusted" | "drained" | "embarrassed" | "excited" | "frustrated" | "grateful" | "guilty" | "happy" | "hopeful" | "hopeless" | "indifferent" | "irritated" | "jealous" | "joyful" | "lonely" | "overwhelmed" | "passionate" | "peaceful" | "proud" | "relieved" | "sad" | "satisfied" | "scared" | "stressed" | "surprised" | "worried"> | undefined;
    associations?: Array<"community" | "current_events" | "dating" | "education" | "family" | "fitness" | "friends" | "health" | "hobbies" | "identity" | "money" | "partner" | "self_care" | "spirituality" | "tasks" | "travel" | "weather" | "work"> | undefined;
    source?: string | undefined;
  };
  mindfulness: {
    activity: "meditation" | "breathing" | "movement" | "music" | "reflection" | "unguided" | "unknown";
    source?: string | undefined;
  };
  mental_assessment: {
    instrument: "gad7" | "phq9";
    score: number;
    source?: string | undefined;
  };
  mental_symptom: {
    symptom: "mood_changes" | "memory_lapse" | "sleep_changes" | "panic" | "other";
    severity?: "unspecified" | "not_present" | "mild" | "moderate" | "severe" | null | undefined;
    source?: string | undefined;
  };
  menstruation: {
    flow: "unspecified" | "none" | "light" | "medium" | "heavy";
    predicted?: boolean | null | undefined;
    source?: string | undefined;
  };
  menstrual_flow: {
    flow: "unspecified" | "none" | "light" | "medium" | "heavy";
    cycle_start?: boolean | null | undefined;
    label?: string | null | undefined;
    source?: string | undefined;
  };
  intermenstrual_bleeding: {
    flow: "unspecified" | "none" | "light" | "medium" | "heavy";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  ovulation_test: {
    result: "negative" | "positive" | "high" | "estrogen_surge" | "luteinizing_hormone_surge" | "indeterminate";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  cervical_mucus: {
    appearance: "dry" | "sticky" | "creamy" | "watery" | "egg_white" | "unusual" | "unknown";
    sensation?: "light" | "medium" | "heavy" | "unknown" | null | undefined;
    label?: string | null | undefined;
    source?: string | undefined;
  };
  sexual_activity: {
    protection: "unknown" | "protected" | "unprotected";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  pregnancy_test: {
    result: "negative" | "positive" | "indeterminate";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  progesterone_test: {
    result: "negative" | "positive" | "indeterminate";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  contraceptive: {
    method: "unspecified" | "oral" | "implant" | "injection" | "intrauterine_device" | "intravaginal_ring" | "patch";
    label?: string | null | undefined;
    source?: string | undefined;
  };
  pregnancy: {
    state: "pregnant" | "lactating" | "postpartum";
    source?: string | undefined;
  };
  basal_body_temperature: {
    celsius: number;
    site?: "armpit" | "finger" | "forehead" | "mouth" | "rectum" | "ear" | "vagina" | "wrist" | "unknown" | null | undefined;
    source?: string | undefined;
  } | {
    samples: Array<[number, number]>;
    source?: string | undefined;
  } | {
    amount: number;
    unit: string;
    site?: "armpit" | "finger" | "forehead" | "mouth" | "rectum" | "ear" | "vagina" | "wrist" | "unknown" | null | undefined;
    source?: string | undefined;
  };
  reproductive_symptom: {
    symptom: "breast_pain" | "pelvic_pain" | "vaginal_dryness" | "hot_flashes" | "menstrual_cramps" | "other";
    severity?: "unspecified" | "not_present" | "mild" | "moderate" | "severe" | null | undefined;
    label?: string | null | undefined;
    source?: string | undefined;
  };
}

export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  /** A stable word; where it is about an event, one of Reason. */
  reason: string;
  /** What to do. */
  hint?: string | undefined;
  request_id: string;
};

export type RejectedEvent = {
  /** Its place in the body. */
  index: number;
  id?: string | undefined;
  code: string;
  field?: string | undefined;
  message?: string | undefined;
  /** The same may be accepted later. */
  retry?: boolean | undefined;
  /** The service takes it by itself when its clock allows. */
  held?: boolean | undefined;
};

export type Receipt = {
  /** Which log it is. */
  epoch: string;
  /** How far the user's own events are. */
  seq: number;
  stored: number;
  /** Were stored before. */
  duplicate: number;
  rejected: Array<RejectedEvent>;
  /** So many more were rejected. */
  unlisted?: number | undefined;
};

export type CanonicalEvent = {
  /** Its place among the user's events. */
  seq: number;
  id: string;
  user_id: string;
  device_id?: string | null | undefined;
  type: string;
  start_time?: string | null | undefined;
  end_time?: string | null | undefined;
  value?: Record<string, unknown> | null | undefined;
  version: number;
  op: "upsert" | "delete";
  received_at: string;
};

export type EventPage = {
  events: Array<CanonicalEvent>;
  /** The next cursor. */
  next: string | null;
};

export type EventStory = {
  event: CanonicalEvent;
  history: Array<CanonicalEvent>;
};

export type ChangePage = {
  events: Array<CanonicalEvent>;
  since: string;
  more: boolean;
};

export type Series = {
  type: string;
  field: string;
  unit: string;
  since?: string | undefined;
  until?: string | undefined;
  resolution: "exact" | "bucket" | "day";
  /** Seconds of a bucket; 0 where each point is one number. */
  width_s: number;
  /** value is a sum. */
  adds_up: boolean;
  /** False: there is more, and the newest of it is here. */
  complete: boolean;
  /** Milliseconds since the epoch. */
  at: Array<number>;
  /** The number, or mean or sum. */
  value: Array<number>;
  low: Array<number>;
  high: Array<number>;
};

export type TypeList = {
  types: Array<{
    type: string;
    last_start_time: string;
    last_received_at: string;
  }>;
};

export type Days = {
  days: Array<{
    user_id: string;
    day: string;
    /** Seconds. */
    utc_offset: number | null;
    /** Figures by type. */
    types: Record<string, unknown>;
  }>;
};

export type Insight = {
  /** The same finding of the same day has the same. */
  id: string;
  type: string;
  user_id: string;
  kind: string;
  day: string;
  /** What it is about, such as a type. */
  subject: string;
  /** A word of its kind, such as `above`. */
  what: string;
  /** In plain words; no diagnosis. */
  sentence: string;
  figures: Record<string, number | string>;
  rests_on: {
    types: Array<string>;
    from: string;
    to: string;
    /** On which there was something. */
    days: number;
    readings: number;
  };
};

export type InsightPage = {
  insights: Array<Insight>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type Session = {
  role: "user" | "admin";
  name: string;
  /** Of the access cookie. */
  expires_at: string;
  /** Requests that change something repeat it: X-CSRF-Token. */
  csrf_token: string;
  /** Of GET /v1/session: the other users who let this one see anything now. */
  cares_for?: Array<string> | undefined;
  /** Of GET /v1/session: what each of `cares_for` lets see. */
  grants?: Array<Grant> | undefined;
};

export type Grant = {
  user_id: string;
  types: Array<string>;
  until: string;
};

export type Introspection = {
  active: boolean;
  token_type?: string | undefined;
  client_id?: string | undefined;
  sub?: string | undefined;
  role?: string | undefined;
  device_id?: string | null | undefined;
  exp?: number | undefined;
  jti?: string | null | undefined;
};

export type Revoked = Record<string, unknown>;

export type CarerGrant = {
  types: Array<string>;
  until: string;
};

export type Carer = {
  carer: string;
  types: Array<string>;
  granted_at: string;
  until: string;
};

export type Carers = {
  carers: Array<Carer>;
};

export type Received = {
  received: number;
};

export type Catalogue = {
  types: Array<Record<string, unknown>>;
};

export type UserPage = {
  users: Array<UserDescription>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type Device = DeviceDescription & LastSighting & {
  /** null: no service runs that knows. */
  online: boolean | null;
  /** Logins that were refused in the last day. */
  refused_lately: number;
  /** When the last certificate of this device ends that is good now; null: it has none. */
  certificate_ends_at: string | null;
};

export type DevicePage = {
  devices: Array<Device>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type App = AppDescription & LastSighting & {
  /** null: no service runs that knows. */
  online: boolean | null;
  /** Logins that were refused in the last day. */
  refused_lately: number;
};

export type AppPage = {
  apps: Array<App>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type AppLogin = AppDescription & {
  password: string;
  topics: Array<string>;
};

export type Subscriber = SubscriberDescription & LastSighting & {
  /** null: no service runs that knows. */
  online: boolean | null;
  /** Logins that were refused in the last day. */
  refused_lately: number;
};

export type SubscriberPage = {
  subscribers: Array<Subscriber>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type WebhookPage = {
  webhooks: Array<WebhookDescription>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type WebhookSecret = WebhookDescription & {
  secret: string;
};

export type WebhookTest = {
  name: string;
  url: string;
  status: number;
  taken: boolean;
};

export type AdminPage = {
  admins: Array<AdminDescription>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type Consents = {
  consents: Array<ConsentLine>;
};

export type DecisionPage = {
  decisions: Array<ConsentDecisionLine>;
  /** The cursor of the next page; null at the end. */
  next: number | null;
};

export type EnrolmentCode = {
  user_id: string;
  device_id: string;
  code: string;
  expires_at: string;
  /** The code as an SVG image. */
  qr_svg: string;
};

export type Invite = {
  /** Behind this server's address. */
  path: string;
  expires_at: string;
};

export type RejectedPage = {
  rejected: Array<RejectedDescription>;
  /** The cursor of the next page; null at the end. */
  next: number | null;
};

export type Rejected = RejectedDescription & {
  raw: string;
  raw_encoding: "utf-8" | "hex";
};

export type Replayed = {
  number: number;
  outcome: string | null;
  reason: string | null;
};

export type Purged = {
  before: string;
  user_id: string | null;
};

export type AuditPage = {
  audit: Array<AuditLine>;
  /** The cursor of the next page; null at the end. */
  next: number | null;
};

export type Sink = {
  sink: string;
  kind: string;
  target: string;
  paused: boolean;
  [name: string]: unknown;
};

export type SinkPage = {
  sinks: Array<Sink>;
  /** The cursor of the next page; null at the end. */
  next: string | null;
};

export type Sources = {
  sources: Array<SourceLine>;
};

export type Status = Record<string, unknown>;

export type Erasure = {
  erasure: string;
  /** Nothing of the person is left here. */
  erased: boolean;
  pending: Array<string>;
};

export type Import = {
  id: string;
  user_id: string;
  device_id: string;
  bytes: number;
  state: "waiting" | "reading" | "done" | "failed";
  begun_at: string;
  ended_at: string | null;
  outcome: Record<string, unknown> | null;
};

export type Imports = {
  imports: Array<Import>;
};

export type Adapters = {
  adapters: Array<AdapterLine>;
};

export type Links = {
  links: Array<LinkDescription>;
  clouds: Array<CloudLine>;
};

export type LinkInvitation = {
  provider: string;
  url: string;
  expires_at: string;
};

export type LinkEnd = {
  provider: string;
  told: boolean;
};

export type Passkeys = {
  passkeys: Array<PasskeyLine>;
};

export type Elsewhere = {
  /** Of another site. */
  url: string | null;
};

export type PasskeyOptions = {
  /** Base64url. */
  challenge: string;
  [name: string]: unknown;
};

export type Anything = unknown;

export type UserDescription = {
  user_id: string;
  created_at: string;
  suspended_at: string | null;
  devices: Array<string>;
  consent: Array<string>;
  withheld: Array<string>;
};

export type DeviceDescription = {
  user_id: string;
  device_id: string;
  client_id: string;
  username: string;
  created_at: string;
  suspended_at: string | null;
  title: string | null;
};

export type AppDescription = {
  user_id: string;
  device_id: string;
  client_id: string;
  username: string;
  formats: Array<string>;
  declared: Record<string, string | number | null>;
  created_at: string;
  rotated_at: string;
  suspended_at: string | null;
  title: string | null;
};

export type LastSighting = {
  address?: string | null | undefined;
  connected_at?: string | null | undefined;
  last_seen_at?: string | null | undefined;
  last_event_at?: string | null | undefined;
  protocol?: string | null | undefined;
  version?: string | null | undefined;
};

export type SubscriberDescription = {
  name: string;
  client_id: string;
  users: Array<string> | string;
  types: Array<string> | string;
  batches: boolean;
  created_at: string;
  suspended_at: string | null;
};

export type WebhookDescription = {
  name: string;
  subscriber: string;
  url: string;
  state: string;
  said: string | null;
  failures: number;
  failing_since: string | null;
  due_at: string | null;
  delivered_at: string | null;
  created_at: string | null;
};

export type AdminDescription = {
  name: string;
  client_id: string;
  created_at: string;
};

export type ConsentLine = {
  types: Array<string>;
  purpose: string;
  state: string;
  granted_at: string;
  expires_at: string | null;
  withdrawn_at: string | null;
  text_version: string | null;
  recorded_by: string;
};

export type ConsentDecisionLine = {
  user_id: string;
  action: string;
  purpose: string;
  types: Array<string>;
  at: string;
  expires_at: string | null;
  text_version: string | null;
  recorded_by: string;
};

export type TokenAnswer = {
  user_id: string | null;
  device_id: string | null;
  client_id: string;
  username: string;
  token: string;
  expires_at: string;
};

export type RejectedDescription = {
  number: number;
  reason: string;
  field: string | null;
  message: string;
  user_id: string;
  device_id: string | null;
  topic: string;
  event_id: string | null;
  received_at: string;
  count: number;
  last_received_at: string;
  held_until: string | null;
  bytes: number;
  truncated: boolean;
  sha256: string | null;
};

export type AuditLine = {
  no: number;
  at: string;
  actor: string;
  action: string;
  subject: string | null;
  detail: Record<string, unknown>;
};

export type AuditFinding = {
  ok: boolean;
  rows: number;
  first_bad: number | null;
  reason: string | null;
  unchecked: Array<string>;
};

export type SourceLine = {
  place: number | null;
  source: string;
  events: number;
  types: number;
  last: string | null;
};

export type LinkDescription = {
  user_id: string;
  provider: string;
  state: string;
  hint: string;
  scopes: Array<string>;
  paused: boolean;
  linked_at: string;
  synced_at: string | null;
};

export type CloudLine = {
  provider: string;
  title: string;
  types: Array<string>;
};

export type PasskeyLine = {
  id: string;
  name: string;
  created_at: string;
  used_at: string | null;
};

export type SignInWays = {
  passkeys: string | null;
  organisation: string | null;
};

export type AdapterLine = {
  provider: string;
  title: string;
  state: string;
  hint: string;
  types: Array<string>;
  links: Record<string, number>;
};

export type UserRequest = {
  user_id: string;
  consent: Array<string>;
  purposes?: Array<"analysis" | "insights" | "share" | "store"> | undefined;
};

export type InviteRequest = {
  lifetime_s?: number | undefined;
};

export type DeviceRequest = {
  device_id: string;
};

export type TitleRequest = {
  title: string;
};

export type TokenWish = {
  lifetime_s?: number | null | undefined;
};

export type AppRequest = {
  device_id: string;
  formats: Array<string>;
  zone?: string | null | undefined;
  unit?: string | null | undefined;
  bucket_s?: number | null | undefined;
  slot?: string | null | undefined;
  longest?: number | null | undefined;
};

export type ConsentRequest = {
  action: "grant" | "withdraw";
  types: Array<string>;
  purposes?: Array<"analysis" | "insights" | "share" | "store"> | null | undefined;
  expires_at?: string | null | undefined;
  text_version?: string | null | undefined;
};

export type SubscriberRequest = {
  name: string;
  users: Array<string>;
  types?: Array<string> | undefined;
  batches?: boolean | undefined;
};

export type WebhookRequest = {
  name: string;
  subscriber: string;
  url: string;
};

export type AdminRequest = {
  name: string;
};

export type PurgeWish = {
  before: string;
  user_id?: string | null | undefined;
};

export type SourceOrder = {
  sources: Array<string>;
};

export type ErasureWish = {
  confirm: string;
  reason?: string | null | undefined;
};

export type LinkWish = {
  provider: string;
};

export type PasskeyRequest = {
  name: string;
  credential: Record<string, unknown>;
};

export type SignInRequest = {
  credential: Record<string, unknown>;
};

export type Order = "asc" | "desc";

/** Every route of the gateway that answers JSON: what it takes, and what it answers with 200. */
export interface Routes {
  "POST /v1/events": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Anything;
    answer: Receipt;
  };
  "POST /v1/formats/{format}": {
    path: { format: string };
    query: Record<never, never>;
    body: Anything;
    answer: Receipt;
  };
  "POST /sync/events": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Anything;
    answer: Received;
  };
  "GET /v1/users/{user}/events": {
    path: { user: string };
    query: { type?: string | null | undefined; since?: string | null | undefined; until?: string | null | undefined; device?: string | null | undefined; order?: Order | undefined; cursor?: string | null | undefined; limit?: number | undefined };
    body: undefined;
    answer: EventPage;
  };
  "GET /v1/users/{user}/events/{event_id}": {
    path: { user: string; event_id: string };
    query: Record<never, never>;
    body: undefined;
    answer: EventStory;
  };
  "GET /v1/users/{user}/types": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: TypeList;
  };
  "GET /v1/changes": {
    path: Record<never, never>;
    query: { since?: string | null | undefined; user?: string | null | undefined; limit?: number | undefined };
    body: undefined;
    answer: ChangePage;
  };
  "GET /v1/catalogue": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Catalogue;
  };
  "GET /events/{user}": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Anything;
  };
  "GET /v1/users/{user}/summary": {
    path: { user: string };
    query: { since?: string | null | undefined; until?: string | null | undefined };
    body: undefined;
    answer: Days;
  };
  "GET /v1/users/{user}/insights": {
    path: { user: string };
    query: { kind?: string | null | undefined; since?: string | null | undefined; until?: string | null | undefined; order?: Order | undefined; cursor?: string | null | undefined; limit?: number | undefined };
    body: undefined;
    answer: InsightPage;
  };
  "GET /v1/stream": {
    path: Record<never, never>;
    query: { user?: string | null | undefined; type?: string | null | undefined; from?: string | null | undefined };
    body: undefined;
    answer: undefined;
  };
  "POST /v1/enroll": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: {
      code: string;
      client?: string | undefined;
    };
    answer: Anything;
  };
  "POST /v1/oauth/token": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: unknown;
    answer: Anything;
  };
  "GET /v1/invites/{code}": {
    path: { code: string };
    query: Record<never, never>;
    body: undefined;
    answer: Session;
  };
  "POST /v1/invites/{code}": {
    path: { code: string };
    query: Record<never, never>;
    body: undefined;
    answer: Session;
  };
  "POST /v1/session/refresh": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Session;
  };
  "GET /v1/session": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Session;
  };
  "POST /v1/session": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: SignInRequest;
    answer: Session;
  };
  "DELETE /v1/session": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Session;
  };
  "GET /v1/session/ways": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: SignInWays;
  };
  "GET /v1/session/passkeys": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Passkeys;
  };
  "POST /v1/session/passkeys": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasskeyRequest;
    answer: Passkeys;
  };
  "POST /v1/session/passkeys/challenge": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: PasskeyOptions;
  };
  "DELETE /v1/session/passkeys/{passkey}": {
    path: { passkey: string };
    query: Record<never, never>;
    body: undefined;
    answer: Passkeys;
  };
  "POST /v1/session/challenge": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: PasskeyOptions;
  };
  "POST /v1/session/organisation": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Elsewhere;
  };
  "GET /v1/session/organisation/callback": {
    path: Record<never, never>;
    query: { state?: string | null | undefined; code?: string | null | undefined; iss?: string | null | undefined; error?: string | null | undefined };
    body: undefined;
    answer: Session;
  };
  "POST /v1/session/organisation/end": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Elsewhere;
  };
  "POST /v1/oauth/introspect": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: unknown;
    answer: Introspection;
  };
  "POST /v1/oauth/revoke": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: unknown;
    answer: Revoked;
  };
  "GET /v1/hooks/{provider}": {
    path: { provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: Anything;
  };
  "POST /v1/hooks/{provider}": {
    path: { provider: string };
    query: Record<never, never>;
    body: Anything;
    answer: Anything;
  };
  "GET /v1/link/{provider}/callback": {
    path: { provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  "POST /v1/hooks/{client}/{format}": {
    path: { client: string; format: string };
    query: Record<never, never>;
    body: Anything;
    answer: Receipt;
  };
  "GET /v1/users/{user}/carers": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Carers;
  };
  "PUT /v1/users/{user}/carers/{carer}": {
    path: { user: string; carer: string };
    query: Record<never, never>;
    body: CarerGrant;
    answer: Carer;
  };
  "DELETE /v1/users/{user}/carers/{carer}": {
    path: { user: string; carer: string };
    query: Record<never, never>;
    body: undefined;
    answer: Carers;
  };
  "GET /v1/users/{user}/series": {
    path: { user: string };
    query: { type?: string | null | undefined; field?: string | null | undefined; since?: string | null | undefined; until?: string | null | undefined; points?: number | undefined; offset?: number | undefined };
    body: undefined;
    answer: Series;
  };
  "GET /v1/users/{user}/devices": {
    path: { user: string };
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: DevicePage;
  };
  "POST /v1/users/{user}/devices": {
    path: { user: string };
    query: Record<never, never>;
    body: DeviceRequest;
    answer: DeviceDescription;
  };
  "GET /v1/users/{user}/devices/{device}": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: Device;
  };
  "DELETE /v1/users/{user}/devices/{device}": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: DeviceDescription;
  };
  "POST /v1/users/{user}/devices/{device}/enrolment": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: EnrolmentCode;
  };
  "POST /v1/users/{user}/devices/{device}/token": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: TokenWish;
    answer: TokenAnswer;
  };
  "POST /v1/users/{user}/devices/{device}/suspend": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: DeviceDescription;
  };
  "POST /v1/users/{user}/devices/{device}/resume": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: DeviceDescription;
  };
  "POST /v1/users/{user}/devices/{device}/rename": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: TitleRequest;
    answer: DeviceDescription;
  };
  "POST /v1/users/{user}/devices/{device}/revoke": {
    path: { user: string; device: string };
    query: Record<never, never>;
    body: undefined;
    answer: DeviceDescription;
  };
  "GET /v1/users/{user}/apps": {
    path: { user: string };
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: AppPage;
  };
  "POST /v1/users/{user}/apps": {
    path: { user: string };
    query: Record<never, never>;
    body: AppRequest;
    answer: AppLogin;
  };
  "POST /v1/users/{user}/apps/{app}/rotate": {
    path: { user: string; app: string };
    query: Record<never, never>;
    body: undefined;
    answer: AppLogin;
  };
  "DELETE /v1/users/{user}/apps/{app}": {
    path: { user: string; app: string };
    query: Record<never, never>;
    body: undefined;
    answer: AppDescription;
  };
  "GET /v1/users/{user}/consents": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Consents;
  };
  "POST /v1/users/{user}/consents": {
    path: { user: string };
    query: Record<never, never>;
    body: ConsentRequest;
    answer: Consents;
  };
  "GET /v1/users/{user}/consents/history": {
    path: { user: string };
    query: { cursor?: number | undefined; limit?: number | undefined };
    body: undefined;
    answer: DecisionPage;
  };
  "GET /v1/users": {
    path: Record<never, never>;
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: UserPage;
  };
  "POST /v1/users": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: UserRequest;
    answer: UserDescription;
  };
  "GET /v1/users/{user}": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: UserDescription;
  };
  "DELETE /v1/users/{user}": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: UserDescription;
  };
  "POST /v1/users/{user}/suspend": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: UserDescription;
  };
  "POST /v1/users/{user}/resume": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: UserDescription;
  };
  "POST /v1/users/{user}/invites": {
    path: { user: string };
    query: Record<never, never>;
    body: InviteRequest;
    answer: Invite;
  };
  "GET /v1/subscribers": {
    path: Record<never, never>;
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: SubscriberPage;
  };
  "POST /v1/subscribers": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: SubscriberRequest;
    answer: SubscriberDescription;
  };
  "GET /v1/subscribers/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: Subscriber;
  };
  "DELETE /v1/subscribers/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriberDescription;
  };
  "POST /v1/subscribers/{name}/token": {
    path: { name: string };
    query: Record<never, never>;
    body: TokenWish;
    answer: TokenAnswer;
  };
  "POST /v1/subscribers/{name}/suspend": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriberDescription;
  };
  "POST /v1/subscribers/{name}/resume": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriberDescription;
  };
  "POST /v1/subscribers/{name}/revoke": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriberDescription;
  };
  "GET /v1/webhooks": {
    path: Record<never, never>;
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: WebhookPage;
  };
  "POST /v1/webhooks": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: WebhookRequest;
    answer: WebhookSecret;
  };
  "GET /v1/webhooks/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookDescription;
  };
  "DELETE /v1/webhooks/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookDescription;
  };
  "POST /v1/webhooks/{name}/enable": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookDescription;
  };
  "POST /v1/webhooks/{name}/test": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookTest;
  };
  "POST /v1/webhooks/{name}/rotate": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: WebhookSecret;
  };
  "GET /v1/admins": {
    path: Record<never, never>;
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: AdminPage;
  };
  "POST /v1/admins": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: AdminRequest;
    answer: AdminDescription;
  };
  "POST /v1/admins/{name}/invites": {
    path: { name: string };
    query: Record<never, never>;
    body: InviteRequest;
    answer: Invite;
  };
  "DELETE /v1/admins/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: AdminDescription;
  };
  "GET /v1/users/{user}/sources": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Sources;
  };
  "PUT /v1/users/{user}/sources": {
    path: { user: string };
    query: Record<never, never>;
    body: SourceOrder;
    answer: Sources;
  };
  "GET /v1/users/{user}/export": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  "POST /v1/users/{user}/erasure": {
    path: { user: string };
    query: Record<never, never>;
    body: ErasureWish;
    answer: Erasure;
  };
  "GET /v1/erasures/{erasure}": {
    path: { erasure: string };
    query: Record<never, never>;
    body: undefined;
    answer: Erasure;
  };
  "GET /v1/users/{user}/imports": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Imports;
  };
  "POST /v1/users/{user}/imports": {
    path: { user: string };
    query: { device?: string | undefined; zone?: string | null | undefined; unit?: string | null | undefined; slot?: string | null | undefined; bucket?: string | null | undefined };
    body: unknown;
    answer: Import;
  };
  "GET /v1/users/{user}/imports/{number}": {
    path: { user: string; number: string };
    query: Record<never, never>;
    body: undefined;
    answer: Import;
  };
  "GET /v1/rejected": {
    path: Record<never, never>;
    query: { user?: string | null | undefined; reason?: Reason | null | undefined; order?: Order | undefined; cursor?: number | undefined; limit?: number | undefined };
    body: undefined;
    answer: RejectedPage;
  };
  "GET /v1/rejected/{number}": {
    path: { number: number };
    query: Record<never, never>;
    body: undefined;
    answer: Rejected;
  };
  "POST /v1/rejected/{number}/replay": {
    path: { number: number };
    query: Record<never, never>;
    body: undefined;
    answer: Replayed;
  };
  "POST /v1/rejected/purge": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PurgeWish;
    answer: Purged;
  };
  "GET /v1/audit": {
    path: Record<never, never>;
    query: { user?: string | null | undefined; device?: string | null | undefined; action?: string | undefined; order?: Order | undefined; cursor?: number | undefined; limit?: number | undefined };
    body: undefined;
    answer: AuditPage;
  };
  "GET /v1/audit/verification": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: AuditFinding;
  };
  "GET /v1/sinks": {
    path: Record<never, never>;
    query: { cursor?: string | undefined; limit?: number | undefined };
    body: undefined;
    answer: SinkPage;
  };
  "GET /v1/sinks/{name}": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: Sink;
  };
  "POST /v1/sinks/{name}/suspend": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: Sink;
  };
  "POST /v1/sinks/{name}/resume": {
    path: { name: string };
    query: Record<never, never>;
    body: undefined;
    answer: Sink;
  };
  "GET /v1/adapters": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Adapters;
  };
  "GET /v1/users/{user}/links": {
    path: { user: string };
    query: Record<never, never>;
    body: undefined;
    answer: Links;
  };
  "POST /v1/users/{user}/links": {
    path: { user: string };
    query: Record<never, never>;
    body: LinkWish;
    answer: LinkInvitation;
  };
  "DELETE /v1/users/{user}/links/{provider}": {
    path: { user: string; provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: LinkEnd;
  };
  "POST /v1/users/{user}/links/{provider}/pause": {
    path: { user: string; provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: LinkDescription;
  };
  "POST /v1/users/{user}/links/{provider}/resume": {
    path: { user: string; provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: LinkDescription;
  };
  "POST /v1/users/{user}/links/{provider}/sync": {
    path: { user: string; provider: string };
    query: Record<never, never>;
    body: undefined;
    answer: LinkDescription;
  };
  "GET /v1/status": {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Status;
  };
}
