"""What tempest runs."""
