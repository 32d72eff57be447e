"""The schema's history, and the SQL of its views."""
