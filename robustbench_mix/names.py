"""The names that rbmix itself gives to models and data sets, known without building either."""

from __future__ import annotations

MODELS = {
    "resnet14": "the paper's CIFAR ResNet, n = 2",
    "resnet20": "the paper's CIFAR ResNet, n = 3",
    "resnet26": "the paper's CIFAR ResNet, n = 4",
    "resnet32": "the paper's CIFAR ResNet, n = 5",
    "resnet38": "the paper's CIFAR ResNet, n = 6",
    "resnet18": "torchvision's ResNet-18, every spatial convolution made separable",
    "resnet34": "torchvision's ResNet-34, every spatial convolution made separable",
    "convmixer4": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 4",
    "convmixer6": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 6",
    "convmixer8": "the paper's ConvMixer: width 128, kernel 8, patch 1, depth 8",
    "convmixer256_8": "ConvMixer 256/8 of its authors: kernel 5, patch 2",
}
DATASETS = {
    "digits": "1,797 handwritten digits, 8x8 grey, 10 classes; shipped with scikit-learn",
    "cifar10": "60,000 photographs, 32x32 colour, 10 classes; downloaded by torchvision",
    "cifar100": "60,000 photographs, 32x32 colour, 100 classes; downloaded by torchvision",
}
