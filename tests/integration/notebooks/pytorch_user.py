# A notebook of somebody who knows plain PyTorch: a training loop, data sets, loaders, and the usual
# slips, each of which one line puts right.

# %%
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split
from torchvision import transforms

import robustbench_mix as rbmix

torch.manual_seed(0)
raw = load_digits()


class Digits(Dataset):
    def __init__(self, transform=None):
        self.images, self.labels = (raw.images * 255 / 16).astype(np.uint8), raw.target
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = Image.fromarray(self.images[i])
        return (self.transform(image) if self.transform else image), int(self.labels[i])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return F.log_softmax(self.fc(self.drop(x.flatten(1))), dim=1)


train_set, test_set = random_split(Digits(transforms.ToTensor()), [1500, 297])
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(2):
    for x, y in DataLoader(train_set, batch_size=100, shuffle=True):
        optimizer.zero_grad()
        F.nll_loss(net(x), y).backward()
        optimizer.step()

# %% a loader, a data set, a part of one; the model may still be in train mode
some = Subset(test_set, range(12))
result = rbmix.evaluate(net, DataLoader(some, batch_size=8), "fgsm", eps="1/255, 4/255, 16/255")
again = rbmix.evaluate(net, some, "fgsm", eps=[1 / 255, 4 / 255, 16 / 255])
assert result.curve.equals(again.curve)
assert net.training
print(result)

# %% what comes back, with pandas
broken = result.records[result.records.broken_at <= 4 / 255]
assert len(broken) == 12 - result.curve.set_index("eps_text").correct["4/255"]
result.curve.to_csv("curve.csv")
first = result.records.sort_values("margin").image.tolist()[0]
assert 0 <= first < 12

# %% arrays, a function as the model, more radii
x = np.stack([some[i][0].numpy() for i in range(12)])
y = np.array([some[i][1] for i in range(12)])
net.eval()
result = rbmix.evaluate(lambda x: net(x).exp(), (x, y), "pgd", eps=np.arange(0, 9, 4) / 255)
assert result.curve.eps_text.tolist() == ["0", "4/255", "8/255"]

# %% the usual slips
slips = {
    "divide by 255": (torch.tensor(x * 255, dtype=torch.uint8), y),
    "normalisation belongs": TensorDataset((torch.tensor(x) - 0.5) / 0.25, torch.tensor(y)),
    "puts them first": (x.transpose(0, 2, 3, 1).repeat(3, 3), y),
    "adds one channel": (x[:, 0], y),
    "y.argmax(1)": (x, np.eye(10)[y]),
    "y.astype(int)": (x, y.astype(np.float32)),
    "ToTensor()": Subset(Digits(), range(12)),
    "needs one label per image": (x, y[:10]),
    "data is a Tensor": torch.tensor(x),
    "did you mean 'digits'": "digit",
    "choose a part": {"val": some},
}
for way_out, data in slips.items():
    try:
        rbmix.evaluate(net, data, "fgsm", eps=8 / 255)
    except rbmix.RbmixError as error:
        assert way_out in str(error), error
        assert "\n" not in str(error)
    else:
        raise AssertionError(way_out)

# %% the way out for a network that wants normalised images
normalised = nn.Sequential(transforms.Normalize([0.5], [0.25]), net)
rbmix.evaluate(normalised, (x, y), "fgsm", eps=8 / 255)

# %% the same from dictionaries with both parts, as hubs give them
parts = {"train": train_set, "test": some}
assert rbmix.evaluate(net, parts, "fgsm", eps=8 / 255).run.header.n == 12
