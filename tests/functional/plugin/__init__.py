"""What the import plugins do inside of Glance: cases that test modules give a release."""
