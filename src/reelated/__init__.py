"""Reelated: from a ratings file to explained recommendations."""

__version__ = "0.1.0"
