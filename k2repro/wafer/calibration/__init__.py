"""Measured rates: read, fitted, held out, scored."""
