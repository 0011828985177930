"""Videos and data sets that are drawn: for the demo, the examples and the tests."""
