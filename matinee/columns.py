"""Columns of the tables that are made of records: names, and Arrow's names of their types."""

from __future__ import annotations

METRICS = {
    "metric": "string",
    "of": "string",
    "population": "string",
    "slice": "string",
    "value": "double",
    "low": "double",
    "high": "double",
    "groups": "int64",
    "definition": "string",
}

CHECKS = {
    "step": "string",
    "table": "string",
    "day": "string",
    "measure": "string",
    "severity": "string",
    "success": "bool",
    "observed": "string",
    "expected": "string",
    "why": "string",
    "next": "string",
}

DRIFT = {
    "feature": "string",
    "level": "string",
    "psi": "double",
    "psi_noise_bound": "double",
    "ks": "double",
    "ks_noise_bound": "double",
    "unit": "string",
    "sentence": "string",
}

IMPORTANCE = {"population": "string", "feature": "string", "gain": "double", "splits": "int64"}

GATES = {"gate": "string", "passed": "bool", "detail": "string"}

RUNS = {"as_of": "date32", "attempt": "string", "verdict": "string", "good": "bool", "folder": "string"}

LANDED = {"table": "string", "ds": "date32", "rows": "int64", "rejects": "int64", "path": "string"}

VERSIONS = {
    "version": "string",
    "as_of": "date32",
    "alias": "string",
    "live": "bool",
    "withdrawn": "bool",
    "why": "string",
    "champion": "string",
}

RANKED = {
    "user_id": "string",
    "rank": "int32",
    "item_id": "string",
    "title": "string",
    "score": "double",
    "population": "string",
}
