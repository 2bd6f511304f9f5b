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

# The test suite, with what needs a card: full precision of verdicts, and CUDA graphs.
suite() {
    timeout 530 python3 -m pytest -q "$(dirname "$0")/.." >"$out/tests-cuda.txt" 2>&1
}

# The full training recipe of one pair, timed (the paper: 30.7 and 25.7 minutes).
train_pair() {
    for spatial in learned frozen; do
        rbmix train --model resnet14 --spatial "$spatial" --dataset "$data" --device cuda --json \
            >"$out/train-resnet14-$spatial.json"
    done
}

# FGSM, PGD and AutoAttack on 1,000 images of that pair, with the fast backend.
attack_pair() {
    for attack in fgsm pgd autoattack autoattack-audited; do
        for spatial in learned frozen; do
            rbmix evaluate --model resnet14 --spatial "$spatial" --dataset "$data" \
                --attack "$attack" --examples 1000 --device cuda --out "$out/results"
        done
    done
}

# The table of `rbmix bench` on this card, in pieces that fit a call. The adversarially trained
# network and the pair are trained by the first piece that needs them.
bench_part() {
    rbmix bench --dataset "$data" --device cuda --examples "$2" --parts "$1" --out "$out/bench/$1"
}
bench_steps() { bench_part steps,memory 16; }
bench_pgd() { bench_part pgd 128; }
bench_autoattack() { bench_part autoattack 128; }
bench_adversarial() { bench_part adversarial 128; }
bench_two_step() { bench_part two-step 64; }
bench_training() { bench_part training 200; }
bench_audited() { bench_part audited 1000; }

# CUDA graphs against launches, on this card: whether they are worth their memory.
graphs() {
    python3 "$(dirname "$0")/bench_graphs.py" >"$out/graphs-cuda.md"
}

# Two-step against composed, on this card.
composed() {
    python3 "$(dirname "$0")/bench_composed.py" --device cuda >"$out/composed-cuda.md"
}

# CUDA against CUDA to the byte and CPU against CUDA image by image, on small networks: fails where
# an image differs that is not within rounding of an epsilon. It goes on where it stopped.
same_cuda() {
    timeout 530 python3 "$(dirname "$0")/../same/same.py" "$out/same" --parts cuda \
        >"$out/same-cuda.md"
}

# How long the paper's grids would take on cards like this one: CIFAR-10's by its plan, ImageNet's by
# timed steps.
plans() {
    for workers in 1 8 1000; do
        rbmix sweep fig8 --plan --workers "$workers" --dataset "$data" --device cuda \
            --out "$out/planned" | tail -n 1
    done >"$out/plans-cuda.md"
    timeout 300 python3 "$(dirname "$0")/imagenet.py" --device cuda --batch 64 >>"$out/plans-cuda.md"
}

# The same AutoAttack curves through the libraries, to compare image by image.
attack_pair_reference() {
    for spatial in learned frozen; do
        rbmix evaluate --model resnet14 --spatial "$spatial" --dataset "$data" \
            --backend reference --attack autoattack --examples 1000 --batch-size 1000 \
            --device cuda --out "$out/results"
    done
}

# The learned and the frozen network with four more seeds.
seeds() {
    for seed in 1 2 3 4; do
        for spatial in learned frozen; do
            for attack in fgsm pgd; do
                rbmix evaluate --model resnet14 --spatial "$spatial" --seed "$seed" \
                    --dataset "$data" --attack "$attack" --examples 1000 \
                    --device cuda --out "$out/results"
            done
        done
    done
}

# The paper's grid with five seeds, all test images; then the other sweeps. Hours: each call goes
# on where the last one stopped.
sweep() { rbmix sweep "$1" --dataset "$data" --device cuda --out "$out/results" "${@:2}"; }
sweep_fig8() { sweep fig8 --examples 10000; }
sweep_static() { sweep static; }
sweep_smoothing() { sweep smoothing; }
sweep_capacity() { sweep capacity; }
sweep_controls() { sweep controls; }
sweep_unshuffle() { sweep unshuffle; }

# The planned answer, on all test images; then its other parts.
sweep_answer() {
    sweep answer-pair --examples 10000
    for part in answer-dose answer-static answer-convmixer answer-unshuffle; do sweep "$part"; done
}

steps="suite train_pair attack_pair same_cuda graphs plans bench_steps bench_pgd bench_autoattack
    bench_adversarial bench_training bench_two_step bench_audited attack_pair_reference composed
    sweep_answer seeds sweep_fig8 sweep_static sweep_smoothing sweep_capacity sweep_controls sweep_unshuffle"
for step in "${@:-$steps}"; do
    for name in $step; do
        [ -e "$out/done/$name" ] && continue
        echo "== $name"
        "$name"
        touch "$out/done/$name"
    done
done
