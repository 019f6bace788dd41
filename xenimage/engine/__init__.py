"""The work itself: open, map, plan, run."""
