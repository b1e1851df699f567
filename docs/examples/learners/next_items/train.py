"""A sequence model over last items (PyTorch): attention over what a user did, from where the next item is looked for.

A user's vector is pooled from the last items by one head of attention, asked by the latest; items have vectors of
their own, and a softmax over all of them says which came next. Only items of earlier days are looked at, since the
order within a day is not known. Run by `matinee`: docs/onnx.md says what the job holds.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import torch
from torch import nn


class User(nn.Module):
    """From the numbers of a user's last items, the latest at the end, to a vector; the number `items` is no item."""

    def __init__(self, items: int, last: int, size: int) -> None:
        super().__init__()
        self.nothing = items
        self.embedding = nn.Embedding(items + 1, size, padding_idx=items)
        self.place = nn.Parameter(torch.zeros(last))
        self.query, self.key = nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)
        self.out = nn.Sequential(nn.Linear(2 * size, 2 * size), nn.ReLU(), nn.Linear(2 * size, size))

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        seen = self.embedding(items)
        latest = seen[:, -1]
        fit = (self.key(seen) * self.query(latest).unsqueeze(1)).sum(dim=2) / seen.shape[2] ** 0.5 + self.place
        share = torch.softmax(fit - 1e4 * (items == self.nothing).float(), dim=1)
        pooled = (share.unsqueeze(2) * seen).sum(dim=1)
        return pooled + self.out(torch.cat([pooled, latest], dim=1))


def windows(job: dict) -> tuple[np.ndarray, np.ndarray]:
    """What came before each action, and the action: (actions, last) and (actions,)."""
    table = pq.read_table(job["actions"])
    user, item, age = (table[name].to_numpy() for name in ("user", "item", "age"))
    new_user = np.concatenate([[True], user[1:] != user[:-1]])
    new_day = new_user | np.concatenate([[True], age[1:] != age[:-1]])
    rows = np.arange(len(user))
    first = np.maximum.accumulate(np.where(new_user, rows, 0))
    day = np.maximum.accumulate(np.where(new_day, rows, 0))
    places = day[:, None] - np.arange(job["last"], 0, -1)[None, :]
    before = np.where(places >= first[:, None], item[np.maximum(places, 0)], job["items"])
    useful = day > first  # there is an earlier day
    return before[useful], item[useful]


def train(model: User, vectors: nn.Parameter, job: dict) -> None:
    settings, draw = job["settings"], np.random.default_rng(job["seed"])
    before, after = windows(job)
    if not len(after):  # as of the pipeline's first day: equal scores say so, chance ones would not
        print("no action has an earlier day before it: all scores are 0")
        vectors.data.zero_()
        return
    optimizer = torch.optim.AdamW([*model.parameters(), vectors], lr=settings.get("learning_rate", 0.003))
    epochs = settings.get("epochs", 5)
    for epoch in range(epochs):
        total, batches = 0.0, np.array_split(draw.permutation(len(after)), max(1, len(after) // 512))
        for batch in batches:
            scores = model(torch.from_numpy(before[batch])) @ vectors.T
            loss = nn.functional.cross_entropy(scores, torch.from_numpy(after[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(batches):.4f} of {len(after)} actions")


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(job["seed"])
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    size = job["settings"].get("size", 32)
    model = User(job["items"], job["last"], size)
    vectors = nn.Parameter(torch.randn(job["items"], size) * size**-0.5)
    train(model, vectors, job)
    np.save(job["vectors"], vectors.detach().numpy())
    # The exporter of before: the new one takes a minute.
    torch.onnx.export(
        model.eval(), (torch.zeros((3, job["last"]), dtype=torch.int64),), job["model"], dynamo=False, opset_version=17,
        input_names=["items"], output_names=["user"], dynamic_axes={"items": {0: "users"}, "user": {0: "users"}},
    )  # fmt: skip
    onnx.checker.check_model(job["model"])


main()
