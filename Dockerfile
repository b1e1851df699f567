# One image for every service: the environment of requirements.lock and the code, run by a user without rights.
FROM python:3.11-slim AS environment
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/matinee
COPY Makefile requirements.lock ./
RUN make setup

FROM python:3.11-slim
# libgomp1: the OpenMP runtime of lightgbm and implicit.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home matinee \
    && install --directory --owner matinee --group matinee /state
WORKDIR /opt/matinee
COPY --from=environment /opt/matinee/.venv .venv
COPY . .
ENV PATH=/opt/matinee/.venv/bin:$PATH \
    PYTHONPATH=/opt/matinee \
    PYTHONUNBUFFERED=1 \
    MATINEE_HOME=/state \
    AIRFLOW_HOME=/state/airflow \
    OPENBLAS_NUM_THREADS=1 \
    OMP_WAIT_POLICY=PASSIVE \
    GX_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
USER matinee
VOLUME /state
CMD ["matinee", "--help"]
