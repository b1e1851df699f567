"""One Airflow DAG per pipeline file: which step follows which, and nothing else.

A run's data interval is `[D, D + 1 day)`; every task gets `as_of = D` as a rendered argument. Only one task
at a time may open the pipeline's DuckDB file: those tasks share the pool `warehouse`, which has one slot.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, TaskGroup, TriggerRule, XComArg, chain

from dags.describe import page, sentence
from dags.steps import AS_OF, populations_of, report, step
from dags.tell import tell
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path

POOL = "warehouse"
DEFAULTS = {
    "owner": "matinee",
    "retries": 1,
    "retry_delay": timedelta(seconds=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell,
}


def pipeline_dag(name: str) -> DAG:
    """Return the DAG of `pipelines/<name>.yaml`; a SpecError becomes the DAG's import error."""
    spec = load_shape(pipeline_path(name))
    with DAG(
        dag_id=spec.name,
        description=spec.description,
        # A history (schedule: null) has days to backfill and an end in the past: nothing starts by itself.
        schedule=CronDataIntervalTimetable(spec.schedule or "@daily", timezone="UTC"),
        start_date=datetime.combine(spec.start, time(), UTC),
        end_date=datetime.combine(spec.end, time(), UTC) if spec.end else None,
        catchup=False,
        max_active_runs=2,
        default_args=DEFAULTS,
        on_failure_callback=tell,  # a task that is killed cannot call its own
        tags=["matinee", spec.source.type],
        doc_md=page(spec),
    ) as dag:
        _wire(spec.name)
    return dag


def _wire(name: str) -> None:
    def do(what: str, made: str | None = None, **options: str) -> XComArg:
        outlets = [Asset(f"matinee://{name}/{made}")] if made else []
        return step.override(task_id=what, doc_md=sentence(what), outlets=outlets, **options)(name, what, AS_OF)

    with TaskGroup("data", prefix_group_id=False, tooltip="land, check and build the tables"):
        landed, checked = do("land", made="landed"), do("check_landed")
        built, features = do("build", made="features", pool=POOL), do("check_features", pool=POOL)
    with TaskGroup("examples", prefix_group_id=False, tooltip="candidates, and the sample of them"):
        retrieved, sampled = do("retrieve", pool=POOL), do("sample", pool=POOL)
        examples = do("check_examples")
    with TaskGroup("model", prefix_group_id=False, tooltip="one model per population, judged and published"):
        split = populations_of.override(task_id="populations", doc_md=sentence("populations"))(name, AS_OF)
        each = step.override(task_id="train", doc_md=sentence("train"), map_index_template="{{ population }}")
        trained = each.partial(pipeline=name, what="train", as_of=AS_OF).expand(population=split)
        judged, lists = do("evaluate"), do("check_predictions")
        passed, published = do("gate"), do("publish", made="champion")
    watched = do("monitor", pool=POOL, trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    told = report.override(task_id="report", trigger_rule=TriggerRule.ALL_DONE, doc_md=sentence("report"))(name, AS_OF)

    chain(landed, checked, built, features, retrieved, sampled, split, trained, judged, lists, passed, published, told)
    chain(sampled, examples, passed)  # beside the training, but nothing is published on bad examples
    chain([sampled, trained], watched, told)  # of the scores too, and if there is a sample but no model
