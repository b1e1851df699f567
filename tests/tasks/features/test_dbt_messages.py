"""What dbt says of a failed build is said of the staging model that is wrong, and of nothing that only followed."""

from __future__ import annotations

import pytest

from tasks.features.dbt_messages import ModelOutcome, problems_of
from tests.tasks.handmade import spec_of

RETAIL = spec_of(source={"type": "files", "dataset": "online_retail"})
STAGING = "transforms/models/staging/online_retail"
CONTRACT = (
    "Compilation Error in model {model} (models/canonical/{model}.sql) This model has an enforced contract that "
    "failed. Please ensure the name, data_type, and number of columns in your contract match the columns in your "
    "model's definition. | column_name | definition_type | contract_type | mismatch_reason | | ----- | ----- | "
    "------------- | ------------------ | {rows} > in macro assert_columns_equivalent (macros/columns_spec_ddl.sql)"
)


def outcome(name: str, status: str, message: str = "") -> ModelOutcome:
    return ModelOutcome(name=name, kind="model", status=status, seconds=0.0, rows=None, message=message)


def test_a_contract_error_names_staging_model_column_and_types() -> None:
    rows = (
        "| kind | | VARCHAR | missing in definition | | value | VARCHAR | DOUBLE | data type mismatch | "
        "| more | DATE | | missing in contract |"
    )
    message = CONTRACT.format(model="interactions", rows=rows)
    place = f"stg_interactions ({STAGING}/stg_interactions.sql)"
    assert problems_of(RETAIL, [outcome("interactions", "error", message)], None) == [
        f"  interactions: {place} has no column kind: found none, expected one of type VARCHAR",
        f"  interactions: the column value of {place} has another type: found VARCHAR, expected DOUBLE; select "
        "`cast(value as double) as value`",
        f"  interactions: {place} has a column more too many: found one of type DATE, expected none of this name",
    ]


def test_a_contract_error_of_a_mart_names_the_mart() -> None:
    message = CONTRACT.format(model="feat_items", rows="| age | INTEGER | FLOAT | data type mismatch |")
    (line,) = problems_of(RETAIL, [outcome("feat_items", "error", message)], None)
    assert line.startswith("  feat_items: the column age of feat_items has another type: found INTEGER, expected FLOAT")


def test_the_error_stands_alone_and_what_was_skipped_is_a_count() -> None:
    results = [
        outcome("items", "error", "Runtime Error: out of memory"),
        outcome("labels", "success"),
        *(outcome(f"feat_{n}", "skipped") for n in range(24)),
    ]
    assert problems_of(RETAIL, results, None) == [
        "  items: error: Runtime Error: out of memory",
        "  24 models and tests that depend on it did not run",
    ]
    assert (
        problems_of(RETAIL, results[:2] + results[-1:], None)[-1] == "  1 model or test that depends on it did not run"
    )
    assert problems_of(RETAIL, results[1:2], None) == []


def test_a_column_that_staging_lacks_is_looked_for_there() -> None:
    message = 'Runtime Error in model items Binder Error: Referenced column "title" not found in FROM clause! LINE 3'
    first, second = problems_of(RETAIL, [outcome("int_item_observations", "error", message)], None)
    assert first == (
        f"  int_item_observations: stg_items ({STAGING}/stg_items.sql) has no column title: select it there, under "
        "this name"
    )
    assert message in second


def not_found(table: str) -> RuntimeError:
    return RuntimeError(
        "Compilation Error\n  Model 'model.matinee.stg_lines' (models/staging/online_retail/stg_lines.sql) depends on "
        f"a source named 'landing.{table}' which was not found"
    )


@pytest.mark.parametrize(("table", "near"), [("line", "; did you mean 'lines'?"), ("zzz", ".")])
def test_a_table_that_is_not_landed_is_a_name_to_correct(table: str, near: str) -> None:
    _, hint = problems_of(RETAIL, [], not_found(table))
    assert hint == (
        f"  transforms/datasets/online_retail.yaml lands no table {table!r}: expected one of lines{near} "
        f"Correct the name in {STAGING}/stg_lines.sql, or declare the table there"
    )


def test_a_model_that_dbt_was_not_given_is_explained_and_no_source_is() -> None:
    lines = problems_of(RETAIL, [], RuntimeError("depends on a node named 'mine' which was not found"))
    assert "dbt gets only what the SQL of this pipeline names" in lines[1]
    assert not any("dbt gets only" in line for line in problems_of(RETAIL, [], not_found("lines")))


def test_nothing_selected_is_a_failure() -> None:
    assert problems_of(RETAIL, [], None) == ["  dbt selected nothing"]
