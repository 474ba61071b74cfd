"""Figures, each a ratio to something bare measured in the same run."""
