#!/bin/sh
# Builds what is given to others: one static program, its checksum, and Debian
# packages. Two builds of one commit give the same bytes, wherever they are made
# with the same Go and C compiler (make dist-check).
#
#   scripts/dist.sh DIR [server] [desktop]
#
#   SREMP_PROGRAM   a program built already, to be packed instead of a new one
#   SREMP_MAKER     the program that writes manual, completions and configuration
#   SREMP_VERSION   another version than the program's own, for tests
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
out=${1:?usage: scripts/dist.sh DIR [server] [desktop]}
shift
[ $# -gt 0 ] || set -- server

export CC=clang CGO_ENABLED=1 LC_ALL=C TZ=UTC
umask 022
version=${SREMP_VERSION:-$(sed -n 's/^const programVersion = "\(.*\)"$/\1/p' cmd/sremp/version.go)}
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
if [ "$commit" != unknown ] && ! git diff --quiet HEAD 2>/dev/null; then
	commit="$commit with changes"
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export SOURCE_DATE_EPOCH
compression=-Zxz
[ -z "${SREMP_PROGRAM:-}" ] || compression='-Zgzip -z1' # a test's: nobody downloads it
arch=$(dpkg --print-architecture 2>/dev/null || echo amd64)
mkdir -p "$out"
out=$(cd "$out" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build NAME TAGS LDFLAGS PACKAGE: paths, times and build ids of this machine stay out of it.
build() {
	$GO build -trimpath -buildvcs=false -o "$1" -tags "$2" -ldflags "-s -w -buildid= -X 'main.buildCommit=$commit' -linkmode external -extldflags '$3 -Wl,--build-id=none'" "$4"
}

# pack NAME ROOT: a Debian package of the tree ROOT with the files of packaging/NAME.
pack() {
	name=$1 root=$2
	mkdir -p "$root/DEBIAN"
	size=$(du -k -s --apparent-size "$root" | cut -f1)
	sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/" "packaging/$name/control" >"$root/DEBIAN/control"
	for f in conffiles postinst prerm postrm; do
		[ ! -e "packaging/$name/$f" ] || cp "packaging/$name/$f" "$root/DEBIAN/"
	done
	for f in postinst prerm postrm; do
		[ ! -e "$root/DEBIAN/$f" ] || chmod 755 "$root/DEBIAN/$f"
	done
	install -Dm644 packaging/copyright "$root/usr/share/doc/sremp-$name/copyright"
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	# shellcheck disable=SC2086 # options
	dpkg-deb --root-owner-group $compression --build "$root" "$out/sremp-${name}_${version}_$arch.deb" >/dev/null
}

server() {
	program=$out/sremp
	if [ -n "${SREMP_PROGRAM:-}" ]; then
		cp "$SREMP_PROGRAM" "$program"
	else
		build "$program" 'netgo osusergo sqlite_omit_load_extension' -static ./cmd/sremp
	fi
	root=$tmp/server
	install -Dm755 "$program" "$root/usr/bin/sremp"
	install -Dm644 packaging/sremp-server.service "$root/lib/systemd/system/sremp-server.service"
	mkdir -p "$root/etc/sremp" "$root/usr/share/man/man1"
	maker=${SREMP_MAKER:-$program}
	"$maker" server init --print-config >"$root/etc/sremp/server.conf"
	mkdir "$tmp/home"
	env -i HOME="$tmp/home" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$maker" manual "$root/usr/share/man/man1"
	gzip -9n "$root"/usr/share/man/man1/*.1
	for pair in bash:bash-completion/completions/sremp zsh:zsh/vendor-completions/_sremp fish:fish/vendor_completions.d/sremp.fish; do
		install -d "$root/usr/share/$(dirname "${pair#*:}")"
		"$maker" completion "${pair%%:*}" >"$root/usr/share/${pair#*:}"
	done
	for f in grafana.json alerts.yml; do
		[ ! -e "packaging/$f" ] || install -Dm644 "packaging/$f" "$root/usr/share/doc/sremp-server/$f"
	done
	pack server "$root"
}

desktop() {
	program=$out/sremp-desktop
	if [ -n "${SREMP_PROGRAM:-}" ]; then
		cp "$SREMP_PROGRAM" "$program"
	else
		build "$program" gtk '' ./cmd/sremp-desktop
	fi
	root=$tmp/desktop
	install -Dm755 "$program" "$root/usr/bin/sremp-desktop"
	# The launcher, its icon and its page in software centres.
	for f in cmd/sremp-desktop/data/*.desktop; do
		[ ! -e "$f" ] || install -Dm644 "$f" "$root/usr/share/applications/$(basename "$f")"
	done
	for f in cmd/sremp-desktop/data/*.metainfo.xml; do
		[ ! -e "$f" ] || install -Dm644 "$f" "$root/usr/share/metainfo/$(basename "$f")"
	done
	for f in cmd/sremp-desktop/data/*.svg; do
		[ ! -e "$f" ] || install -Dm644 "$f" "$root/usr/share/icons/hicolor/scalable/apps/$(basename "$f")"
	done
	pack desktop "$root"
}

for part in "$@"; do
	case $part in
	server | desktop) "$part" ;;
	*) echo "dist: there is no part $part" >&2 && exit 2 ;;
	esac
done
(cd "$out" && sha256sum $(ls | grep -v SHA256SUMS) >SHA256SUMS)
