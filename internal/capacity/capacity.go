// Package capacity calculates what a number of users needs of servers, from what
// one owner, session, message and lookup was measured to cost. The table in
// docs/self-hosting.md is its output; a test holds it to that.
package capacity

import (
	"fmt"
	"math"
	"strings"
)

// Measured costs; docs/measurements.md says how and on what machine, two cores of
// which the load generator had its part.
const (
	storeCPU        = 2.0 / 40765   // core s a message stored in files: relay.3.sqlite_of_log, both cores
	postgresStores  = 1728.0        // messages a second of one PostgreSQL: relay.3.sqlite_of_postgres_store
	packetCPU       = 3.00e-6       // core s a packet forwarded: relay.1.cpu_plain
	lookupCPU       = 26.81e-6      // core s: rendezvous.1.lookup_cpu
	requestCPU      = 45e-6         // core s of any small request, kernel and QUIC included: rendezvous.2.request_cpu
	registrationCPU = 105.5e-6      // core s a name: rendezvous.2.registration_cpu
	renewalCPU      = 12.25e-6      // core s: rendezvous.2.renewal_cpu
	connMemory      = 68.57e3       // bytes: rendezvous.3.connection_memory
	recordMemory    = 133.4e6 / 1e6 // bytes a record: rendezvous.1.memory
	baseMemory      = 109 << 20     // bytes: relay.4.rss, with 1000 owners
)

// Assumptions about users. Others than these change the result in proportion.
type Assumptions struct {
	Online       float64 // share that is connected at the busiest time
	Messages     float64 // written by one user a day, files not counted
	Mailbox      float64 // share of them that goes through a mailbox
	MessageBytes float64 // of a stored one, with what the database adds
	Waiting      float64 // messages that wait for one user, on the average
	Peak         float64 // the busiest hour against the average one
	Talking      float64 // share of users with an active conversation at the busiest time
	Relayed      float64 // share of conversations that need forwarding
	Packets      float64 // a second of one such conversation, both directions
	PacketBytes  float64
	Arrivals     float64 // connections of one user a day
	Contacts     float64 // looked up at each
	Renewals     float64 // of one connected user's registration, an hour
	KeepAlives   float64 // of one connection, a second: packets that hold NAT mappings
}

// Usual returns the assumptions of the table.
func Usual() Assumptions {
	return Assumptions{
		Online: 0.3, Messages: 40, Mailbox: 0.4, MessageBytes: 1500, Waiting: 10, Peak: 3,
		Talking: 0.05, Relayed: 0.3, Packets: 4, PacketBytes: 400, Arrivals: 6, Contacts: 25, Renewals: 1, KeepAlives: 1.0 / 25,
	}
}

// A Need is what the busiest time takes.
type Need struct {
	Users                           float64
	Conns                           float64
	Stores, Lookups, Registrations  float64 // a second
	Sessions, PacketsPerS, BitsPerS float64 // forwarded
	Memory, Disk                    float64 // bytes
	Cores                           float64 // at full use; plan for half
	Databases                       int     // PostgreSQL servers that take the stores; 0: files do
}

// For calculates what so many users need.
func For(users float64, a Assumptions) Need {
	const day = 86400.0
	n := Need{Users: users, Conns: 2 * users * a.Online} // one to the relay, one to the rendezvous
	n.Stores = users * a.Messages * a.Mailbox * a.Peak / day
	n.Lookups = users * a.Arrivals * a.Contacts * a.Peak / day
	n.Registrations = 2 * users * a.Arrivals * a.Peak / day // this period's name and the next one's
	renewals := users * a.Online * a.Renewals / 3600
	n.Sessions = users * a.Talking * a.Relayed / 2
	n.PacketsPerS = n.Sessions * a.Packets
	n.BitsPerS = 2 * 8 * n.PacketsPerS * a.PacketBytes // in and out
	n.Memory = baseMemory + n.Conns*connMemory + 2*users*recordMemory
	n.Disk = users * (a.Waiting*a.MessageBytes + 4096 + 2*2048) // mail, prekeys, two records
	n.Cores = n.Stores*storeCPU + n.Lookups*lookupCPU + n.Registrations*registrationCPU + renewals*renewalCPU +
		n.PacketsPerS*packetCPU + n.Conns*a.KeepAlives*requestCPU
	if n.Memory > 8<<30 { // more than one small machine: a fleet
		n.Databases = int(math.Ceil(2 * n.Stores / postgresStores)) // at half use
	}
	return n
}

// Table is For in rows of Markdown.
func Table(a Assumptions, users ...float64) string {
	var b strings.Builder
	b.WriteString("| users | connections | stores/s | lookups/s | registrations/s | sessions | forwarded | memory | disk | cores busy | databases |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n")
	for _, u := range users {
		n := For(u, a)
		database := "files"
		if n.Databases > 0 {
			database = fmt.Sprintf("%d PostgreSQL", n.Databases)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %sbit/s | %sB | %sB | %.2g | %s |\n", short(u), short(n.Conns), short(n.Stores), short(n.Lookups),
			short(n.Registrations), short(n.Sessions), short(n.BitsPerS), short(n.Memory), short(n.Disk), n.Cores, database)
	}
	return b.String()
}

// short writes a number with two digits and k, M, G or T.
func short(v float64) string {
	unit := ""
	for _, u := range []string{" k", " M", " G", " T"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	if v >= 100 {
		return fmt.Sprintf("%.0f%s", v, unit)
	}
	return fmt.Sprintf("%.2g%s", v, unit)
}
