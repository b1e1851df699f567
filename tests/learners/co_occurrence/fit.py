"""A program that trains two towers for the tests: items by who acts on them, users by the mean of their last items."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

job = json.loads(Path(sys.argv[1]).read_text())
table = pq.read_table(job["actions"])
actions = np.zeros((job["users"], job["items"]))
np.add.at(actions, (table["user"].to_numpy(), table["item"].to_numpy()), 1.0)
# By power iteration in one order, so that signs do not depend on a library.
together = actions.T @ actions
start = np.random.default_rng(job["seed"]).normal(size=(job["items"], job["settings"]["size"]))
for _ in range(30):
    start, _ = np.linalg.qr(together @ start)
vectors = (start * np.sqrt(np.linalg.norm(together @ start, axis=0))).astype(np.float32)
np.save(job["vectors"], vectors)

table_of_items = np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])
graph = helper.make_graph(
    [
        helper.make_node("Gather", ["table", "items"], ["gathered"]),
        helper.make_node("ReduceMean", ["gathered", "axis"], ["user"], keepdims=0),
    ],
    "towers",
    [helper.make_tensor_value_info("items", TensorProto.INT64, ["users", job["last"]])],
    [helper.make_tensor_value_info("user", TensorProto.FLOAT, ["users", vectors.shape[1]])],
    [numpy_helper.from_array(table_of_items, "table"), numpy_helper.from_array(np.array([1]), "axis")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
onnx.save(model, job["model"])
