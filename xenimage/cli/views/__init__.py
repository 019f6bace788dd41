"""Results as records for programs and as text for people."""
