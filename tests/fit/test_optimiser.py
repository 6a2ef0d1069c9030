import torch

from pipeline.fit.optimiser import Adam


def test_it_is_torchs_adam_to_the_last_bit(rng):
    starts = [torch.from_numpy(rng.standard_normal(shape)).float() for shape in ((2, 3, 5), (2, 3))]
    ours, theirs = ([start.clone().requires_grad_() for start in starts] for _ in range(2))
    optimiser, oracle = Adam(ours, 0.03), torch.optim.Adam(theirs, lr=0.03)
    for _ in range(20):
        target = torch.from_numpy(rng.standard_normal(5)).float()
        for parameters in (ours, theirs):
            ((parameters[0] - target).square().sum() + parameters[1].exp().sum()).backward()
        optimiser.step()
        oracle.step()
        oracle.zero_grad()
        assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs))
        assert all(parameter.grad is None for parameter in ours)
    assert not any(torch.equal(mine, start) for mine, start in zip(ours, starts))
