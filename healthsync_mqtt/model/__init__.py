"""Values only: events, records, the catalogue of types, units, reasons and receipts. Frozen, without I/O."""
