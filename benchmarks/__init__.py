"""Speed and accuracy, measured and printed as tables: `make bench`, or `python -m benchmarks NAME…` for some of them."""
