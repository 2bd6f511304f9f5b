#!/usr/bin/env bash
# What is still owed from a GPU, most valuable first.
#
#   tests/benchmarks/on_gpu.sh DATA OUT [STEP...]
#
# DATA is the class folder cifar10-jpeg (or cifar10 where it can be downloaded); OUT receives
# checkpoints and results. Every step is resumable, ends in under nine minutes on one large GPU
# (a longer one goes on at the next call), and leaves a file OUT/done/STEP when it is complete.
# Without STEP, all steps run in order.
set -euo pipefail

data=$1 out=$(mkdir -p "$2" && cd "$2" && pwd)
shift 2
export RBMIX_HOME=$out/home
mkdir -p "$out/done"
rbmix() { timeout 530 python3 -m robustbench_mix "$@"; }

# The full training recipe of one pair, timed (the paper: 30.7 and 25.7 minutes).
train_pair() {
    for spatial in learned frozen; do
        rbmix train --model resnet14 --spatial "$spatial" --dataset "$data" --device cuda --json \
            >"$out/train-resnet14-$spatial.json"
    done
}

# FGSM, PGD and AutoAttack on 1,000 images of that pair.
attack_pair() {
    for attack in fgsm pgd autoattack; do
        for spatial in learned frozen; do
            rbmix evaluate --model resnet14 --spatial "$spatial" --dataset "$data" \
                --attack "$attack" --examples 1000 --batch-size 1000 --device cuda \
                --out "$out/results"
        done
    done
}

# Two-step against composed, on this card.
composed() {
    python3 "$(dirname "$0")/bench_composed.py" --device cuda >"$out/composed-cuda.md"
}

# The same AutoAttack curves on the fast backend, to compare image by image and in time.
attack_pair_fast() {
    for spatial in learned frozen; do
        rbmix evaluate --model resnet14 --spatial "$spatial" --dataset "$data" --backend fast \
            --attack autoattack --examples 1000 --batch-size 1000 --device cuda \
            --out "$out/results"
    done
}

# The learned and the frozen network with four more seeds.
seeds() {
    for seed in 1 2 3 4; do
        for spatial in learned frozen; do
            for attack in fgsm pgd; do
                rbmix evaluate --model resnet14 --spatial "$spatial" --seed "$seed" \
                    --dataset "$data" --attack "$attack" --examples 1000 --batch-size 1000 \
                    --device cuda --out "$out/results"
            done
        done
    done
}

for step in "${@:-train_pair attack_pair attack_pair_fast composed seeds}"; do
    for name in $step; do
        [ -e "$out/done/$name" ] && continue
        echo "== $name"
        "$name"
        touch "$out/done/$name"
    done
done
