"""Provider adapters, one file per dialect. No I/O in here."""
