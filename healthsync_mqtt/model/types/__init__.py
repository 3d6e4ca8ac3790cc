"""The types of events, one file a family; the catalogue gathers them. A new type is one entry of its family."""
