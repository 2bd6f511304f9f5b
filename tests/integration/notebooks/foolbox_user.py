# A notebook of somebody who knows foolbox: epsilons start at 0, tensors are eagerpy's, the model is
# foolbox's wrapper with its preprocessing.

# %%
import eagerpy as ep
import foolbox as fb
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import robustbench_mix as rbmix

torch.manual_seed(0)
raw = load_digits()
x = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
y = torch.tensor(raw.target)
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net((x[:1500] - 0.3) / 0.4), y[:1500]).backward()
    optimizer.step()

# %%
preprocessing = dict(mean=[0.3], std=[0.4], axis=-3)
fmodel = fb.PyTorchModel(net.eval(), bounds=(0, 1), preprocessing=preprocessing)
images, labels = ep.astensors(x[1500:1515], y[1500:1515])
clean = fb.accuracy(fmodel, images, labels)

# %%
epsilons = [0.0, 0.01, 0.03, 0.1, 0.3]
attack = fb.attacks.LinfPGD()
_, _, success = attack(fmodel, images, labels, epsilons=epsilons)
theirs = 1 - success.float32().mean(axis=-1).raw.numpy()

# %%
result = rbmix.evaluate(fmodel, (images, labels), "PGD", eps=epsilons, norm="Linf")
result

# %%
ours = result.curve["accuracy"]
assert abs(ours[0] - clean) < 1e-6
assert result.curve.eps.tolist() == epsilons
assert (ours <= theirs + 1e-6).all()
plt.plot(epsilons, theirs, label="foolbox")
plt.plot(epsilons, ours, label="rbmix")
plt.legend()

# %% the examples themselves, as an attack of foolbox returns them
result = rbmix.evaluate(fmodel, (images, labels), "pgd", eps=0.1, norm=np.inf, x_adv=True)
wrong = fmodel(result.x_adv).argmax(1) != labels.raw
assert abs(wrong.float().mean().item() + result.curve.accuracy.iloc[-1] - 1) < 1e-6
assert (result.x_adv - images.raw).abs().max() <= 0.1 + 1e-6

# %% DeepFool, by the name of its class
deepfool = rbmix.evaluate(
    fmodel, (images, labels), "foolbox:L2DeepFoolAttack", eps=np.linspace(0, 1, 3), name="DeepFool"
)
pgd = rbmix.evaluate(
    fmodel, (images, labels), "pgd", eps=np.linspace(0, 1, 3), norm="L2", name="PGD"
)
axes = deepfool.plot()
pgd.plot(axes)
assert [text.get_text() for text in axes.get_legend().get_texts()] == ["DeepFool", "PGD"]
worst = np.minimum(deepfool.curve.accuracy, pgd.curve.accuracy)
assert worst.is_monotonic_decreasing

# %% the attack as an object: one line says how it is named
try:
    rbmix.evaluate(fmodel, (images, labels), attack, eps=0.1)
except rbmix.RbmixError as error:
    assert "go by name: 'foolbox:" in str(error)
