"""A small neural ranker (PyTorch): two layers over standardized features, trained list by list.

Scores of a list become shares by a softmax; the loss is their cross-entropy with the shares of the gains (Cao et al.
2007). Scaling and missing features are part of the model. Run by `matinee`: docs/onnx.md says what the job holds.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import torch
from torch import nn


class Ranker(nn.Module):
    """Numbers are compressed (sign · log), standardized, and cut off; whether one is missing is an input of its own."""

    def __init__(self, center: torch.Tensor, scale: torch.Tensor, hidden: int) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.layers = nn.Sequential(
            nn.Linear(2 * len(center), hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        missing = torch.isnan(features)
        given = compressed(torch.where(missing, torch.zeros_like(features), features))
        given = torch.clamp((given - self.center) / self.scale, -10.0, 10.0)
        given = torch.where(missing, torch.zeros_like(given), given)
        return self.layers(torch.cat([given, missing.float()], dim=1))


def compressed(values: torch.Tensor) -> torch.Tensor:
    return torch.sign(values) * torch.log(torch.abs(values) + 1.0)


def train(model: Ranker, rows: torch.Tensor, gains: torch.Tensor, lists: np.ndarray, job: dict) -> None:
    settings = job["settings"]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.get("learning_rate", 0.003), weight_decay=settings.get("weight_decay", 0.01)
    )
    draw = np.random.default_rng(job["seed"])
    starts, ends = lists[:-1], lists[1:]
    useful = np.flatnonzero([gains[a:b].max() > gains[a:b].min() for a, b in zip(starts, ends, strict=True)])
    epochs = settings.get("epochs", 10)
    for epoch in range(epochs):
        total = 0.0
        for batch in np.array_split(draw.permutation(useful), max(1, len(useful) // 64)):
            at = torch.from_numpy(np.concatenate([np.arange(starts[one], ends[one]) for one in batch]))
            owner = torch.from_numpy(np.repeat(np.arange(len(batch)), (ends - starts)[batch]))
            wanted = gains[at] / torch.zeros(len(batch)).index_add(0, owner, gains[at])[owner]
            scores = model(rows[at])[:, 0]
            largest = torch.full((len(batch),), -torch.inf).scatter_reduce(0, owner, scores, "amax")[owner]
            norm = torch.zeros(len(batch)).index_add(0, owner, torch.exp(scores - largest))[owner]
            loss = -(wanted * (scores - largest - torch.log(norm))).sum() / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / max(1, len(useful)):.4f}")


def export(model: Ranker, job: dict) -> None:
    # The exporter of before: the new one takes a minute, most of a run's training.
    torch.onnx.export(
        model.eval(), (torch.zeros(3, len(job["features"])),), job["model"], dynamo=False, opset_version=17,
        input_names=["features"], output_names=["scores"],
        dynamic_axes={"features": {0: "rows"}, "scores": {0: "rows"}},
    )  # fmt: skip
    exported = onnx.load(job["model"])
    onnx.helper.set_model_props(exported, {"features": ",".join(job["features"])})
    onnx.save(exported, job["model"])


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(job["seed"])
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    table = pq.read_table(job["examples"], columns=[*job["features"], job["group"], job["label"]])
    rows = torch.from_numpy(np.stack([table[name].to_numpy() for name in job["features"]], axis=1).astype(np.float32))
    known = compressed(rows).masked_fill(torch.isnan(rows), torch.nan)
    center = torch.nan_to_num(known.nanmean(dim=0))
    scale = torch.sqrt(torch.nan_to_num((known - center).square().nanmean(dim=0))).clamp(min=1e-3)
    gains = torch.tensor(job["gains"], dtype=torch.float32)[
        torch.from_numpy(table[job["label"]].to_numpy().astype(int))
    ]
    groups = np.asarray(table[job["group"]].to_pylist())
    lists = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1], [True]]))
    model = Ranker(center, scale, job["settings"].get("hidden", 32))
    train(model, rows, gains, lists, job)
    export(model, job)


main()
