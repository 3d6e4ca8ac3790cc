"""The data path, one file a stage: source, decode, authorise, journal, acknowledge, quarantine, publish, presence."""
