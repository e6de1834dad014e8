"""Draw a plotly figure as a small, deterministic SVG without a browser: one module for each kind of mark."""
