#!/usr/bin/env bash
# Installs the parts of Ceph that tests/s3 starts, unless they are there. Their daemons are not started.
set -euo pipefail
programs="ceph ceph-authtool ceph-mon ceph-mgr ceph-osd monmaptool radosgw radosgw-admin"
# shellcheck disable=SC2086
if command -v $programs >/dev/null 2>&1 && [ "$(command -v $programs | wc -l)" -eq "$(wc -w <<<"$programs")" ]; then
    exit 0
fi
packages="ceph-mon ceph-mgr ceph-osd ceph-common radosgw"
if [ "$(id -u)" -ne 0 ]; then
    echo "Ceph is missing; install it as root: apt-get install --no-install-recommends $packages" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $packages >/dev/null
