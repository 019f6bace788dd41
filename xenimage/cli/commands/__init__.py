"""Commands, one thin file a noun."""
