"""Figures of the notebooks, a file for each; plotly is imported when one is drawn."""
