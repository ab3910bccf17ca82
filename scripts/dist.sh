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
#   SREMP_MAINTAINER   NAME <ADDRESS> of who gives the packages to others
#   SREMP_SOURCE       where he gives the source, if he changed it
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
maintainer=${SREMP_MAINTAINER:-SREMP <sremp@localhost>} # this machine: packages of one's own have no other
source=${SREMP_SOURCE:-https://github.com/sremp/sremp}
compression=-Zxz
[ -z "${SREMP_PROGRAM:-}" ] || compression='-Zgzip -z1' # a test's: nobody downloads it
arch=$(dpkg --print-architecture 2>/dev/null || echo amd64)
mkdir -p "$out"
out=$(cd "$out" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# build NAME TAGS LDFLAGS PACKAGE: paths, times and build ids of this machine stay out of it.
build() {
	$GO build -trimpath -buildvcs=false -o "$1" -tags "$2" -ldflags "-s -w -buildid= -X 'main.buildCommit=$commit' -X 'main.buildSource=$source' -linkmode external -extldflags '$3 -Wl,--build-id=none'" "$4"
}

# papers DIR: the licence, those of the libraries in the program, and the changes.
papers() {
	mkdir -p "$1"
	{
		sed "s|@SOURCE@|$source|" packaging/copyright
		sed 's/^$/./; s/^/ /' LICENSE
	} >"$1/copyright"
	tags= package=./cmd/sremp
	[ "$name" != desktop ] || tags=gtk package=./cmd/sremp-desktop
	{
		printf '%s\n\n' "The program holds parts of these, under the licences that follow."
		echo "==== Go's standard library ===="
		cat "$($GO env GOROOT)/LICENSE"
		$GO list -tags "$tags" -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' "$package" >"$tmp/modules"
		sort -u "$tmp/modules" | while read -r module number dir; do
			printf '\n==== %s %s ====\n' "$module" "$number"
			find "$dir" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort | xargs -r -d '\n' cat
		done
	} >"$1/licences-of-libraries"
	cp CHANGELOG.md "$1/changelog"
	gzip -9n "$1/licences-of-libraries" "$1/changelog"
}

# pack NAME ROOT: a Debian package of the tree ROOT with the files of packaging/NAME.
pack() {
	name=$1 root=$2
	mkdir -p "$root/DEBIAN"
	papers "$root/usr/share/doc/sremp-$name"
	size=$(du -k -s --apparent-size "$root" | cut -f1)
	sed "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/; s|@MAINTAINER@|$maintainer|; s|@SOURCE@|$source|" "packaging/$name/control" >"$root/DEBIAN/control"
	for f in conffiles postinst prerm postrm; do
		[ ! -e "packaging/$name/$f" ] || cp "packaging/$name/$f" "$root/DEBIAN/"
	done
	for f in postinst prerm postrm; do
		[ ! -e "$root/DEBIAN/$f" ] || chmod 755 "$root/DEBIAN/$f"
	done
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
	# Its help is its manual page.
	mkdir -p "$root/usr/share/man/man1"
	{
		printf '.TH SREMP-DESKTOP 1 "%s" "sremp %s" "User Commands"\n' "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" "$version"
		printf '.SH NAME\nsremp-desktop \\- chat from key to key, in a window\n.SH DESCRIPTION\n.nf\n'
		env -i HOME="$tmp/home" "$program" --help | sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'
		printf '.fi\n.SH SEE ALSO\nsremp(1)\n'
	} >"$root/usr/share/man/man1/sremp-desktop.1"
	gzip -9n "$root/usr/share/man/man1/sremp-desktop.1"
	pack desktop "$root"
}

for part in "$@"; do
	case $part in
	server | desktop) "$part" ;;
	*) echo "dist: there is no part $part" >&2 && exit 2 ;;
	esac
done
(cd "$out" && sha256sum $(ls | grep -v SHA256SUMS) >SHA256SUMS)
