import torch
from torch import nn

from boomerang.model.lstm import MemberLSTM


def test_state_dict_loads_into_plain_layers_and_gives_the_same_logits():
    torch.manual_seed(0)
    model = MemberLSTM(input_size=6, hidden_size=5, num_layers=2)

    class Foreign(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 5, 2, batch_first=True)
            self.fc = nn.Linear(5, 1)

    foreign = Foreign()
    foreign.load_state_dict(model.state_dict())
    inputs = torch.randn(3, 7, 6)
    expected = foreign.fc(foreign.lstm(inputs)[0][:, -1, :])[:, 0]
    assert torch.equal(model(inputs), expected)
