"""Running it: all steps, ranges of days, what a run would do, and a local Airflow."""
