#!/bin/sh
# Installs what `make run` or `make test` needs on Debian and Ubuntu.
#
#   scripts/setup.sh run|test
#
# Ends with 0 when everything is there, with 2 when a person has to do
# something, which it then says. Nothing is installed that is there already.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where nft and ip live; not in every user's PATH
GO=${GO:-go}
goal=${1:?usage: scripts/setup.sh run|test}

say() { echo "setup: $*" >&2; }

# Go first: everything else would be installed in vain without it.
if ! command -v "$GO" >/dev/null 2>&1; then
	say "Go 1.26 or newer is needed and there is no go command; install it from https://go.dev/dl/ and put it in your PATH."
	exit 2
fi
version=$(GOTOOLCHAIN=local "$GO" env GOVERSION)
major_minor=${version#go}
major=${major_minor%%.*}
rest=${major_minor#*.}
minor=${rest%%[!0-9]*}
if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "${minor:-0}" -lt 26 ]; }; then
	say "Go 1.26 or newer is needed, this is $version; install a newer one from https://go.dev/dl/."
	exit 2
fi

needed=   # packages without which it cannot go on
optional= # packages without which it can do less

has_command() { command -v "$1" >/dev/null 2>&1; }
need() { # package probe...: the package is missing if the probe fails
	package=$1
	shift
	"$@" >/dev/null 2>&1 || needed="$needed $package"
}
want() {
	package=$1
	shift
	"$@" >/dev/null 2>&1 || optional="$optional $package"
}

need clang has_command clang
need libc6-dev test -e /usr/include/stdio.h
want nftables has_command nft
want iproute2 has_command ip
if [ "$goal" = test ]; then
	want miniupnpd-nftables test -x /usr/sbin/miniupnpd
	want nodejs has_command node
	want npm has_command npm
	need pkg-config has_command pkg-config
	need libgtk-4-dev pkg-config --exists gtk4
	need libgirepository1.0-dev pkg-config --exists gobject-introspection-1.0
	need xvfb has_command Xvfb
	need xauth has_command xauth
	need dbus has_command dbus-run-session
	want desktop-file-utils has_command desktop-file-validate
	want appstream has_command appstreamcli
	want gnome-keyring has_command gnome-keyring-daemon
	need dbus-x11 has_command dbus-launch
	need xdotool has_command xdotool
	need imagemagick has_command import
	need at-spi2-core test -e /usr/share/dbus-1/services/org.a11y.Bus.service
	need adwaita-icon-theme test -d /usr/share/icons/Adwaita
	need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/postgres'
	need fonts-noto-color-emoji test -e /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
	want coturn has_command turnserver # figures are taken beside it
	need fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
fi

missing=${needed}${optional}
[ -n "$missing" ] || exit 0

by_hand="apt-get update && sudo apt-get install -y --no-install-recommends$missing"
if ! has_command apt-get; then
	if [ -z "$needed" ]; then
		say "going on without$optional: the demo will have no NAT routers, or their tests are skipped."
		exit 0
	fi
	say "this is not Debian or Ubuntu; install what these Debian packages hold, then run make again:$missing"
	exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif has_command sudo && sudo -n true 2>/dev/null; then
	as_root="sudo -n"
elif [ -z "$needed" ]; then
	say "going on without$optional: the demo will have no NAT routers, or their tests are skipped. To have them: sudo $by_hand"
	exit 0
else
	say "some packages are missing and there is no right to install them; run this line, then make again:"
	echo "sudo $by_hand" >&2
	exit 2
fi

say "installing with apt-get:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	# shellcheck disable=SC2086 # as_root is two words or none
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1
}
case $missing in
*postgresql*)
	# The tests run servers of their own; the package would start one for the
	# whole machine.
	$as_root mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] ||
		echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
	;;
esac
case $missing in
*coturn*)
	# The comparison runs a server of its own; the package would start one for
	# the whole machine, now and at each boot.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
		$as_root chmod 755 $policy
		trap 'rm -f "$log"; $as_root rm -f $policy' EXIT
	fi
	;;
esac
# shellcheck disable=SC2086 # a list of words
if ! apt update || ! apt install -y --no-install-recommends $missing; then
	cat "$log" >&2
	if [ -z "$needed" ]; then
		say "apt-get failed; going on without$optional."
		exit 0
	fi
	say "apt-get failed as shown above; mend that, then run make again."
	exit 2
fi
case $missing in
*coturn*)
	if has_command systemctl; then
		$as_root systemctl disable coturn >"$log" 2>&1 || say "coturn may start with the machine: sudo systemctl disable coturn"
	fi
	;;
esac
