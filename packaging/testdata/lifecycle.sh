#!/bin/sh
# The life of the server's package on a machine that is a copy of this one whose
# writes are forgotten: installed, started by its unit's command line, upgraded
# with mail waiting, removed, purged.
#
#   unshare -mnpf --kill-child --propagation private lifecycle.sh OLD.deb NEW.deb WORK
#
# Prints a line for each step that held.
set -eu
old=$1 new=$2 work=$3

if [ -z "${INSIDE:-}" ]; then
	mount -t tmpfs tmpfs "$work/machine"
	cd "$work/machine"
	mkdir upper inner root
	mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/inner" root
	mount -t proc proc root/proc
	mount --bind /dev root/dev
	mount -t tmpfs tmpfs root/run
	ip link set lo up
	INSIDE=1 exec chroot root /bin/sh "$0" "$@"
fi

PATH=/usr/sbin:/usr/bin:/sbin:/bin
HOME=$work
LC_ALL=C
export PATH HOME LC_ALL SREMP_PASSPHRASE=
cd /

patience=600 # tenths of a second
until_true() { # what it is about, then a command
	what=$1
	shift
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt $patience ] || {
			echo "waited in vain for: $what" >&2
			tail -n 20 "$work"/*.log >&2
			exit 1
		}
		sleep 0.1
	done
}
no_file() { [ ! -e "$1" ]; }

server=
# What systemd does with the unit: its directory, its user, its privileges, its
# command line.
start() {
	install -d -m 700 -o nobody -g nogroup /var/lib/sremp
	line=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/sremp-server.service)
	# shellcheck disable=SC2086 # a command line
	setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs --bounding-set=-all,+net_bind_service \
		--inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service $line >>"$work/server.log" 2>&1 &
	server=$!
	until_true "the server" running
}
running() { sremp server status 2>>"$work/status.log" | grep -q '^running *since'; }
stop() {
	kill -TERM "$server"
	wait "$server"
}
mail() { sremp server status --json | sed 's/.*"mail":\([0-9]*\).*/\1/'; }
ann() { sremp --profile "$work/ann" "$@"; }
bob() { sremp --profile "$work/bob" "$@"; }

dpkg --no-triggers -i "$old" >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; exit 1; }
for f in /usr/bin/sremp /etc/sremp/server.conf /lib/systemd/system/sremp-server.service /usr/share/man/man1/sremp-server-run.1.gz \
	/usr/share/bash-completion/completions/sremp /usr/share/zsh/vendor-completions/_sremp /usr/share/fish/vendor_completions.d/sremp.fish; do
	[ -s $f ] || { echo "the package has no $f" >&2; exit 1; }
done
bash -n /usr/share/bash-completion/completions/sremp
echo "installed $(dpkg-query -W sremp-server)"
if command -v systemd-analyze >/dev/null; then
	mkdir -p /run/systemd
	systemd-analyze verify --man=no /lib/systemd/system/sremp-server.service
	systemd-analyze security --offline=true --threshold=20 /lib/systemd/system/sremp-server.service >"$work/security.log"
	echo "unit verified: $(grep -o 'Overall exposure.*[0-9] [A-Z]*' "$work/security.log")"
fi

sed -i 's/^# public =.*/public = 127.0.0.1:4433/; s/^# websocket =.*/websocket = :443,:4433/' /etc/sremp/server.conf
start
grep -q 'WebSocket on TCP .*:443$' "$work/server.log"
echo "started as nobody, with UDP 4433 and TCP 443"
address=$(sremp server init 2>>"$work/status.log" | sed -n 's/^address: //p')
[ "$address" = "$(sed -n 's/^address: //p' "$work/server.log" | head -1)" ]
ann init --name Ann --server "$address" >/dev/null 2>&1
bob init --name Bob --server "$address" >/dev/null 2>&1
sremp --profile "$work/bob" listen --no-port-mapping --no-lan >"$work/bob.log" 2>&1 &
listener=$!
until_true "Bob's client" bob whoami >/dev/null
bob add "$(ann invite 2>/dev/null)" >/dev/null 2>&1
ann send Bob "before the upgrade, delivered" --wait delivered --timeout 2m >/dev/null
kill "$listener"
wait "$listener" || true
ann send Bob "before the upgrade, waiting" --wait held --timeout 2m >/dev/null
waiting=$(mail)
[ "$waiting" -ge 1 ]
echo "mail is waiting"

cp /var/lib/sremp/server.key "$work/key"
dpkg --no-triggers --force-confold -i "$new" >"$work/dpkg.log" 2>&1 </dev/null || { cat "$work/dpkg.log" >&2; exit 1; }
stop # as the package does where systemd runs
start
cmp -s /var/lib/sremp/server.key "$work/key"
[ "$(mail)" = "$waiting" ]
[ "$(stat -c %U /var/lib/sremp/relay.db)" = nobody ]
echo "upgraded to $(dpkg-query -W sremp-server), the mail is there"
sremp --profile "$work/bob" listen --no-port-mapping --no-lan >"$work/bob.log" 2>&1 &
listener=$!
until_true "the mail" grep -aq "before the upgrade, waiting" "$work/bob.log"
ann send Bob "after the upgrade" --wait delivered --timeout 2m >/dev/null
until_true "the message" grep -aq "after the upgrade" "$work/bob.log"
echo "the mail came, and what was sent after it"

sremp server backup /root/sremp.backup
sremp server token new >/dev/null
kill "$listener"
stop
dpkg --no-triggers -r sremp-server >"$work/dpkg.log" 2>&1
no_file /usr/bin/sremp
no_file /lib/systemd/system/sremp-server.service
cmp -s /var/lib/sremp/server.key "$work/key"
echo "removed, the key is kept"
dpkg --no-triggers -i "$new" >"$work/dpkg.log" 2>&1 </dev/null
mkdir "$work/other"
sremp server restore --dir "$work/other" /root/sremp.backup
dpkg --no-triggers -P sremp-server >"$work/dpkg.log" 2>&1
no_file /var/lib/sremp
no_file /etc/sremp
echo "purged"
