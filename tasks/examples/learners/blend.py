"""Several retrievals as one: nothing is fitted, and nothing written."""

from __future__ import annotations

from tasks.examples.learners.protocol import RetrievalModel
from tasks.spec.retrieval import BlendRetrieval

BLEND = RetrievalModel(BlendRetrieval, "RetrieverBlend")
