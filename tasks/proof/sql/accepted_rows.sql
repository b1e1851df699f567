-- One row per landed row of a table that staging accepted.
select landed.*
from landed
where
    not exists (
        select 1
        from rejected_rows as rejected
        where
            rejected.table_name = {{ literal(table) }}
            and rejected.ds = landed.ds
            and rejected."row" = cast(to_json(struct_pack(
                {%- for name in columns %}
                {{ identifier(name) }} := {{ identifier(name) }}{{ "," if not loop.last }}
                {%- endfor %}
            )) as varchar)
    )
order by all
