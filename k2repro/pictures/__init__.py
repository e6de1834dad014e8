"""The figures of the notebooks, a file for each; a function returns a figure and the records behind it."""
