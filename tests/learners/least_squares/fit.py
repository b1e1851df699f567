"""A program that trains a model for the tests: least squares of the gains, missing features counting as 0."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

job = json.loads(Path(sys.argv[1]).read_text())
table = pq.read_table(job["examples"])
rows = np.nan_to_num(np.stack([table[name].to_numpy() for name in job["features"]], axis=1).astype(np.float64))
gains = np.array(job["gains"])[table[job["label"]].to_numpy()]
# What is drawn with the seed: which examples count.
drawn = np.random.default_rng(job["seed"]).random(len(rows)) < job["settings"].get("share", 0.9)
weight = table[job["weight"]].to_numpy() * drawn
centered = rows - np.average(rows, axis=0, weights=weight)
found = np.linalg.solve(
    (centered * weight[:, None]).T @ centered + 1e-6 * np.eye(rows.shape[1]), (centered * weight[:, None]).T @ gains
)
sys.stdout.write(f"{len(rows)} examples, {int(drawn.sum())} of them drawn\n")

constants = [
    numpy_helper.from_array(found.astype(np.float32)[:, None], "w"),
    numpy_helper.from_array(np.float32(0), "zero"),
]
graph = helper.make_graph(
    [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["given"]),
        helper.make_node("MatMul", ["given", "w"], ["y"]),
    ],
    "least_squares",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", rows.shape[1]])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
    constants,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
helper.set_model_props(model, {"features": ",".join(job["features"])})
onnx.save(model, job["model"])
