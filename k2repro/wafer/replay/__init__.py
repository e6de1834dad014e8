"""Traces of decoding, replayed on any device, and the race in a terminal."""
