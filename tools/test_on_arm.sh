#!/usr/bin/env bash
# Run tests on an emulated 64-bit Arm processor, the kind that Macs have. For Debian and Ubuntu on other processors.
#
#     tools/test_on_arm.sh FOLDER [PYTEST ARGUMENT ...]
#     tools/test_on_arm.sh FOLDER --minicnn [ARGUMENT ...]
#
# The first form runs pytest, on tests/kernels and tests/ops by default. The second form runs the command minicnn.
#
# The first call puts Debian's Python for Arm and the packages that minicnn needs into FOLDER: about 1 GB. Nothing is
# installed and no container is used. An emulated processor is ten to thirty times as slow as a real one. Tests that start
# Python a second time fail with "Exec format error": only the first program is emulated. So do those of CUDA C on a
# stand-in for a GPU, which g++ compiles for this machine: -k "not fake" leaves most of them out.
#
# Needed: the Debian packages debootstrap and qemu-user-static, and a python3 with pip.
set -euo pipefail

if (($# == 0)) || [[ $1 == -* ]]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
export PATH=$PATH:/usr/sbin # where debootstrap is
for command in debootstrap qemu-aarch64-static python3; do
    if ! command -v "$command" >/dev/null; then
        echo "$0: $command is not installed: see the first lines of this file" >&2
        exit 2
    fi
done

mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
root=$folder/root packages=$folder/packages
python=python3.11 # the one of Debian bookworm

if [[ ! -e $folder/root.done ]]; then
    rm -rf "$root"
    debootstrap --arch=arm64 --foreign --variant=minbase \
        --include="$python,lib$python-stdlib,libgomp1,libstdc++6" bookworm "$root"
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg -x "$package" "$root" # debootstrap's second stage needs root and a chroot
    done
    touch "$folder/root.done"
fi

if [[ ! -e $folder/packages.done ]]; then
    rm -rf "$packages"
    # By name, because pip would read the requirements of minicnn for this machine instead of for Arm.
    python3 -m pip install --quiet --target "$packages" --only-binary=:all: --python-version "${python#python}" \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
        numpy numba matplotlib tqdm threadpoolctl safetensors Pillow click filelock platformdirs packaging \
        pytest hypothesis pyyaml
    touch "$folder/packages.done"
fi

if (($# == 0)); then
    set -- tests/kernels tests/ops --ignore=tests/kernels/test_cuda_kernels.py -k "not fake"
fi
if [[ $1 == --minicnn ]]; then
    shift
    set -- -m minicnn "$@"
else
    set -- -m pytest -p no:cacheprovider "$@"
fi
export PYTHONHOME=$root/usr PYTHONPATH=$packages:$PWD PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=$folder/numba
# Vectors of 128 bits, as in a Mac. With -cpu max there would be longer ones too (SVE), which few processors have.
exec qemu-aarch64-static -L "$root" -cpu cortex-a76 "$root/usr/bin/$python" "$@"
