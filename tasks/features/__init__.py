"""The step `build`: SQL features, built by one dbt invocation from what is landed."""
