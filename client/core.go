package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sremp/sremp/identity"
	"github.com/sremp/sremp/ratchet"
)

// Tuning of the core.
const (
	maxBatch   = 256         // jobs in one transaction
	storePause = time.Second // after the store failed, so that a full disk does not busy a core
)

// A core is the state of a profile: one goroutine runs it, and nobody else
// reads or writes it. It takes jobs, changes memory, stores the changes of all
// jobs at hand in one transaction, and only then lets anything be seen: replies,
// events, packets (spec §8.4). If the transaction fails, memory is read anew
// from the store: nothing had left the machine.
type core struct {
	c *Client
	v *vault

	profile  profile
	local    *identity.Local
	prekeys  *ratchet.PrekeyStore
	contacts map[identity.PeerID]*contact
	invites  map[int64]*invite

	status  map[identity.ServerID]*serverStatus
	guests  map[identity.PeerID]*link // connected with an invite, not yet contacts
	inboxes map[inboxKey]identity.PeerID

	texts  int64 // grows whenever a text is changed or removed, also over failures of the store
	tagged tagged

	begun    time.Time     // of this core, with the time that has passed since
	clockOff time.Duration // how far the clock was set since, when last looked at

	maintained time.Time         // when maintain last ran
	nextTick   time.Time         // when tick is to run; the zero time is now
	acksLater  []identity.PeerID // whose acknowledgements wait for more messages
	nearbyMade []time.Time       // when open invites were made, within an hour

	// Of the batch at hand.
	touched                    map[*contact]bool
	dirtyProfile, dirtyPrekeys bool
	changes                    []Change
	outcome                    []func(error) // told whether the batch was stored
	after                      []func()      // run once it was
	parts                      map[*file]*openPart
}

func loadCore(ctx context.Context, c *Client) (*core, error) {
	k := &core{
		begun: time.Now(), c: c, v: c.vault, touched: map[*contact]bool{}, status: map[identity.ServerID]*serverStatus{},
		guests: map[identity.PeerID]*link{},
	}
	return k, k.load(ctx)
}

// load reads everything from the store. If that fails, memory is as it was: what
// still runs until the client closes must find something there.
func (k *core) load(ctx context.Context) error {
	profile, local, prekeys, err := loadProfile(ctx, k.v)
	if err != nil {
		return err
	}
	contacts, invites := map[identity.PeerID]*contact{}, map[int64]*invite{}
	rows, err := k.v.rows(ctx, Query{Table: TableContacts})
	if err != nil {
		return err
	}
	for _, r := range rows {
		c, err := loadContact(ctx, k.v, local.PeerID(), r)
		if err != nil {
			return err
		}
		contacts[c.info.ID] = c
	}
	rows, err = k.v.rows(ctx, Query{Table: TableInvites})
	if err != nil {
		return err
	}
	for _, r := range rows {
		i := &invite{num: r.Seq}
		if err := json.Unmarshal(r.Body, i); err != nil {
			return fmt.Errorf("%w (invite %d: %w)", ErrDamaged, r.Seq, err)
		}
		if err := i.parse(); err != nil {
			return err
		}
		invites[i.num] = i
	}
	k.profile, k.local, k.prekeys = profile, local, prekeys
	k.contacts, k.invites = contacts, invites
	k.inboxes = map[inboxKey]identity.PeerID{}
	return nil
}

// steady is a clock that nobody sets: for what is waited for and never stored. By
// now, a pause that began before the clock was put right would last until then.
func (k *core) steady() time.Time { return time.Now() }

// now is the computer's clock, which may be wrong: for what is stored or sent.
func (k *core) now() time.Time { return k.c.cfg.Now().Round(0).UTC() }

// settle has f told the outcome of the batch.
func (k *core) settle(f func(error)) { k.outcome = append(k.outcome, f) }

// then runs f after the batch was stored, never if it was not.
func (k *core) then(f func()) { k.after = append(k.after, f) }

// emit hands e to the subscribers after the batch was stored.
func (k *core) emit(e Event) { k.then(func() { k.c.hub.emit(e) }) }

// run is the core's goroutine.
func (k *core) run(ctx context.Context) {
	defer close(k.c.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	acks := time.NewTimer(ackDelay)
	defer acks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-k.c.jobs:
			f(k)
		case <-timer.C:
			k.tick()
		case <-acks.C:
			k.sendAcks()
		}
		waiting := len(k.acksLater) > 0
	more:
		for range maxBatch - 1 {
			select {
			case f := <-k.c.jobs:
				f(k)
			default:
				break more
			}
		}
		k.commit(ctx)
		if ctx.Err() != nil {
			return // memory may be ahead of a store that failed
		}
		timer.Reset(k.untilTick())
		if !waiting && len(k.acksLater) > 0 {
			acks.Reset(ackDelay)
		}
	}
}

// maintain renews prekeys and drops invites that are over.
func (k *core) maintain() {
	k.maintained = k.now()
	k.dropInvites()
	k.offerNearby()
	k.renewLookup()
	if k.profile.rotateKnockKey(k.now()) {
		k.dirtyProfile = true
	}
	changed, err := k.prekeys.Replenish(k.local, k.now(), oneTimePrekeys)
	if err != nil {
		k.c.log.Error("prekeys not renewed", "err", err)
		return
	}
	k.dirtyPrekeys = k.dirtyPrekeys || changed
}

// commit stores the batch and lets its effects happen. Effects may start
// another batch.
func (k *core) commit(ctx context.Context) {
	for {
		k.finish()
		changes, outcome, after := k.changes, k.outcome, k.after
		k.changes, k.outcome, k.after = nil, nil, nil
		clear(k.touched)
		k.dirtyProfile, k.dirtyPrekeys = false, false
		if len(changes) > 0 {
			if err := k.v.store.Apply(ctx, changes); err != nil {
				k.failed(ctx, err, outcome)
				return
			}
		}
		for _, f := range outcome {
			f(nil)
		}
		for _, f := range after {
			f()
		}
		if len(k.changes) == 0 && len(k.touched) == 0 && !k.dirtyProfile && !k.dirtyPrekeys &&
			len(k.outcome) == 0 && len(k.after) == 0 {
			return
		}
	}
}

// finish adds the rows of what the batch touched.
func (k *core) finish() {
	for c := range k.touched {
		k.finishRead(c)
		k.finishReceive(c)
	}
	for c := range k.touched {
		k.active(c)
	}
	k.finishParts()
	for c := range k.touched {
		k.finishFiles(c)
		if c.dirtyInfo {
			k.changes = append(k.changes, k.v.putJSON(TableContacts, 0, c.num, c.info))
		}
		if c.dirtyFlow {
			k.changes = append(k.changes, k.v.putJSON(TableFlows, c.num, 0, c.flow))
		}
		if c.dirtySession {
			state, err := c.session.MarshalBinary()
			if err != nil {
				panic(fmt.Sprintf("client: session does not encode: %v", err))
			}
			k.changes = append(k.changes, k.v.put(TableSessions, c.num, 0, 0, state))
		}
		if c.dirtySeen {
			k.changes = append(k.changes, k.v.put(TableSessions, c.num, seqRepeats, 0, c.seen.append(nil)))
		}
		c.dirtyInfo, c.dirtyFlow, c.dirtySession, c.dirtySeen = false, false, false, false
	}
	if k.dirtyProfile {
		k.changes = append(k.changes, k.v.putJSON(TableSettings, 0, settingProfile, k.profile))
	}
	if k.dirtyPrekeys {
		state, err := k.prekeys.MarshalBinary()
		if err != nil {
			panic(fmt.Sprintf("client: prekeys do not encode: %v", err))
		}
		k.changes = append(k.changes, k.v.put(TableSettings, 0, settingPrekeys, 0, state))
	}
}

// failed brings memory back to what is stored.
func (k *core) failed(ctx context.Context, err error, outcome []func(error)) {
	if ctx.Err() == nil {
		k.c.log.LogAttrs(ctx, slog.LevelError, "storing failed", slog.Any("err", err))
	} else if errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	for _, f := range outcome {
		f(err)
	}
	old := k.contacts
	for {
		if ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(storePause):
		case <-ctx.Done():
			return
		}
		err := k.load(ctx)
		if err == nil {
			break
		}
		k.c.log.LogAttrs(ctx, slog.LevelError, "reading the profile failed", slog.Any("err", err))
	}
	k.nextTick = time.Time{}
	for id, c := range k.contacts {
		if was := old[id]; was != nil {
			c.link, c.path = was.link, was.path
			c.sending.mail.busy = was.sending.mail.busy
			c.sending.files.busy = was.sending.files.busy
			for seq, f := range c.files {
				if g := was.files[seq]; g != nil {
					f.run = g.run
				}
			}
		}
	}
}
