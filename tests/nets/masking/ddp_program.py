"""One of two processes that train a masked network together; started by `two_processes.py`."""

import torch
from torch import distributed, nn

import nets

OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adamw": lambda p: torch.optim.AdamW(p, lr=5e-3),
}


def ticket_of(optimiser_of, rank, steps=40):
    """Train on samples of this process's own and return the ticket."""
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 3)))
    optimiser = optimiser_of(model.parameters())
    masking = nets.Masking(model, optimiser, density=0.1, steps=steps)
    generator = torch.Generator().manual_seed(rank)
    for _ in range(steps):
        x = torch.randn(32, 20, generator=generator)
        nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimiser.step()
        optimiser.zero_grad()
    return masking.ticket()


def main():
    distributed.init_process_group("gloo")
    for name, optimiser_of in OPTIMISERS.items():
        ticket = ticket_of(optimiser_of, distributed.get_rank())
        ours = torch.cat([t.flatten().float() for t in (*ticket.masks.values(), *ticket.weights.values())])
        both = [torch.empty_like(ours) for _ in range(2)]
        distributed.all_gather(both, ours)
        print(f"{name} {torch.equal(*both)} {ticket.kept == round(0.1 * ticket.total)}\n", end="")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
