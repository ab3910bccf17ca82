#!/bin/sh
# The desktop's package on a machine that is a copy of this one whose writes are
# forgotten: installed, started, purged.
#
#   unshare -mnpf --kill-child --propagation private desktop.sh DEB WORK
#
# Prints a line for each step that held.
set -eu
deb=$1 work=$2

if [ -z "${INSIDE:-}" ]; then
	mount -t tmpfs tmpfs "$work/machine"
	cd "$work/machine"
	mkdir upper inner root
	mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/inner" root
	mount -t proc proc root/proc
	mount --bind /dev root/dev
	mount -t tmpfs tmpfs root/run
	INSIDE=1 exec chroot root /bin/sh "$0" "$@"
fi

PATH=/usr/sbin:/usr/bin:/sbin:/bin
HOME=$work
LC_ALL=C
export PATH HOME LC_ALL
cd /

dpkg --no-triggers -i "$deb" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; exit 1; }
echo installed
# The loader finds every library before the program reads its flags.
sremp-desktop --help | grep -q '^Usage: sremp-desktop'
echo "it starts"
if command -v desktop-file-validate >/dev/null; then
	desktop-file-validate /usr/share/applications/io.github.sremp.Desktop.desktop
	echo "launcher valid"
fi
if command -v appstreamcli >/dev/null; then
	appstreamcli validate --no-net /usr/share/metainfo/io.github.sremp.Desktop.metainfo.xml >"$work/appstream.log" || { cat "$work/appstream.log" >&2; exit 1; }
	echo "page of software centres valid"
fi
zcat /usr/share/man/man1/sremp-desktop.1.gz | grep -q '^\.TH SREMP-DESKTOP'
echo "its manual page is readable"
dpkg --no-triggers -P sremp-desktop >"$work/dpkg.log" 2>&1
[ ! -e /usr/bin/sremp-desktop ]
echo purged
