"""WHEN: pipeline files become Airflow DAGs. Wiring only; what a step does is in `tasks`."""
