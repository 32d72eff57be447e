"""What is in flight: budgets of bytes, bounds, turns and deadlines."""
