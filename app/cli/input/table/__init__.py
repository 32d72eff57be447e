"""Read the rows of CSV files as events."""
