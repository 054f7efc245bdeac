#!/bin/sh
# patched.plain.x86_64.mincore of 2026-11-22T190102Z-7f3a
# seed 1; ends with Ctrl-C
# shellcheck disable=SC2016
set -eu
cd "$(dirname "$0")"
dir=$(mktemp -d)
disks=$(printf '%s' "$dir" | sed 's/,/,,/g')
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
truncate -s 64M "$dir/disk0.raw"
qemu-system-x86_64 \
  -M microvm \
  -m 512M \
  -nodefaults \
  -no-reboot \
  -serial stdio \
  -kernel ../../builds/patched.plain.x86_64/image \
  -append 'console=ttyS0 panic=-1 x=$HOME'"'"'s' \
  -drive if=none,id=d0,file="$disks/disk0.raw",format=raw,cache=unsafe \
  -device virtio-blk-device,drive=d0
