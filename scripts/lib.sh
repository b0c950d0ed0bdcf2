# shellcheck shell=bash
# What the scripts share. To be sourced; it changes into the project's folder.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# section prints a heading.
section() { printf '\n== %s\n' "$*"; }

# die says what is wrong, each argument a line, and ends the script.
die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	shift
	if (($#)); then printf '%s\n' "$@" >&2; fi
	exit 1
}

need_root() { ((EUID == 0)) || die "needs root" "hint: sudo $0 $*"; }

# Under sudo HOME may be either user's. What root makes belongs into root's.
if ((EUID == 0)); then
	HOME=$(getent passwd 0 | cut -d: -f6)
	export HOME
fi

# as_caller runs a command as the user who called sudo, so that what it makes,
# caches included, is that user's; as root, who then was called by nobody, if
# there is no such user or the tree is not theirs to write.
as_caller() {
	if ((EUID != 0)) || [[ -z ${SUDO_UID:-} || ${SUDO_UID} == 0 || $(stat -c %u .) != "${SUDO_UID}" ]]; then
		env -u SUDO_UID -u SUDO_GID -- "$@"
		return
	fi
	local home group
	home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
	group=$(id -g "$SUDO_UID")
	if [[ -d bin ]]; then chown -R "$SUDO_UID:$group" bin; fi
	env HOME="$home" setpriv --reuid="$SUDO_UID" --regid="$group" --init-groups -- "$@"
}

# at_least tells whether a version is not older than another.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

go_wanted() { awk '$1 == "go" { print $2; exit }' go.mod; }

# find_go puts a Go that can build this module first in PATH. Sudo leaves the
# PATH of the caller out, so the usual places are looked into too. A Go that is
# older, but can fetch the one that go.mod asks for, will do.
find_go() {
	local wanted dir version caller_home=""
	wanted=$(go_wanted)
	if [[ -n ${SUDO_UID:-} ]]; then caller_home=$(getent passwd "$SUDO_UID" | cut -d: -f6); fi
	local dirs=()
	if dir=$(command -v go); then dirs+=("$(dirname "$dir")"); fi
	dirs+=(/usr/local/go/bin /usr/lib/go-*/bin /snap/bin "$HOME"/{go,sdk/go*}/bin)
	if [[ -n $caller_home ]]; then dirs+=("$caller_home"/{go,sdk/go*}/bin); fi
	for dir in "${dirs[@]}"; do
		[[ -x $dir/go ]] || continue
		version=$(cd / && GOTOOLCHAIN=local "$dir/go" env GOVERSION 2>/dev/null) || continue
		version=${version#go}
		at_least "${version%% *}" 1.21 || continue
		if ! at_least "${version%% *}" "$wanted"; then
			as_caller env GOTOOLCHAIN=auto "$dir/go" env GOVERSION >/dev/null || continue
			export GOTOOLCHAIN=auto
		fi
		[[ $(command -v go) == "$dir/go" ]] || PATH=$dir:$PATH
		return 0
	done
	return 1
}

# build makes bin/NAME of the package in a folder. No version control stamp:
# git refuses to look at a tree that belongs to another user.
build() { as_caller env CGO_ENABLED=0 go build -buildvcs=false -trimpath -o "bin/$1" "./$2"; }
