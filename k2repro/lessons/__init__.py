"""What a notebook shows beside the runs: problems, published settings, things broken on purpose."""
