"""Networks whose channels are coupled in ways that the library's own do not show."""

import torch
from torch import nn
from torch.nn import functional


class Depthwise(nn.Module):
    """A depthwise convolution between two plain ones, PReLU, a concatenation, squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.each = nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.norm = nn.BatchNorm2d(12)
        self.slope = nn.PReLU(12)
        self.other = nn.Conv2d(1, 4, 1)
        self.squeeze = nn.Linear(16, 5)
        self.excite = nn.Linear(5, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        deep = self.slope(self.norm(self.each(torch.relu(self.first(x)))))
        both = torch.cat([deep, torch.tanh(self.other(x))], dim=1)
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(both.mean((2, 3))))))
        return self.out((both * gate[:, :, None, None]).amax((2, 3)))


class Heads(nn.Module):
    """Attention with three heads of five: no power of two, so the channels must be probed one by one."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Linear(8, 12)
        self.query, self.key, self.value = (nn.Linear(12, 15) for _ in range(3))
        self.output = nn.Linear(15, 12)
        self.norm = nn.LayerNorm(12)
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        x = self.tokens(x.flatten(1, 2))
        parts = (f(x).unflatten(2, (-1, 5)).transpose(1, 2) for f in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(*parts)
        return self.out(self.norm(x + self.output(mixed.transpose(1, 2).flatten(2))).mean(1))


class Stubborn(nn.Module):
    """Its forward pass holds on to the number of channels that it was built with."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(torch.relu(self.first(x.flatten(1))).view(-1, 6))


class Counting(Stubborn):
    """Its forward pass depends on the number of channels without failing."""

    def forward(self, x):
        hidden = torch.relu(self.first(x.flatten(1)))
        return self.out(hidden * hidden.shape[1])


class Mixing(Stubborn):
    """Takes the mean over the batch away."""

    def forward(self, x):
        hidden = self.first(x.flatten(1))
        return self.out(torch.relu(hidden - hidden.mean(0)))


class TimeFirst(Stubborn):
    """Moves the samples to the second dimension."""

    def forward(self, x):
        rows = x.flatten(1).unsqueeze(1).expand(-1, 5, -1).transpose(0, 1)
        return self.out(torch.relu(self.first(rows))).mean(0)


class Scaled(nn.Module):
    """A learned scale of its own on the second hidden layer, which slicing would not know of."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(64, 6), nn.Linear(6, 7), nn.Linear(7, 3)
        self.scale = nn.Parameter(torch.ones(7))

    def forward(self, x):
        return self.out(torch.relu(self.second(torch.relu(self.first(x.flatten(1)))) * self.scale))
