"""What streams and records: chunks, requests, errors, framing, ground truth, the client."""
