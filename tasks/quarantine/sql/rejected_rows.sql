-- One row per rejected row of one table and day, with the digest of the partition that it came from.
with numbered as (
    select
        *,
        row_number() over (partition by "row" order by rule) as copy,
        sha256(table_name || '|' || ds || '|' || "row")[:16] as content_digest
    from {{ relation }}
    where ds = {{ literal(ds) }} and table_name = {{ literal(table) }}
)

select
    content_digest || case when copy > 1 then '-' || copy else '' end as id,
    table_name,
    rule,
    -- A readable row has the line number as a column of its own; an unreadable line has it beside its text.
    try_cast(
        coalesce(
            json_extract_string("row", '$.line_number'),
            json_extract_string("row", '$.line')
        ) as bigint
    ) as line,
    case when rule = 'unparseable' then json_extract_string("row", '$.error') end as error,
    "row",
    ds,
    case when rule = 'unparseable' then {{ literal(lines_landing) }} else {{ literal(landing) }} end as landing
from numbered
order by rule, line, "row", copy
