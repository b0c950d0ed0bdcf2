#!/usr/bin/env bash
# Holds programs against their lab.check on a fresh virtual machine with
# Debian 12 or Ubuntu, as root; its exit status is lab's. Whatever starts
# machines can run it:
#
#   scp -r examples/ci/vm.sh my-service root@vm:
#   ssh root@vm ./vm.sh my-service        # the directory of lab.check
#   scp -r root@vm:my-service/results .
set -euo pipefail

dir=${1:?the directory of lab.check}
repository=${LAB_REPOSITORY:-https://github.com/seed-6fefc909/tcplab}
source=${LAB_SOURCE:-/opt/lab}

export DEBIAN_FRONTEND=noninteractive
command -v git >/dev/null || {
	apt-get -qq update
	apt-get -qq install --yes --no-install-recommends ca-certificates git
}
[[ -d $source ]] || git clone --quiet --depth 1 "$repository" "$source"

# Installs Go if need be, builds lab, and tries it: a machine on which this
# does not work is no machine to check on.
"$source/scripts/run" kill >/dev/null

cd "$dir"
exec "$source/bin/lab" check lab.check --out results
