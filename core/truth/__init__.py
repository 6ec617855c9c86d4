"""Ground truth: the file format, the recorder and the readers."""
