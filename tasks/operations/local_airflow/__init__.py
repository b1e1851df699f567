"""Airflow on this machine: its configuration, its processes, and days run through it."""
