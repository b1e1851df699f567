"""Pages for people: one per run, an overview across days, a timeline of champions."""
