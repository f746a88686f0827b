"""The plain training loop that ours is measured against: single windows, one member after another, default threads.

`python -m tests.benchmarks.reference FOLDER JSON` trains one member per file of windows below FOLDER and prints a JSON
object of seconds and last validation loss per member.
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from boomerang.model.windows import read_windows


class SingleWindows(Dataset):
    """One window and its target at a time."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[index], self.targets[index]


class LSTMClassifier(nn.Module):
    """LSTM, then one linear layer on its last step; logits of shape (batch,)."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        steps, _ = self.lstm(inputs)
        return self.fc(steps[:, -1]).squeeze(-1)


def train(path: Path, settings: dict) -> float:
    """The mean validation loss after the last epoch."""
    windows = read_windows(path)
    parts = {}
    for name in ("train", "val"):
        start, end = windows.bounds[name]
        dataset = SingleWindows(windows.inputs[start:end], windows.targets[start:end])
        parts[name] = DataLoader(dataset, batch_size=settings["batch_size"], shuffle=name == "train")
    torch.manual_seed(settings["seed"])
    model = LSTMClassifier(windows.inputs.shape[2], settings["hidden_size"], settings["num_layers"])
    criterion, optimizer = nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=settings["lr"])
    for _ in range(settings["epochs"]):
        losses = {}
        for name, loader in parts.items():
            model.train(name == "train")
            total = 0.0
            with torch.set_grad_enabled(name == "train"):
                for inputs, targets in loader:
                    with torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bf16"):
                        logits = model(inputs)
                    loss = criterion(torch.sigmoid(logits.float()), targets)
                    if name == "train":
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                    total += loss.item() * len(targets)
            losses[name] = total / len(loader.dataset)
    return losses["val"]


def main() -> None:
    """Train all members and print what they took and reached."""
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    found = {}
    for path in sorted(folder.glob("*/seq*.pt")):
        started = time.perf_counter()
        val_loss = train(path, settings)
        found[f"{path.parent.name} {path.stem[3:]}"] = [time.perf_counter() - started, val_loss]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
