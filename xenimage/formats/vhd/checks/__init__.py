"""Opinions on one VHD: each module judges one part of it, and yields findings instead of raising errors."""
