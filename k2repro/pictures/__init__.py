"""Figures of the notebooks, a file per notebook; each function returns the figure and its table."""
