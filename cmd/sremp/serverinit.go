package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/relay"
	"github.com/sremp/sremp/rendezvous"
)

const (
	// serverConfigFile is the configuration in a server's directory.
	serverConfigFile = "server.conf"
	// The directory and the configuration of the Debian package's service.
	packageDir    = "/var/lib/sremp"
	packageConfig = "/etc/sremp/server.conf"

	defaultServerDir = "sremp-server"
)

// errNoServer is what the commands about a server say where there is none.
var errNoServer = errors.New("there is no server in that directory; make one with sremp server init, or name another with --dir")

// serverDir returns the directory that a command means whose --dir is dir: the
// package's, if none was named and there is none here.
func serverDir(dir string) string {
	if dir != defaultServerDir {
		return dir
	}
	if _, err := os.Stat(filepath.Join(dir, serverKeyFile)); err == nil {
		return dir
	}
	if _, err := os.Stat(filepath.Join(packageDir, serverKeyFile)); err == nil {
		return packageDir
	}
	return dir
}

// serverConfig returns the configuration that a server in dir has if no other is
// named, "" if there is none.
func serverConfig(dir string) string {
	paths := []string{filepath.Join(dir, serverConfigFile)}
	if filepath.Clean(dir) == packageDir {
		paths = append(paths, packageConfig)
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

func (a *app) serverInit() *cobra.Command {
	var dir, public, listen string
	var show bool
	cmd := &cobra.Command{
		Use:   "init [--dir DIR] [--public HOST:PORT]",
		Short: "Make a server: its key and a configuration with comments; prints its address",
		Long: "Make a server's key and a configuration in which every setting is explained, and print the address\n" +
			"with the key, as text and as a QR code. Nothing is asked. What is there already stays as it is, so that\n" +
			"it also shows the address again.",
		Example: "  sremp server init --public chat.example.org:4433\n  sremp server run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if show {
				_, err := a.stdout.Write(configText("", ""))
				return err
			}
			return a.initServer(serverDir(dir), listen, public)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultServerDir, "`directory` to make it in")
	cmd.Flags().StringVar(&public, "public", "", "the `address` where clients will reach it; else an address of this machine")
	cmd.Flags().StringVar(&listen, "listen", defaultServerListen, "UDP `address` that it will listen on")
	cmd.Flags().BoolVar(&show, "print-config", false, "print a configuration and make nothing")
	return cmd
}

func (a *app) initServer(dir, listen, public string) error {
	if _, err := parsePublic(public); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "" || port == "0" {
		return usageError{fmt.Errorf("--listen takes HOST:PORT, not %q", listen)}
	}
	keyPath := filepath.Join(dir, serverKeyFile)
	if _, err := os.Stat(keyPath); errors.Is(err, fs.ErrNotExist) {
		_, unlock, err := openServerDir(dir)
		if err != nil {
			return err
		}
		defer unlock()
		a.say("made a key in %s: keep it, it is the server's address", keyPath)
	}
	config := serverConfig(dir)
	if config == "" {
		config = filepath.Join(dir, serverConfigFile)
		if public == "" {
			public = ownPublic(listen)
		}
		if err := writeFileAtomic(config, configText(listen, public)); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
		a.say("wrote %s: every setting is explained there", config)
	} else {
		a.say("the configuration in %s stays as it is", config)
	}
	if err := adopt(dir); err != nil {
		return err
	}
	addr, guessed, err := serverAddress(dir)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.stdout, "address: %s\n", addr); err != nil {
		return err
	}
	if err := drawQR(a.stdout, addr.String()); err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(addr.Host); guessed && err == nil && addrRank(ip) != 4 {
		a.say("%s is an address of a private network or of this machine: if clients come from elsewhere, put the public one into %s: public = HOST:PORT", ip, config)
	}
	a.say("UDP port %d must be reachable, and the TCP ports of \"websocket\" for clients without UDP", addr.Port)
	if dir == packageDir {
		a.say("start it with: systemctl enable --now sremp-server")
	} else {
		a.say("start it with: sremp server run --dir %s", dir)
	}
	return nil
}

// ownPublic returns this machine's public address with the port of listen, "" if
// no interface has one.
func ownPublic(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() {
		ip, _ = interfaceAddr()
	}
	if addrRank(ip) != 4 && addrRank(ip) != 2 {
		return ""
	}
	return net.JoinHostPort(ip.String(), port)
}

// serverAddress returns the address of the server in dir without starting it;
// guessed if it was not configured.
func serverAddress(dir string) (addr identity.ServerAddr, guessed bool, err error) {
	path := filepath.Join(dir, serverKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return addr, false, fmt.Errorf("%w (%s)", errNoServer, dir)
	}
	key, err := loadServerKey(path)
	if err != nil {
		return addr, false, err
	}
	listen, public := defaultServerListen, ""
	if config := serverConfig(dir); config != "" {
		all, err := configFile(config)
		if err != nil {
			return addr, false, err
		}
		listen, public = valueOf(all, "listen", listen), valueOf(all, "public", "")
	}
	if addr, err = parsePublic(public); err != nil {
		return addr, false, err
	}
	addr.ID = key.ID()
	if addr.Host != "" {
		return addr, false, nil
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return addr, false, usageError{fmt.Errorf("the configuration's listen is HOST:PORT, not %q", listen)}
	}
	at, err := net.ResolveUDPAddr("udp", listen)
	if err != nil || at.Port == 0 {
		return addr, false, usageError{fmt.Errorf("the configuration's listen has no port: %q", port)}
	}
	ip := at.AddrPort().Addr().Unmap()
	if !ip.IsValid() || ip.IsUnspecified() {
		ip, _ = interfaceAddr()
	}
	addr.Host, addr.Port = ip.String(), uint16(at.Port)
	return addr, true, nil
}

// valueOf returns a setting of a configuration file.
func valueOf(all []setting, name, other string) string {
	for _, s := range all {
		if s.name == name {
			return s.value
		}
	}
	return other
}

// settingOrder puts first what operators change; the other flags follow by name.
var settingOrder = []string{"listen", "public", "websocket", "admission", "metrics", "database", "domain", "tls-cert", "tls-key", "gossip", "second-address"}

// configText is a configuration that sets what is not empty, and has every other
// setting with its default as a comment.
func configText(listen, public string) []byte {
	var b bytes.Buffer
	b.WriteString("# The configuration of sremp server run. Lines that begin with # are comments: those with a\n" +
		"# setting show its default. The command line overrides what stands here. SIGHUP (systemctl reload\n" +
		"# sremp-server) reads the limits of the relay again; all else needs a restart.\n")
	set := map[string]string{"listen": listen, "public": public}
	hints := map[string]string{
		"public":    "# It is part of the address that users get. Without it an address of this machine is taken.\n",
		"websocket": "# Strict networks let nothing but TCP 443 through: if no web server runs here, :443,:4433 serves them.\n",
		"admission": "# With token, sremp server token new makes what an owner shows once.\n",
		"metrics":   "# For example 127.0.0.1:9433. sremp server status needs none.\n",
		"database":  "# For example host=/var/run/postgresql dbname=sremp. When to have one: docs/self-hosting.md.\n",
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o := serverOptions{relay: true, rendezvous: true}
	addServerFlags(flags, &o)
	names := slices.Clone(settingOrder)
	flags.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(names, f.Name) && f.Name != "config" && f.Name != "dir" {
			names = append(names, f.Name)
		}
	})
	for _, name := range names {
		f := flags.Lookup(name)
		_, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&b, "\n# %s%s.\n%s", strings.ToUpper(usage[:1]), usage[1:], hints[name])
		switch {
		case set[name] != "":
			fmt.Fprintf(&b, "%s = %s\n", name, set[name])
		case strings.Trim(f.DefValue, "[]") == "":
			fmt.Fprintf(&b, "# %s =\n", name)
		default:
			fmt.Fprintf(&b, "# %s = %s\n", name, f.DefValue)
		}
	}
	b.WriteString("\n# Limits of the relay: numbers, bytes, bytes a second, or times such as 720h (docs/spec, section 6.7).\n")
	for _, l := range relay.DefaultLimits().Texts() {
		fmt.Fprintf(&b, "# %s%s = %s\n", limitPrefix, l[0], l[1])
	}
	b.WriteString("\n# Limits of the rendezvous: numbers, times, or rates such as 16/10s: 16 at once and one more every 10 s\n# (docs/spec, section 7.7).\n")
	for _, l := range rendezvous.DefaultLimits().Texts() {
		fmt.Fprintf(&b, "# %s%s = %s\n", rendezvousPrefix, l[0], l[1])
	}
	return b.Bytes()
}

// adopt gives what root has made in a server's directory to the directory's
// owner: the service runs as a user of its own.
func adopt(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	uid, gid, err := ownerOf(dir)
	if err != nil || uid == 0 {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		u, _, err := ownerOf(path)
		if err == nil && u == 0 {
			err = os.Lchown(path, uid, gid)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // SQLite's files come and go
			return fmt.Errorf("giving %s to the server's user: %w", path, err)
		}
	}
	return nil
}
