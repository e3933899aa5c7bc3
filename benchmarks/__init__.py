"""Speed, side by side with the peers. Each module runs by itself: `python -m benchmarks.eager`."""
