"""Why something in a file becomes no event though it breaks no rule of events: one set of words for every reader."""

from enum import StrEnum


class PassedOver(StrEnum):
    """The words that a summary counts by, beside those of ``model.reasons``."""

    #: A file that is none of the kinds that are read here.
    OTHER_FILE = "other_file"
    #: A measurement that is part of another event: of a blood pressure, of a meal.
    PART_OF_ANOTHER = "part_of_another"
    #: The source says that nothing was measured.
    NOT_MEASURED = "not_measured"
    #: A statistic that an app shows, and no reading.
    SUMMARY = "summary"
    #: The clock of the device was not set when it was measured.
    CLOCK_NOT_SET = "clock_not_set"
    #: A time far from all others of its file, or before what was written before it.
    TIME_FAR_OFF = "time_far_off"
    #: A reading of a counter that does not fit between those before and after it.
    COUNTER_JUMPED = "counter_jumped"
    #: An amount of which nothing says when it began.
    NO_START = "no_start"
    #: The file is damaged or cut: this part of it cannot be read.
    DAMAGED = "damaged"
    #: The source says that it is no more, or was an error.
    WITHDRAWN = "withdrawn"
    #: Bytes after the end of a file.
    AFTER_THE_END = "after_the_end"
    #: Of another person, or of several of whom nobody knows which is meant.
    OF_OTHERS = "of_others"
