#!/usr/bin/env bash
# The first run on a machine with an NVIDIA GPU, in one command of at most nine minutes:
#
#     OUT=/tmp/out bash benchmarks/gpu_first_run.sh
#
# Python needs minicnn's requirements, CuPy (extra cuda12 or cuda13) and pytest; PyTorch, if it sees the GPU, is raced
# against. Each step has a time of its own, and what it has found is on the disk before the next one begins. There are
# at most eight files in OUT:
#
#     log.txt          everything that was printed
#     steps.jsonl      each step's exit status and seconds; 124 and 137: its time was over, 99: none was left for it
#     smoke.jsonl      benchmarks/gpu_smoke.py: does it run, and does it compute the same as the processor?
#     pytest.xml       the tests that need a GPU
#     probe.jsonl      benchmarks/gpu_probe.py: where the time of a step goes
#     alexnet.json     training steps beside PyTorch's, in float32 and in TF32
#     study.tar        Figure 1 on raw pixels, three seeds, each in a folder of its own
#     four-layer.json  as alexnet.json
#
# CIFAR-10 is read from the folder that the variable CIFAR10 names, or from cifar10/ beside this script, or made there
# by unpack_cifar10.py, if that lies beside it. Without any of them, Figure 1 is drawn from shapes.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.." || exit
LIMIT=${LIMIT:-530} # seconds for everything
OUT=${OUT:-/tmp/gpu-first-run}
python=${PYTHON:-python3}
scratch=$(mktemp -d)
start=$SECONDS

export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 MPLBACKEND=Agg
export CUPY_CACHE_DIR=$scratch/kernels NUMBA_CACHE_DIR=$scratch/numba
mkdir -p "$OUT"
exec > >(tee -a "$OUT/log.txt") 2>&1

# step NAME SECONDS COMMAND...: run a command within its time, and within what is left of all of it.
step() {
    local name=$1 most=$2 left=$((LIMIT - (SECONDS - start))) began=$SECONDS status=99
    shift 2
    ((most < left - 5)) || most=$((left - 5)) # the five seconds are for ending a command that does not want to
    if ((most > 0)); then
        echo "### $name: at most $most s, $((SECONDS - start)) s after the start"
        timeout -k 4 "$most" "$@"
        status=$?
    else
        echo "### $name: no time is left"
    fi
    printf '{"step": "%s", "status": %d, "s": %d}\n' "$name" $status $((SECONDS - began)) >> "$OUT/steps.jsonl"
    return $status
}

# Figure 1, with one process for each seed: a network this small leaves a GPU room for three.
figure_1() {
    local data=(--data shapes) seed
    if [[ -d $CIFAR10 ]]; then
        data=(--data cifar10 --data-dir "$CIFAR10" --epochs 60 --stop-at-target)
    fi
    for seed in 0 1 2; do
        "$python" -m minicnn relu-vs-tanh "${data[@]}" --inputs raw --seeds $seed --device cuda --threads 2 \
            --out "$scratch/study/$seed" > "$scratch/study-$seed.log" 2>&1 &
    done
    wait
    tail -n 4 "$scratch"/study-*.log
    ls "$scratch"/study/*/summary.json | wc -l | grep -qx 3 # each of them has come to its end
}
export -f figure_1
export python scratch

if [[ -z $CIFAR10 ]]; then
    export CIFAR10=$here/cifar10
    if [[ ! -d $CIFAR10 && -f $here/unpack_cifar10.py ]]; then # while the GPU is tested
        CIFAR10=$scratch/cifar10
        timeout 200 "$python" "$here/unpack_cifar10.py" "$CIFAR10" > /dev/null &
        unpacking=$!
    fi
fi

nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
step doctor 40 "$python" -m minicnn doctor
step smoke 90 "$python" -m benchmarks.gpu_smoke --out "$OUT"
smoke=$?

mapfile -t files < <(grep -lE '\b(gpu|device)\b' -r tests --include='test_*.py' | grep -v -e first_run -e tests/docs)
"$python" -c "import xdist" 2> /dev/null && side_by_side=(-n 4)
# An interrupt, and not the end, so that pytest writes down what it knows.
step tests 160 timeout -s INT 150 "$python" -m pytest -m gpu -q -p no:cacheprovider --maxfail 60 --tb short --durations 8 \
    --junitxml "$OUT/pytest.xml" "${side_by_side[@]}" tests/kernels "${files[@]}"

if ((smoke == 0)); then
    "$python" -c "import torch; assert torch.cuda.is_available()" 2> /dev/null && against=(--against torch)
    step probe 50 "$python" -m benchmarks.gpu_probe --out "$OUT"
    step alexnet 100 "$python" -m benchmarks gpu "${against[@]}" --network alexnet --batch 128 --rounds 3 \
        --json "$OUT/alexnet.json"
    [[ -n $unpacking ]] && wait "$unpacking"
    step figure-1 120 bash -c figure_1
    if [[ -d $scratch/study ]]; then
        tar -C "$scratch" -cf "$OUT/study.tar" study
    fi
    step four-layer 60 "$python" -m benchmarks gpu "${against[@]}" --network four-layer --batch 128 --rounds 3 \
        --json "$OUT/four-layer.json"
fi
rm -rf "$scratch"
cat "$OUT/steps.jsonl"
echo "### $((SECONDS - start)) s"
