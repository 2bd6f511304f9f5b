# A notebook of somebody who knows RobustBench and AutoAttack: the words of its quick tour.

# %%
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import robustbench_mix as rbmix


def load_data(n_examples):
    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    return images[-n_examples:], torch.tensor(raw.target)[-n_examples:]


class Standard(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.body((x - 0.3) / 0.4)


torch.manual_seed(0)
x, y = load_data(1700)
model = Standard()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

# %% the quick tour
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
x_test, y_test = (part[:12].to(device) for part in load_data(n_examples=1797))
model = model.to(device).eval()
adversary = rbmix.AutoAttack(
    model, norm="Linf", eps=8 / 255, version="custom", attacks_to_run=["apgd-ce", "apgd-dlr"],
    device=device, log_path=Path("log.txt"),
)  # fmt: skip
adversary.apgd.n_restarts = 1
x_adv = adversary.run_standard_evaluation(x_test, y_test, bs=6)
assert x_adv.shape == x_test.shape

# %% benchmark(model, dataset=..., threat_model=..., eps=...), with our own images
result = rbmix.evaluate(
    model, (x_test, y_test), attack="autoattack", norm="Linf", eps=8 / 255, batch_size=12,
    device=device, name="Standard", x_adv=True,
)  # fmt: skip
clean_acc, robust_acc = result.curve["accuracy"]
print(f"clean {clean_acc:.1%}, robust {robust_acc:.1%}")
assert robust_acc <= (model(x_adv).argmax(1) == y_test).float().mean().item() + 1e-6
torch.save(result.x_adv, "adversarial_images.pt")
assert torch.load("adversarial_images.pt").shape == x_test.shape

# %% individual attacks, and the other norm
adversary = rbmix.AutoAttack(model, norm="L2", eps=0.5, version="standard", verbose=False)
adversary.attacks_to_run = ["apgd-ce"]
adversary.apgd.n_iter = 20
alone = adversary.run_standard_evaluation_individual(x_test, y_test, bs=12)
assert list(alone) == ["apgd-ce"]
x_adv, y_adv = adversary.run_standard_evaluation(x_test, y_test, bs=12, return_labels=True)
assert torch.equal(y_adv, model(x_adv).argmax(1))

# %% a leaderboard of two
short = {"eps": [2 / 255, 4 / 255, 8 / 255], "norm": "Linf"}
rows = []
for name in ("untrained", "Standard"):
    net = model if name == "Standard" else Standard()
    rows.append(rbmix.evaluate(net, (x_test, y_test), "pgd", name=name, **short))
axes = rows[0].plot()
rows[1].plot(axes)
table = rows[1].difference(rows[0])
assert (table["difference"] >= 0).all()
path = rows[1].save("standard.parquet")
assert rbmix.Result.load(path).curve.equals(rows[1].curve)

# %% a threat model that is not there
try:
    rbmix.evaluate(model, (x_test, y_test), norm="corruptions", eps=8 / 255)
except rbmix.RbmixError as error:
    assert "unknown norm 'corruptions'" in str(error)
